//! Keys as customers have them: text, Base64, hexadecimal, PEM.

use causeway_catalog::KeyForm;
use data_encoding::{BASE64_NOPAD, BASE64URL_NOPAD, HEXLOWER_PERMISSIVE};
use zeroize::Zeroizing;

/// The bytes of a key; `None` if it is not written in this form.
pub(crate) fn key_bytes(text: &str, form: KeyForm) -> Option<Zeroizing<Vec<u8>>> {
    match form {
        KeyForm::Text => Some(Zeroizing::new(text.as_bytes().to_vec())),
        KeyForm::Base64 => base64(text),
        KeyForm::Hex => HEXLOWER_PERMISSIVE.decode(text.trim().as_bytes()).ok().map(Zeroizing::new),
    }
}

/// Base64 of either alphabet, with padding or without, on any number of lines.
fn base64(text: &str) -> Option<Zeroizing<Vec<u8>>> {
    let mut bare = Zeroizing::new(text.as_bytes().to_vec());
    bare.retain(|byte| !byte.is_ascii_whitespace() && *byte != b'=');
    let alphabet =
        if bare.iter().any(|byte| b"-_".contains(byte)) { BASE64URL_NOPAD } else { BASE64_NOPAD };
    alphabet.decode(&bare).ok().map(Zeroizing::new)
}

/// The first block of a PEM file (RFC 7468): its label and what it holds. Line ends that were
/// copied from JSON as `\n` are line ends.
pub(crate) fn pem(text: &str) -> Option<(String, Zeroizing<Vec<u8>>)> {
    let text = Zeroizing::new(text.replace("\\n", "\n"));
    let (_, rest) = text.split_once("-----BEGIN ")?;
    let (label, rest) = rest.split_once("-----")?;
    let (body, _) = rest.split_once(&format!("-----END {label}-----"))?;
    // The headers of an encrypted key of old.
    if body.contains(':') {
        return None;
    }
    Some((label.to_owned(), base64(body)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_read_as_they_are_copied() {
        let read = |text, form| key_bytes(text, form).map(|bytes| bytes.to_vec());
        assert_eq!(read("a b", KeyForm::Text), Some(b"a b".to_vec()));
        for text in ["+/8=", "-_8", " +/\n8 "] {
            assert_eq!(read(text, KeyForm::Base64), Some(vec![0xfb, 0xff]), "{text}");
        }
        assert_eq!(read("FBff", KeyForm::Hex), Some(vec![0xfb, 0xff]));
        assert_eq!(read("+/8!", KeyForm::Base64), None);
        assert_eq!(read("f", KeyForm::Hex), None);
    }

    #[test]
    fn pem_is_read_also_out_of_json() {
        let file = "-----BEGIN PRIVATE KEY-----\nAQI=\n-----END PRIVATE KEY-----\n";
        for text in [file.to_owned(), file.replace('\n', "\\n"), file.replace('\n', "\r\n")] {
            let (label, bytes) = pem(&text).unwrap();
            assert_eq!((label.as_str(), bytes.as_slice()), ("PRIVATE KEY", &[1, 2][..]));
        }
        for bad in [
            "",
            "AQI=",
            "-----BEGIN X-----\nAQI=",
            "-----BEGIN X-----\nProc-Type: 4\n\nAQI=\n-----END X-----",
        ] {
            assert!(pem(bad).is_none(), "{bad}");
        }
    }
}
