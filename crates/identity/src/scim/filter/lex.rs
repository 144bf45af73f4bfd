//! A filter's words.

use super::FilterError;

/// A word with where it begins.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Token {
    pub(super) at: usize,
    pub(super) kind: TokenKind,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum TokenKind {
    Open,
    Close,
    OpenBracket,
    CloseBracket,
    /// A name, an operator, a number, `true`, `false` or `null`.
    Word(String),
    /// A JSON string (RFC 8259 section 7).
    Text(String),
}

/// Cuts a text into its words.
pub(super) fn tokens(text: &str) -> Result<Vec<Token>, FilterError> {
    let mut found = Vec::new();
    let mut rest = text;
    loop {
        rest = rest.trim_start_matches(' ');
        let at = text.len() - rest.len();
        let Some(first) = rest.chars().next() else { return Ok(found) };
        let (kind, length) = match first {
            '(' => (TokenKind::Open, 1),
            ')' => (TokenKind::Close, 1),
            '[' => (TokenKind::OpenBracket, 1),
            ']' => (TokenKind::CloseBracket, 1),
            '"' => string(rest).ok_or(FilterError::Expected { expected: "a JSON string", at })?,
            _ => {
                let end = rest.find(|one| !is_word(one)).unwrap_or(rest.len());
                let word = rest.get(..end).filter(|word| !word.is_empty());
                let expected = "a name, an operator or a value";
                let word = word.ok_or(FilterError::Expected { expected, at })?;
                (TokenKind::Word(word.to_owned()), end)
            }
        };
        found.push(Token { at, kind });
        rest = rest.get(length..).unwrap_or_default();
    }
}

/// RFC 7644 figure 1 (`attrPath`), with the URNs that may stand before it, and JSON's numbers.
fn is_word(one: char) -> bool {
    one.is_ascii_alphanumeric() || matches!(one, '$' | '-' | '_' | '.' | ':' | '+')
}

/// The JSON string at the start of a text, and how many bytes it takes.
fn string(text: &str) -> Option<(TokenKind, usize)> {
    let mut escaped = false;
    let end = text.char_indices().skip(1).find_map(|(at, one)| {
        let ends = one == '"' && !escaped;
        escaped = one == '\\' && !escaped;
        ends.then_some(at + 1)
    })?;
    let value = serde_json::from_str(text.get(..end)?).ok()?;
    Some((TokenKind::Text(value), end))
}
