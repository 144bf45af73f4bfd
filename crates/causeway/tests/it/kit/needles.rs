//! Searching for secrets where none may be.

use super::Home;
use data_encoding::{BASE64, BASE64URL, HEXLOWER, HEXUPPER};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Secrets in every form in which they could have got somewhere.
pub(crate) struct Needles(Vec<(String, Vec<u8>)>);

impl Needles {
    pub(crate) fn new<'a>(secrets: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let mut forms = Vec::new();
        for (name, secret) in secrets {
            assert!(secret.len() >= 16, "{name} is too short to search for");
            let bytes = secret.as_bytes();
            let mut add = |form: &str, text: String| {
                forms.push((format!("{name} {form}"), text.into_bytes()));
            };
            add("in clear", secret.to_owned());
            add("in hexadecimal", HEXLOWER.encode(bytes));
            add("in upper hexadecimal", HEXUPPER.encode(bytes));
            add("URL-encoded", url::form_urlencoded::byte_serialize(bytes).collect());
            for before in 0..3 {
                // In the middle of other bytes: what depends on the neighbours is left out.
                let shifted = [vec![0; before], bytes.to_vec()].concat();
                let whole = shifted.len() / 3 * 4;
                let first = if before == 0 { 0 } else { 4 };
                add("in base64", BASE64.encode(&shifted)[first..whole].to_owned());
                add("in base64url", BASE64URL.encode(&shifted)[first..whole].to_owned());
            }
        }
        Self(forms)
    }

    /// Whether anything of it stands in these bytes, and what.
    pub(crate) fn found_in(&self, hay: &[u8]) -> Option<&str> {
        let found = self.0.iter().find(|(_, form)| contains(hay, form));
        found.map(|(name, _)| name.as_str())
    }

    pub(crate) fn assert_absent(&self, place: &str, hay: impl AsRef<[u8]>) {
        if let Some(name) = self.found_in(hay.as_ref()) {
            panic!("{place} holds {name}");
        }
    }

    /// Searches everything that the installation keeps.
    pub(crate) fn assert_absent_at_rest(&self, home: &Home) {
        for (place, bytes) in at_rest(home) {
            self.assert_absent(&place, bytes);
        }
    }
}

/// Everything that the installation keeps: each file of the data folder, and all tables of a
/// PostgreSQL database.
pub(crate) fn at_rest(home: &Home) -> Vec<(String, Vec<u8>)> {
    let mut places: Vec<(String, Vec<u8>)> = files(home.data_dir())
        .into_iter()
        .map(|file| (file.display().to_string(), std::fs::read(&file).unwrap()))
        .collect();
    if home.database.url.starts_with("postgres") {
        places.push(("the dump of the database".to_owned(), dump(&home.database.url)));
    }
    places
}

pub(crate) fn contains(hay: &[u8], needle: &[u8]) -> bool {
    let Some((first, rest)) = needle.split_first() else { return true };
    let mut from = 0;
    while let Some(at) = hay[from..].iter().position(|byte| byte == first) {
        from += at + 1;
        if hay[from..].starts_with(rest) {
            return true;
        }
    }
    false
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push(path);
        }
    }
    found
}

/// Everything that a PostgreSQL database holds, as text.
fn dump(url: &str) -> Vec<u8> {
    let versions = std::fs::read_dir("/usr/lib/postgresql").unwrap();
    let program = versions.map(|entry| entry.unwrap().path().join("bin/pg_dump")).max().unwrap();
    let output = Command::new(program).arg(url).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}
