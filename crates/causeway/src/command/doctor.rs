//! `causeway doctor`: does everything that a server needs work here?

use crate::cli::ServerArgs;
use crate::config::Config;
use crate::output::Output;
use crate::wiring;
use anyhow::bail;
use causeway_catalog::Catalog;
use causeway_sandbox::{Runtime, Standing, Tier, Tool};
use causeway_store::{Store, db};
use causeway_types::chain;
use causeway_vault::Vault;
use serde::Serialize;

/// One thing that was looked at.
#[derive(Serialize)]
struct Finding {
    /// What was looked at.
    check: String,
    /// `ok`, `warning` or `error`.
    outcome: &'static str,
    /// What was found, and what to do about it.
    detail: String,
}

struct Report(Vec<Finding>);

impl Report {
    fn add(&mut self, check: &str, outcome: &'static str, detail: impl Into<String>) {
        self.0.push(Finding { check: check.to_owned(), outcome, detail: detail.into() });
    }

    fn result<T>(
        &mut self,
        check: &str,
        result: anyhow::Result<T>,
        ok: impl FnOnce(&T) -> String,
    ) -> Option<T> {
        match result {
            Ok(value) => {
                self.add(check, "ok", ok(&value));
                Some(value)
            }
            Err(error) => {
                self.add(check, "error", format!("{error:#}"));
                None
            }
        }
    }
}

pub(crate) async fn run(args: ServerArgs, output: Output) -> anyhow::Result<()> {
    let mut report = Report(Vec::new());
    if let Some(config) = report.result("configuration", Config::read(args), |config| {
        format!("data folder {}", config.data_dir.display())
    }) {
        report.runtimes(&config).await;
        report.sandbox();
        report.tiers(&config).await;
        report.catalogue(&config);
        report.data(&config).await;
    }
    let failed = report.0.iter().filter(|finding| finding.outcome == "error").count();
    output.result(&report.0, |findings| {
        findings
            .iter()
            .map(|one| format!("{:<8} {:<14} {}", one.outcome, one.check, one.detail))
            .collect::<Vec<_>>()
            .join("\n")
    });
    if failed > 0 {
        bail!("{failed} of {} checks failed", report.0.len());
    }
    Ok(())
}

impl Report {
    /// Node is needed to start; the others only by workflows that have steps for them.
    async fn runtimes(&mut self, config: &Config) {
        let Some(paths) = self.result("runtimes", config.runtimes(), |paths| {
            format!("Node at {}", paths.node.display())
        }) else {
            return;
        };
        for runtime in Runtime::ALL {
            let check = format!("runtime: {runtime}");
            match causeway_sandbox::describe_runtime(&paths, runtime).await {
                Ok(found) => self.add(&check, "ok", found),
                Err(error) => {
                    let outcome = if runtime == Runtime::Node { "error" } else { "warning" };
                    self.add(&check, outcome, chain(&error));
                }
            }
        }
        for (tool, name, wanted) in [
            (Tool::Npm, "npm", "workflows that ask for npm packages have to bring a lock"),
            (Tool::Pip, "pip", "no workflow can ask for Python packages"),
        ] {
            let check = format!("packages: {name}");
            match causeway_sandbox::describe_tool(&paths, tool).await {
                Ok(found) => self.add(&check, "ok", found),
                Err(error) => {
                    self.add(&check, "warning", format!("{}; without it, {wanted}", chain(&error)));
                }
            }
        }
    }

    fn sandbox(&mut self) {
        for check in causeway_sandbox::probe() {
            let outcome = match check.standing {
                Standing::Good => "ok",
                Standing::Weaker => "warning",
                Standing::Missing => "error",
            };
            self.add(&format!("sandbox: {}", check.name), outcome, check.detail);
        }
    }

    /// Makes a sandbox of each tier, which alone proves it. None stronger than the configured one
    /// has to be there.
    async fn tiers(&mut self, config: &Config) {
        let kvm = causeway_sandbox::probe_kvm();
        let outcome = match kvm.standing {
            Standing::Good => "ok",
            _ if config.minimum_tier == Tier::Vm => "error",
            _ => "warning",
        };
        self.add(&format!("sandbox: {}", kvm.name), outcome, kvm.detail);
        for tier in Tier::ALL {
            let check = format!("tier: {tier}");
            let tried = async {
                let pool = super::serve::pool_config(config)?;
                anyhow::Ok(causeway_sandbox::try_tier(pool, tier).await?)
            };
            match tried.await {
                Ok(took) => {
                    let floor = if tier == config.minimum_tier {
                        ", and the weakest that steps run in"
                    } else {
                        ""
                    };
                    let found = format!("works: a sandbox took {} ms{floor}", took.as_millis());
                    self.add(&check, "ok", found);
                }
                Err(error) if tier <= config.minimum_tier => {
                    self.add(&check, "error", format!("{error:#}"));
                }
                Err(error) => self.add(&check, "warning", format!("{error:#}")),
            }
        }
    }

    fn catalogue(&mut self, config: &Config) {
        let catalog = Catalog::load(config.apps_dir.as_deref()).map_err(anyhow::Error::from);
        self.result("catalogue", catalog, |catalog| format!("{} apps", catalog.list().len()));
    }

    async fn data(&mut self, config: &Config) {
        if !config.data_dir.exists() {
            self.add(
                "data folder",
                "warning",
                "it does not exist yet; `causeway bootstrap` makes it",
            );
            return;
        }
        let store = wiring::open_store(config).await.map_err(anyhow::Error::from);
        let Some(store) = self.result("database", store, |store| store.kind().to_owned()) else {
            return;
        };
        match wiring::is_fresh(&store).await {
            Ok(true) => {
                self.add(
                    "root key",
                    "warning",
                    "nothing is sealed yet; `causeway bootstrap` makes the first key",
                );
                return;
            }
            Ok(false) => {}
            Err(error) => return self.add("database", "error", format!("{error:#}")),
        }
        let root = wiring::existing_root_key(config).await;
        if let Some(root) = self.result("root key", root, |root| root.name().to_owned()) {
            let unlocked: anyhow::Result<(Vault, usize)> = async {
                let vault = wiring::unlock(store.clone(), root).await?;
                let count = vault.check().await?;
                Ok((vault, count))
            }
            .await;
            let opened =
                self.result("data keys", unlocked, |(_, count)| format!("all {count} open"));
            if let Some((vault, _)) = opened {
                self.audit(&store, &vault).await;
            }
        } else {
            self.add(
                "data keys",
                "error",
                "none opens without the root key; nothing sealed can be read",
            );
            self.add(
                "audit chain",
                "error",
                "its checkpoints cannot be checked without the root key",
            );
        }
        store.close().await;
    }

    async fn audit(&mut self, store: &Store, vault: &Vault) {
        let checked: anyhow::Result<i64> = async {
            let keys = wiring::own_keys(store, vault).await?;
            let mut conn = store.read().await?;
            let workspaces = db!(conn, workspace::all())?;
            drop(conn);
            let mut rows = 0;
            for workspace in workspaces {
                rows += causeway_audit::verify(store, &keys, workspace.id, &[]).await?.rows;
            }
            Ok(rows)
        }
        .await;
        self.result("audit chain", checked, |rows| format!("{rows} events, unbroken"));
    }
}
