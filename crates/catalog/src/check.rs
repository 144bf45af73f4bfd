//! What a row's values must satisfy together.

mod names;
mod schemes;

use crate::row::{App, Field, FieldFormat, Method, Verify};
use crate::values::{Template, UrlTemplate};
use names::Names;
use std::collections::BTreeMap;

/// Which part of a row is at fault.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Part {
    Slug,
    Categories,
    Hosts,
    Fields,
    Auth,
    Verify,
    LooksLike,
    Api,
    Webhooks,
}

/// A part and what to write there.
pub(crate) type Fault = (Part, String);

/// Checks a row that stands in this folder.
pub(crate) fn check(app: &App, folder: &str) -> Result<(), Fault> {
    if app.slug.as_str() != folder {
        return Err((Part::Slug, format!("the slug must be the folder's name, `{folder}`")));
    }
    if app.categories.is_empty() {
        return Err((Part::Categories, "name at least one category".into()));
    }
    if app.hosts.is_empty() && app.auth.none.is_none() {
        return Err((Part::Hosts, "name at least one host that may receive the credential".into()));
    }
    check_form(&app.fields).map_err(|text| (Part::Fields, text))?;
    check_form(&app.client_fields).map_err(|text| (Part::Fields, text))?;
    schemes::check(app).map_err(|text| (Part::Auth, text))?;
    let names = Names::of(app);
    check_hosts(app, &names).map_err(|text| (Part::Hosts, text))?;
    check_requests(app, &names)?;
    let looked = app.looks_like.keys().map(crate::values::FieldName::as_str);
    names.know_all(looked, "looks_like").map_err(|text| (Part::LooksLike, text))?;
    check_webhooks(app)
}

/// Names once each, defaults and patterns that fit.
fn check_form(fields: &[Field]) -> Result<(), String> {
    for (index, field) in fields.iter().enumerate() {
        let name = &field.name;
        if fields.iter().take(index).any(|earlier| earlier.name == *name) {
            return Err(format!("the field `{name}` stands there twice"));
        }
        if names::RESERVED.contains(&name.as_str()) {
            return Err(format!("the field's name `{name}` is taken; choose another"));
        }
        if let Some(pattern) = &field.pattern {
            regex_lite::Regex::new(pattern)
                .map_err(|why| format!("the pattern of `{name}` is none: {why}"))?;
        }
        let offered = |value: &String| field.options.iter().any(|option| option.value == *value);
        if field.default.as_ref().is_some_and(|v| !field.options.is_empty() && !offered(v)) {
            return Err(format!("the default of `{name}` is not among its options"));
        }
    }
    Ok(())
}

fn check_hosts(app: &App, names: &Names) -> Result<(), String> {
    for host in &app.hosts {
        for name in host.fields() {
            if !names.may_name_host(name) {
                return Err(format!(
                    "`{host}` names `{name}`, which is no field of the app with options or the format `label` or `host`, nor kept as `part: host`"
                ));
            }
        }
    }
    Ok(())
}

/// The requests that carry a credential name known fields and go to `hosts`.
fn check_requests(app: &App, names: &Names) -> Result<(), Fault> {
    if let Some(name) = app.verify_by.keys().find(|name| !app.schemes().contains(&name.as_str())) {
        return Err((
            Part::Verify,
            format!("verify_by names `{name}`, which is not a scheme of the app"),
        ));
    }
    for verify in std::iter::once(&app.verify).chain(app.verify_by.values()) {
        check_verify(app, verify, names).map_err(|text| (Part::Verify, text))?;
    }
    known(&app.api.base_url, names, "api.base_url").map_err(|text| (Part::Api, text))?;
    covered(app, &app.api.base_url, "api.base_url").map_err(|text| (Part::Api, text))?;
    check_headers(&app.api.headers, names).map_err(|text| (Part::Api, text))?;
    for limit in &app.api.rate_limits {
        if limit.requests == 0 || limit.seconds == 0 {
            return Err((Part::Api, "a rate limit needs `requests` and `seconds` over 0".into()));
        }
    }
    Ok(())
}

