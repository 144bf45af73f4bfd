//! What a customer or the company is asked for.

use crate::values::FieldName;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One field of a form.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Field {
    /// Its name in code and in templates.
    pub name: FieldName,
    /// Its name for the customer.
    pub label: String,
    /// Where to find it, in a sentence.
    #[serde(default)]
    pub help: Option<String>,
    /// Whether it is hidden while typed and masked in logs. If not said: the fields of the app
    /// are not secret, those of a scheme or a client are.
    #[serde(default)]
    pub secret: Option<bool>,
    /// Whether it may be left empty.
    #[serde(default)]
    pub optional: bool,
    /// What it must look like.
    #[serde(default)]
    pub format: FieldFormat,
    /// A regular expression that the whole value must match, for what `format` cannot say.
    #[serde(default)]
    pub pattern: Option<String>,
    /// The values to choose from, if only some are possible.
    #[serde(default)]
    pub options: Vec<FieldOption>,
    /// What stands in it at first.
    #[serde(default)]
    pub default: Option<String>,
    /// What one looks like.
    #[serde(default)]
    pub example: Option<String>,
    /// What stands before the value in the place that it is copied from, like `https://`; it is
    /// taken off if it was copied too.
    #[serde(default)]
    pub prefix: Option<String>,
    /// What stands after it, like `.zendesk.com`; taken off with all that follows.
    #[serde(default)]
    pub suffix: Option<String>,
}

/// What a field's value must look like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FieldFormat {
    /// One line of anything.
    #[default]
    Text,
    /// One label of a host name: letters, digits, hyphens. May stand in a host.
    Label,
    /// A host name or address, with an optional port: the customer's own server. May stand as a
    /// whole host, though never where the company's OAuth client proves itself.
    Host,
    /// An https URL.
    Url,
    /// An e-mail address.
    Email,
    /// A number without sign.
    Number,
    /// Several lines, like a private key in PEM or a JSON file.
    Multiline,
}

/// One of a field's possible values.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FieldOption {
    /// The value in code.
    pub value: String,
    /// What the customer reads.
    pub label: String,
}

impl Field {
    /// Whether its value is hidden and masked; `otherwise` if the row does not say.
    pub fn is_secret(&self, otherwise: bool) -> bool {
        self.secret.unwrap_or(otherwise)
    }

    /// Whether its values are of few forms, so that they may stand in a host name.
    pub fn may_name_host(&self) -> bool {
        !self.options.is_empty() || matches!(self.format, FieldFormat::Label | FieldFormat::Host)
    }
}

impl FieldFormat {
    /// Whether a value, without spaces around it, has this form.
    pub fn fits(self, text: &str) -> bool {
        match self {
            Self::Text => !text.contains('\n'),
            Self::Label => {
                let form = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
                text.len() <= 63 && text.bytes().all(form) && !text.starts_with('-')
            }
            Self::Host => crate::values::is_host(text),
            Self::Url => url::Url::parse(text).is_ok_and(|url| {
                url.scheme() == "https" && url.username().is_empty() && url.password().is_none()
            }),
            Self::Email => text.split_once('@').is_some_and(|(user, domain)| {
                !user.is_empty() && domain.contains('.') && !text.contains(char::is_whitespace)
            }),
            Self::Number => !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()),
            Self::Multiline => true,
        }
    }

    /// What to type.
    pub fn hint(self) -> &'static str {
        match self {
            Self::Text => "type one line",
            Self::Label => "type letters, digits and hyphens only, without the rest of the address",
            Self::Host => {
                "type a host name like crm.example.com, without https:// and without a path"
            }
            Self::Url => "type an address that begins with https://",
            Self::Email => "type an e-mail address",
            Self::Number => "type digits only",
            Self::Multiline => "paste all of it",
        }
    }
}

/// Whether the whole of a value matches a pattern of a row.
pub fn matches(pattern: &str, text: &str) -> bool {
    // Rows are read only with patterns that compile.
    regex_lite::Regex::new(pattern)
        .is_ok_and(|regex| regex.find(text).is_some_and(|found| found.as_str() == text))
}
