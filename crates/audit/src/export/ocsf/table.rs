//! Which event is of which class, and what it was done to.
//!
//! The numbers are those of <https://schema.ocsf.io/1.3.0/classes>: Account Change 3001,
//! Authentication 3002, Entity Management 3004, User Access Management 3005, API Activity 6003.

use super::OTHER;

/// A class of the schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Class {
    AccountChange,
    Authentication,
    EntityManagement,
    UserAccess,
    ApiActivity,
}

impl Class {
    pub(super) const fn uid(self) -> u32 {
        match self {
            Self::AccountChange => 3001,
            Self::Authentication => 3002,
            Self::EntityManagement => 3004,
            Self::UserAccess => 3005,
            Self::ApiActivity => 6003,
        }
    }

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::AccountChange => "Account Change",
            Self::Authentication => "Authentication",
            Self::EntityManagement => "Entity Management",
            Self::UserAccess => "User Access Management",
            Self::ApiActivity => "API Activity",
        }
    }

    pub(super) const fn category(self) -> u32 {
        self.uid() / 1000
    }

    pub(super) const fn category_name(self) -> &'static str {
        match self {
            Self::ApiActivity => "Application Activity",
            _ => "Identity & Access Management",
        }
    }
}

/// How an event is shown.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rule {
    pub(super) action: &'static str,
    pub(super) class: Class,
    pub(super) activity: u8,
    /// The field with the id of what it was done to; empty if there is none.
    pub(super) subject: &'static str,
    /// What that is.
    pub(super) entity: &'static str,
    /// Whether somebody tried in vain.
    pub(super) failed: bool,
}

impl Rule {
    /// The name of the activity, as the class has it.
    pub(super) fn activity_name(&self) -> &'static str {
        let names: &[&str] = match self.class {
            Class::AccountChange => &["Create", "Enable", "", "", "Disable", "Delete"],
            Class::Authentication => &["Logon", "Logoff"],
            Class::EntityManagement | Class::ApiActivity => &["Create", "Read", "Update", "Delete"],
            Class::UserAccess => &["Assign Privileges", "Revoke Privileges"],
        };
        let index = usize::from(self.activity).wrapping_sub(1);
        names.get(index).copied().unwrap_or("Other")
    }
}

macro_rules! rules {
    ($($action:literal => $class:ident $activity:tt $subject:literal $entity:literal $(, $failed:ident)?;)*) => {
        pub(super) const RULES: &[Rule] = &[$(Rule {
            action: $action,
            class: Class::$class,
            activity: $activity,
            subject: $subject,
            entity: $entity,
            failed: rules!(@ $($failed)?),
        },)*];
    };
    (@ failed) => { true };
    (@) => { false };
}

const CREATE: u8 = 1;
const READ: u8 = 2;
const UPDATE: u8 = 3;
const DELETE: u8 = 4;
const LOGON: u8 = 1;
const LOGOFF: u8 = 2;
const ASSIGN: u8 = 1;
const REVOKE: u8 = 2;
const ACCOUNT_CREATE: u8 = 1;
const ACCOUNT_ENABLE: u8 = 2;
const ACCOUNT_DISABLE: u8 = 5;
const ACCOUNT_DELETE: u8 = 6;

