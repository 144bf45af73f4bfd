//! Masking secrets in bytes that arrive in pieces, without changing how many there are.

use super::forms::{Form, forms};
use super::{SHORTEST, TooManySecrets};
use aho_corasick::{AhoCorasick, AhoCorasickKind, MatchKind};
use std::ops::Range;
use std::sync::Arc;

/// What stands in the place of each byte of a secret.
const FILLER: u8 = b'*';

/// Secrets to be masked in streams, in every form in which a [`Redactor`](super::Redactor) knows
/// them. It is made once and serves any number of streams.
pub struct Masks(Option<Known>);

struct Known {
    matcher: AhoCorasick,
    /// In order, to find what a piece's last bytes may be the beginning of.
    sorted: Vec<Vec<u8>>,
    first: [bool; 256],
    longest: usize,
}

/// One stream under its mask.
pub struct MaskedStream {
    masks: Arc<Masks>,
    /// Bytes that came and may be the beginning of a secret.
    held: Vec<u8>,
    /// The parts of them that belong to a secret that was found before.
    found: Vec<Range<usize>>,
}

impl Masks {
    /// Masks for these secrets. As with a redactor, the shortest are left alone, and composed
    /// forms have to be given.
    ///
    /// # Errors
    /// If they are too many or too long.
    pub fn new<'a>(secrets: impl IntoIterator<Item = &'a [u8]>) -> Result<Self, TooManySecrets> {
        let mut all: Vec<Form> = Vec::new();
        for secret in secrets.into_iter().map(<[u8]>::trim_ascii) {
            if secret.len() >= SHORTEST {
                forms(secret, &mut all);
            }
        }
        let mut sorted: Vec<Vec<u8>> = all.into_iter().map(|form| form.text).collect();
        // Base64 in the middle of something leaves little of a short secret.
        sorted.retain(|text| text.len() >= SHORTEST);
        sorted.sort_unstable();
        sorted.dedup();
        let Some(longest) = sorted.iter().map(Vec::len).max() else { return Ok(Self(None)) };
        let matcher = AhoCorasick::builder()
            .match_kind(MatchKind::Standard)
            .kind(Some(AhoCorasickKind::ContiguousNFA))
            .build(&sorted)
            .map_err(TooManySecrets)?;
        let mut first = [false; 256];
        for byte in sorted.iter().filter_map(|text| text.first()) {
            if let Some(known) = first.get_mut(usize::from(*byte)) {
                *known = true;
            }
        }
        Ok(Self(Some(Known { matcher, sorted, first, longest })))
    }

    /// Whether there is nothing to look for.
    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// The bytes, whole, with every secret masked; `None` if they hold none.
    pub fn mask(&self, bytes: &[u8]) -> Option<Vec<u8>> {
        let found = self.0.as_ref()?.find(bytes);
        if found.is_empty() {
            return None;
        }
        let mut masked = bytes.to_vec();
        fill(&mut masked, &found);
        Some(masked)
    }

    /// Begins a stream.
    pub fn stream(self: &Arc<Self>) -> MaskedStream {
        MaskedStream { masks: Arc::clone(self), held: Vec::new(), found: Vec::new() }
    }
}

impl Known {
    fn find(&self, bytes: &[u8]) -> Vec<Range<usize>> {
        if !self.matcher.is_match(bytes) {
            return Vec::new();
        }
        self.matcher.find_overlapping_iter(bytes).map(|one| one.range()).collect()
    }

    /// From where on the bytes may be the beginning of a secret.
    fn beginning(&self, bytes: &[u8]) -> usize {
        let earliest = bytes.len().saturating_sub(self.longest - 1);
        let may_begin = |at: &usize| {
            let rest = bytes.get(*at..).unwrap_or_default();
            let known = rest.first().and_then(|byte| self.first.get(usize::from(*byte)));
            known == Some(&true) && {
                let next = self.sorted.partition_point(|text| text.as_slice() < rest);
                // One that is whole was found; only a longer one is waited for.
                let mut after = self.sorted.iter().skip(next);
                after
                    .find(|text| text.as_slice() != rest)
                    .is_some_and(|text| text.starts_with(rest))
            }
        };
        (earliest..bytes.len()).find(may_begin).unwrap_or(bytes.len())
    }
}

