//! Where a call goes.

use causeway_catalog::App;
use url::Url;

/// The longest target, in bytes.
pub(crate) const MOST: usize = 16 * 1024;

/// A target that is not called.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TargetError {
    /// It is no path and no URL, or one that could be read in two ways.
    #[error("reading the target of a call: {why}")]
    Form {
        /// What is wrong with it.
        why: &'static str,
    },
    /// Its host is not one of the app's.
    #[error("calling {host}, which is not a host of the app")]
    Host {
        /// The host.
        host: String,
    },
    /// The app's base URL needs a value that the connection does not have.
    #[error("filling the app's base URL")]
    Base,
}

/// The URL of a call.
///
/// # Errors
/// [`TargetError`]. Paths that climb, protocol-relative URLs, user info, control characters and
/// backslashes are refused rather than put right: what is read in two ways by two parsers would
/// let the second one choose the host.
pub(crate) fn resolve<'a>(
    app: &App,
    value: impl Fn(&str) -> Option<&'a str> + Copy,
    target: &str,
) -> Result<Url, TargetError> {
    let form = |why| Err(TargetError::Form { why });
    if target.len() > MOST {
        return form("it is longer than 16,384 bytes");
    }
    let odd = |letter: char| letter.is_control() || letter.is_whitespace() || letter == '\\';
    if target.contains(odd) {
        return form("it holds a backslash, a space or a control character");
    }
    let (path, _) = target.split_once(['?', '#']).unwrap_or((target, ""));
    if path.split('/').any(climbs) {
        return form("its path has a `.` or `..` part");
    }
    let url = if target.starts_with('/') {
        if target.starts_with("//") {
            return form("it begins with `//`; write a path or a whole URL");
        }
        let base = app.api.base_url.fill(value).ok_or(TargetError::Base)?;
        below(&base, target).ok_or(TargetError::Form { why: "it does not make a URL" })?
    } else {
        match Url::parse(target) {
            Ok(url) => url,
            Err(_) => return form("it is neither a path that begins with `/` nor a URL"),
        }
    };
    if !matches!(url.scheme(), "https" | "http") {
        return form("only https is called");
    }
    if !url.username().is_empty() || url.password().is_some() {
        return form("it names a user; the credential is the connection's");
    }
    let mut url = url;
    url.set_fragment(None);
    if !app.may_receive(&url, value) {
        let host = url.host_str().unwrap_or_default().to_owned();
        let host = url.port().map_or(host.clone(), |port| format!("{host}:{port}"));
        return Err(TargetError::Host { host });
    }
    Ok(url)
}

/// Whether a part of a path climbs, also if its dots are percent-encoded, once or twice.
fn climbs(part: &str) -> bool {
    if !part.contains('%') {
        return matches!(part, "." | "..");
    }
    let plain = part.to_ascii_lowercase().replace("%25", "%").replace("%2e", ".");
    // Servers that decode first and split then see a `/` in here.
    plain.split("%2f").any(|part| matches!(part, "." | ".."))
}

/// A path with its query below a base.
fn below(base: &Url, target: &str) -> Option<Url> {
    let mut text = base.as_str();
    if let Some((before, _)) = text.split_once(['?', '#']) {
        text = before;
    }
    let url = Url::parse(&format!("{}{target}", text.trim_end_matches('/'))).ok()?;
    // What was written behind the base must not have changed where it leads.
    (url.origin() == base.origin()).then_some(url)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::credential::Stored;
    use causeway_catalog::Catalog;
    use causeway_types::SecretString;

    fn resolved(target: &str) -> Result<String, TargetError> {
        let catalog = Catalog::load(None).unwrap();
        let app = &*catalog.get("github").unwrap();
        resolve(app, |_| None, target).map(|url| url.to_string())
    }

    #[test]
    fn paths_go_below_the_base_and_urls_to_the_apps_hosts() {
        assert_eq!(
            resolved("/repos/a/b?x=%2e%2e&y=//").unwrap(),
            "https://api.github.com/repos/a/b?x=%2e%2e&y=//"
        );
        assert_eq!(
            resolved("https://uploads.github.com/x#y").unwrap(),
            "https://uploads.github.com/x"
        );
        assert_eq!(resolved("/a%20b").unwrap(), "https://api.github.com/a%20b");
    }

    #[test]
    fn whatever_could_lead_elsewhere_is_refused() {
        for target in [
            "//evil.example/x",
            "///evil.example",
            "/\\evil.example",
            "\\\\evil.example",
            "/a/../b",
            "/a/%2e%2e/b",
            "/a/%2E./b",
            "/a/%252e%252e/b",
            "/a/..%2fb",
            "/.",
            "/a b",
            "/a\tb",
            "/a\r\nHost: evil.example",
            "evil.example/x",
            "",
            "repos/a",
            "ftp://api.github.com/x",
            "https://me:pw@api.github.com/",
            "https://me@api.github.com/",
            "javascript:alert(1)",
            "https:/\\evil.example",
            "https://api.github.com\\@evil.example/",
            "https://api.github.com/../x",
        ] {
            assert!(matches!(resolved(target), Err(TargetError::Form { .. })), "{target}");
        }
        for target in [
            "https://evil.example/",
            "https://api.github.com.evil.example/",
            "https://github.com/",
            "https://api.github.com:8443/",
            "http://api.github.com/",
            "https://169.254.169.254/",
            "https://api.github.com@evil.example/",
            "https:evil.example",
            "https://127.0.0.1/",
            "https://xn--pi-6kc.github.com/",
        ] {
            assert!(resolved(target).is_err(), "{target}");
        }
        assert!(resolved(&format!("/{}", "a".repeat(MOST))).is_err());
    }

    #[test]
    fn the_host_of_an_account_is_its_own() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("shop")).unwrap();
        std::fs::write(
            folder.path().join("shop/app.yaml"),
            "slug: shop\nname: Shop\ndescription: Shops.\ndocs: https://shop.example/\n\
             categories: [commerce]\nfields: [{ name: shop, label: Shop, format: label }]\n\
             hosts: [\"{shop}.shop.example\"]\nauth:\n  api_key:\n    docs: https://shop.example/\n    \
             fields: [{ name: key, label: Key }]\n    send: { headers: { X-Key: \"{key}\" } }\n\
             verify: { url: \"https://{shop}.shop.example/me\" }\n\
             api: { base_url: \"https://{shop}.shop.example/api/\" }\n",
        )
        .unwrap();
        let catalog = Catalog::load(Some(folder.path())).unwrap();
        let app = &*catalog.get("shop").unwrap();
        let mut stored = Stored::default();
        assert_eq!(resolve(app, |name| stored.value(name), "/x"), Err(TargetError::Base));
        stored.fields.insert("shop".into(), SecretString::new("acme".into()));
        let url = resolve(app, |name| stored.value(name), "/x?y").unwrap();
        assert_eq!(url.as_str(), "https://acme.shop.example/api/x?y");
        assert!(resolve(app, |name| stored.value(name), "https://other.shop.example/x").is_err());
        assert!(resolve(app, |name| stored.value(name), "https://acme.shop.example/x").is_ok());
    }
}