fn check_verify(app: &App, verify: &Verify, names: &Names) -> Result<(), String> {
    known(&verify.url, names, "verify")?;
    covered(app, &verify.url, "verify")?;
    check_headers(&verify.headers, names)?;
    if verify.json.is_some() && verify.method == Method::Get {
        return Err("a GET carries no `json`; write `method: POST`".into());
    }
    Ok(())
}

fn check_headers(headers: &BTreeMap<String, Template>, names: &Names) -> Result<(), String> {
    headers.iter().try_for_each(|(name, template)| {
        schemes::header_name(name)?;
        names.know_all(template.fields(), template.as_str())
    })
}

/// Whether all fields of a URL are known, and those in its host may stand there.
fn known(url: &UrlTemplate, names: &Names, what: &str) -> Result<(), String> {
    names.know_all(url.fields(), url.as_str())?;
    match url.host_fields().find(|name| !names.may_name_host(name)) {
        Some(name) => Err(format!(
            "{what} has `{{{name}}}` in its host; only fields with options or the format `label` or `host`, and what is kept as `part: host`, may stand there"
        )),
        None => Ok(()),
    }
}

/// Whether a URL leads to one of `hosts`, whatever the values.
fn covered(app: &App, url: &UrlTemplate, what: &str) -> Result<(), String> {
    if app.auth.none.is_some() && app.hosts.is_empty() {
        return Ok(());
    }
    // The same stand-in for each name on both sides: what fits with it fits with any value.
    let stand_in = |name: &str| Some(names::stand_in(name));
    let filled = url.fill(stand_in);
    if filled.as_ref().is_some_and(|url| app.may_receive(url, stand_in)) {
        return Ok(());
    }
    let kept_host = url.host_fields().any(|name| Names::of(app).is_kept_host(name));
    // Where it leads is the app's answer; the proxy compares it with `hosts` at each call.
    if kept_host {
        return Ok(());
    }
    let host = filled.as_ref().and_then(|url| url.host_str()).unwrap_or_default();
    let port = filled.as_ref().and_then(url::Url::port).map_or(String::new(), |p| format!(":{p}"));
    Err(format!("{what} would send the credential to {host}{port}; add it to `hosts`"))
}

fn check_webhooks(app: &App) -> Result<(), Fault> {
    use crate::row::WebhookSignature as Kind;
    let Some(webhooks) = &app.webhooks else { return Ok(()) };
    let (message, extra) = match &webhooks.signature {
        Kind::Hmac { message, .. } => (message.as_ref(), ["timestamp", "id"]),
        Kind::Ed25519 { message, .. } => (Some(message), ["timestamp", "id"]),
        Kind::Token { .. } | Kind::StandardWebhooks { .. } => return Ok(()),
    };
    let Some(message) = message else { return Ok(()) };
    let allowed = |name: &str| name == "body" || name == "url" || extra.contains(&name);
    if let Some(name) = message.fields().find(|name| !allowed(name)) {
        return Err((
            Part::Webhooks,
            format!("`{message}` names `{name}`; it knows body, timestamp, url, id"),
        ));
    }
    if !message.fields().any(|name| name == "body") {
        return Err((Part::Webhooks, format!("`{message}` does not sign the body")));
    }
    Ok(())
}

/// Whether the company proves itself at this URL, so that no customer may choose its host.
fn is_fixed_enough(url: &UrlTemplate, fields: &[Field]) -> bool {
    url.host_fields().all(|name| {
        let field = fields.iter().find(|field| field.name.as_str() == name);
        field.is_some_and(|field| !field.options.is_empty() || field.format == FieldFormat::Label)
    }) && url.whole_host_field().is_none_or(|name| {
        fields.iter().any(|field| field.name.as_str() == name && !field.options.is_empty())
    })
}
