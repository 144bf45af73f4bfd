//! `causeway image build`: the image of virtual machines.

use crate::JAIL;
use crate::cli::{ImageBuildArgs, ImageCommand};
use crate::config::{Config, IMAGES};
use crate::output::Output;
use causeway_sandbox::{BuiltImage, ImageOptions, build_image};
use serde::Serialize;

/// An image that was built.
#[derive(Serialize)]
struct Built {
    /// Its name: the digest of all that is in it.
    id: String,
    /// Its folder.
    folder: String,
    /// What it takes of the disk, in bytes.
    bytes: u64,
    /// The runtimes that it has.
    runtimes: Vec<&'static str>,
    /// The kernel's drivers that it carries.
    modules: Vec<String>,
}

pub(crate) async fn run(command: ImageCommand, output: Output) -> anyhow::Result<()> {
    let ImageCommand::Build(args) = command;
    let ImageBuildArgs { server, kernel, modules, folder } = *args;
    let config = Config::read(server)?;
    let options = ImageOptions {
        kernel,
        modules,
        runtimes: config.runtimes()?,
        launcher: vec!["/proc/self/exe".into(), JAIL.into()],
        folder: folder.unwrap_or_else(|| config.data_dir.join(IMAGES)),
    };
    let BuiltImage { id, folder, bytes, runtimes, modules } = build_image(&options).await?;
    let built = Built {
        id,
        folder: folder.display().to_string(),
        bytes,
        runtimes: runtimes.into_iter().map(causeway_sandbox::Runtime::as_str).collect(),
        modules,
    };
    output.result(&built, |built| {
        let drivers = if built.modules.is_empty() { "none" } else { &built.modules.join(", ") };
        format!(
            "Built {} ({} MiB) with {}.\nDrivers: {drivers}.",
            built.folder,
            built.bytes >> 20,
            built.runtimes.join(", ")
        )
    });
    Ok(())
}
