//! The kinds of things that can be done, each a type, so that a permit for one is not a permit
//! for another.

/// A kind of thing that can be done in an environment.
pub trait Action: sealed::Sealed {
    /// Its name.
    const NAME: ActionName;
}

/// An action that Causeway itself does, without a caller: on events, and in the background.
pub trait NodeAction: Action {}

mod sealed {
    pub trait Sealed {}
}

macro_rules! actions {
    ($($(#[$doc:meta])* $name:ident = $text:literal;)*) => {
        $(
            $(#[$doc])*
            pub enum $name {}
            impl sealed::Sealed for $name {}
            impl Action for $name {
                const NAME: ActionName = ActionName::$name;
            }
        )*

        /// The name of an action: stable, and what scopes and audit events are written with.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum ActionName { $($(#[$doc])* $name,)* }

        impl ActionName {
            /// Every action.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The name as text.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }
        }
    };
}

actions! {
    /// Lists and shows workflows, versions and triggers.
    ReadWorkflows = "workflows.read";
    /// Makes and changes workflows by deploying them.
    Deploy = "workflows.deploy";
    /// Sends a workflow an event by hand.
    RunWorkflow = "workflows.run";
    /// Lists and shows invocations with their steps, exports and logs.
    ReadInvocations = "invocations.read";
    /// Runs an event again.
    ReplayInvocation = "invocations.replay";
    /// Deletes an invocation and what it holds.
    DeleteInvocation = "invocations.delete";
    /// Lists and shows connections and customers, never a credential.
    ReadConnections = "connections.read";
    /// Makes connect links, makes connections and deletes them.
    WriteConnections = "connections.write";
    /// Opens a credential in order to call the app with it. Causeway's own, for workflows.
    UseConnections = "connections.use";
    /// Sets and deletes the company's own OAuth clients.
    ManageOAuthClients = "oauth_clients.manage";
    /// Shows the workspace's data keys and their rotation.
    ReadKeys = "keys.read";
    /// Rotates the workspace's data key.
    RotateKeys = "keys.rotate";
    /// Shows the catalogue.
    ReadApps = "apps.read";
}

impl NodeAction for UseConnections {}
impl NodeAction for RunWorkflow {}

impl std::fmt::Display for ActionName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}
