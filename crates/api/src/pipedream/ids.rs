//! Ids of the contract as ours, and back. What is no id of ours is none of anything's: it is not
//! found.

use crate::{Api, Problem};
use causeway_catalog::App;
use causeway_types::{
    AppOverrideId, Code, ConnectSessionId, ConnectionId, CustomerId, DynamicPropsId, EnvironmentId,
    OAuthClientId, ProjectId, SecretString, WorkspaceId,
};
use std::sync::Arc;

const ACCOUNT: &str = "apn";
const OAUTH_APP: &str = "oa";
const USER: &str = "exu";
const WEBHOOK: &str = "wh";
const OWNER: &str = "o";
const APP: &str = "app_";
/// What a connect token begins with.
pub(super) const TOKEN: &str = "ctok_";
/// What the token of a link begins with.
const LINK: &str = "cwl_";

/// An id under another prefix.
fn under(prefix: &str, own: &str, id: impl std::fmt::Display) -> String {
    let text = id.to_string();
    format!("{prefix}{}", text.strip_prefix(own).unwrap_or(&text))
}

fn read<I: std::str::FromStr>(
    text: &str,
    prefix: &str,
    own: &str,
    what: &'static str,
) -> Result<I, Problem> {
    text.strip_prefix(prefix)
        .filter(|rest| rest.starts_with('_'))
        .and_then(|rest| format!("{own}{rest}").parse().ok())
        .ok_or_else(|| {
            Problem::new(Code::NotFound, format!("There is no such {what} in this environment."))
        })
}

pub(crate) fn account(id: ConnectionId) -> String {
    under(ACCOUNT, ConnectionId::PREFIX, id)
}

pub(super) fn read_account(text: &str) -> Result<ConnectionId, Problem> {
    read(text, ACCOUNT, ConnectionId::PREFIX, "account")
}

pub(super) fn oauth_app(id: OAuthClientId) -> String {
    under(OAUTH_APP, OAuthClientId::PREFIX, id)
}

pub(super) fn read_oauth_app(text: &str) -> Result<OAuthClientId, Problem> {
    read(text, OAUTH_APP, OAuthClientId::PREFIX, "OAuth app")
}

pub(super) fn user(id: CustomerId) -> String {
    under(USER, CustomerId::PREFIX, id)
}

pub(super) fn webhook(id: EnvironmentId) -> String {
    under(WEBHOOK, EnvironmentId::PREFIX, id)
}

pub(super) fn owner(id: WorkspaceId) -> String {
    under(OWNER, WorkspaceId::PREFIX, id)
}

pub(super) fn read_app_override(text: &str) -> Result<AppOverrideId, Problem> {
    read(text, AppOverrideId::PREFIX, AppOverrideId::PREFIX, "app override")
}

pub(super) fn read_dynamic_props(text: &str) -> Result<DynamicPropsId, Problem> {
    read(text, DynamicPropsId::PREFIX, DynamicPropsId::PREFIX, "set of additional props")
}

pub(super) fn read_project(text: &str) -> Result<ProjectId, Problem> {
    text.parse()
        .map_err(|_| Problem::new(Code::NotFound, "There is no such project in this workspace."))
}

/// The contract's form of a connect session's token.
pub(super) fn token(link: &SecretString) -> SecretString {
    let text = link.expose();
    SecretString::new(text.replacen(LINK, TOKEN, 1))
}

/// The token of the connect session that a connect token stands for.
pub(super) fn link(token: &str) -> SecretString {
    SecretString::new(token.replacen(TOKEN, LINK, 1))
}

/// The number of a connect session: 63 of its random bits, which no two sessions share.
pub(super) fn session_number(id: ConnectSessionId) -> u64 {
    let [_, _, _, _, _, _, _, _, rest @ ..] = id.to_bytes();
    u64::from_be_bytes(rest) >> 1
}

/// A slug as the contract writes it.
pub(super) fn name_slug(slug: &str) -> String {
    slug.replace('-', "_")
}

/// The id of an app.
pub(super) fn app(slug: &str) -> String {
    format!("{APP}{slug}")
}

/// The app of an id, a `name_slug` or a slug.
pub(super) fn find_app(api: &Api, text: &str) -> Option<Arc<App>> {
    let by_id = text.strip_prefix(APP).and_then(|slug| api.catalog().get(slug));
    by_id.or_else(|| api.catalog().get(&text.replace('_', "-")))
}

/// The same, for an app that a request names.
pub(super) fn known_app(api: &Api, text: &str) -> Result<Arc<App>, Problem> {
    find_app(api, text).ok_or_else(|| {
        Problem::new(Code::NotFound, "There is no app of this id or slug in the catalogue.")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn ids_come_back_as_they_were(bytes: [u8; 16]) {
            let id = ConnectionId::from_bytes(bytes);
            prop_assert_eq!(read_account(&account(id)).unwrap(), id);
            let id = OAuthClientId::from_bytes(bytes);
            prop_assert_eq!(read_oauth_app(&oauth_app(id)).unwrap(), id);
            prop_assert!(i64::try_from(session_number(ConnectSessionId::from_bytes(bytes))).is_ok());
        }

        #[test]
        fn no_text_is_taken_for_an_id(text in "(apn|oa|conn)?_?.{0,30}") {
            prop_assert!(read_account(&text).is_err());
        }
    }

    #[test]
    fn a_token_is_that_of_a_link_under_another_name() {
        let link_text = SecretString::new(format!("cwl_{}", "a".repeat(60)));
        let token = token(&link_text);
        assert!(token.expose().starts_with("ctok_a"));
        assert_eq!(link(token.expose()).expose(), link_text.expose());
    }
}
