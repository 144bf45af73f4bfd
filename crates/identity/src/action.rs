//! The kinds of things that can be done, each a type, so that a permit for one is not a permit
//! for another.

use causeway_types::{Tenant, UnknownWord, WorkspaceId};

/// A kind of thing that can be done.
pub trait Action: sealed::Sealed {
    /// Its name.
    const NAME: ActionName;
    /// What it is done in: one environment ([`Tenant`]) or a whole workspace ([`WorkspaceId`]).
    type Within: Within;
}

/// What an action is done in.
pub trait Within: Copy + Send + Sync + sealed::Sealed {
    /// This, as far as the caller said where he is.
    fn of(place: Where) -> Option<Self>;
    /// The workspace.
    fn workspace(self) -> WorkspaceId;
    /// The environment, where it is one.
    fn environment(self) -> Option<Tenant>;
}

/// Where a caller is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Where {
    /// In one environment.
    Environment(Tenant),
    /// In a workspace, in none of its environments.
    Workspace(WorkspaceId),
}

impl Where {
    /// The workspace.
    pub fn workspace(self) -> WorkspaceId {
        match self {
            Self::Environment(tenant) => tenant.workspace,
            Self::Workspace(workspace) => workspace,
        }
    }

    /// The environment, if the caller named one.
    pub fn environment(self) -> Option<Tenant> {
        match self {
            Self::Environment(tenant) => Some(tenant),
            Self::Workspace(_) => None,
        }
    }
}

impl sealed::Sealed for Tenant {}
impl Within for Tenant {
    fn of(place: Where) -> Option<Self> {
        place.environment()
    }
    fn workspace(self) -> WorkspaceId {
        self.workspace
    }
    fn environment(self) -> Option<Tenant> {
        Some(self)
    }
}

impl sealed::Sealed for WorkspaceId {}
impl Within for WorkspaceId {
    fn of(place: Where) -> Option<Self> {
        Some(place.workspace())
    }
    fn workspace(self) -> WorkspaceId {
        self
    }
    fn environment(self) -> Option<Tenant> {
        None
    }
}

/// An action that Causeway itself does, without a caller: on events, and in the background.
pub trait NodeAction: Action {}

/// An action that a customer does with a connect token, on what is his own.
pub trait CustomerAction: Action {}

mod sealed {
    pub trait Sealed {}
}

