//! The consent page.

/// What the page asks consent for, and sends back with the answer.
pub(crate) struct Consent<'a> {
    /// The names and values of the authorization request.
    pub(crate) fields: &'a [(&'static str, String)],
    /// The scopes, for the reader.
    pub(crate) scopes: &'a [&'a str],
}

/// The page with its two buttons.
pub(crate) fn consent(consent: &Consent<'_>) -> String {
    let fields: String = consent
        .fields
        .iter()
        .map(|(name, value)| {
            format!(r#"<input type="hidden" name="{name}" value="{}">"#, escape(value))
        })
        .collect::<Vec<_>>()
        .concat();
    let scopes: String = consent
        .scopes
        .iter()
        .map(|&scope| {
            let means = match scope {
                "crm.write" => "Add contacts",
                _ => "See contacts and companies",
            };
            format!("<li>{means} <code>{}</code></li>", escape(scope))
        })
        .collect::<Vec<_>>()
        .concat();
    frame(
        "Connect Demo CRM",
        &format!(
            r#"<p>An application asks to use <strong>Northwind Traders</strong> as sales@northwind.example:</p>
<ul>{scopes}</ul>
<form method="post" action="/oauth/authorize">{fields}
<button name="decision" value="allow">Connect</button>
<button name="decision" value="deny" class="quiet">Cancel</button></form>"#
        ),
    )
}

/// A page for errors that must not be sent to the redirect URI (RFC 6749, section 4.1.2.1).
pub(crate) fn refusal(why: &str) -> String {
    frame("This link does not work", &format!("<p>{}</p>", escape(why)))
}

fn frame(title: &str, body: &str) -> String {
    format!(
        r#"<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{title}</title>
<style>
body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 26rem; margin: 12vh auto; padding: 0 1rem; color: #1c2430; background: #fff }}
button {{ font: inherit; padding: .5rem 1.2rem; border: 1px solid #1f5fbf; border-radius: 6px; background: #1f5fbf; color: #fff; cursor: pointer }}
button.quiet {{ background: #fff; color: #1f5fbf }}
code {{ color: #5a6675 }}
</style></head>
<body><main><h1>{title}</h1>
{body}</main></body></html>
"#
    )
}

fn escape(text: &str) -> String {
    text.chars()
        .map(|letter| match letter {
            '&' => "&amp;".to_owned(),
            '<' => "&lt;".to_owned(),
            '>' => "&gt;".to_owned(),
            '"' => "&quot;".to_owned(),
            '\'' => "&#39;".to_owned(),
            other => other.to_string(),
        })
        .collect()
}
