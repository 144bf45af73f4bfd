//! The accounts of a step, as its code gets them and as its sandbox reaches them.

use crate::error::exposure_off;
use crate::graph::Point;
use crate::manifest::ConnectionSpec;
use crate::record::StepRecord;
use crate::{FlowError, Inner};
use causeway_connect::{
    Broker, BrokerError, BrokeredCall, CredentialError, Exposure, HostClaim, Link, Seed,
};
use causeway_identity::{Permit, action};
use causeway_sandbox::{AppAnswer, AppFuture, AppRefused, AppRequest, Apps, Claim};
use causeway_types::entity::Claimed;
use causeway_types::{Code, Coded, InvocationId, Kind, SecretBytes, Tenant};
use causeway_vault::Redactor;
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;
use zeroize::Zeroizing;

/// What a step has of the connections that it is linked to.
pub(crate) struct Linked {
    /// `{name: {"$auth": {…}}}`.
    pub(crate) json: SecretBytes,
    pub(crate) redactor: Redactor,
    /// `None` if it is linked to none.
    pub(crate) apps: Option<Arc<dyn Apps>>,
}

/// Why a step's connections cannot be had.
pub(crate) enum LinkError {
    /// The step fails with this record.
    Step(Box<StepRecord>),
    /// Causeway itself lacks something for the moment.
    Credential(CredentialError),
    /// The same, on the way to it.
    Flow(FlowError),
}

impl Inner {
    /// Links a step to its connections, for a sandbox with this seed.
    pub(crate) async fn linked(
        &self,
        claimed: &Claimed,
        point: &Point,
        seed: &Seed,
    ) -> Result<Linked, LinkError> {
        let of = (claimed.tenant(), claimed.id, point.name.as_str());
        self.link(of, &point.connections, &[], seed).await
    }

    /// Links code to connections, for a sandbox with this seed: whose, in which invocation, and what
    /// it is called there. `more` are the secrets that the code has besides.
    pub(crate) async fn link(
        &self,
        (tenant, invocation, step): (Tenant, InvocationId, &str),
        connections: &BTreeMap<String, ConnectionSpec>,
        more: &[SecretBytes],
        seed: &Seed,
    ) -> Result<Linked, LinkError> {
        let connect = &self.connect;
        let permit = Permit::<action::UseConnections>::for_node(self.node, tenant);
        let mut json = Zeroizing::new(Vec::with_capacity(1024));
        let mut links: Vec<Arc<Link>> = Vec::new();
        json.push(b'{');
        for (alias, ConnectionSpec { name, expose }) in connections {
            // Asked again: the settings may have changed since the deploy.
            if *expose && !connect.lets_credentials_out(tenant).await.map_err(flow)? {
                return Err(failed(Code::CredentialExportOff.as_str(), exposure_off(name)));
            }
            let exposure = if *expose { Exposure::Secrets } else { Exposure::Placeholders(seed) };
            let link = match connect.link(&permit, name, exposure).await {
                Ok(link) => link,
                Err(error) if error.code().kind() == Kind::Unavailable => {
                    return Err(LinkError::Credential(error));
                }
                Err(error) => {
                    let why = format!("The connection `{name}` cannot be used: {}", error.public());
                    return Err(failed(error.code().as_str(), why));
                }
            };
            if !links.is_empty() {
                json.push(b',');
            }
            // The names of a component's props are any text.
            json.extend_from_slice(
                format!("{}:{{\"$auth\":", Value::from(alias.as_str())).as_bytes(),
            );
            json.extend_from_slice(link.auth().expose());
            json.push(b'}');
            links.push(Arc::new(link));
        }
        json.push(b'}');
        let secrets = links.iter().flat_map(|link| link.secrets()).chain(more);
        let redactor = Redactor::new(secrets.map(|secret| secret.expose().as_slice()));
        let Ok(redactor) = redactor else {
            let why = "The step's connections hold more secrets than can be masked in its output; \
                       link fewer.";
            return Err(failed("credential_too_large", why.to_owned()));
        };
        let apps = (!links.is_empty()).then(|| {
            let broker = connect.broker(&permit, invocation, step, links);
            let apps: Arc<dyn Apps> = Arc::new(StepApps(broker));
            apps
        });
        let json = SecretBytes::new(std::mem::take(&mut *json));
        Ok(Linked { json, redactor, apps })
    }
}

fn failed(code: &str, message: String) -> LinkError {
    LinkError::Step(Box::new(StepRecord::from_error(code, message)))
}

fn flow(error: causeway_store::Error) -> LinkError {
    LinkError::Flow(error.into())
}

/// The broker of one step, in the sandbox's words.
struct StepApps(Broker);

impl Apps for StepApps {
    fn claim(&self, host: &str, port: u16) -> Claim {
        match self.0.claim(host, port) {
            HostClaim::None => Claim::None,
            HostClaim::Brokered { in_clear } => Claim::Brokered { in_clear },
            HostClaim::Exposed => Claim::Exposed,
            HostClaim::OtherPort { port } => Claim::OtherPort { port },
        }
    }

    fn send(self: Arc<Self>, request: AppRequest) -> AppFuture {
        Box::pin(async move {
            let AppRequest { request, upgrade, is_listed } = request;
            let answer = self.0.send(BrokeredCall { request, upgrade, is_listed }).await;
            let answer = answer.map_err(|error| refused(&error))?;
            Ok(AppAnswer { response: answer.response, upgraded: answer.upgraded })
        })
    }
}

fn refused(error: &BrokerError) -> AppRefused {
    AppRefused {
        code: error.code(),
        status: error.status(),
        message: error.to_string(),
        retry_after: error.retry_after(),
    }
}
