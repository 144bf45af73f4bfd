//! The form that sets up the first identity provider. It works without a script, so each kind of
//! provider has a form of its own, of which one is unfolded.

use crate::Api;
use crate::html::Markup;
use causeway_identity::NewProvider;
use causeway_types::entity::ProviderKind;
use causeway_types::{INSTALLATION, SecretString};
use serde::Deserialize;

/// What somebody typed. Fields that a kind does not ask for are empty.
#[derive(Deserialize)]
pub(crate) struct ProviderForm {
    kind: ProviderKind,
    #[serde(default)]
    name: String,
    #[serde(default)]
    issuer: String,
    client_id: String,
    client_secret: SecretString,
}

/// What was typed before, to be shown again: never the secret.
pub(crate) struct Typed {
    kind: ProviderKind,
    name: String,
    issuer: String,
    client_id: String,
}

impl ProviderForm {
    /// What to add, and what to show again if that fails.
    pub(crate) fn split(self) -> (NewProvider, Typed) {
        let trimmed = |text: &str| text.trim().to_owned();
        let typed = Typed {
            kind: self.kind,
            name: trimmed(&self.name),
            issuer: trimmed(&self.issuer),
            client_id: trimmed(&self.client_id),
        };
        let new = NewProvider {
            kind: typed.kind,
            name: typed.name.clone(),
            issuer: Some(typed.issuer.clone()).filter(|issuer| !issuer.is_empty()),
            client_id: typed.client_id.clone(),
            client_secret: self.client_secret,
        };
        (new, typed)
    }
}

/// What the page says about one kind of provider.
struct Section {
    of: ProviderKind,
    title: &'static str,
    /// Where to get a client, in words.
    steps: &'static str,
    /// What the button will say, unless something else is typed.
    name: &'static str,
    /// The issuer's label, where it may be given.
    issuer: Option<&'static str>,
    issuer_required: bool,
}

const SECTIONS: &[Section] = &[
    Section {
        of: ProviderKind::Google,
        title: "Google",
        steps: "In the Google Cloud console, open “APIs & Services”, then “Credentials”, and create an OAuth client ID of the type “Web application” with the redirect URI above.",
        name: "Google",
        issuer: None,
        issuer_required: false,
    },
    Section {
        of: ProviderKind::Github,
        title: "GitHub",
        steps: "On GitHub, open “Settings”, “Developer settings”, “OAuth Apps”, and register an application with the redirect URI above as its callback URL. Then generate a client secret.",
        name: "GitHub",
        issuer: Some("Address of your GitHub Enterprise server (leave empty for github.com)"),
        issuer_required: false,
    },
    Section {
        of: ProviderKind::Oidc,
        title: "Another provider (OpenID Connect)",
        steps: "At your identity provider, register a web application (authorization code flow) with the redirect URI above.",
        name: "",
        issuer: Some("Issuer (https://…)"),
        issuer_required: true,
    },
];

/// The forms, which are sent to `action`.
pub(crate) fn forms(api: &Api, action: &str, typed: Option<&Typed>) -> Markup {
    let callback = api.sign_in().callback_url(INSTALLATION);
    let mut body = Markup::of(
        "<p>Register Causeway at the provider with this redirect URI:</p><p><code class=\"block\">{}</code></p>",
        &[&callback],
    );
    for section in SECTIONS {
        let typed = typed.filter(|typed| typed.kind == section.of);
        body.add("<details name=\"kind\"", &[]);
        if typed.is_some() {
            body.add(" open", &[]);
        }
        body.add(
            "><summary>{}</summary><p>{}</p><form method=\"post\" action=\"{}\" autocomplete=\"off\"><input type=\"hidden\" name=\"kind\" value=\"{}\">",
            &[&section.title, &section.steps, &action, &section.of],
        );
        let name = typed.map_or(section.name, |typed| &typed.name);
        body.add(
            "<label>Name on the sign-in button<input name=\"name\" required maxlength=\"64\" value=\"{}\"></label>",
            &[&name],
        );
        if let Some(label) = section.issuer {
            let issuer = typed.map_or("", |typed| &typed.issuer);
            body.add(
                "<label>{}<input name=\"issuer\" type=\"url\" value=\"{}\"",
                &[&label, &issuer],
            );
            if section.issuer_required {
                body.add(" required", &[]);
            }
            body.add("></label>", &[]);
        }
        let client_id = typed.map_or("", |typed| &typed.client_id);
        body.add(
            "<label>Client ID<input name=\"client_id\" required value=\"{}\"></label><label>Client secret<input name=\"client_secret\" type=\"password\" required></label><button>Set up {}</button></form></details>",
            &[&client_id, if section.name.is_empty() { &"the provider" } else { &section.title }],
        );
    }
    body
}
