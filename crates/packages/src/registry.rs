//! What is asked of registries: archives, and when versions were published.

use crate::error::PackagesError;
use crate::integrity::Integrity;
use crate::{PackagesConfig, pypi};
use bytes::Bytes;
use causeway_net::{HttpClient, RequestLimits, Response};
use causeway_types::Timestamp;
use causeway_types::entity::Ecosystem;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use url::Url;

/// The public registry of npm. Locks name it whatever registry they were made against, and npm itself
/// takes it for the registry that it is set to.
pub const NPM_REGISTRY: &str = "https://registry.npmjs.org/";
/// The public index of Python packages.
pub const PYPI_INDEX: &str = "https://pypi.org/simple/";
/// The host of its files.
pub const PYPI_FILES: &str = "files.pythonhosted.org";

/// The largest description of a package that is read, in bytes: npm's lists every version.
pub(crate) const MAX_METADATA: u64 = 64 << 20;
/// The largest archive, in bytes.
pub(crate) const MAX_ARCHIVE: u64 = 128 << 20;
/// How long a description may take.
const METADATA_TIME: Duration = Duration::from_mins(1);
/// How long an archive may take.
const ARCHIVE_TIME: Duration = Duration::from_mins(5);

pub(crate) struct Registry {
    http: HttpClient,
    npm: Url,
    pypi: Url,
    pypi_hosts: Vec<String>,
}

/// A file of a Python package.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct IndexFile {
    pub(crate) filename: String,
    #[serde(default)]
    hashes: BTreeMap<String, String>,
    #[serde(default, rename = "upload-time")]
    uploaded: Option<String>,
}

impl IndexFile {
    pub(crate) fn sha256(&self) -> Option<&str> {
        self.hashes.get("sha256").map(String::as_str)
    }
}

impl Registry {
    pub(crate) fn new(http: HttpClient, config: &PackagesConfig) -> Self {
        let folder = |url: &Url| {
            let mut url = url.clone();
            if !url.path().ends_with('/') {
                url.set_path(&format!("{}/", url.path()));
            }
            url
        };
        Self {
            http,
            npm: folder(&config.npm_registry),
            pypi: folder(&config.pypi_index),
            pypi_hosts: config.pypi_hosts.clone(),
        }
    }

    /// npm's registry.
    pub(crate) fn npm(&self) -> &Url {
        &self.npm
    }

    /// The index of Python packages.
    pub(crate) fn pypi(&self) -> &Url {
        &self.pypi
    }

    /// The hosts that a sandbox has to reach.
    pub(crate) fn hosts(&self, ecosystem: Ecosystem) -> Vec<String> {
        let (url, more) = match ecosystem {
            Ecosystem::Npm => (&self.npm, [].as_slice()),
            Ecosystem::Pypi => (&self.pypi, self.pypi_hosts.as_slice()),
        };
        url.host_str().map(str::to_owned).into_iter().chain(more.iter().cloned()).collect()
    }

    /// Where an archive of npm is, as a path below the registry; `None` if it is elsewhere.
    pub(crate) fn npm_source(&self, resolved: &str) -> Option<String> {
        let url = Url::parse(resolved).ok().filter(is_bare)?;
        let public = Url::parse(NPM_REGISTRY).ok()?;
        [&self.npm, &public].into_iter().find_map(|base| {
            if url.origin() != base.origin() {
                return None;
            }
            let path = url.path().strip_prefix(base.path())?;
            (!path.is_empty()).then(|| path.to_owned())
        })
    }

    /// Where a file of PyPI is, as a URL; `None` if it is elsewhere.
    pub(crate) fn pypi_source(&self, url: &str) -> Option<String> {
        let mut url = Url::parse(url).ok()?;
        url.set_fragment(None);
        let url = Some(url).filter(is_bare)?;
        let is_own = url.origin() == self.pypi.origin()
            || (url.scheme() == "https"
                && url.port().is_none()
                && self.pypi_hosts.iter().any(|host| Some(host.as_str()) == url.host_str()));
        is_own.then(|| url.to_string())
    }

    fn archive_url(&self, ecosystem: Ecosystem, source: &str) -> Option<Url> {
        match ecosystem {
            Ecosystem::Npm => {
                let url = self.npm.join(&format!("./{source}")).ok()?;
                self.npm_source(url.as_str()).map(|_| url)
            }
            // Asked anew: what was allowed when it was locked may not be any more.
            Ecosystem::Pypi => self.pypi_source(source)?.parse().ok(),
        }
    }

