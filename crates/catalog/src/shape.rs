//! What secrets look like.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The fewest random bits of a placeholder.
const FEWEST_BITS: u32 = 120;
/// The longest placeholder, in bytes.
const LONGEST: usize = 400;

/// What a secret of an app looks like, for the placeholders that stand for it in code: a text in
/// which `{alnum:24}` stands for as many random letters and digits, `{digit:12}` for digits,
/// `{hex:32}` for hexadecimal digits. It has at least 120 random bits, and no character that has to
/// be encoded anywhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shape(String);

impl Shape {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What stands before the first random character.
    pub fn beginning(&self) -> &str {
        self.0.split('{').next().unwrap_or_default()
    }

    /// The characters of a kind.
    pub fn alphabet(kind: &str) -> &'static [u8] {
        match kind {
            "digit" => b"0123456789",
            "hex" => b"0123456789abcdef",
            _ => b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz",
        }
    }

    fn read(text: &str) -> Result<Self, String> {
        let refused = |why: &str| Err(format!("`{text}` is not the shape of a secret: {why}"));
        let (mut bits, mut length) = (0, 0);
        for (index, part) in text.split('{').enumerate() {
            let literal = match part.split_once('}') {
                Some((run, rest)) if index > 0 => {
                    let (kind, count) = run.split_once(':').unwrap_or((run, ""));
                    let Ok(count) = count.parse::<u32>() else {
                        return refused("write runs like {alnum:24}");
                    };
                    bits += count
                        * match kind {
                            "alnum" => 5,
                            "hex" => 4,
                            "digit" => 3,
                            _ => return refused("runs are alnum, digit or hex"),
                        };
                    length += usize::try_from(count).unwrap_or(LONGEST);
                    rest
                }
                _ if index > 0 => return refused("a `{` has no `}`"),
                _ => part,
            };
            let kept = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
            if !literal.bytes().all(kept) {
                return refused("beside the runs it holds letters, digits, `-`, `_` and `.` only");
            }
            length += literal.len();
        }
        if bits < FEWEST_BITS {
            return refused("it has fewer than 120 random bits");
        }
        if length > LONGEST {
            return refused("it is longer than 400 characters");
        }
        Ok(Self(text.to_owned()))
    }
}

impl<'de> Deserialize<'de> for Shape {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::read(&String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

impl Serialize for Shape {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl JsonSchema for Shape {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Shape".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let form = "ghp_{alnum:36}: text with runs of {alnum:n}, {digit:n} or {hex:n}";
        schemars::json_schema!({ "type": "string", "description": form })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_are_long_enough_and_need_no_encoding() {
        let shape = Shape::read("xoxb-{digit:12}-{alnum:24}").unwrap();
        assert_eq!(shape.beginning(), "xoxb-");
        assert!(Shape::read("eyJhbGciOiJub25lIn0.{hex:40}.x").is_ok());
        for bad in [
            "",
            "ghp_",
            "ghp_{alnum:8}",
            "ghp_{alnum}",
            "ghp_{alnum:40",
            "ghp_{word:40}",
            "a+{alnum:40}",
            "a b{alnum:40}",
            "{alnum:500}",
        ] {
            assert!(Shape::read(bad).is_err(), "{bad}");
        }
    }
}