impl MaskedStream {
    /// Takes the next piece, and gives what can be passed on now.
    pub fn push(&mut self, piece: &[u8]) -> Vec<u8> {
        let Some(known) = &self.masks.0 else { return piece.to_vec() };
        let mut bytes = std::mem::take(&mut self.held);
        bytes.extend_from_slice(piece);
        let mut found = std::mem::take(&mut self.found);
        found.extend(known.find(&bytes));
        let end = known.beginning(&bytes);
        // What is held stays as it came: a secret may begin within another's end.
        self.held = bytes.split_off(end);
        self.found = found
            .iter()
            .filter(|range| range.end > end)
            .map(|range| range.start.saturating_sub(end)..range.end - end)
            .collect();
        fill(&mut bytes, &found);
        bytes
    }

    /// Whether bytes are held that are too few to give a secret away. Whoever waits for an answer
    /// may need them: a message that ends like a secret begins is whole all the same.
    pub fn holds_little(&self) -> bool {
        (1..SHORTEST).contains(&self.held.len())
    }

    /// Whether any bytes are held.
    pub fn is_empty(&self) -> bool {
        self.held.is_empty()
    }

    /// Gives what is held, at the end of the stream or when nothing comes for a while.
    pub fn release(&mut self) -> Vec<u8> {
        let mut held = std::mem::take(&mut self.held);
        fill(&mut held, &std::mem::take(&mut self.found));
        held
    }
}

fn fill(bytes: &mut [u8], ranges: &[Range<usize>]) {
    let length = bytes.len();
    for range in ranges {
        let range = range.start.min(length)..range.end.min(length);
        if let Some(part) = bytes.get_mut(range) {
            part.fill(FILLER);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use data_encoding::BASE64;

    const SECRET: &str = "s3cr3t-token/with+odd=signs";

    fn masks(secrets: &[&str]) -> Arc<Masks> {
        Arc::new(Masks::new(secrets.iter().map(|secret| secret.as_bytes())).unwrap())
    }

    fn through(masks: &Arc<Masks>, pieces: &[&[u8]]) -> String {
        let mut stream = masks.stream();
        let mut out = Vec::new();
        for piece in pieces {
            out.extend(stream.push(piece));
        }
        out.extend(stream.release());
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_secret_is_masked_wherever_its_pieces_end() {
        let masks = masks(&[SECRET]);
        let base64 = BASE64.encode(SECRET.as_bytes());
        for form in [SECRET, base64.as_str()] {
            let text = format!("before {form} after {form}");
            let whole = text.as_bytes();
            for first in 0..whole.len() {
                for second in [first, (first + 3).min(whole.len()), whole.len()] {
                    let pieces = [&whole[..first], &whole[first..second], &whole[second..]];
                    let masked = through(&masks, &pieces);
                    assert_eq!(masked.len(), text.len());
                    assert!(
                        !masked.contains(&form[2..form.len() - 2]),
                        "{first} {second} {masked}"
                    );
                    assert!(
                        masked.starts_with("before *") && masked.contains("* after *"),
                        "{masked}"
                    );
                }
            }
            let bytes: Vec<&[u8]> = whole.chunks(1).collect();
            assert!(!through(&masks, &bytes).contains(&form[2..form.len() - 2]));
        }
    }

    #[test]
    fn overlapping_secrets_are_both_masked() {
        let masks = masks(&["abcdefghij", "fghijklmno"]);
        for at in 1..15 {
            let (one, other) = b"abcdefghijklmno".split_at(at);
            assert_eq!(through(&masks, &[one, other]), "*".repeat(15), "{at}");
        }
    }

    #[test]
    fn what_is_no_secret_is_passed_on_at_once() {
        let masks = masks(&[SECRET]);
        let mut stream = masks.stream();
        assert_eq!(stream.push(b"{\"ok\":true}\n"), b"{\"ok\":true}\n");
        assert!(stream.is_empty());
        assert_eq!(stream.push(b"wait: s3c"), b"wait: ");
        assert!(stream.holds_little());
        assert_eq!(stream.push(b"r3t-to"), b"");
        assert!(!stream.holds_little() && !stream.is_empty());
        assert_eq!(stream.push(b"day"), b"s3cr3t-today");
        assert!(masks.mask(b"nothing here").is_none());
        assert_eq!(masks.mask(SECRET.as_bytes()).unwrap(), vec![b'*'; SECRET.len()]);
        assert!(Masks::new([&b"short"[..]]).unwrap().is_empty());
    }
}
