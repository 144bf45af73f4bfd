//! Asking a component something: what can be chosen for a prop, which props it has, or to run.

use super::definition::check_props;
use super::{ComponentError, Loaded, PropDefinition};
use crate::apps::LinkError;
use crate::folder::digest_of;
use crate::manifest::ConnectionSpec;
use crate::record::{StepError, StepLog, StepRecord};
use crate::{Flow, FlowError, Inner};
use causeway_connect::Whose;
use causeway_identity::action::RunComponents;
use causeway_sandbox::{CheckoutError, ComponentCall, ComponentTask, Links, StepCall};
use causeway_store::{Bookkeeping, db};
use causeway_types::entity::{Component, ComponentKind, DynamicProps};
use causeway_types::{
    Actor, Code, ConnectionId, DynamicPropsId, InvocationId, Place, SecretBytes, chain,
};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The most bytes of JSON that configured values have together.
const MAX_VALUES: usize = 64 << 10;
/// Sets of additional props that are kept of a component.
const MAX_DYNAMIC_PROPS: i64 = 10_000;

/// Whom a component is asked for, and with what.
pub struct ComponentAsk<'a> {
    /// Who asks, and for whose accounts.
    pub whose: &'a Whose<'a, RunComponents>,
    /// The company's own id of the customer whose accounts the component gets.
    pub customer: &'a str,
    /// The component, by its id or key.
    pub component: &'a str,
    /// Its version; the newest if it is not named.
    pub version: Option<&'a str>,
    /// The values of its props, but for those that want an account.
    pub props: Map<String, Value>,
    /// The accounts by the names of the props that want one.
    pub accounts: BTreeMap<String, ConnectionId>,
    /// Its additional props, if it has had any with such values.
    pub dynamic: Option<DynamicPropsId>,
}

/// Which choices are asked for.
pub struct OptionsAsk {
    /// The prop.
    pub prop: String,
    /// The page, from 0.
    pub page: u64,
    /// What the page before gave.
    pub prev_context: Value,
    /// What they are searched for.
    pub query: Option<String>,
}

/// What came of asking.
#[derive(Debug)]
pub struct ComponentOutcome<T> {
    /// What the code gave; none if it failed.
    pub value: Option<T>,
    /// What it exported by name.
    pub exports: BTreeMap<String, Box<RawValue>>,
    /// Why it failed.
    pub error: Option<StepError>,
    /// What it printed.
    pub logs: Vec<StepLog>,
    /// When it ended, in milliseconds since 1970.
    pub at_ms: u64,
}

/// What can be chosen for a prop: texts alone, or values with labels.
#[derive(Debug, Deserialize)]
pub struct Choices {
    /// Texts.
    pub strings: Option<Vec<String>>,
    /// Values with labels.
    pub options: Option<Vec<Choice>>,
    /// What the next page is asked with.
    pub context: Option<Value>,
}

/// A choice.
#[derive(Debug, Deserialize)]
pub struct Choice {
    /// What people see.
    pub label: String,
    /// What the prop becomes.
    pub value: Value,
}

/// Props as the runner gives them.
#[derive(Deserialize)]
struct Props {
    props: Vec<PropDefinition>,
}

impl Flow {
    /// Runs an action. The outcome is what its code made of it, whether that is good or bad.
    ///
    /// # Errors
    /// [`ComponentError`], if the code could not begin.
    pub async fn run_action(
        &self,
        ask: &ComponentAsk<'_>,
    ) -> Result<ComponentOutcome<Box<RawValue>>, ComponentError> {
        let component = self.inner.asked(ask).await?;
        if component.kind != ComponentKind::Action {
            return Err(ComponentError::NotAnAction);
        }
        let record = self.inner.call_component(&component, ask, ComponentTask::Run).await?;
        Ok(self.inner.outcome(record))
    }

    /// What can be chosen for a prop now.
    ///
    /// # Errors
    /// [`ComponentError`], if the code could not begin.
    pub async fn prop_options(
        &self,
        ask: &ComponentAsk<'_>,
        options: OptionsAsk,
    ) -> Result<ComponentOutcome<Choices>, ComponentError> {
        let component = self.inner.asked(ask).await?;
        let OptionsAsk { prop, page, prev_context, query } = options;
        let task = ComponentTask::Options { prop, page, prev_context, query };
        let record = self.inner.call_component(&component, ask, task).await?;
        Ok(self.inner.outcome(record).read())
    }

