//! `causeway bootstrap`.

use crate::cli::BootstrapArgs;
use crate::config::Config;
use crate::output::Output;
use crate::wiring;
use causeway_identity::Bootstrap;
use serde_json::{Value, json};

pub(crate) async fn run(args: BootstrapArgs, output: Output) -> anyhow::Result<()> {
    let config = Config::read(args.server)?;
    // A running server may go on: both use the database as it allows.
    wiring::make_data_dir(&config)?;
    let store = wiring::open_store(&config).await?;
    let root = wiring::root_key(&config, &store).await?;
    let vault = wiring::unlock(store.clone(), root).await?;
    let own_keys = wiring::own_keys(&store, &vault).await?;
    let wanted = Bootstrap {
        workspace_name: args.workspace,
        project_name: args.project,
        environment: args.environment,
    };
    let made = causeway_identity::bootstrap(
        &store,
        &vault,
        own_keys.token(),
        &*wiring::clock(),
        &*wiring::random(),
        &wanted,
    )
    .await?;
    store.close().await;
    let shown = json!({
        "created": made.created,
        "workspace_id": made.workspace,
        "project_id": made.project,
        "development_environment_id": made.development,
        "production_environment_id": made.production,
        "api_key_id": made.api_key_id,
        "api_key": made.api_key.expose(),
        "client_id": made.client_id,
        "client_secret": made.client_secret.expose(),
    });
    output.result(&shown, |shown| {
        let field = |name: &str| shown.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        format!(
            "{}\nworkspace      {}\nproject        {}\napi key        {}\nclient id      {}\nclient secret  {}\n\n\
             Key and secret are shown this once. Next:\n  export CAUSEWAY_API_KEY={}\n  causeway serve",
            if made.created { "Made the workspace." } else { "The workspace was there; its key and client are new." },
            field("workspace_id"),
            field("project_id"),
            field("api_key"),
            field("client_id"),
            field("client_secret"),
            field("api_key"),
        )
    });
    Ok(())
}
