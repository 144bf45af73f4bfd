//! Configuration of the packages of workflows.

use crate::cli::PackagesArgs;
use anyhow::{Context, bail};
use causeway_packages::{NPM_REGISTRY, PYPI_FILES, PYPI_INDEX, PackagesConfig};
use causeway_sandbox::Tier;
use serde::Deserialize;
use std::path::Path;
use std::time::Duration;
use url::Url;

/// Days that a version waits, unless told otherwise: malicious releases are mostly found and withdrawn
/// within hours.
const COOLDOWN_DAYS: u32 = 3;

/// `[packages]` of `causeway.toml`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct PackagesTable {
    npm_registry: Option<String>,
    pypi_index: Option<String>,
    pypi_files: Vec<String>,
    cooldown_days: Option<u32>,
    cooldown_except: Vec<String>,
}

/// Where packages come from, and which may be used.
#[derive(Debug)]
pub(crate) struct PackageSources {
    npm_registry: Url,
    pypi_index: Url,
    pypi_files: Vec<String>,
    cooldown: Duration,
    cooldown_except: Vec<String>,
}

impl PackageSources {
    pub(super) fn read(args: PackagesArgs, file: PackagesTable) -> anyhow::Result<Self> {
        let either =
            |args: Vec<String>, file: Vec<String>| if args.is_empty() { file } else { args };
        let pypi_index = args.packages_pypi_index.or(file.pypi_index);
        let mut pypi_files = either(args.packages_pypi_files, file.pypi_files);
        if pypi_files.is_empty() && pypi_index.is_none() {
            pypi_files.push(PYPI_FILES.to_owned());
        }
        if let Some(host) = pypi_files.iter().find(|host| host.contains(['/', ':', '*'])) {
            bail!("`{host}` in packages.pypi_files is not a host's name alone");
        }
        let days = args.packages_cooldown_days.or(file.cooldown_days).unwrap_or(COOLDOWN_DAYS);
        Ok(Self {
            npm_registry: registry(
                "npm_registry",
                args.packages_npm_registry.or(file.npm_registry).as_deref(),
                NPM_REGISTRY,
            )?,
            pypi_index: registry("pypi_index", pypi_index.as_deref(), PYPI_INDEX)?,
            pypi_files,
            cooldown: Duration::from_hours(24) * days,
            cooldown_except: either(args.packages_cooldown_except, file.cooldown_except),
        })
    }

    /// With where the server keeps them and what it trusts besides.
    pub(crate) fn config(
        &self,
        data_dir: &Path,
        extra_roots: Option<Vec<u8>>,
        tier: Tier,
    ) -> PackagesConfig {
        PackagesConfig {
            folder: data_dir.join("packages"),
            npm_registry: self.npm_registry.clone(),
            pypi_index: self.pypi_index.clone(),
            pypi_hosts: self.pypi_files.clone(),
            cooldown: self.cooldown,
            cooldown_except: self.cooldown_except.clone(),
            extra_roots,
            tier,
        }
    }
}

fn registry(name: &str, text: Option<&str>, public: &str) -> anyhow::Result<Url> {
    let text = text.unwrap_or(public);
    let url: Url = text.parse().with_context(|| format!("reading packages.{name}, `{text}`"))?;
    let is_plain = matches!(url.scheme(), "http" | "https")
        && url.host_str().is_some()
        && url.query().is_none()
        && url.fragment().is_none();
    if !url.username().is_empty() || url.password().is_some() {
        // Whatever is configured here is shown to npm and pip in sandboxes.
        bail!("packages.{name} holds a user's name: the registry has to be readable without one");
    }
    if !is_plain {
        bail!("packages.{name}, `{text}`, is not http(s) with host, port and path alone");
    }
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(file: &str, args: PackagesArgs) -> anyhow::Result<PackagesConfig> {
        let sources = PackageSources::read(args, toml::from_str(file).unwrap())?;
        Ok(sources.config(Path::new("/data"), None, Tier::Jail))
    }

    #[test]
    fn a_mirror_stands_in_the_place_of_the_public_registries() {
        let public = read("", PackagesArgs::default()).unwrap();
        assert_eq!(public.npm_registry.as_str(), NPM_REGISTRY);
        assert_eq!(
            (public.pypi_index.as_str(), public.pypi_hosts.as_slice()),
            (PYPI_INDEX, &[PYPI_FILES.to_owned()][..])
        );
        assert_eq!(public.cooldown, Duration::from_hours(72));
        let args = PackagesArgs {
            packages_cooldown_except: vec!["@acme/*".to_owned()],
            ..PackagesArgs::default()
        };
        let file = "npm_registry = 'https://mirror.example/npm'\npypi_index = 'https://mirror.example/simple'\ncooldown_days = 0\ncooldown_except = ['other']";
        let mirror = read(file, args).unwrap();
        assert_eq!(mirror.npm_registry.as_str(), "https://mirror.example/npm");
        assert!(mirror.pypi_hosts.is_empty() && mirror.cooldown.is_zero());
        assert_eq!(mirror.cooldown_except, ["@acme/*"]);
    }

    #[test]
    fn what_is_no_registry_is_refused() {
        for file in [
            "npm_registry = 'https://user:secret@mirror.example/'",
            "npm_registry = 'ftp://mirror.example/'",
            "npm_registry = 'mirror'",
            "pypi_index = 'https://mirror.example/simple?x'",
            "pypi_files = ['https://files.example']",
        ] {
            let refused = format!("{:#}", read(file, PackagesArgs::default()).unwrap_err());
            assert!(refused.contains("packages.") && !refused.contains("secret"), "{refused}");
        }
    }
}
