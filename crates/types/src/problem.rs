//! Problem codes: the stable names of everything that can go wrong for a caller.
//!
//! One registry: each code has a [`Kind`], which fixes the HTTP status and the CLI's exit code,
//! and a title. `docs/problems/<code>.md` explains each to users; `cargo xtask tidy` checks that.

use std::borrow::Cow;

/// What sort of failure it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// The request is wrong and will stay wrong.
    Invalid,
    /// Who asks is not known.
    Unauthenticated,
    /// Who asks is known and may not.
    Denied,
    /// There is no such thing, or the caller may not know that there is.
    Missing,
    /// The thing is in a state that does not allow this.
    Conflict,
    /// The request is larger than its limit.
    TooLarge,
    /// Too many requests.
    Limited,
    /// A third party answered wrongly or not at all.
    Upstream,
    /// What was asked for goes on, and its answer did not come in time.
    Timeout,
    /// Causeway cannot do it now; the same request may succeed later.
    Unavailable,
    /// A defect or a broken installation.
    Internal,
}

impl Kind {
    /// The HTTP status of this kind (RFC 9110 section 15).
    pub const fn status(self) -> u16 {
        match self {
            Self::Invalid => 400,
            Self::Unauthenticated => 401,
            Self::Denied => 403,
            Self::Missing => 404,
            Self::Conflict => 409,
            Self::TooLarge => 413,
            Self::Limited => 429,
            Self::Internal => 500,
            Self::Upstream => 502,
            Self::Unavailable => 503,
            Self::Timeout => 504,
        }
    }
}

/// An error that has a place in the registry of problems.
pub trait Coded: std::error::Error {
    /// Its stable code.
    fn code(&self) -> Code;

    /// What the caller is told: what, where and what to do. Never the internal chain.
    fn public(&self) -> Cow<'static, str>;
}

/// An error with its causes, on one line: for the log, never for a caller.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        next = cause.source();
    }
    text
}

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $code:literal, $kind:ident, $title:literal;)*) => {
        /// A stable problem code.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Code { $($(#[$doc])* $name,)* }

        impl Code {
            /// Every code, in the order of the registry.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The code as it stands in responses and in `docs/problems/`.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $code,)* }
            }

            /// What sort of failure it is.
            pub const fn kind(self) -> Kind {
                match self { $(Self::$name => Kind::$kind,)* }
            }

            /// One line for people.
            pub const fn title(self) -> &'static str {
                match self { $(Self::$name => $title,)* }
            }
        }
    };
}

