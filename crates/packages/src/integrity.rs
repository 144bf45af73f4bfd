//! Digests of archives, as npm (Subresource Integrity) and pip write them.

use aws_lc_rs::digest;
use data_encoding::{BASE64, HEXLOWER};

/// The digest that an archive has to have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Integrity {
    /// `sha512-` and base64.
    Sha512(Vec<u8>),
    /// `sha256:` and hexadecimal.
    Sha256(Vec<u8>),
}

impl Integrity {
    /// Reads either form; of several digests, as npm may write them, the one of SHA-512.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        if let Some(hex) = text.strip_prefix("sha256:") {
            let bytes = HEXLOWER.decode(hex.to_ascii_lowercase().as_bytes()).ok()?;
            return (bytes.len() == 32).then_some(Self::Sha256(bytes));
        }
        text.split_ascii_whitespace().find_map(|one| {
            let base64 = one.strip_prefix("sha512-")?;
            // Options may follow (SRI, section 3.5); none has a meaning.
            let bytes = BASE64.decode(base64.split('?').next()?.as_bytes()).ok()?;
            (bytes.len() == 64).then_some(Self::Sha512(bytes))
        })
    }

    /// The form in which it is kept and shown.
    pub(crate) fn text(&self) -> String {
        match self {
            Self::Sha512(bytes) => format!("sha512-{}", BASE64.encode(bytes)),
            Self::Sha256(bytes) => format!("sha256:{}", HEXLOWER.encode(bytes)),
        }
    }

    /// The name of the file that holds the archive.
    pub(crate) fn file_name(&self) -> String {
        match self {
            Self::Sha512(bytes) => format!("sha512-{}", HEXLOWER.encode(bytes)),
            Self::Sha256(bytes) => format!("sha256-{}", HEXLOWER.encode(bytes)),
        }
    }

    /// Begins to compute the digest of an archive.
    pub(crate) fn begin(&self) -> digest::Context {
        digest::Context::new(match self {
            Self::Sha512(_) => &digest::SHA512,
            Self::Sha256(_) => &digest::SHA256,
        })
    }

    /// Whether that was it; else what it was.
    pub(crate) fn check(&self, context: digest::Context) -> Result<(), String> {
        let found = context.finish().as_ref().to_vec();
        let (wanted, found) = match self {
            Self::Sha512(bytes) => (bytes, Self::Sha512(found.clone())),
            Self::Sha256(bytes) => (bytes, Self::Sha256(found.clone())),
        };
        let is_it = match &found {
            Self::Sha512(bytes) | Self::Sha256(bytes) => bytes == wanted,
        };
        if is_it { Ok(()) } else { Err(found.text()) }
    }
}

/// The name of the file that holds the archive of a digest.
pub(crate) fn file_name(text: &str) -> Option<String> {
    Integrity::parse(text).map(|integrity| integrity.file_name())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_are_read_and_written() {
        let sha512 = format!("sha512-{}", BASE64.encode(&[7; 64]));
        let several = format!("sha1-aaaa {sha512}?x");
        assert_eq!(Integrity::parse(&several).unwrap().text(), sha512);
        let sha256 = format!("sha256:{}", "AB".repeat(32));
        assert_eq!(
            Integrity::parse(&sha256).unwrap().text(),
            sha256.to_ascii_lowercase().replace("SHA", "sha")
        );
        for bad in
            ["", "sha1-2jmj7l5rSw0yVb/vlWAYkK/YBwk=", "sha512-AAAA", "sha256:00", "sha256:zz"]
        {
            assert_eq!(Integrity::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn an_archive_is_told_from_another() {
        let integrity = Integrity::Sha256(digest::digest(&digest::SHA256, b"a").as_ref().to_vec());
        for (bytes, is_it) in [(b"a", true), (b"b", false)] {
            let mut context = integrity.begin();
            context.update(bytes);
            assert_eq!(integrity.check(context).is_ok(), is_it);
        }
    }
}
