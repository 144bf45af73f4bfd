//! What the ways to connect must satisfy.

use super::names::Names;
use super::{check_form, is_fixed_enough};
use crate::row::{
    App, ClientAuth, Field, Installation, McpRegistration, OAuth2, Refresh, RowRequest, Send,
    Signature,
};
use crate::values::{Template, UrlTemplate};
use std::collections::BTreeMap;

/// Checks each scheme of a row.
pub(crate) fn check(app: &App) -> Result<(), String> {
    let auth = &app.auth;
    let (oauth2, key) = (auth.oauth2.as_ref(), auth.api_key.as_ref());
    if app.schemes().is_empty() {
        return Err("name at least one way to connect, like oauth2, api_key or basic".into());
    }
    if auth.device.is_some() && oauth2.is_none() {
        return Err("device needs oauth2 beside it, whose token endpoint it uses".into());
    }
    if let Some(oauth2) = oauth2 {
        check_oauth2(app, oauth2)?;
        if auth.device.as_ref().is_some_and(|row| !company_url(app, &row.device_authorization_url))
        {
            return Err(chosen_host("device_authorization_url"));
        }
    }
    if let Some(keys) = key {
        let names = form(app, &keys.fields, "api_key")?;
        check_send(&keys.send, &names)?;
        let sent = sends(&keys.send) || app.api.base_url.fields().next().is_some();
        if !sent {
            return Err("api_key needs a header, a query parameter, a body field or `api.base_url` that carries it".into());
        }
    }
    check_minted(app)?;
    if let Some(signature) = &auth.signature {
        check_signature(app, signature)?;
    }
    if let Some(installation) = &auth.installation {
        check_installation(app, installation)?;
    }
    if let Some(mcp) = &auth.mcp {
        if mcp.registration.is_empty() {
            return Err(
                "mcp needs at least one of metadata_document, dynamic, static in `registration`"
                    .into(),
            );
        }
        let fixed = mcp.url.host_fields().next().is_none();
        if mcp.registration.contains(&McpRegistration::Static) && !fixed {
            return Err("mcp with a server that the customer names cannot use `static`: the company's client would go to any host".into());
        }
    }
    Ok(())
}

fn check_oauth2(app: &App, oauth2: &OAuth2) -> Result<(), String> {
    let mut names = Names::common(app);
    names.add(&["oauth_refresh_token", "redirect_uri"]);
    for (what, url) in [
        ("authorization_url", Some(&oauth2.authorization_url)),
        ("token_url", Some(&oauth2.token_url)),
        ("refresh.url", oauth2.refresh.as_ref().and_then(|refresh| refresh.url.as_ref())),
        ("revoke.url", oauth2.revoke.as_ref().map(|revoke| &revoke.url)),
    ] {
        let Some(url) = url else { continue };
        names.know_all(url.fields(), url.as_str())?;
        if !company_url(app, url) {
            return Err(chosen_host(what));
        }
    }
    let refresh_params = oauth2.refresh.as_ref().map(|refresh| &refresh.params);
    for params in [Some(&oauth2.authorization_params), Some(&oauth2.token_params), refresh_params]
        .into_iter()
        .flatten()
    {
        know_values(params, &names)?;
    }
    for (name, template) in &oauth2.token_headers {
        header_name(name)?;
        names.know_all(template.fields(), template.as_str())?;
    }
    names.add_answer(&oauth2.answer);
    for name in oauth2.callback_keep.keys() {
        names.add(&[name.as_str()]);
    }
    if let Some(send) = &oauth2.send {
        check_send(send, &names)?;
    }
    let says_nothing = oauth2.refresh.as_ref().is_some_and(|r| !r.rotates && r.retry_old_token);
    if says_nothing {
        return Err("retry_old_token says nothing where tokens do not rotate; leave it out".into());
    }
    if let Some(userinfo) = &oauth2.userinfo_url {
        let url = userinfo.as_url();
        if !app.may_receive(url, |name| Some(super::names::stand_in(name))) {
            let host = url.host_str().unwrap_or_default();
            return Err(format!(
                "userinfo_url would send the credential to {host}; add it to `hosts`"
            ));
        }
    }
    check_introspection(app, oauth2)
}

