//! URLs that may be logged.

use url::Url;

/// A URL whose printed form hides user names, passwords, query values and fragments: the places
/// where apps put credentials. Paths stay, so a token in a path must be masked by the caller.
#[derive(Clone, PartialEq, Eq)]
pub struct RedactedUrl(Url);

impl RedactedUrl {
    /// Wraps a URL.
    pub fn new(url: Url) -> Self {
        Self(url)
    }
}

impl std::fmt::Display for RedactedUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}://", self.0.scheme())?;
        if !self.0.username().is_empty() || self.0.password().is_some() {
            f.write_str("***@")?;
        }
        f.write_str(self.0.host_str().unwrap_or_default())?;
        if let Some(port) = self.0.port() {
            write!(f, ":{port}")?;
        }
        f.write_str(self.0.path())?;
        for (index, (name, _)) in self.0.query_pairs().enumerate() {
            write!(f, "{}{name}=***", if index == 0 { '?' } else { '&' })?;
        }
        if self.0.fragment().is_some() {
            f.write_str("#***")?;
        }
        Ok(())
    }
}

impl std::fmt::Debug for RedactedUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_harmless_parts_are_shown() {
        let url =
            Url::parse("https://me:pw@api.example:8443/v1/x?access_token=canary&page=2#canary")
                .unwrap();
        let shown = RedactedUrl::new(url).to_string();
        assert_eq!(shown, "https://***@api.example:8443/v1/x?access_token=***&page=***#***");
    }
}
