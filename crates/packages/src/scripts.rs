//! Install scripts: which run, and what comes of it.

use crate::error::PackagesError;
use crate::inside::{MAX_OUTPUT, Run};
use crate::{Inner, Layer, Wanted, archive};
use causeway_types::entity::Ecosystem;
use data_encoding::BASE64;
use serde::Deserialize;
use serde_json::json;
use std::collections::BTreeMap;
use std::sync::Arc;

/// What a run of scripts gives.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Outcome {
    #[serde(default)]
    files: BTreeMap<String, String>,
    #[serde(default)]
    failed: Option<String>,
}

impl Inner {
    /// Runs the scripts that the workflow allows, on the layer without them, and adds what they write.
    pub(crate) async fn run_scripts(
        self: &Arc<Self>,
        wanted: &Wanted<'_>,
        layer: &mut Layer,
    ) -> Result<(), PackagesError> {
        let allowed = |name: &String| wanted.scripts.contains(name);
        let named: Vec<_> = layer
            .packages
            .iter()
            .filter(|package| package.has_script && allowed(&package.name))
            .collect();
        if layer.ecosystem != Ecosystem::Npm || named.is_empty() {
            return Ok(());
        }
        let mut scripts: Vec<String> = named.iter().map(|package| package.name.clone()).collect();
        scripts.sort();
        scripts.dedup();
        // The same scripts of the same packages have run already: that is what they wrote.
        let known = wanted.before.into_iter().flat_map(|before| &before.layers).find(|before| {
            before.ecosystem == layer.ecosystem
                && before.packages == layer.packages
                && before.scripts == scripts
        });
        if let Some(known) = known {
            *layer = known.clone();
            return Ok(());
        }
        let toolbox = self.toolbox(Run::Scripts).await?;
        let packages: Vec<_> = named
            .iter()
            .map(|package| json!({ "name": package.name, "place": package.place }))
            .collect();
        let event = json!({ "packages": packages, "most": MAX_OUTPUT / 2 });
        let mut binds = toolbox.binds;
        binds.push(causeway_sandbox::Bind {
            source: self.unpacked(layer).await?,
            target: "/node_modules".into(),
            purpose: causeway_sandbox::Purpose::Map,
        });
        let outcome: Outcome = self.run(wanted, Run::Scripts, &event, binds).await?;
        if let Some(what) = outcome.failed {
            return Err(PackagesError::Script { what });
        }
        // It comes out of a sandbox in which a package's code ran.
        let bad = outcome.files.iter().find(|(path, contents)| {
            !archive::is_plain(path) || BASE64.decode(contents.as_bytes()).is_err()
        });
        if let Some((path, _)) = bad {
            return Err(PackagesError::Script {
                what: format!("it gave a file at a place that is none: {path:?}"),
            });
        }
        layer.scripts = scripts;
        layer.written = outcome.files;
        Ok(())
    }
}