macro_rules! actions {
    ($($(#[$doc:meta])* $name:ident = $text:literal in $within:ident $(, $step_up:ident)?;)*) => {
        $(
            $(#[$doc])*
            pub enum $name {}
            impl sealed::Sealed for $name {}
            impl Action for $name {
                const NAME: ActionName = ActionName::$name;
                type Within = $within;
            }
        )*

        /// The name of an action: stable, and what scopes and audit events are written with.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum ActionName { $($(#[$doc])* $name,)* }

        impl ActionName {
            /// Every action.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The name as text.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }

            /// Whether a person must have proved lately who they are.
            pub const fn steps_up(self) -> bool {
                match self { $(Self::$name => actions!(@ $($step_up)?),)* }
            }

            /// Whether it is done in one environment, and not in a whole workspace.
            pub const fn in_environment(self) -> bool {
                match self { $(Self::$name => actions!(# $within),)* }
            }

            const NAMES: &'static str = concat!($($text, " ",)*);
        }
    };
    (# Tenant) => { true };
    (# WorkspaceId) => { false };
    (@ step_up) => { true };
    (@) => { false };
}

actions! {
    /// Lists and shows workflows, versions, triggers and components.
    ReadWorkflows = "workflows.read" in Tenant;
    /// Makes and changes workflows by deploying them; publishes and deletes components.
    Deploy = "workflows.deploy" in Tenant;
    /// Lists and shows components, configures them and runs actions.
    RunComponents = "components.run" in Tenant;
    /// Sends a workflow an event by hand.
    RunWorkflow = "workflows.run" in Tenant;
    /// Lists and shows invocations with their steps, exports and logs.
    ReadInvocations = "invocations.read" in Tenant;
    /// Runs an event again.
    ReplayInvocation = "invocations.replay" in Tenant;
    /// Stops an invocation.
    CancelInvocation = "invocations.cancel" in Tenant;
    /// Lets an invocation go on that waits for somebody.
    ResumeInvocation = "invocations.resume" in Tenant;
    /// Deletes an invocation and what it holds.
    DeleteInvocation = "invocations.delete" in Tenant;
    /// Lists and shows connections and customers, never a credential.
    ReadConnections = "connections.read" in Tenant;
    /// Makes connect links, makes connections and deletes them.
    WriteConnections = "connections.write" in Tenant;
    /// Opens a credential in order to call the app with it. Causeway's own, for workflows.
    UseConnections = "connections.use" in Tenant;
    /// Calls an app through the proxy with a connection's credential, without seeing it.
    UseProxy = "proxy.use" in Tenant;
    /// Takes a connection's credential out in clear, where the environment's settings let it.
    ExportCredentials = "credentials.export" in Tenant, step_up;
    /// Sets and deletes the company's own OAuth clients.
    ManageOAuthClients = "oauth_clients.manage" in Tenant;
    /// Sets what concerns all connect pages: name, look, where customers may be sent back to, and
    /// whether credentials may be exported.
    ManageConnectSettings = "connect_settings.manage" in Tenant, step_up;
    /// Lists and shows webhook endpoints, never a secret, and what was sent to them.
    ReadWebhooks = "webhooks.read" in Tenant;
    /// Makes, changes and deletes webhook endpoints, and gives them new secrets.
    ManageWebhooks = "webhooks.manage" in Tenant;
    /// Sends webhooks again.
    ReplayWebhooks = "webhooks.replay" in Tenant;
    /// Shows the workspace's data keys and their rotation.
    ReadKeys = "keys.read" in WorkspaceId;
    /// Rotates the workspace's data key.
    RotateKeys = "keys.rotate" in WorkspaceId, step_up;
    /// Shows the catalogue.
    ReadApps = "apps.read" in WorkspaceId;
    /// Lists and shows API keys and machine clients, never a secret.
    ReadMachineAccess = "machine_access.read" in Tenant;
    /// Makes, rotates and revokes API keys and machine clients.
    ManageMachineAccess = "machine_access.manage" in Tenant, step_up;
    /// Shows the workspace, its projects and environments.
    ReadWorkspace = "workspace.read" in WorkspaceId;
    /// Makes, changes and deletes projects.
    ManageProjects = "projects.manage" in WorkspaceId;
    /// Lists and shows members, groups, roles and invitations.
    ReadMembers = "members.read" in WorkspaceId;
    /// Invites and removes members, changes groups and roles.
    ManageMembers = "members.manage" in WorkspaceId, step_up;
    /// Keeps members and groups as the company's directory has them (SCIM).
    ProvisionMembers = "members.provision" in WorkspaceId;
    /// Shows how people must sign in, and the identity providers.
    ReadSso = "sso.read" in WorkspaceId;
    /// Changes how people must sign in, and the identity providers.
    ManageSso = "sso.manage" in WorkspaceId, step_up;
    /// Reads and checks the audit chain.
    ReadAudit = "audit.read" in WorkspaceId;
    /// Takes the audit chain out.
    ExportAudit = "audit.export" in WorkspaceId;
    /// Changes how long events are kept.
    ManageAudit = "audit.manage" in WorkspaceId, step_up;
    /// Shows who has what access and who uses it.
    ReviewAccess = "access.review" in WorkspaceId;
    /// Sees and decides the staff's requests for access to this workspace.
    DecideAccess = "access.decide" in WorkspaceId, step_up;
    /// Asks for access to a workspace, as staff. In the installation only.
    RequestAccess = "staff.request" in WorkspaceId;
    /// Decides other staff's requests for access. In the installation only.
    ApproveStaff = "staff.approve" in WorkspaceId, step_up;
    /// Makes and lists workspaces. In the installation only.
    ManageWorkspaces = "installation.workspaces" in WorkspaceId, step_up;
    /// Reads the reports of vulnerabilities. In the installation only.
    ReadReports = "installation.reports" in WorkspaceId;
}

impl NodeAction for UseConnections {}
impl NodeAction for RunWorkflow {}

impl CustomerAction for ReadConnections {}
impl CustomerAction for WriteConnections {}
impl CustomerAction for UseProxy {}
impl CustomerAction for RunComponents {}

impl std::fmt::Display for ActionName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

impl std::str::FromStr for ActionName {
    type Err = UnknownWord;

    fn from_str(text: &str) -> Result<Self, UnknownWord> {
        Self::ALL.iter().copied().find(|name| name.as_str() == text).ok_or_else(|| UnknownWord {
            found: text.to_owned(),
            allowed: Self::NAMES.trim_ascii_end(),
        })
    }
}