/// The endpoint gets a refresh token, so it is where the token endpoint is, or where credentials
/// may go.
fn check_introspection(app: &App, oauth2: &OAuth2) -> Result<(), String> {
    let Some(introspection) = &oauth2.introspection else { return Ok(()) };
    if oauth2.refresh.as_ref().is_none_or(Refresh::may_repeat) {
        return Err("introspection is for refresh tokens that rotate and are then refused; where there are none or the old one may be sent again, leave it out".into());
    }
    let url = introspection.url.as_url();
    let token_origin = oauth2.token_url.as_fixed().map(|url| url.origin());
    let may_receive = app.may_receive(url, |name| Some(super::names::stand_in(name)));
    if token_origin == Some(url.origin()) || may_receive {
        return Ok(());
    }
    let host = url.host_str().unwrap_or_default();
    Err(format!(
        "introspection would send the refresh token to {host}; only the host of token_url and those in `hosts` may get it"
    ))
}

/// The schemes whose token Causeway gets by itself.
fn check_minted(app: &App) -> Result<(), String> {
    let auth = &app.auth;
    if let Some(row) = &auth.client_credentials {
        let names = form(app, &row.fields, "client_credentials")?;
        for needed in ["client_id", "client_secret"] {
            if !row.fields.iter().any(|field| field.name.as_str() == needed) {
                return Err(format!("client_credentials needs the field `{needed}`"));
            }
        }
        if row.client_auth == ClientAuth::None {
            return Err("client_credentials without a proof of the client is no credential".into());
        }
        names.know_all(row.token_url.fields(), row.token_url.as_str())?;
        know_values(&row.params, &names)?;
        check_sent_token(row.send.as_ref(), &names, &row.answer)?;
    }
    if let Some(row) = &auth.jwt {
        let names = form(app, &row.fields, "jwt")?;
        has_field(&row.fields, row.key.as_str(), "jwt")?;
        know_values(&row.header, &names)?;
        know_values(&row.claims, &names)?;
        if row.lifetime == 0 {
            return Err("jwt needs a `lifetime` over 0".into());
        }
        let answer = row.exchange.as_ref().map(|exchange| exchange.answer.clone());
        if let Some(exchange) = &row.exchange {
            names.know_all(exchange.token_url.fields(), exchange.token_url.as_str())?;
            know_values(&exchange.params, &names)?;
        }
        check_sent_token(row.send.as_ref(), &names, &answer.unwrap_or_default())?;
    }
    if let Some(row) = &auth.token_exchange {
        let names = form(app, &row.fields, "token_exchange")?;
        check_request(&row.request, &names)?;
        check_sent_token(row.send.as_ref(), &names, &row.answer)?;
    }
    Ok(())
}

fn check_sent_token(
    send: Option<&Send>,
    names: &Names,
    answer: &crate::row::TokenAnswer,
) -> Result<(), String> {
    let Some(send) = send else { return Ok(()) };
    let mut kept = Names::empty();
    kept.add_answer(answer);
    let names = names.joined(&kept);
    check_send(send, &names)
}

fn check_signature(app: &App, signature: &Signature) -> Result<(), String> {
    let mut names = form(app, &signature.fields, "signature")?;
    let fields = &signature.fields;
    match (&signature.aws_sigv4, &signature.hmac, &signature.oauth1) {
        (Some(sigv4), None, None) => {
            for template in sigv4.service.iter().chain([&sigv4.region]) {
                names.know_all(template.fields(), template.as_str())?;
            }
            has_field(fields, sigv4.access_key.as_str(), "signature")?;
            has_field(fields, sigv4.secret_key.as_str(), "signature")?;
            match &sigv4.session_token {
                Some(token) => has_field(fields, token.as_str(), "signature"),
                None => Ok(()),
            }
        }
        (None, Some(hmac), None) => {
            has_field(fields, hmac.key.as_str(), "signature")?;
            names.add(&[
                "method",
                "host",
                "path",
                "query",
                "path_and_query",
                "url",
                "body",
                "body_sha256",
                "timestamp",
                "timestamp_ms",
                "http_date",
                "nonce",
            ]);
            names.know_all(hmac.message.fields(), hmac.message.as_str())?;
            names.add(&["signature"]);
            check_send(&hmac.send, &names)
        }
        (None, None, Some(oauth1)) => {
            for name in
                [&oauth1.consumer_key, &oauth1.consumer_secret, &oauth1.token, &oauth1.token_secret]
            {
                has_field(fields, name.as_str(), "signature")?;
            }
            match &oauth1.realm {
                Some(realm) => names.know_all(realm.fields(), realm.as_str()),
                None => Ok(()),
            }
        }
        _ => Err("signature needs exactly one of aws_sigv4, hmac, oauth1".into()),
    }
}