    /// Which props the component has with these values, and an id to come back with.
    ///
    /// # Errors
    /// [`ComponentError`], if the code could not begin.
    pub async fn dynamic_props(
        &self,
        ask: &ComponentAsk<'_>,
    ) -> Result<ComponentOutcome<(DynamicPropsId, Vec<PropDefinition>)>, ComponentError> {
        let component = self.inner.asked(ask).await?;
        let record = self.inner.call_component(&component, ask, ComponentTask::Props).await?;
        let mut outcome: ComponentOutcome<Props> = self.inner.outcome(record).read();
        let checked = outcome.value.as_ref().map(|one| check_props(&one.props, component.kind));
        if let Some(Err(error)) = checked {
            outcome.refuse(chain(&error));
        }
        let Some(Props { props }) = outcome.value.take() else { return Ok(outcome.with(None)) };
        let id = self.inner.keep_props(&component, &props).await?;
        Ok(outcome.with(Some((id, props))))
    }
}

impl<T> ComponentOutcome<T> {
    fn with<U>(self, value: Option<U>) -> ComponentOutcome<U> {
        let Self { exports, error, logs, at_ms, .. } = self;
        ComponentOutcome { value, exports, error, logs, at_ms }
    }

    /// What the code gave is none of what it may give.
    fn refuse(&mut self, message: String) {
        self.value = None;
        let code = Code::InvalidComponent.as_str().to_owned();
        self.error = Some(StepError { code, message, stack: None });
    }
}

impl ComponentOutcome<Box<RawValue>> {
    fn read<U: DeserializeOwned>(mut self) -> ComponentOutcome<U> {
        let read = self.value.take().map(|json| serde_json::from_str(json.get()));
        match read.transpose() {
            Ok(value) => self.with(value),
            Err(error) => {
                self.refuse(format!("what the component gave has not its form: {error}"));
                self.with(None)
            }
        }
    }
}

impl Inner {
    async fn asked(&self, ask: &ComponentAsk<'_>) -> Result<Component, ComponentError> {
        self.find_component(ask.whose, ask.component, ask.version).await
    }

    fn outcome(&self, record: StepRecord) -> ComponentOutcome<Box<RawValue>> {
        let StepRecord { return_value, exports, error, logs, .. } = record;
        let value = return_value.filter(|_| error.is_none());
        ComponentOutcome { value, exports, error, logs, at_ms: self.clock.now().as_millis() }
    }

    /// Has the code do something, with the accounts that are named, in a sandbox of this component.
    async fn call_component(
        &self,
        component: &Component,
        ask: &ComponentAsk<'_>,
        task: ComponentTask,
    ) -> Result<StepRecord, ComponentError> {
        let tenant = component.tenant();
        let loaded = self.load_component(component).await?;
        let dynamic = match ask.dynamic {
            Some(id) => self.kept_props(component, id).await?,
            None => Vec::new(),
        };
        let connections = self.accounts(&loaded, &dynamic, ask).await?;
        let secrets = secrets_of(loaded.definition.props.iter().chain(&dynamic), &ask.props);
        let checkout = self.pool.checkout(&loaded.program).await;
        let mut session = checkout.map_err(ComponentError::NoSandbox)?;
        let seed = session.seed().ok_or(ComponentError::NoSandbox(CheckoutError::Closed))?;
        let invocation = InvocationId::generate(self.clock.now(), &*self.random);
        let of = (tenant, invocation, component.key.as_str());
        let linked = match self.link(of, &connections, &secrets, &seed).await {
            Ok(linked) => linked,
            Err(LinkError::Step(record)) => return Ok(*record),
            Err(LinkError::Credential(error)) => return Err(ComponentError::Credential(error)),
            Err(LinkError::Flow(error)) => return Err(error.into()),
        };
        if matches!(task, ComponentTask::Run) {
            self.connect.count_action(tenant);
        }
        let json = |text: &str| RawValue::from_string(text.to_owned()).map_err(unreadable);
        let dynamic: Result<Vec<Value>, _> = dynamic.iter().map(serde_json::to_value).collect();
        let call = StepCall {
            invocation,
            step: component.key.clone(),
            attempt: 1,
            idempotency_key: invocation.to_string(),
            entry: loaded.definition.entry.clone(),
            event: Arc::from(json("null")?),
            steps: json("{}")?,
            connections: linked.json,
            apps: linked.apps,
            links: Links::default(),
            context: serde_json::json!({
                "component_id": component.id,
                "component_key": component.key,
                "component_version": component.version,
            }),
            component: Some(ComponentCall {
                task,
                props: ask.props.clone(),
                dynamic: dynamic.map_err(unreadable)?,
            }),
        };
        let report = session.step(call).await;
        Ok(StepRecord::from_report(&report, &linked.redactor))
    }

