//! What can go wrong with keys and clients.

use super::jwk::JwksError;
use super::{MAX_LIFETIME, MAX_NAME, MAX_OVERLAP};
use crate::action::ActionName;
use crate::scope::ScopeError;
use causeway_types::{Code, Coded};
use std::borrow::Cow;

/// An API key or a machine client cannot be made, shown or changed.
#[derive(Debug, thiserror::Error)]
pub enum MachineError {
    /// There is no such key in this environment.
    #[error("finding the API key")]
    UnknownKey,
    /// There is no such client in this environment.
    #[error("finding the machine client")]
    UnknownClient,
    /// The key has ended, so there is nothing to rotate.
    #[error("rotating an API key that has ended")]
    KeyEnded,
    /// The client was revoked, so there is nothing to change.
    #[error("changing how a machine client proves itself that was revoked")]
    ClientRevoked,
    /// The name has the wrong length, or control characters.
    #[error("naming a key or a client")]
    Name,
    /// The lifetime is too short or too long.
    #[error("bounding the life of an API key")]
    Lifetime,
    /// The overlap is too long.
    #[error("bounding the overlap of two API keys or secrets")]
    Overlap,
    /// A client could not prove itself with anything.
    #[error("leaving a machine client without a secret and without keys")]
    NoProof,
    /// The public keys cannot be used.
    #[error("reading the public keys of a machine client")]
    Keys(#[source] JwksError),
    /// The scopes cannot be given to any program.
    #[error("checking scopes")]
    Scopes(#[source] ScopeError),
    /// The scopes name nothing that the program could do.
    #[error("giving a program nothing to do")]
    NoActions,
    /// Whoever gives the action does not have it here.
    #[error("giving a program `{0}`, which the giver does not have")]
    Action(ActionName),
    /// Whoever gives access to the app is confined to others.
    #[error("giving a program an app that the giver may not touch")]
    App,
    /// Whoever gives the rule for the proxy is confined to narrower ones.
    #[error("giving a program wider rules for the proxy than the giver has")]
    Proxy,
    /// A key that expires would make a client that does not.
    #[error("making a machine client with an API key that expires")]
    Outlives,
    /// The record is damaged.
    #[error("reading the scopes of a key or a client")]
    Damaged(#[source] serde_json::Error),
    /// The store failed.
    #[error("reading or writing keys and clients")]
    Store(#[from] causeway_store::Error),
}

impl Coded for MachineError {
    fn code(&self) -> Code {
        match self {
            Self::UnknownKey | Self::UnknownClient => Code::NotFound,
            Self::KeyEnded
            | Self::ClientRevoked
            | Self::Name
            | Self::Lifetime
            | Self::Overlap
            | Self::NoProof
            | Self::Keys(_)
            | Self::Scopes(_)
            | Self::NoActions => Code::InvalidRequest,
            Self::Action(_) | Self::App | Self::Proxy | Self::Outlives => Code::Denied,
            Self::Damaged(_) => Code::Internal,
            Self::Store(source) => source.code(),
        }
    }

    fn public(&self) -> Cow<'static, str> {
        match self {
            Self::UnknownKey => "There is no such API key in this environment.".into(),
            Self::UnknownClient => "There is no such machine client in this environment.".into(),
            Self::KeyEnded => "The API key was revoked or has expired. Make a new one.".into(),
            Self::ClientRevoked => "The machine client was revoked. Make a new one.".into(),
            Self::Name => {
                format!("`name` has 1 to {MAX_NAME} characters and no control characters.").into()
            }
            Self::Lifetime => {
                let most = MAX_LIFETIME.as_secs();
                format!("`expires_in` is 60 to {most} seconds. Leave it out for a key that does not expire.").into()
            }
            Self::Overlap => {
                let most = MAX_OVERLAP.as_secs() / 3600;
                format!("`overlap_hours` is 0 to {most}.").into()
            }
            Self::NoProof => {
                "The client could not prove itself. It needs a secret or `public_keys`.".into()
            }
            Self::Keys(source) => format!("`public_keys` cannot be used: {source}.").into(),
            Self::Scopes(source) => format!("`scopes` cannot be used: {source}.").into(),
            Self::NoActions => {
                "The program could do nothing. Name `scopes.actions` that you may do yourself."
                    .into()
            }
            Self::Action(action) => format!(
                "You cannot give `{action}` to a program, since you do not have it here yourself."
            )
            .into(),
            Self::App => {
                "You are confined to some apps, and `scopes.apps` names another.".into()
            }
            Self::Proxy => {
                "You are confined to some requests, and `scopes.proxy` names others. Each rule must stand within one of yours: methods and paths of the same text, or fewer."
                    .into()
            }
            Self::Outlives => {
                "Your API key expires, and a machine client does not. Make the client with a key that does not expire, or as a person."
                    .into()
            }
            Self::Damaged(_) => "The record is damaged. Make a new key or client.".into(),
            Self::Store(source) => source.public(),
        }
    }
}