fn check_installation(app: &App, row: &Installation) -> Result<(), String> {
    let mut names = Names::common(app);
    names.add(&["installation_id"]);
    names.know_all(row.install_url.fields(), row.install_url.as_str())?;
    names.know_all(row.token_url.fields(), row.token_url.as_str())?;
    for (what, url) in [("install_url", &row.install_url), ("token_url", &row.token_url)] {
        if !company_url(app, url) {
            return Err(chosen_host(what));
        }
    }
    check_sent_token(row.send.as_ref(), &names, &row.answer)
}

fn company_url(app: &App, url: &UrlTemplate) -> bool {
    is_fixed_enough(url, &app.fields)
}

fn chosen_host(what: &str) -> String {
    format!(
        "{what} would send the company's client to a host that the customer chooses; only fields of the app with options or the format `label`, before a domain of the app, may stand in it"
    )
}

/// A scheme's own fields, and the names that its templates know.
fn form(app: &App, fields: &[Field], scheme: &str) -> Result<Names, String> {
    check_form(fields)?;
    if fields.is_empty() {
        return Err(format!("{scheme} needs at least one field"));
    }
    let taken = |field: &&Field| {
        app.fields.iter().chain(&app.client_fields).any(|other| other.name == field.name)
    };
    if let Some(field) = fields.iter().find(taken) {
        return Err(format!("the {scheme} field `{}` is also a field of the app", field.name));
    }
    let mut names = Names::common(app);
    names.add_fields(fields);
    Ok(names)
}

fn has_field(fields: &[Field], name: &str, scheme: &str) -> Result<(), String> {
    if fields.iter().any(|field| field.name.as_str() == name) {
        return Ok(());
    }
    Err(format!("{scheme} names `{name}`, which is not among its fields"))
}

fn sends(send: &Send) -> bool {
    !send.headers.is_empty()
        || !send.query.is_empty()
        || !send.body.is_empty()
        || send.basic.is_some()
}

fn check_send(send: &Send, names: &Names) -> Result<(), String> {
    for name in send.headers.keys() {
        header_name(name)?;
    }
    let basic =
        send.basic.iter().flat_map(|basic| [Some(&basic.username), basic.password.as_ref()]);
    let all: Vec<&Template> = send
        .headers
        .values()
        .chain(send.query.values())
        .chain(send.body.values())
        .chain(basic.flatten())
        .collect();
    for template in &all {
        names.know_all(template.fields(), template.as_str())?;
    }
    if sends(send) && all.iter().all(|template| template.fields().next().is_none()) {
        return Err("`send` names no field of the credential, like {api_key}".into());
    }
    Ok(())
}

fn check_request(request: &RowRequest, names: &Names) -> Result<(), String> {
    names.know_all(request.url.fields(), request.url.as_str())?;
    for name in request.headers.keys() {
        header_name(name)?;
    }
    know_values(&request.headers, names)?;
    know_values(&request.query, names)?;
    know_values(&request.form, names)?;
    if request.json.is_some() && !request.form.is_empty() {
        return Err("a request has `form` or `json`, not both".into());
    }
    request.json.as_ref().map_or(Ok(()), |json| check_json(json, names))
}

/// The texts of a JSON body are templates.
fn check_json(value: &serde_json::Value, names: &Names) -> Result<(), String> {
    match value {
        serde_json::Value::String(text) => {
            let template = Template::read(text)?;
            names.know_all(template.fields(), text)
        }
        serde_json::Value::Array(items) => {
            items.iter().try_for_each(|item| check_json(item, names))
        }
        serde_json::Value::Object(map) => map.values().try_for_each(|item| check_json(item, names)),
        _ => Ok(()),
    }
}

fn know_values(values: &BTreeMap<String, Template>, names: &Names) -> Result<(), String> {
    values.values().try_for_each(|template| names.know_all(template.fields(), template.as_str()))
}

/// RFC 9110, section 5.1, as far as apps use it.
pub(super) fn header_name(name: &str) -> Result<(), String> {
    let form = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    if !name.is_empty() && name.bytes().all(form) {
        return Ok(());
    }
    Err(format!("`{name}` is not a header name"))
}