    /// The connections that a component gets, by its props: those that are the customer's own, and at
    /// the apps that the props want.
    async fn accounts(
        &self,
        loaded: &Loaded,
        dynamic: &[PropDefinition],
        ask: &ComponentAsk<'_>,
    ) -> Result<BTreeMap<String, ConnectionSpec>, ComponentError> {
        let size = serde_json::to_vec(&ask.props).map_err(unreadable)?.len();
        if size > MAX_VALUES {
            let most = MAX_VALUES >> 10;
            return Err(ComponentError::Props(format!("The values have more than {most} KiB")));
        }
        let mut connections = BTreeMap::new();
        for prop in loaded.definition.props.iter().chain(dynamic) {
            let Some(app) = prop.app() else { continue };
            let name = &prop.name;
            let Some(id) = ask.accounts.get(name).copied() else {
                if ask.props.get(name).is_some_and(|given| !given.is_null()) {
                    return Err(ComponentError::Props(format!(
                        "The prop `{name}` wants an account of the app {app}: \
                         `{{\"authProvisionId\": \"apn_…\"}}`"
                    )));
                }
                continue;
            };
            let slug = self.connect.app_of_component(app);
            let slug = slug.ok_or_else(|| ComponentError::UnknownApp(app.to_owned()))?;
            let found = self.connect.check_account(ask.whose, ask.customer, &slug, id).await;
            found.map_err(|error| ComponentError::account(name, app, id, error))?;
            let spec = ConnectionSpec { name: id.to_string(), expose: false };
            connections.insert(name.clone(), spec);
        }
        if let Some(other) = ask.accounts.keys().find(|name| !connections.contains_key(*name)) {
            return Err(ComponentError::Props(format!(
                "`{other}` is no prop that wants an account"
            )));
        }
        Ok(connections)
    }

    /// Keeps additional props, once for those that are the same, and gives their id.
    async fn keep_props(
        &self,
        component: &Component,
        props: &[PropDefinition],
    ) -> Result<DynamicPropsId, ComponentError> {
        let (tenant, now) = (component.tenant(), self.clock.now());
        let json = serde_json::to_vec(props).map_err(unreadable)?;
        let id = DynamicPropsId::generate(now, &*self.random);
        let fresh = DynamicProps {
            id,
            workspace_id: tenant.workspace,
            environment_id: tenant.environment,
            component_id: component.id,
            digest: digest_of([component.id.to_string().as_bytes(), &json]),
            definitions: self.vault.seal(tenant.workspace, &Place::DynamicProps(id), &json).await?,
            created_at: now,
        };
        let mut tx = self.store.write(Actor::Node(self.node)).await?;
        db!(tx, component::insert_props(&fresh))?;
        let kept = db!(tx, component::props_by_digest(tenant, component.id, &fresh.digest))?;
        db!(tx, component::trim_props(tenant, component.id, MAX_DYNAMIC_PROPS))?;
        tx.commit_bookkeeping(Bookkeeping::DynamicProps).await?;
        kept.ok_or(ComponentError::Unknown)
    }

    async fn kept_props(
        &self,
        component: &Component,
        id: DynamicPropsId,
    ) -> Result<Vec<PropDefinition>, ComponentError> {
        let mut conn = self.store.read().await?;
        let kept = db!(conn, component::props(component.tenant(), component.id, id))?;
        drop(conn);
        let kept = kept.ok_or(ComponentError::UnknownProps)?;
        let place = Place::DynamicProps(id);
        let json = self.vault.open(component.workspace_id, &place, &kept.definitions).await?;
        serde_json::from_slice(json.expose()).map_err(unreadable)
    }
}

/// The texts among the values of secret props: they are masked wherever the code writes.
fn secrets_of<'a>(
    props: impl Iterator<Item = &'a PropDefinition>,
    values: &Map<String, Value>,
) -> Vec<SecretBytes> {
    let mut secrets = Vec::new();
    for prop in props.filter(|prop| prop.is_secret()) {
        match values.get(&prop.name) {
            Some(Value::String(text)) => secrets.push(SecretBytes::new(text.clone().into_bytes())),
            Some(Value::Array(list)) => {
                let texts = list.iter().filter_map(Value::as_str);
                secrets.extend(texts.map(|text| SecretBytes::new(text.as_bytes().to_vec())));
            }
            _ => {}
        }
    }
    secrets
}

fn unreadable(source: serde_json::Error) -> ComponentError {
    FlowError::Stored { what: "component", source }.into()
}
