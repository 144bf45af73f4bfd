//! What a machine and PID 1 of its jail say to each other, over one connection of its vsock.
//!
//! A frame is one byte of channel, four bytes of length (big-endian), and as many bytes as the length
//! says. The order of frames is the order in which things happened: what the program has printed before
//! it answered stands before its answer.

use crate::control::{Bind, Failure, Launch, Layer};
use crate::program::Runtime;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::io;
use std::path::PathBuf;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// The port of the machine's host at which PID 1 of the jail hears the machine (VMADDR_CID_HOST).
pub(in crate::jail) const CONTROL_PORT: u32 = 1024;
/// The port at which the server takes connections to the way out.
pub(in crate::jail) const EGRESS_PORT: u32 = 1025;
/// The longest payload, in bytes.
pub(in crate::jail) const LONGEST: usize = 64 << 10;
/// Random bytes that a machine is given.
pub(in crate::jail) const ENTROPY: usize = 64;
/// Bytes before a payload.
const HEADER: usize = 5;

/// What a frame's bytes belong to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::jail) enum Channel {
    /// A message, in JSON.
    Control,
    /// The runner's socket, either way.
    Runner,
    /// What the program has printed.
    Stdout,
    /// What the program has printed to standard error.
    Stderr,
    /// A part of the archive with the program's files.
    Files,
}

impl Channel {
    const ALL: [Self; 5] = [Self::Control, Self::Runner, Self::Stdout, Self::Stderr, Self::Files];

    const fn letter(self) -> u8 {
        match self {
            Self::Control => b'C',
            Self::Runner => b'R',
            Self::Stdout => b'O',
            Self::Stderr => b'E',
            Self::Files => b'F',
        }
    }
}

/// To PID 1 in the machine.
#[derive(Debug, Serialize, Deserialize)]
pub(in crate::jail) enum ToMachine {
    /// Become somebody, and run the program.
    Start(Box<Life>),
    /// The archive is complete: put its files below `/code`.
    Load,
}

/// From PID 1 in the machine. Whoever breaks the kernel inside writes these, too.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::jail) enum FromMachine {
    /// The program is about to run.
    Up { missing: Vec<String> },
    /// The files are below `/code`.
    Loaded,
    /// How often the kernel inside has killed for want of memory and refused a process, so far.
    Counted { memory_kills: u64, refused_tasks: u64 },
    /// The program has ended.
    Ended { code: Option<i32>, signal: Option<i32> },
    /// The program could not be run.
    Failed(Failure),
}

/// What makes a machine that was booted, or restored from a snapshot that others were restored from,
/// one of its kind. Nothing of the program runs before.
#[derive(Debug, Serialize, Deserialize)]
pub(in crate::jail) struct Life {
    /// Random bytes for the kernel inside, in hexadecimal.
    pub(in crate::jail) entropy: String,
    /// Its name among machines, 32 hexadecimal digits.
    pub(in crate::jail) id: String,
    /// The time, in nanoseconds since 1970.
    pub(in crate::jail) now: u64,
    pub(in crate::jail) runtime: Runtime,
    /// What of the image the program may execute; what it was made of on another machine is not in it.
    pub(in crate::jail) binds: Vec<Bind>,
    pub(in crate::jail) certificate: String,
    pub(in crate::jail) roots: Option<PathBuf>,
    pub(in crate::jail) launch: Launch,
    pub(in crate::jail) layers: Vec<Layer>,
    pub(in crate::jail) memory_bytes: u64,
    pub(in crate::jail) processes: u64,
}

/// Reads one frame into the buffer; `None` at the end of the connection.
pub(in crate::jail) async fn read(
    from: &mut (impl AsyncRead + Unpin),
    payload: &mut Vec<u8>,
) -> io::Result<Option<Channel>> {
    let mut header = [0_u8; HEADER];
    match from.read_exact(&mut header).await {
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        Err(error) => return Err(error),
    }
    let [letter, length @ ..] = header;
    let bad = |what: &str| io::Error::new(io::ErrorKind::InvalidData, what.to_owned());
    let channel = Channel::ALL
        .into_iter()
        .find(|channel| channel.letter() == letter)
        .ok_or_else(|| bad("a frame of an unknown channel"))?;
    let length = usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX);
    if length > LONGEST {
        return Err(bad("a frame that is too long"));
    }
    payload.resize(length, 0);
    from.read_exact(payload).await?;
    Ok(Some(channel))
}

/// Writes one frame of at most [`LONGEST`] bytes.
pub(in crate::jail) async fn write(
    to: &mut (impl AsyncWrite + Unpin),
    channel: Channel,
    payload: &[u8],
) -> io::Result<()> {
    let length = u32::try_from(payload.len()).unwrap_or(u32::MAX);
    let mut frame = Vec::with_capacity(HEADER + payload.len());
    frame.push(channel.letter());
    frame.extend_from_slice(&length.to_be_bytes());
    frame.extend_from_slice(payload);
    to.write_all(&frame).await
}

/// Writes a message.
pub(in crate::jail) async fn tell(
    to: &mut (impl AsyncWrite + Unpin),
    message: &impl Serialize,
) -> io::Result<()> {
    let text = serde_json::to_vec(message)?;
    if text.len() > LONGEST {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "a message that is too long"));
    }
    write(to, Channel::Control, &text).await
}

/// Reads a message out of a frame.
pub(in crate::jail) fn message<T: DeserializeOwned>(payload: &[u8]) -> io::Result<T> {
    serde_json::from_slice(payload).map_err(Into::into)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is made of these bytes, of which there come no more.
    async fn heard(bytes: &[u8]) -> io::Result<Option<(Channel, Vec<u8>)>> {
        let mut payload = Vec::new();
        let channel = read(&mut &*bytes, &mut payload).await?;
        assert!(payload.len() <= LONGEST, "no more is taken than a frame may have");
        Ok(channel.map(|channel| (channel, payload)))
    }

    #[tokio::test]
    async fn frames_are_read_as_they_are_written() {
        for channel in Channel::ALL {
            for payload in [Vec::new(), b"x".to_vec(), vec![7; LONGEST]] {
                let mut written = Vec::new();
                write(&mut written, channel, &payload).await.unwrap();
                let (heard, found) = heard(&written).await.unwrap().unwrap();
                assert!(heard == channel && found == payload);
            }
        }
        assert!(heard(b"").await.unwrap().is_none());
    }

    #[tokio::test]
    async fn what_no_machine_of_ours_says_is_refused() {
        let too_long = [&b"R"[..], &65_537_u32.to_be_bytes()].concat();
        let endless = [&b"O"[..], &u32::MAX.to_be_bytes()].concat();
        for bytes in [&too_long[..], &endless, b"X\0\0\0\0", b"\0\0\0\0\0"] {
            let error = heard(bytes).await.unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidData, "{bytes:?}");
        }
        // Cut off, within the payload; within the header it is the connection's end.
        assert!(heard(b"R\0\0\0\x09half").await.is_err());
        assert!(heard(b"R\0\0").await.unwrap().is_none());
        for text in [
            r#"{"Counted":{"memory_kills":1,"refused_tasks":2,"more":3}}"#,
            r#"{"Start":{}}"#,
            r#"{"Ended":{"code":"0","signal":null}}"#,
            "nonsense",
        ] {
            assert!(message::<FromMachine>(text.as_bytes()).is_err(), "{text}");
        }
        let told: FromMachine = message(br#"{"Ended":{"code":0,"signal":null}}"#).unwrap();
        assert!(matches!(told, FromMachine::Ended { code: Some(0), signal: None }));
    }
}
