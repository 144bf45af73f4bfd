//! The forms in which programs print a secret.

use data_encoding::{BASE64_NOPAD, BASE64URL_NOPAD, HEXLOWER, HEXUPPER};
use std::ops::Range;

/// Lines of a secret that has several are masked by themselves from this length on, in bytes.
const SHORTEST_LINE: usize = 12;
const HEX: [&[u8; 16]; 2] = [b"0123456789ABCDEF", b"0123456789abcdef"];

/// A text to look for.
pub(super) struct Form {
    pub(super) text: Vec<u8>,
    /// The character before a match holds bits of the secret too.
    before: bool,
    /// The character after a match does.
    after: bool,
    base64: bool,
}

impl Form {
    fn plain(text: Vec<u8>) -> Self {
        Self { text, before: false, after: false, base64: false }
    }

    /// What has to be masked for a match: whole characters, and of base64 also the characters
    /// that hold the secret's first and last bits together with other data's.
    pub(super) fn reach(&self, text: &str, found: Range<usize>) -> Range<usize> {
        let bytes = text.as_bytes();
        let is = |at: usize, allowed: fn(u8) -> bool| bytes.get(at).copied().is_some_and(allowed);
        let Range { mut start, mut end } = found;
        if self.before && start > 0 && is(start - 1, in_base64) {
            start -= 1;
        }
        if self.after && is(end, in_base64) {
            end += 1;
        }
        while self.base64 && is(end, |byte| byte == b'=') {
            end += 1;
        }
        while !text.is_char_boundary(start) {
            start -= 1;
        }
        while !text.is_char_boundary(end) {
            end += 1;
        }
        start..end
    }
}

fn in_base64(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'-' | b'_')
}

/// Adds every form of a secret.
pub(super) fn forms(secret: &[u8], all: &mut Vec<Form>) {
    let first = all.len();
    let mut add = |form: Form| {
        let known = all.iter().skip(first).any(|other| other.text == form.text);
        if !known {
            all.push(form);
        }
    };
    for skipped in 0..3 {
        base64(secret, skipped, &mut add);
    }
    let mut plain = |text: Vec<u8>| add(Form::plain(text));
    plain(secret.to_vec());
    plain(HEXLOWER.encode(secret).into_bytes());
    plain(HEXUPPER.encode(secret).into_bytes());
    // How Node prints a Buffer.
    plain(separated(secret));
    for digits in HEX {
        for kept in KEPT_IN_URLS {
            plain(percent(secret, kept, digits, false));
        }
        plain(percent(secret, "*-._", digits, true));
        plain(percent_all(secret, digits));
    }
    if let Ok(text) = std::str::from_utf8(secret) {
        escaped(text, &mut plain);
        if text.contains('\n') {
            let lines = text.lines().map(str::trim);
            for line in
                lines.filter(|line| line.len() >= SHORTEST_LINE && !line.starts_with("-----"))
            {
                plain(line.as_bytes().to_vec());
            }
        }
    }
}

/// Base64 of the secret where it begins `skipped` bytes after a group of three: the characters
/// that hold no other bits than the secret's.
fn base64(secret: &[u8], skipped: usize, add: &mut impl FnMut(Form)) {
    let mut padded = vec![0; skipped];
    padded.extend_from_slice(secret);
    // Characters that begin within the secret, and those that end within it.
    let from = (skipped * 8).div_ceil(6);
    let to = padded.len() * 8 / 6;
    for alphabet in [&BASE64_NOPAD, &BASE64URL_NOPAD] {
        let text = alphabet.encode(&padded).into_bytes();
        let Some(inner) = text.get(from..to) else { continue };
        add(Form {
            text: inner.to_vec(),
            before: skipped > 0,
            after: !padded.len().is_multiple_of(3),
            base64: true,
        });
    }
}

/// Beside letters and digits, what is left as it is by RFC 3986's rule, by Python's `quote`, by
/// JavaScript's `encodeURIComponent` and by its `encodeURI`.
const KEPT_IN_URLS: [&str; 4] = ["-._~", "-._~/", "-_.!~*'()", "-_.!~*'();,/?:@&=+$#"];

fn percent(secret: &[u8], kept: &str, digits: &[u8; 16], form: bool) -> Vec<u8> {
    let mut out = Vec::with_capacity(secret.len() * 3);
    for byte in secret {
        if byte.is_ascii_alphanumeric() || kept.as_bytes().contains(byte) {
            out.push(*byte);
        } else if form && *byte == b' ' {
            out.push(b'+');
        } else {
            push_percent(&mut out, *byte, digits);
        }
    }
    out
}

fn percent_all(secret: &[u8], digits: &[u8; 16]) -> Vec<u8> {
    let mut out = Vec::with_capacity(secret.len() * 3);
    for byte in secret {
        push_percent(&mut out, *byte, digits);
    }
    out
}

fn push_percent(out: &mut Vec<u8>, byte: u8, digits: &[u8; 16]) {
    out.push(b'%');
    for nibble in [byte >> 4, byte & 15] {
        out.extend(digits.get(usize::from(nibble)));
    }
}

fn separated(secret: &[u8]) -> Vec<u8> {
    let pairs: Vec<String> = secret.iter().map(|byte| format!("{byte:02x}")).collect();
    pairs.join(" ").into_bytes()
}

/// JSON's escapes as different writers use them, JSON inside JSON, and JavaScript's own quotes.
fn escaped(text: &str, plain: &mut impl FnMut(Vec<u8>)) {
    let json = inside_json(text);
    plain(json.replace('/', "\\/").into_bytes());
    plain(inside_json(&json).into_bytes());
    for upper in [false, true] {
        plain(ascii_only(&json, upper, |c| !c.is_ascii()).into_bytes());
        plain(ascii_only(&json, upper, |c| matches!(c, '<' | '>' | '&')).into_bytes());
    }
    plain(text.replace('\\', "\\\\").replace('\n', "\\n").replace('\'', "\\'").into_bytes());
    plain(json.into_bytes());
}

fn inside_json(text: &str) -> String {
    let quoted = serde_json::Value::from(text).to_string();
    quoted.get(1..quoted.len() - 1).unwrap_or_default().to_owned()
}

fn ascii_only(text: &str, upper: bool, escape: fn(char) -> bool) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if escape(c) {
            for unit in c.encode_utf16(&mut [0; 2]) {
                out.push_str("\\u");
                let bytes = unit.to_be_bytes();
                out.push_str(&if upper {
                    HEXUPPER.encode(&bytes)
                } else {
                    HEXLOWER.encode(&bytes)
                });
            }
        } else {
            out.push(c);
        }
    }
    out
}