rules! {
    "workspace_created" => EntityManagement CREATE "workspace" "workspace";
    "project_created" => EntityManagement CREATE "project" "project";
    "api_key_created" => EntityManagement CREATE "key" "api key";
    "api_key_rotated" => EntityManagement UPDATE "key" "api key";
    "api_key_revoked" => EntityManagement DELETE "key" "api key";
    "machine_client_created" => EntityManagement CREATE "client" "machine client";
    "machine_client_secret_rotated" => EntityManagement UPDATE "client" "machine client";
    "machine_client_keys_changed" => EntityManagement UPDATE "client" "machine client";
    "machine_client_revoked" => EntityManagement DELETE "client" "machine client";
    "access_token_issued" => Authentication LOGON "client" "machine client";
    "access_token_revoked" => Authentication LOGOFF "client" "machine client";
    "machine_authentication_refused" => Authentication LOGON "client" "machine client", failed;
    "data_key_created" => EntityManagement CREATE "key" "data key";
    "data_keys_rewrapped" => EntityManagement UPDATE "root_key" "data keys";
    "rotation_started" => EntityManagement UPDATE "key" "data key";
    "rotation_finished" => EntityManagement UPDATE "rotation" "data key";
    "signing_key_created" => EntityManagement CREATE "key" "signing key";
    "signing_key_rotated" => EntityManagement UPDATE "key" "signing key";

    "oauth_client_set" => EntityManagement UPDATE "client" "oauth client";
    "oauth_client_deleted" => EntityManagement DELETE "client" "oauth client";
    "connect_settings_set" => EntityManagement UPDATE "environment" "connect settings";
    "connect_session_created" => EntityManagement CREATE "session" "connect session";
    "connection_created" => EntityManagement CREATE "connection" "connection";
    "connection_policy_set" => EntityManagement UPDATE "connection" "connection";
    "connection_reconnected" => EntityManagement UPDATE "connection" "connection";
    "connection_refreshed" => EntityManagement UPDATE "connection" "connection";
    "connection_state_changed" => EntityManagement UPDATE "connection" "connection";
    "connection_deleted" => EntityManagement DELETE "connection" "connection";
    "connection_not_revoked" => EntityManagement UPDATE "connection" "connection";
    "revocation_started" => EntityManagement UPDATE "revocation" "connection";
    "revocation_finished" => EntityManagement UPDATE "revocation" "connection";
    "customer_deleted" => EntityManagement DELETE "customer" "customer";
    "credential_exported" => ApiActivity READ "connection" "connection";
    "app_override_set" => EntityManagement UPDATE "app_override" "app override";
    "app_override_deleted" => EntityManagement DELETE "app_override" "app override";
    "project_changed" => EntityManagement UPDATE "project" "project";
    "project_deleted" => EntityManagement DELETE "project" "project";
    "project_webhook_set" => EntityManagement UPDATE "environment" "project webhook";
    "project_webhook_key_rotated" => EntityManagement UPDATE "environment" "project webhook";
    "project_webhook_deleted" => EntityManagement DELETE "environment" "project webhook";
    "credential_used" => ApiActivity READ "connection" "connection";
    "placeholder_refused" => ApiActivity OTHER "connection" "connection", failed;
    "workflow_deployed" => EntityManagement UPDATE "workflow" "workflow";
    "component_published" => EntityManagement CREATE "component" "component";
    "component_deleted" => EntityManagement DELETE "component" "component";
    "workflow_run" => ApiActivity CREATE "invocation" "invocation";
    "invocation_replayed" => ApiActivity CREATE "invocation" "invocation";
    "invocation_canceled" => ApiActivity UPDATE "invocation" "invocation";
    "invocation_resumed" => ApiActivity UPDATE "invocation" "invocation";
    "invocation_deleted" => ApiActivity DELETE "invocation" "invocation";

    "claim_link_made" => EntityManagement CREATE "" "claim link";
    "installation_claimed" => UserAccess ASSIGN "user" "user";
    "identity_provider_set" => EntityManagement UPDATE "provider" "identity provider";
    "identity_provider_deleted" => EntityManagement DELETE "provider" "identity provider";
    "sso_policy_changed" => EntityManagement UPDATE "" "sign-in policy";
    "signed_in" => Authentication LOGON "user" "user";
    "sign_in_refused" => Authentication LOGON "user" "user", failed;
    "stepped_up" => Authentication LOGON "user" "user";
    "signed_out" => Authentication LOGOFF "user" "user";
    "session_revoked" => Authentication LOGOFF "user" "user";
    "identity_linked" => AccountChange OTHER "user" "user";

    "member_invited" => EntityManagement CREATE "invitation" "invitation";
    "invitation_revoked" => EntityManagement DELETE "invitation" "invitation";
    "member_joined" => AccountChange ACCOUNT_CREATE "member" "member";
    "member_provisioned" => AccountChange ACCOUNT_CREATE "member" "member";
    "member_updated" => AccountChange OTHER "member" "member";
    "member_deactivated" => AccountChange ACCOUNT_DISABLE "member" "member";
    "member_reactivated" => AccountChange ACCOUNT_ENABLE "member" "member";
    "member_removed" => AccountChange ACCOUNT_DELETE "member" "member";
    "group_created" => EntityManagement CREATE "group" "group";
    "group_updated" => EntityManagement UPDATE "group" "group";
    "group_deleted" => EntityManagement DELETE "group" "group";
    "role_granted" => UserAccess ASSIGN "member" "member";
    "role_revoked" => UserAccess REVOKE "member" "member";

    "permission_denied" => ApiActivity OTHER "" "", failed;
    "audit_exported" => ApiActivity READ "" "audit log";
    "audit_pruned" => ApiActivity DELETE "" "audit log";
    "audit_retention_changed" => EntityManagement UPDATE "" "audit retention";

    "access_requested" => EntityManagement CREATE "request" "staff access request";
    "access_approved" => UserAccess ASSIGN "user" "staff";
    "access_denied" => EntityManagement UPDATE "request" "staff access request";
    "access_ended" => UserAccess REVOKE "user" "staff";

    "webhook_endpoint_created" => EntityManagement CREATE "endpoint" "webhook endpoint";
    "webhook_endpoint_changed" => EntityManagement UPDATE "endpoint" "webhook endpoint";
    "webhook_endpoint_secret_rotated" => EntityManagement UPDATE "endpoint" "webhook endpoint";
    "webhook_endpoint_disabled" => EntityManagement UPDATE "endpoint" "webhook endpoint";
    "webhook_endpoint_enabled" => EntityManagement UPDATE "endpoint" "webhook endpoint";
    "webhook_endpoint_deleted" => EntityManagement DELETE "endpoint" "webhook endpoint";
    "webhooks_replayed" => ApiActivity CREATE "endpoint" "webhook endpoint";

    "report_received" => EntityManagement CREATE "report" "vulnerability report";
    "report_deleted" => EntityManagement DELETE "report" "vulnerability report";
}

/// How an event of another version of Causeway is shown.
const UNKNOWN: Rule = Rule {
    action: "",
    class: Class::ApiActivity,
    activity: OTHER,
    subject: "",
    entity: "",
    failed: false,
};

/// How events of a kind are shown.
pub(super) fn rule(action: &str) -> Rule {
    RULES.iter().find(|rule| rule.action == action).copied().unwrap_or(UNKNOWN)
}
