//! Masking known secrets, by value, in what is about to be written down.
//!
//! A [`Redactor`] looks for every secret that it was given and for the forms that programs
//! commonly print a secret in: base64 (standard and URL alphabet, padded or not, also in the
//! middle of something longer), hexadecimal, percent-encoding and JSON escapes, and single lines
//! of a secret that has several. It stops accidents. Code that wants to smuggle a secret out can
//! encode it in a way that nothing recognises; what keeps that code from having the secret is the
//! sandbox and its broker.
//!
//! The texts that it looks for stay in its automaton, which is not wiped when dropped: make one
//! for a piece of work and let it go with it.

mod forms;
mod stream;

use aho_corasick::{AhoCorasick, AhoCorasickKind, MatchKind};
use forms::{Form, forms};
use serde_json::Value;
use std::borrow::Cow;
use std::ops::Range;

pub use stream::{MaskedStream, Masks};

/// What stands in the place of a secret.
pub const MASK: &str = "[redacted]";

/// Shorter secrets are not masked, in bytes. A value of five characters is so common in ordinary
/// text (`12345`, `admin`) that masking it would ruin logs and the data that steps hand to each
/// other, and would show what it is by where it is missing; it is no secret to a guesser either.
pub const SHORTEST: usize = 6;

/// More secrets, or longer ones, than one matcher can hold (2^31 states, which is gigabytes).
#[derive(Debug, thiserror::Error)]
#[error("building a matcher of secrets: they are too many or too long")]
pub struct TooManySecrets(#[source] aho_corasick::BuildError);

/// Masks known secrets.
pub struct Redactor {
    matcher: Option<AhoCorasick>,
    forms: Vec<Form>,
}

impl Redactor {
    /// Makes a redactor for these secrets. Secrets that are used in a composed form, such as the
    /// `user:password` of an `Authorization: Basic` header, have to be given in that form too.
    pub fn new<'a>(secrets: impl IntoIterator<Item = &'a [u8]>) -> Result<Self, TooManySecrets> {
        let mut all = Vec::new();
        for secret in secrets {
            // A file's last newline is rarely printed with the rest.
            let secret = secret.trim_ascii();
            if secret.len() >= SHORTEST {
                forms(secret, &mut all);
            }
        }
        if all.is_empty() {
            return Ok(Self { matcher: None, forms: all });
        }
        let matcher = AhoCorasick::builder()
            .match_kind(MatchKind::Standard)
            // Small and quick to build; a redactor is made more often than text is long.
            .kind(Some(AhoCorasickKind::ContiguousNFA))
            .build(all.iter().map(|form| &form.text))
            .map_err(TooManySecrets)?;
        // The automaton has its own copy; what is left to know of a form is its edges.
        for form in &mut all {
            form.text.clear();
        }
        Ok(Self { matcher: Some(matcher), forms: all })
    }

    /// Whether there is nothing to look for.
    pub fn is_empty(&self) -> bool {
        self.matcher.is_none()
    }

    /// The text with every secret masked; the text itself if it holds none. A secret that is
    /// spread over two texts is found in neither: hand over whole lines.
    pub fn redact<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let spans = self.find(text);
        if spans.is_empty() {
            return Cow::Borrowed(text);
        }
        let mut out = String::with_capacity(text.len());
        let mut from = 0;
        for span in spans {
            out.push_str(text.get(from..span.start).unwrap_or_default());
            out.push_str(MASK);
            from = span.end;
        }
        out.push_str(text.get(from..).unwrap_or_default());
        Cow::Owned(out)
    }

    /// Masks secrets in every string, key and number of a JSON value. Keys that become equal are
    /// told apart by a number.
    pub fn redact_json(&self, value: &mut Value) {
        if self.is_empty() {
            return;
        }
        match value {
            Value::Null | Value::Bool(_) => {}
            Value::Number(number) => {
                if !self.find(&number.to_string()).is_empty() {
                    *value = Value::String(MASK.to_owned());
                }
            }
            Value::String(text) => {
                if let Cow::Owned(masked) = self.redact(text) {
                    *text = masked;
                }
            }
            Value::Array(items) => items.iter_mut().for_each(|item| self.redact_json(item)),
            Value::Object(fields) => {
                fields.values_mut().for_each(|field| self.redact_json(field));
                if fields.keys().any(|key| !self.find(key).is_empty()) {
                    for (key, field) in std::mem::take(fields) {
                        let masked = self.redact(&key);
                        let mut name = masked.clone().into_owned();
                        let mut number = 2;
                        while fields.contains_key(&name) {
                            name = format!("{masked} {number}");
                            number += 1;
                        }
                        fields.insert(name, field);
                    }
                }
            }
        }
    }

    /// The parts of the text to mask, in order, none touching another.
    fn find(&self, text: &str) -> Vec<Range<usize>> {
        let Some(matcher) = &self.matcher else { return Vec::new() };
        // This search is the fast one, and mostly the only one.
        if !matcher.is_match(text) {
            return Vec::new();
        }
        // Matches may overlap: where two secrets share bytes, both have to go.
        let mut found: Vec<Range<usize>> = matcher
            .find_overlapping_iter(text)
            .map(|one| {
                let edges = self.forms.get(one.pattern().as_usize());
                edges.map_or(one.range(), |form| form.reach(text, one.range()))
            })
            .collect();
        found.sort_unstable_by_key(|span| (span.start, span.end));
        let mut merged: Vec<Range<usize>> = Vec::new();
        for span in found {
            match merged.last_mut() {
                Some(last) if span.start <= last.end => last.end = last.end.max(span.end),
                _ => merged.push(span),
            }
        }
        merged
    }
}

#[cfg(test)]
mod tests;
