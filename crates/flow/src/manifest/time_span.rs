//! Lengths of time, as authors write them: `30s`, `10m`, `2h`, `7d`.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::borrow::Cow;
use std::time::Duration;

/// The longest: a year.
const MOST: Duration = Duration::from_hours(24 * 365);

/// A length of time of whole seconds, from one second to a year.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct TimeSpan(Duration);

impl TimeSpan {
    /// What a text says; none if it is no length of time, or one beyond a year.
    fn parse(text: &str) -> Option<Self> {
        let unit = text.chars().next_back()?;
        let seconds = match unit {
            's' => 1,
            'm' => 60,
            'h' => 60 * 60,
            'd' => 24 * 60 * 60,
            _ => return None,
        };
        let number = text.strip_suffix(unit)?;
        if !number.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let span = Duration::from_secs(number.parse::<u64>().ok()?.checked_mul(seconds)?);
        (!span.is_zero() && span <= MOST).then_some(Self(span))
    }

    /// The length.
    pub fn get(self) -> Duration {
        self.0
    }
}

impl std::fmt::Display for TimeSpan {
    /// In the largest unit that it is a multiple of.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let seconds = self.0.as_secs();
        for (unit, length) in [("d", 24 * 60 * 60), ("h", 60 * 60), ("m", 60)] {
            if seconds.is_multiple_of(length) {
                return write!(f, "{}{unit}", seconds / length);
            }
        }
        write!(f, "{seconds}s")
    }
}

impl Serialize for TimeSpan {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for TimeSpan {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| {
            serde::de::Error::custom(format!(
                "`{text}` is no length of time: write a number and s, m, h or d, like 30s or 2h, \
                 and no more than 365d"
            ))
        })
    }
}

impl JsonSchema for TimeSpan {
    fn schema_name() -> Cow<'static, str> {
        "TimeSpan".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "pattern": "^[0-9]+[smhd]$",
            "description": "A length of time: a number and s, m, h or d; a year at most."
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_read_and_written_alike() {
        for (text, seconds, written) in [
            ("1s", 1, "1s"),
            ("90s", 90, "90s"),
            ("120s", 120, "2m"),
            ("2h", 7_200, "2h"),
            ("48h", 172_800, "2d"),
            ("365d", 31_536_000, "365d"),
        ] {
            let span = TimeSpan::parse(text).unwrap();
            assert_eq!((span.get().as_secs(), span.to_string().as_str()), (seconds, written));
        }
    }

    #[test]
    fn what_is_no_length_of_time_is_refused() {
        for text in
            ["", "s", "0s", "-1s", "+1s", "1", "1.5h", "1w", "366d", "1 s", "99999999999999999999d"]
        {
            assert_eq!(TimeSpan::parse(text), None, "{text}");
        }
    }
}
