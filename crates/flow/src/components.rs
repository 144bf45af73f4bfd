//! Components: code with a description of the values that it wants, its *props*. A version of one is
//! published for an environment, is described once, and never changes.
//!
//! - *Publishing* reads the code and has it describe itself, in a sandbox ([`Flow::publish`]).
//! - *Configuring* asks the code what can be chosen for a prop ([`Flow::prop_options`]), and which props
//!   it has with the values so far ([`Flow::dynamic_props`]).
//! - *Running* an action gives it its values and the accounts that they name ([`Flow::run_action`]).
//!
//! Whoever asks gets what the code gave or threw, printed and exported, and nothing of it is kept. What
//! stays is a figure: how many actions ran.

mod call;
mod definition;
mod error;
mod find;
mod publish;

pub use call::{Choice, Choices, ComponentAsk, ComponentOutcome, OptionsAsk};
pub use definition::{Definition, PropDefinition};
pub use error::ComponentError;
pub use find::ComponentDetail;
pub use publish::{NewComponent, Published};

use crate::Inner;
use crate::folder::Folder;
use causeway_sandbox::{EgressRules, Limits, Program, ProgramKey, Runtime};
use causeway_store::db;
use causeway_types::entity::Component;
use causeway_types::{ComponentId, Place, VersionId};
use std::sync::Arc;

/// A component, ready for the sandbox.
pub(crate) struct Loaded {
    definition: Definition,
    program: Arc<Program>,
}

/// What a component's sandboxes are known by: it is a version of its own, whose id has the same bits.
fn version_of(id: ComponentId) -> VersionId {
    VersionId::from_bytes(id.to_bytes())
}

impl Inner {
    /// A component of the tenant's, from memory or from the store.
    async fn load_component(&self, component: &Component) -> Result<Arc<Loaded>, ComponentError> {
        let (tenant, id) = (component.tenant(), component.id);
        if let Some(loaded) = self.components.get(&id).await {
            return Ok(loaded);
        }
        let mut conn = self.store.read().await?;
        let seals = db!(conn, component::seals(tenant, id))?.ok_or(ComponentError::Unknown)?;
        drop(conn);
        let place = Place::ComponentBundle(id);
        let bytes = self.vault.open(tenant.workspace, &place, &seals.bundle).await?;
        let folder = Folder::from_bytes(bytes.expose()).map_err(crate::FlowError::from)?;
        let definition = self.definition(component, &seals).await?;
        let egress = EgressRules::parse(&definition.egress)
            .map_err(|error| ComponentError::Invalid(error.to_string()))?;
        let program = Arc::new(Program {
            key: ProgramKey { workspace: tenant.workspace, version: version_of(id) },
            files: folder.source_files(),
            binds: self.binds(&folder.dependencies, Runtime::Node).await?,
            egress,
            limits: Limits::default(),
            runtime: Runtime::Node,
            tier: self.config.minimum_tier,
        });
        let loaded = Arc::new(Loaded { definition, program });
        self.components.insert(id, Arc::clone(&loaded)).await;
        Ok(loaded)
    }
}
