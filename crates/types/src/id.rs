//! Typed ids: a prefix that names the kind, then 26 characters of lower-case Crockford base 32
//! holding a 48-bit millisecond time and 80 random bits, so that ids sort by age.

use crate::{Randomness, Timestamp};

/// Crockford's alphabet in lower case: no `i`, `l`, `o` or `u`.
const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
const BODY: usize = 26;

/// A text that is not an id of the expected kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParseIdError {
    /// The text does not begin with the prefix of this kind of id.
    #[error("expected an id that begins with `{expected}_`")]
    Prefix {
        /// The prefix that this kind of id has.
        expected: &'static str,
    },
    /// What follows the prefix is not 26 characters of Crockford base 32.
    #[error("the part after `{prefix}_` is not 26 characters of lower-case Crockford base 32")]
    Body {
        /// The prefix that was read.
        prefix: &'static str,
    },
}

pub(crate) fn compose(at: Timestamp, random: &dyn Randomness) -> u128 {
    let mut noise = [0_u8; 16];
    random.fill(&mut noise);
    let noise = u128::from_be_bytes(noise) >> 48;
    (u128::from(at.as_millis()) << 80) | noise
}

pub(crate) fn encode(value: u128) -> [u8; BODY] {
    let mut out = [b'0'; BODY];
    let mut rest = value;
    for slot in out.iter_mut().rev() {
        let digit = usize::try_from(rest & 31).unwrap_or(0);
        *slot = ALPHABET.get(digit).copied().unwrap_or(b'0');
        rest >>= 5;
    }
    out
}

pub(crate) fn decode(body: &str) -> Option<u128> {
    if body.len() != BODY {
        return None;
    }
    let mut value: u128 = 0;
    for (index, byte) in body.bytes().enumerate() {
        let digit = ALPHABET.iter().position(|letter| *letter == byte)?;
        // 26 digits hold 130 bits: the first digit may use three of its five.
        if index == 0 && digit > 7 {
            return None;
        }
        value = (value << 5) | u128::try_from(digit).ok()?;
    }
    Some(value)
}

/// Declares the registry of ids: `Name = "prefix"`, one line each.
macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident = $prefix:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(u128);

        impl $name {
            /// The prefix of this kind of id, without its underscore.
            pub const PREFIX: &'static str = $prefix;

            /// Makes a new id from the time and randomness given.
            pub fn generate(at: Timestamp, random: &dyn Randomness) -> Self {
                Self(compose(at, random))
            }

            /// The id that sorts before every other of its kind: the start of a listing.
            pub const fn lowest() -> Self {
                Self(0)
            }

            /// The id that sorts after every other of its kind.
            pub const fn highest() -> Self {
                Self(u128::MAX)
            }

            /// The id without its prefix, big-endian: what binary formats carry.
            pub const fn to_bytes(self) -> [u8; 16] {
                self.0.to_be_bytes()
            }

            /// The id that [`to_bytes`](Self::to_bytes) gave.
            pub const fn from_bytes(bytes: [u8; 16]) -> Self {
                Self(u128::from_be_bytes(bytes))
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                let body = encode(self.0);
                f.write_str(concat!($prefix, "_"))?;
                f.write_str(std::str::from_utf8(&body).map_err(|_| std::fmt::Error)?)
            }
        }

        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                std::fmt::Display::fmt(self, f)
            }
        }

        impl std::str::FromStr for $name {
            type Err = ParseIdError;
            fn from_str(text: &str) -> Result<Self, ParseIdError> {
                let body = text
                    .strip_prefix(concat!($prefix, "_"))
                    .ok_or(ParseIdError::Prefix { expected: $prefix })?;
                decode(body).map(Self).ok_or(ParseIdError::Body { prefix: $prefix })
            }
        }

        crate::column::text_column!($name);
        crate::column::text_serde!($name);
        #[cfg(feature = "utoipa")]
        crate::column::text_schema!($name, concat!($prefix, "_01jd8r4t5v6w7x8y9z0a1b2c3d"));
    )*};
}

