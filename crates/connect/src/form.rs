//! The form that a way to connect asks its customer to fill in.

use crate::error::InvalidInput;
use crate::limits;
use causeway_catalog::{App, Field, FieldFormat};
use causeway_types::SecretString;
use causeway_types::entity::Scheme;
use std::collections::BTreeMap;

/// A field to type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldView {
    /// Its name in [`Connect::submit_key`](crate::Connect::submit_key).
    pub name: String,
    /// Its name for the customer.
    pub label: String,
    /// Where to find it.
    pub help: Option<String>,
    /// Whether it is hidden while typed.
    pub secret: bool,
    /// Whether it may be left empty.
    pub optional: bool,
    /// What it must look like.
    pub format: FieldFormat,
    /// The values to choose from, with what the customer reads; empty if it is typed.
    pub options: Vec<(String, String)>,
    /// What stands in it at first.
    pub default: Option<String>,
    /// What one looks like.
    pub example: Option<String>,
    /// What stands before it where it is copied from.
    pub prefix: Option<String>,
    /// What stands after it.
    pub suffix: Option<String>,
}

/// The fields of the app itself.
pub(crate) fn of_app(app: &App) -> Vec<FieldView> {
    app.fields.iter().map(|field| view(field, false)).collect()
}

/// The fields that a scheme asks for beside those of the app, in order.
pub(crate) fn of_scheme(app: &App, scheme: Scheme) -> Vec<FieldView> {
    if scheme == Scheme::Basic {
        return basic(app);
    }
    own_fields(app, scheme).iter().map(|field| view(field, true)).collect()
}

/// What the row names of a scheme's own. Basic has no fields in rows, but names for its two.
fn own_fields(app: &App, scheme: Scheme) -> &[Field] {
    let auth = &app.auth;
    let fields = match scheme {
        Scheme::ApiKey => auth.api_key.as_ref().map(|row| &row.fields),
        Scheme::ClientCredentials => auth.client_credentials.as_ref().map(|row| &row.fields),
        Scheme::Jwt => auth.jwt.as_ref().map(|row| &row.fields),
        Scheme::TokenExchange => auth.token_exchange.as_ref().map(|row| &row.fields),
        Scheme::Signature => auth.signature.as_ref().map(|row| &row.fields),
        Scheme::Basic
        | Scheme::Oauth2
        | Scheme::Device
        | Scheme::Oauth1
        | Scheme::Installation
        | Scheme::Mcp
        | Scheme::None => None,
    };
    fields.map_or(&[], Vec::as_slice)
}

fn basic(app: &App) -> Vec<FieldView> {
    let Some(row) = &app.auth.basic else { return Vec::new() };
    let field = |name: &str, label: &str, secret: bool| FieldView {
        name: name.to_owned(),
        label: label.to_owned(),
        help: row.help.clone().filter(|_| secret),
        secret,
        optional: false,
        format: FieldFormat::Text,
        options: Vec::new(),
        default: None,
        example: None,
        prefix: None,
        suffix: None,
    };
    vec![
        field("username", &row.username_label, false),
        field("password", &row.password_label, true),
    ]
}

fn view(field: &Field, secret_otherwise: bool) -> FieldView {
    FieldView {
        name: field.name.to_string(),
        label: field.label.clone(),
        help: field.help.clone(),
        secret: field.is_secret(secret_otherwise),
        optional: field.optional,
        format: field.format,
        options: field.options.iter().map(|o| (o.value.clone(), o.label.clone())).collect(),
        default: field.default.clone(),
        example: field.example.clone(),
        prefix: field.prefix.clone(),
        suffix: field.suffix.clone(),
    }
}

/// What the row asks of the company beside id and secret of its client.
pub(crate) fn of_client(app: &App) -> Vec<FieldView> {
    app.client_fields.iter().map(|field| view(field, true)).collect()
}

/// Reads what the company sent for the row's `client_fields`, as [`read`] does.
///
/// # Errors
/// As of [`read`].
pub(crate) fn read_client(
    app: &App,
    given: BTreeMap<String, SecretString>,
) -> Result<BTreeMap<String, SecretString>, InvalidInput> {
    read_form(&of_client(app), given, |field, text| check(app.client_fields.iter(), field, text))
}

/// Whether a value of this name is masked. What the row does not name is.
pub(crate) fn is_secret(app: &App, scheme: Scheme, name: &str) -> bool {
    let named = |field: &&Field| field.name.as_str() == name;
    if let Some(field) = app.fields.iter().find(named) {
        return field.is_secret(false);
    }
    if let Some(field) = own_fields(app, scheme).iter().find(named) {
        return field.is_secret(true);
    }
    match (scheme, app.auth.basic.is_some(), name) {
        // A user name alone opens nothing.
        (Scheme::Basic, true, "username") => false,
        (Scheme::Basic, true, "password") => true,
        _ => !is_kept(app, name),
    }
}

/// Whether a value of this name may be missing: its field may be left empty.
pub(crate) fn is_optional(app: &App, scheme: Scheme, name: &str) -> bool {
    row_fields(app, scheme)
        .chain(&app.client_fields)
        .any(|field| field.optional && field.name.as_str() == name)
}

