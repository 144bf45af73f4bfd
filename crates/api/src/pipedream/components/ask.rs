//! What is asked of a component, as the contract writes it.

use super::super::ids;
use super::super::params::wrong;
use crate::Problem;
use causeway_connect::Whose;
use causeway_flow::{ComponentAsk, OptionsAsk};
use causeway_identity::action::RunComponents;
use causeway_types::{ConnectionId, DynamicPropsId};
use serde::Deserialize;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// A component, for whom, and with which values. Clients of other versions send more.
#[derive(Deserialize)]
pub(crate) struct AskBody {
    id: String,
    version: Option<String>,
    external_user_id: Option<String>,
    configured_props: Option<Map<String, Value>>,
    dynamic_props_id: Option<String>,
}

/// The same, and a prop whose choices are wanted.
#[derive(Deserialize)]
pub(crate) struct ConfigureBody {
    #[serde(flatten)]
    ask: AskBody,
    prop_name: String,
    page: Option<u64>,
    prev_context: Option<Value>,
    query: Option<String>,
}

/// The same, and where its files go.
#[derive(Deserialize)]
pub(crate) struct RunBody {
    #[serde(flatten)]
    ask: AskBody,
    stash_id: Option<Value>,
}

/// What is asked, with our ids.
pub(crate) struct Asked {
    component: String,
    version: Option<String>,
    customer: Option<String>,
    props: Map<String, Value>,
    accounts: BTreeMap<String, ConnectionId>,
    dynamic: Option<DynamicPropsId>,
}

impl AskBody {
    pub(super) fn read(self) -> Result<Asked, Problem> {
        let mut props = Map::new();
        let mut accounts = BTreeMap::new();
        for (name, value) in self.configured_props.unwrap_or_default() {
            match value.get("authProvisionId").and_then(Value::as_str) {
                Some(id) => drop(accounts.insert(name, ids::read_account(id)?)),
                None => drop(props.insert(name, value)),
            }
        }
        let given = |text: Option<String>| text.filter(|text| !text.is_empty());
        let dynamic = given(self.dynamic_props_id);
        let dynamic = dynamic.as_deref().map(ids::read_dynamic_props).transpose()?;
        Ok(Asked {
            component: self.id,
            version: given(self.version),
            customer: given(self.external_user_id),
            props,
            accounts,
            dynamic,
        })
    }
}

impl ConfigureBody {
    pub(super) fn read(self) -> Result<(Asked, OptionsAsk), Problem> {
        let options = OptionsAsk {
            prop: self.prop_name,
            page: self.page.unwrap_or(0),
            prev_context: self.prev_context.unwrap_or_default(),
            query: self.query,
        };
        Ok((self.ask.read()?, options))
    }
}

impl RunBody {
    pub(super) fn read(self) -> Result<Asked, Problem> {
        if self.stash_id.is_some_and(|stash| !stash.is_null()) {
            return Err(wrong(
                "stash_id",
                "is for files of actions, which are not kept here yet: leave it out",
            ));
        }
        self.ask.read()
    }
}

impl Asked {
    /// The same, asked by somebody: a customer for himself, a program for the customer that it names.
    pub(super) fn of<'a>(
        &'a self,
        whose: &'a Whose<'a, RunComponents>,
    ) -> Result<ComponentAsk<'a>, Problem> {
        let customer = match (whose.customer(), self.customer.as_deref()) {
            (Some(own), None) => own,
            (Some(own), Some(named)) if own == named => own,
            (Some(_), Some(_)) => {
                return Err(wrong("external_user_id", "is another customer than the token's"));
            }
            (None, Some(named)) => named,
            (None, None) => return Err(wrong("external_user_id", "is missing")),
        };
        Ok(ComponentAsk {
            whose,
            customer,
            component: &self.component,
            version: self.version.as_deref(),
            props: self.props.clone(),
            accounts: self.accounts.clone(),
            dynamic: self.dynamic,
        })
    }
}