    /// Fetches an archive into a file and says what its digest is: as wanted, or in the error.
    pub(crate) async fn fetch(
        &self,
        ecosystem: Ecosystem,
        source: &str,
        integrity: &Integrity,
        file: &Path,
    ) -> Result<Result<(), String>, PackagesError> {
        let foreign = || PackagesError::Foreign {
            package: source.to_owned(),
            place: "another registry".to_owned(),
        };
        let url = self.archive_url(ecosystem, source).ok_or_else(foreign)?;
        let limits = RequestLimits {
            total: ARCHIVE_TIME,
            max_response_bytes: MAX_ARCHIVE,
            ..RequestLimits::default()
        };
        let unreachable = |source| PackagesError::Unreachable { ecosystem, source };
        let mut answer = self.ask(ecosystem, &url, "*/*", limits).await?;
        let mut out = tokio::fs::File::create(file)
            .await
            .map_err(PackagesError::folder("keeping an archive"))?;
        let mut digest = integrity.begin();
        while let Some(piece) = answer.chunk().await.map_err(unreachable)? {
            digest.update(&piece);
            out.write_all(&piece).await.map_err(PackagesError::folder("keeping an archive"))?;
        }
        out.sync_all().await.map_err(PackagesError::folder("keeping an archive"))?;
        Ok(integrity.check(digest))
    }

    /// When each version of a package was published, as far as npm's registry says.
    pub(crate) async fn npm_times(
        &self,
        name: &str,
    ) -> Result<BTreeMap<String, Timestamp>, PackagesError> {
        #[derive(Deserialize)]
        struct Description {
            #[serde(default)]
            time: BTreeMap<String, serde_json::Value>,
        }
        let url = self.npm.join(&format!("./{}", name.replace('/', "%2f")));
        let bytes = self.describe(Ecosystem::Npm, name, url, "application/json").await?;
        let description: Description = read(Ecosystem::Npm, name, &bytes)?;
        let times = description.time.into_iter();
        Ok(times.filter_map(|(version, at)| Some((version, time(at.as_str()?)?))).collect())
    }

    /// The files of a Python package, as far as the index lists them in JSON (PEP 691).
    pub(crate) async fn pypi_files(&self, name: &str) -> Result<Vec<IndexFile>, PackagesError> {
        #[derive(Deserialize)]
        struct Listing {
            files: Vec<IndexFile>,
        }
        let kind = "application/vnd.pypi.simple.v1+json";
        let url = self.pypi.join(&format!("./{}/", pypi::normal(name)));
        let bytes = self.describe(Ecosystem::Pypi, name, url, kind).await?;
        if bytes.trim_ascii_start().starts_with(b"<") {
            return Ok(Vec::new()); // an index that speaks HTML only
        }
        Ok(read::<Listing>(Ecosystem::Pypi, name, &bytes)?.files)
    }

    async fn describe(
        &self,
        ecosystem: Ecosystem,
        name: &str,
        url: Result<Url, url::ParseError>,
        kind: &str,
    ) -> Result<Bytes, PackagesError> {
        let url = url.map_err(|error| PackagesError::Answer {
            ecosystem,
            what: name.to_owned(),
            answer: format!("nothing: {error}"),
        })?;
        let limits = RequestLimits {
            total: METADATA_TIME,
            max_response_bytes: MAX_METADATA,
            ..RequestLimits::default()
        };
        let answer = self.ask(ecosystem, &url, kind, limits).await?;
        answer.bytes().await.map_err(|source| PackagesError::Unreachable { ecosystem, source })
    }

    async fn ask(
        &self,
        ecosystem: Ecosystem,
        url: &Url,
        accept: &str,
        limits: RequestLimits,
    ) -> Result<Response, PackagesError> {
        let bad = |answer: String| PackagesError::Answer {
            ecosystem,
            what: format!("`{}`", url.path()),
            answer,
        };
        let request = http::Request::get(url.as_str())
            .header(http::header::ACCEPT, accept)
            .body(Bytes::new())
            .map_err(|error| bad(format!("nothing: {error}")))?;
        let answer = self
            .http
            .request(request, limits)
            .await
            .map_err(|source| PackagesError::Unreachable { ecosystem, source })?;
        if !answer.status().is_success() {
            return Err(bad(format!("with status {}", answer.status().as_u16())));
        }
        Ok(answer)
    }
}

impl IndexFile {
    /// When it was uploaded, if the index says (PEP 700).
    pub(crate) fn uploaded(&self) -> Option<Timestamp> {
        time(self.uploaded.as_deref()?)
    }
}

fn read<T: serde::de::DeserializeOwned>(
    ecosystem: Ecosystem,
    name: &str,
    bytes: &[u8],
) -> Result<T, PackagesError> {
    serde_json::from_slice(bytes).map_err(|_| PackagesError::Answer {
        ecosystem,
        what: format!("`{name}`"),
        answer: "what does not read as a registry's answer".to_owned(),
    })
}

/// A URL of a place alone.
fn is_bare(url: &Url) -> bool {
    url.username().is_empty()
        && url.password().is_none()
        && url.query().is_none()
        && url.fragment().is_none()
        && matches!(url.scheme(), "https" | "http")
}

fn time(text: &str) -> Option<Timestamp> {
    let time: jiff::Timestamp = text.parse().ok()?;
    Some(Timestamp::from_micros(time.as_microsecond()))
}