/// Whether the row keeps this of an answer: such values are not secret.
fn is_kept(app: &App, name: &str) -> bool {
    let auth = &app.auth;
    let answers = [
        auth.oauth2.as_ref().map(|row| &row.answer),
        auth.client_credentials.as_ref().map(|row| &row.answer),
        auth.jwt.as_ref().and_then(|row| row.exchange.as_ref()).map(|row| &row.answer),
        auth.token_exchange.as_ref().map(|row| &row.answer),
        auth.installation.as_ref().map(|row| &row.answer),
    ];
    let of_answer = answers
        .into_iter()
        .flatten()
        .any(|answer| answer.keep.keys().any(|kept| kept.as_str() == name));
    let of_callback = auth.oauth2.iter().flat_map(|row| row.callback_keep.keys());
    let of_oauth1 = auth.oauth1.iter().flat_map(|row| row.keep.keys());
    of_answer
        || name == "installation_id"
        || name.starts_with(crate::flow::MCP_FIELDS)
        || of_callback.chain(of_oauth1).any(|kept| kept.as_str() == name)
}

/// Reads what a customer sent for the app and a scheme: values are trimmed, freed of what was
/// copied around them, and checked. Fields that were left empty take their default or are left
/// out.
///
/// # Errors
/// The first field that is missing or of the wrong form, or one that the row does not ask for.
pub(crate) fn read(
    app: &App,
    scheme: Scheme,
    given: BTreeMap<String, SecretString>,
) -> Result<BTreeMap<String, SecretString>, InvalidInput> {
    let wanted: Vec<FieldView> = of_app(app).into_iter().chain(of_scheme(app, scheme)).collect();
    read_form(&wanted, given, |field, text| {
        // RFC 7617, section 2: the user name ends at the first colon.
        if scheme == Scheme::Basic && field.name == "username" && text.contains(':') {
            return Err(InvalidInput::new(&field.name, "it must not contain a colon"));
        }
        check(row_fields(app, scheme), field, text)
    })
}

fn read_form(
    wanted: &[FieldView],
    mut given: BTreeMap<String, SecretString>,
    check: impl Fn(&FieldView, &str) -> Result<(), InvalidInput>,
) -> Result<BTreeMap<String, SecretString>, InvalidInput> {
    let mut fields = BTreeMap::new();
    for field in wanted {
        let typed = given.remove(&field.name);
        let text = typed.as_ref().map_or("", |value| value.expose().as_str());
        let text = cut(text, field);
        let text = if text.is_empty() { field.default.as_deref().unwrap_or("") } else { text };
        if text.is_empty() {
            if field.optional {
                continue;
            }
            return Err(InvalidInput::new(&field.name, "this field is missing"));
        }
        check(field, text)?;
        fields.insert(field.name.clone(), SecretString::new(text.to_owned()));
    }
    if !given.is_empty() {
        let known: Vec<&str> = wanted.iter().map(|field| field.name.as_str()).collect();
        let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
        // The name is the sender's own text and may be anything, so it is not repeated.
        return Err(InvalidInput::new(
            "fields",
            format!("there is an unknown field; the fields are: {known}"),
        ));
    }
    Ok(fields)
}

/// The value without what was copied around it.
fn cut<'a>(text: &'a str, field: &FieldView) -> &'a str {
    let mut text = text.trim();
    if let Some(prefix) = &field.prefix {
        text = text.strip_prefix(prefix.as_str()).unwrap_or(text);
    }
    if let Some(suffix) = &field.suffix {
        text = text.find(suffix.as_str()).and_then(|at| text.get(..at)).unwrap_or(text);
    }
    text
}

/// The row's fields of a scheme, those of the app among them.
fn row_fields(app: &App, scheme: Scheme) -> impl Iterator<Item = &Field> {
    app.fields.iter().chain(own_fields(app, scheme))
}

/// Checks a value for a field of the app or of any of its schemes.
///
/// # Errors
/// As of [`read`].
pub(crate) fn check_any(app: &App, field: &FieldView, text: &str) -> Result<(), InvalidInput> {
    let of_schemes = Scheme::ALL.iter().flat_map(|scheme| own_fields(app, *scheme));
    check(app.fields.iter().chain(of_schemes), field, cut(text, field))
}

fn check<'a>(
    mut row: impl Iterator<Item = &'a Field>,
    field: &FieldView,
    text: &str,
) -> Result<(), InvalidInput> {
    let wrong = |message: String| Err(InvalidInput::new(&field.name, message));
    limits::value(&field.name, text, field.format == FieldFormat::Multiline)?;
    if !field.options.is_empty() {
        if field.options.iter().any(|(value, _)| value == text) {
            return Ok(());
        }
        let known: Vec<&str> = field.options.iter().map(|(value, _)| value.as_str()).collect();
        return wrong(format!("choose one of {}", known.join(", ")));
    }
    if !field.format.fits(text) {
        return wrong(field.format.hint().into());
    }
    let pattern = row.find(|one| one.name.as_str() == field.name);
    let pattern = pattern.and_then(|one| one.pattern.as_ref());
    if pattern.is_some_and(|pattern| !causeway_catalog::matches(pattern, text)) {
        return match &field.example {
            Some(example) => wrong(format!("it does not look right; an example is `{example}`")),
            None => wrong("it does not look right; check that it is copied whole".into()),
        };
    }
    Ok(())
}
