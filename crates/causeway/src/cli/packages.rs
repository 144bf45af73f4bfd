//! Flags of the server that concern the packages of workflows.

use clap::Args;
use std::path::PathBuf;

/// Where packages come from, and which may be used. Each also stands in `causeway.toml`.
#[derive(Args, Default)]
pub(crate) struct PackagesArgs {
    /// The npm that chooses packages for Node where a workflow has no lock. Default /usr/bin/npm.
    #[arg(long, env = "CAUSEWAY_NPM")]
    pub(crate) npm: Option<PathBuf>,
    /// npm's registry, or a mirror of it. Default: the public one.
    #[arg(long, env = "CAUSEWAY_PACKAGES_NPM_REGISTRY", value_name = "URL")]
    pub(crate) packages_npm_registry: Option<String>,
    /// The index of Python packages, or a mirror of it. Default: the public one.
    #[arg(long, env = "CAUSEWAY_PACKAGES_PYPI_INDEX", value_name = "URL")]
    pub(crate) packages_pypi_index: Option<String>,
    /// Hosts from which that index hands out files, beside its own. May be given several times, or
    /// separated by commas. Default: that of the public index.
    #[arg(long, env = "CAUSEWAY_PACKAGES_PYPI_FILES", value_delimiter = ',', value_name = "HOST")]
    pub(crate) packages_pypi_files: Vec<String>,
    /// How many days ago a version must have been published before workflows may use it. Default 3;
    /// 0: none.
    #[arg(long, env = "CAUSEWAY_PACKAGES_COOLDOWN_DAYS", value_name = "DAYS")]
    pub(crate) packages_cooldown_days: Option<u32>,
    /// Packages that need not wait: names, or @scope/*. May be given several times, or separated by
    /// commas.
    #[arg(
        long,
        env = "CAUSEWAY_PACKAGES_COOLDOWN_EXCEPT",
        value_delimiter = ',',
        value_name = "NAME"
    )]
    pub(crate) packages_cooldown_except: Vec<String>,
}