codes! {
    /// A body that is not JSON.
    InvalidJson = "invalid_json", Invalid, "The request body is not valid JSON";
    /// JSON of the wrong shape, or an unknown field.
    InvalidRequest = "invalid_request", Invalid, "The request does not have the expected form";
    /// An id of the wrong kind or form.
    InvalidId = "invalid_id", Invalid, "An id in the request is malformed";
    /// A cursor that no page of this listing handed out.
    InvalidCursor = "invalid_cursor", Invalid, "The page cursor is not one of this listing";
    /// A body over its limit.
    BodyTooLarge = "body_too_large", TooLarge, "The request body is larger than its limit";
    /// No API key, or one that is unknown, revoked or expired.
    Unauthenticated = "unauthenticated", Unauthenticated, "The request carries no valid API key";
    /// The caller may not do this.
    Denied = "denied", Denied, "The caller may not do this";
    /// The caller may, once he has proved again who he is.
    StepUpRequired = "step_up_required", Denied, "This needs a fresh sign-in";
    /// The sign-in does not meet what the workspace demands.
    SsoRequired = "sso_required", Denied, "The workspace demands another way of signing in";
    /// A signed-in person has not said in which environment, or in which workspace.
    EnvironmentRequired = "environment_required", Invalid, "The request does not say where it is to act";
    /// A request with a session's cookie that does not come from this server's own pages.
    CrossSite = "cross_site", Denied, "The request comes from another site";
    /// Too many requests from here.
    RateLimited = "rate_limited", Limited, "Too many requests";
    /// The sign-in could not be completed.
    SignInFailed = "sign_in_failed", Invalid, "The sign-in could not be completed";
    /// The claim link or the invitation has been used, revoked or has expired.
    LinkSpent = "link_spent", Conflict, "The link has been used or has expired";
    /// The e-mail address cannot be used.
    InvalidEmail = "invalid_email", Invalid, "The e-mail address cannot be used";
    /// The workspace would be left without an owner.
    LastOwner = "last_owner", Conflict, "A workspace needs an owner";
    /// The request for access has been decided, has ended or waits no more.
    AccessSettled = "access_settled", Conflict, "The request for access is settled";
    /// There is one of this name already.
    Taken = "taken", Conflict, "There is one of this name already";
    /// The audit chain does not hold.
    AuditBroken = "audit_broken", Conflict, "The audit chain does not hold";
    /// No such route.
    UnknownRoute = "unknown_route", Missing, "There is no such address in this API";
    /// The route exists for other methods.
    WrongMethod = "wrong_method", Invalid, "This address does not take this method";
    /// No such record for this caller.
    NotFound = "not_found", Missing, "There is no such record";
    /// An `Idempotency-Key` was used before with another request.
    IdempotencyMismatch = "idempotency_mismatch", Conflict, "The Idempotency-Key was used for another request";
    /// The same `Idempotency-Key` is being worked on.
    IdempotencyInProgress = "idempotency_in_progress", Conflict, "A request with this Idempotency-Key is still running";
    /// `workflow.yaml` is wrong.
    InvalidManifest = "invalid_manifest", Invalid, "The workflow's manifest is not valid";
    /// A step's file is missing or too large.
    InvalidCode = "invalid_code", Invalid, "A file of the workflow cannot be used";
    /// A step's code does not parse, or imports what does not exist.
    SyntaxError = "syntax_error", Invalid, "The code does not parse";
    /// A folder that holds no component, or one that cannot be used.
    InvalidComponent = "invalid_component", Invalid, "The component cannot be used";
    /// This version of the component has been published with other content.
    ComponentVersionTaken = "component_version_taken", Conflict, "This version of the component has other content";
    /// What says which packages a workflow has cannot be used.
    InvalidLock = "invalid_lock", Invalid, "The workflow's list of packages cannot be used";
    /// No set of packages fits what the workflow asks for.
    PackagesUnresolved = "packages_unresolved", Invalid, "No set of packages fits";
    /// A lock names a place that is not the server's registry.
    ForeignRegistry = "foreign_registry", Invalid, "A package is to come from elsewhere than the registry";
    /// An archive is not the one that the lock names.
    IntegrityMismatch = "integrity_mismatch", Invalid, "A package is not what the lock says";
    /// A version of a package was published too short a time ago.
    ReleaseTooYoung = "release_too_young", Invalid, "A package's version is too young";
    /// An archive holds what no package may.
    UnsafePackage = "unsafe_package", Invalid, "A package cannot be unpacked safely";
    /// An install script that may run has failed.
    InstallScriptFailed = "install_script_failed", Invalid, "An install script failed";
    /// The registry of packages does not answer as one.
    RegistryUnavailable = "registry_unavailable", Unavailable, "The registry of packages cannot be used";
    /// The server's machine has no npm or pip.
    InstallerUnavailable = "installer_unavailable", Unavailable, "The server has nothing to choose packages with";
    /// The catalogue has no such app.
    UnknownApp = "unknown_app", Invalid, "The catalogue has no such app";
    /// The workflow names a connection that does not exist.
    MissingConnection = "missing_connection", Conflict, "The workflow names a connection that does not exist";
    /// The app offers no such way to connect.
    UnsupportedScheme = "unsupported_scheme", Invalid, "The app does not offer this way to connect";
    /// A credential that the app refuses.
    CredentialRefused = "credential_refused", Invalid, "The app refused the credential";
    /// No OAuth client is configured for the app.
    MissingOAuthClient = "missing_oauth_client", Conflict, "No OAuth client is configured for this app";
    /// An OAuth client that connections depend on.
    OAuthClientInUse = "oauth_client_in_use", Conflict, "Connections were made with this OAuth client";
    /// Another connection of the environment has this name.
    ConnectionNameTaken = "connection_name_taken", Conflict, "Another connection has this name";
    /// A connect link that is unknown, used up or too old.
    ConnectLinkSpent = "connect_link_spent", Missing, "The connect link has been used or has expired";
    /// An OAuth answer that does not belong to a flow of this browser.
    StateMismatch = "state_mismatch", Invalid, "The answer does not belong to a connection that was started in this browser";
    /// The authorization server answered with an error.
    AuthorizationRefused = "authorization_refused", Invalid, "The app did not grant access";
    /// A connection that has to be connected again.
    NeedsReauth = "needs_reauth", Conflict, "The connection has to be connected again";
    /// A third party could not be reached or answered wrongly.
    UpstreamFailed = "upstream_failed", Upstream, "A third party did not answer as it should";
    /// A third party did not answer in time.
    UpstreamTimeout = "upstream_timeout", Timeout, "A third party did not answer in time";
    /// The target of a call is not one of the app's hosts.
    HostNotAllowed = "host_not_allowed", Denied, "The host is not one of the app's";
    /// The connection's policy does not name the call.
    CallNotAllowed = "call_not_allowed", Denied, "The connection's policy does not allow this call";
    /// The environment's settings do not let credentials out.
    CredentialExportOff = "credential_export_off", Denied, "Credentials are not exported here";
    /// A project that still holds something, or the caller himself.
    ProjectInUse = "project_in_use", Conflict, "The project is in use";
    /// The egress guard refuses an address.
    EgressRefused = "egress_refused", Denied, "The address may not be reached from here";
    /// The workflow has no active version.
    NotDeployed = "not_deployed", Conflict, "The workflow has no active version";
    /// The invocation is still under way.
    InvocationActive = "invocation_active", Conflict, "The invocation is still under way";
    /// The invocation has ended.
    InvocationEnded = "invocation_ended", Conflict, "The invocation has ended";
    /// The queue of the workflow is full.
    QueueFull = "queue_full", Limited, "The workflow's queue is full";
    /// The workflow did not answer in time.
    ResponseTimeout = "response_timeout", Timeout, "The workflow did not answer in time";
    /// The workflow failed before it answered.
    WorkflowFailed = "workflow_failed", Upstream, "The workflow failed before it answered";
    /// The endpoint gets no webhooks while it is disabled.
    WebhookEndpointDisabled = "webhook_endpoint_disabled", Conflict, "The webhook endpoint is disabled";
    /// A rotation of the data key is under way.
    RotationActive = "rotation_active", Conflict, "A key rotation is already under way";
    /// The database does not answer.
    StoreUnavailable = "store_unavailable", Unavailable, "The database does not answer";
    /// The root key cannot be used.
    RootKeyUnavailable = "root_key_unavailable", Unavailable, "The root key cannot be used";
    /// No sandbox can be started here.
    SandboxUnavailable = "sandbox_unavailable", Unavailable, "No sandbox can be started";
    /// The server is stopping.
    ShuttingDown = "shutting_down", Unavailable, "The server is stopping";
    /// A defect.
    Internal = "internal", Internal, "Something went wrong inside Causeway";
}

impl std::fmt::Display for Code {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}