ids! {
    /// A workspace: the tenant.
    WorkspaceId = "ws";
    /// A project in a workspace.
    ProjectId = "proj";
    /// An environment of a project.
    EnvironmentId = "env";
    /// An API key (its record, not its secret).
    ApiKeyId = "key";
    /// A machine's OAuth client for Causeway's own API.
    MachineClientId = "mc";
    /// A data key of a workspace.
    DataKeyId = "dk";
    /// One rotation of a workspace's data key.
    RotationId = "rot";
    /// The company's own OAuth client at an app.
    OAuthClientId = "oac";
    /// One round trip to an app's authorization server.
    OAuthFlowId = "oaf";
    /// What the company fills in for customers who connect an app.
    AppOverrideId = "ovr";
    /// A customer.
    CustomerId = "cus";
    /// A connection.
    ConnectionId = "conn";
    /// A revocation of many connections in one go.
    ConnectionRevocationId = "crv";
    /// A connect session.
    ConnectSessionId = "cs";
    /// A workflow.
    WorkflowId = "wf";
    /// An immutable version of a workflow.
    VersionId = "ver";
    /// A package of a version.
    VersionPackageId = "vpk";
    /// A published version of a component.
    ComponentId = "sc";
    /// The props that a component has with certain values.
    DynamicPropsId = "dyp";
    /// A trigger of a workflow.
    TriggerId = "trg";
    /// An event.
    EventId = "evt";
    /// An invocation.
    InvocationId = "inv";
    /// A finished attempt at a step of an invocation.
    StepId = "stp";
    /// A process that runs invocations.
    NodeId = "nod";
    /// A sandbox.
    SandboxId = "sbx";
    /// A service that tells who somebody is.
    ProviderId = "idp";
    /// A person who signs in.
    UserId = "usr";
    /// A round trip to a provider in order to sign in.
    SignInFlowId = "sif";
    /// A browser in which somebody is signed in.
    SessionId = "ses";
    /// A person's place in a workspace.
    MemberId = "mem";
    /// A group of members.
    GroupId = "grp";
    /// A role given to a member or a group.
    RoleGrantId = "rg";
    /// An invitation into a workspace.
    InvitationId = "ivt";
    /// A key with which Causeway signs or computes digests of tokens.
    SigningKeyId = "sgn";
    /// A staff member's request for access to a workspace.
    AccessRequestId = "acr";
    /// A report of a vulnerability.
    ReportId = "vr";
    /// Somebody's server that webhooks are sent to.
    WebhookEndpointId = "whe";
    /// A webhook: what is sent, to however many endpoints.
    WebhookMessageId = "msg";
    /// A message on its way to one endpoint.
    WebhookDeliveryId = "whd";
    /// One attempt to deliver.
    WebhookAttemptId = "wha";
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_printed_id_reads_back_as_itself(value: u128) {
            let id = ConnectionId(value);
            prop_assert_eq!(id.to_string().parse::<ConnectionId>(), Ok(id));
        }

        #[test]
        fn an_ids_bytes_read_back_as_itself(value: u128) {
            let id = ConnectionId(value);
            prop_assert_eq!(ConnectionId::from_bytes(id.to_bytes()), id);
        }

        #[test]
        fn ids_sort_as_their_texts_do(a: u128, b: u128) {
            prop_assert_eq!(EventId(a).cmp(&EventId(b)), EventId(a).to_string().cmp(&EventId(b).to_string()));
        }

        #[test]
        fn no_text_makes_the_parser_panic(text in ".{0,40}") {
            let _ = text.parse::<WorkflowId>();
        }
    }

    #[test]
    fn another_kind_of_id_is_refused_by_name() {
        let error = EventId(7).to_string().parse::<InvocationId>().unwrap_err();
        assert_eq!(error.to_string(), "expected an id that begins with `inv_`");
    }

    #[test]
    fn a_body_that_overflows_128_bits_is_refused() {
        assert!(format!("evt_8{}", "0".repeat(25)).parse::<EventId>().is_err());
        assert!(format!("evt_7{}", "z".repeat(25)).parse::<EventId>().is_ok());
    }
}
