//! The audit chain. Every row's hash covers the hash of the row before it, so that a row changed,
//! moved or taken out shows; the head shows a tail cut off.

use crate::tx::WriteTx;
use crate::{Error, ReadConn, Result, db};
use aws_lc_rs::digest;
use causeway_types::entity::AuditRow;
use causeway_types::entity::{Role, WebhookDisabledReason};
use causeway_types::{
    AccessRequestId, ApiKeyId, AppOverrideId, ComponentId, ConnectSessionId, ConnectionId,
    ConnectionRevocationId, CustomerId, DataKeyId, EnvironmentId, GroupId, InvitationId,
    InvocationId, MachineClientId, MemberId, OAuthClientId, ProjectId, ProviderId, ReportId,
    RoleGrantId, RotationId, SessionId, SigningKeyId, Timestamp, UserId, VersionId,
    WebhookDeliveryId, WebhookEndpointId, WorkflowId, WorkspaceId,
};
use serde::Serialize;
use std::future::Future;

/// Something that somebody, or Causeway itself, decided and did.
#[derive(Debug, Clone, Serialize)]
#[serde(tag = "action", rename_all = "snake_case")]
#[expect(
    missing_docs,
    reason = "each event's name says what happened; its fields are ids and names"
)]
pub enum Audit {
    WorkspaceCreated {
        workspace: WorkspaceId,
        name: String,
    },
    ApiKeyCreated {
        key: ApiKeyId,
        name: String,
    },
    DataKeyCreated {
        key: DataKeyId,
        root_key: String,
    },
    DataKeysRewrapped {
        root_key: String,
        keys: usize,
    },
    RotationStarted {
        rotation: RotationId,
        key: DataKeyId,
    },
    RotationFinished {
        rotation: RotationId,
        records: i64,
    },
    OauthClientSet {
        client: OAuthClientId,
        app: String,
    },
    OauthClientDeleted {
        client: OAuthClientId,
        app: String,
    },
    ConnectSettingsSet {
        environment: EnvironmentId,
        changed: Vec<String>,
        credential_export: bool,
    },
    ConnectSessionCreated {
        session: ConnectSessionId,
        customer: CustomerId,
        app: String,
    },
    ConnectionCreated {
        connection: ConnectionId,
        customer: CustomerId,
        app: String,
    },
    ConnectionReconnected {
        connection: ConnectionId,
    },
    ConnectionPolicySet {
        connection: ConnectionId,
        confined: bool,
    },
    ConnectionRefreshed {
        connection: ConnectionId,
    },
    ConnectionStateChanged {
        connection: ConnectionId,
        state: String,
        reason: String,
    },
    ConnectionDeleted {
        connection: ConnectionId,
        app: String,
        revoked_upstream: String,
    },
    ConnectionNotRevoked {
        connection: ConnectionId,
        app: String,
        reason: String,
    },
    RevocationStarted {
        revocation: ConnectionRevocationId,
        customer: Option<CustomerId>,
        app: Option<String>,
        name: Option<String>,
        created_before: Option<Timestamp>,
        unused_since: Option<Timestamp>,
    },
    RevocationFinished {
        revocation: ConnectionRevocationId,
        revoked: i64,
        not_offered: i64,
        failed: i64,
    },
    WorkflowDeployed {
        workflow: WorkflowId,
        version: VersionId,
        number: i64,
        /// The connections whose credentials its code gets itself.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        exposes: Vec<String>,
        /// The packages whose install scripts ran.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        install_scripts: Vec<String>,
    },
    ComponentPublished {
        component: ComponentId,
        key: String,
        version: String,
        /// The hosts that its code may reach beyond those of its apps.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        egress: Vec<String>,
    },
    ComponentDeleted {
        component: ComponentId,
        key: String,
        version: String,
    },
    WorkflowRun {
        workflow: WorkflowId,
        version: VersionId,
        invocation: InvocationId,
    },
    InvocationReplayed {
        invocation: InvocationId,
        replay: InvocationId,
    },
    InvocationCanceled {
        invocation: InvocationId,
    },
    InvocationResumed {
        invocation: InvocationId,
    },
    InvocationDeleted {
        invocation: InvocationId,
    },

    ProjectCreated {
        project: ProjectId,
        name: String,
    },

    ApiKeyRotated {
        key: ApiKeyId,
        successor: ApiKeyId,
        old_until: Timestamp,
    },
    ApiKeyRevoked {
        key: ApiKeyId,
    },
    MachineClientCreated {
        client: MachineClientId,
        name: String,
        environment: EnvironmentId,
    },
    MachineClientSecretRotated {
        client: MachineClientId,
        old_until: Option<Timestamp>,
    },
    MachineClientKeysChanged {
        client: MachineClientId,
        keys: Vec<String>,
    },
    MachineClientRevoked {
        client: MachineClientId,
    },
    AccessTokenIssued {
        client: MachineClientId,
        token: String,
        method: String,
    },
    AccessTokenRevoked {
        client: MachineClientId,
        token: String,
    },
    MachineAuthenticationRefused {
        client: MachineClientId,
        reason: String,
    },
    SigningKeyCreated {
        key: SigningKeyId,
        purpose: String,
    },
    SigningKeyRotated {
        key: SigningKeyId,
        successor: SigningKeyId,
        purpose: String,
    },

    ClaimLinkMade {},
    InstallationClaimed {
        user: UserId,
        email: String,
    },
    IdentityProviderSet {
        provider: ProviderId,
        kind: String,
        issuer: String,
    },
    IdentityProviderDeleted {
        provider: ProviderId,
    },
    SsoPolicyChanged {
        rules: serde_json::Value,
    },
    SignedIn {
        user: UserId,
        session: SessionId,
        provider: ProviderId,
        mfa: bool,
    },
    SignInRefused {
        provider: Option<ProviderId>,
        reason: String,
        email: Option<String>,
    },
    SteppedUp {
        user: UserId,
        session: SessionId,
        mfa: bool,
    },
    SignedOut {
        user: UserId,
        session: SessionId,
    },
    SessionRevoked {
        user: UserId,
        session: SessionId,
    },
    IdentityLinked {
        user: UserId,
        provider: ProviderId,
    },

    MemberInvited {
        invitation: InvitationId,
        email: String,
        role: Role,
        project: Option<ProjectId>,
    },
    InvitationRevoked {
        invitation: InvitationId,
    },
    MemberJoined {
        member: MemberId,
        user: Option<UserId>,
        email: String,
        invitation: Option<InvitationId>,
    },
    MemberProvisioned {
        member: MemberId,
        email: String,
    },
    MemberUpdated {
        member: MemberId,
        changed: Vec<String>,
    },
    MemberDeactivated {
        member: MemberId,
        sessions_ended: i64,
    },
    MemberReactivated {
        member: MemberId,
    },
    MemberRemoved {
        member: MemberId,
        email: String,
        sessions_ended: i64,
    },
    GroupCreated {
        group: GroupId,
        name: String,
    },
    GroupUpdated {
        group: GroupId,
        changed: Vec<String>,
        added: Vec<MemberId>,
        removed: Vec<MemberId>,
    },
    GroupDeleted {
        group: GroupId,
        name: String,
    },
    RoleGranted {
        grant: RoleGrantId,
        member: Option<MemberId>,
        group: Option<GroupId>,
        role: Role,
        project: Option<ProjectId>,
    },
    RoleRevoked {
        grant: RoleGrantId,
        member: Option<MemberId>,
        group: Option<GroupId>,
        role: Role,
    },

    PermissionDenied {
        permission: String,
        reason: String,
        times: i64,
    },
    CredentialUsed {
        connection: ConnectionId,
        times: i64,
        since: Timestamp,
    },
    PlaceholderRefused {
        invocation: InvocationId,
        step: String,
        connection: ConnectionId,
        field: String,
        host: String,
        place: String,
    },
    AuditExported {
        first: i64,
        last: i64,
        format: String,
    },
    AuditPruned {
        through: i64,
        rows: i64,
        hash: String,
        days: i64,
        signing_key: SigningKeyId,
        signature: String,
    },
    AuditRetentionChanged {
        days: Option<i64>,
        signing_key: SigningKeyId,
        signature: String,
    },

    AccessRequested {
        request: AccessRequestId,
        user: UserId,
        role: Role,
        reason: String,
        minutes: i64,
    },
    AccessApproved {
        request: AccessRequestId,
        user: UserId,
        role: Role,
        expires: Timestamp,
    },
    AccessDenied {
        request: AccessRequestId,
        user: UserId,
    },
    AccessEnded {
        request: AccessRequestId,
        user: UserId,
    },

    CustomerDeleted {
        customer: CustomerId,
        connections: usize,
    },
    CredentialExported {
        connection: ConnectionId,
    },
    AppOverrideSet {
        app_override: AppOverrideId,
        app: String,
    },
    AppOverrideDeleted {
        app_override: AppOverrideId,
        app: String,
    },
    ProjectChanged {
        project: ProjectId,
        changed: Vec<String>,
    },
    ProjectDeleted {
        project: ProjectId,
        name: String,
    },
    ProjectWebhookSet {
        environment: EnvironmentId,
        host: String,
    },
    ProjectWebhookKeyRotated {
        environment: EnvironmentId,
    },
    ProjectWebhookDeleted {
        environment: EnvironmentId,
    },

    WebhookEndpointCreated {
        endpoint: WebhookEndpointId,
        host: String,
    },
    WebhookEndpointChanged {
        endpoint: WebhookEndpointId,
        changed: Vec<String>,
    },
    WebhookEndpointSecretRotated {
        endpoint: WebhookEndpointId,
        old_until: Timestamp,
    },
    WebhookEndpointDisabled {
        endpoint: WebhookEndpointId,
        reason: WebhookDisabledReason,
    },
    WebhookEndpointEnabled {
        endpoint: WebhookEndpointId,
        replayed: u64,
    },
    WebhookEndpointDeleted {
        endpoint: WebhookEndpointId,
    },
    WebhooksReplayed {
        endpoint: WebhookEndpointId,
        delivery: Option<WebhookDeliveryId>,
        deliveries: u64,
    },

    ReportReceived {
        report: ReportId,
    },
    ReportDeleted {
        report: ReportId,
    },
}

/// From where something was done. It stands in the event under `via`.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Origin {
    /// The request's id, under which the server's log has its lines.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request: Option<String>,
    /// The caller's address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
}

tokio::task_local! {
    static ORIGIN: Origin;
}

/// Lets every event written inside `future` say that it came from `origin`. Tasks spawned inside
/// do not inherit it: pass [`origin`] on to them.
pub async fn with_origin<F: Future>(origin: Origin, future: F) -> F::Output {
    ORIGIN.scope(origin, future).await
}

/// From where the current task acts.
pub fn origin() -> Origin {
    ORIGIN.try_with(Clone::clone).unwrap_or_default()
}

/// Where a chain does not hold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AuditBreak {
    /// A row is missing or stands in another place.
    #[error("row {expected} is missing: row {found} follows row {}", expected - 1)]
    Gap {
        /// The number that should come.
        expected: i64,
        /// The number that comes.
        found: i64,
    },
    /// A row is not what was written.
    #[error("row {seq} has been changed, or a row before it")]
    Changed {
        /// Its number.
        seq: i64,
    },
    /// The chain is shorter than its head says.
    #[error("the chain ends at row {found}, but {expected} rows were written")]
    Cut {
        /// Rows written.
        expected: i64,
        /// Rows found.
        found: i64,
    },
}

pub(crate) async fn append(
    tx: &mut WriteTx,
    workspace: WorkspaceId,
    now: Timestamp,
    event: &Audit,
) -> Result<()> {
    let mut detail = serde_json::to_value(event).map_err(Error::AuditEncoding)?;
    let via = serde_json::to_value(origin()).map_err(Error::AuditEncoding)?;
    if let Some(fields) = detail.as_object_mut()
        && via.as_object().is_some_and(|via| !via.is_empty())
    {
        fields.insert("via".to_owned(), via);
    }
    let action =
        detail.get("action").and_then(serde_json::Value::as_str).unwrap_or_default().to_owned();
    let head = db!(tx, audit::advance_head(workspace))?
        .ok_or_else(|| Error::NoAuditChain { workspace: workspace.to_string() })?;
    let mut row = AuditRow {
        seq: head.seq,
        at: now,
        actor: tx.actor().to_string(),
        action,
        detail: detail.to_string(),
        hash: Vec::new(),
    };
    row.hash = hash(workspace, &head.hash, &row);
    db!(tx, audit::insert(workspace, &row))?;
    db!(tx, audit::set_head_hash(workspace, &row.hash))
}

/// SHA-256 over the previous hash and the row, each part preceded by its length, so that no two
/// different rows give the same input.
fn hash(workspace: WorkspaceId, previous: &[u8], row: &AuditRow) -> Vec<u8> {
    let mut context = digest::Context::new(&digest::SHA256);
    let mut part = |bytes: &[u8]| {
        context.update(&u64::try_from(bytes.len()).unwrap_or(u64::MAX).to_be_bytes());
        context.update(bytes);
    };
    part(b"causeway audit v1");
    part(previous);
    part(workspace.to_string().as_bytes());
    part(&row.seq.to_be_bytes());
    part(&row.at.as_micros().to_be_bytes());
    part(row.actor.as_bytes());
    part(row.action.as_bytes());
    part(row.detail.as_bytes());
    context.finish().as_ref().to_vec()
}

/// Where a walk along a chain stands: at a row that it believes.
#[derive(Debug, Clone)]
pub struct Link {
    workspace: WorkspaceId,
    seq: i64,
    hash: Vec<u8>,
}

impl Link {
    /// Before the first row: its predecessor's number is 0, and its hash 32 bytes of 0.
    pub fn beginning(workspace: WorkspaceId) -> Self {
        Self::at(workspace, 0, vec![0; 32])
    }

    /// At a row of which something else proves the hash.
    pub fn at(workspace: WorkspaceId, seq: i64, hash: Vec<u8>) -> Self {
        Self { workspace, seq, hash }
    }

    /// The row's number.
    pub fn seq(&self) -> i64 {
        self.seq
    }

    /// The row's hash.
    pub fn hash(&self) -> &[u8] {
        &self.hash
    }

    /// Whether a row with this number and hash would be the next one.
    pub fn fits(&self, row: &AuditRow) -> bool {
        hash(self.workspace, &self.hash, row) == row.hash
    }

    /// Goes on to the next row.
    ///
    /// # Errors
    /// If the row is not the next one; the walk stays where it was.
    pub fn follow(&mut self, row: AuditRow) -> std::result::Result<(), AuditBreak> {
        let expected = self.seq + 1;
        if row.seq != expected {
            return Err(AuditBreak::Gap { expected, found: row.seq });
        }
        if !self.fits(&row) {
            return Err(AuditBreak::Changed { seq: row.seq });
        }
        self.seq = row.seq;
        self.hash = row.hash;
        Ok(())
    }
}

/// Checks a workspace's whole chain as far as that can be done without keys: the rows from the
/// first on, and the head. `Ok(Ok(n))`: it holds and has `n` rows. The signed checkpoints, and
/// chains whose beginning was pruned, are `causeway-audit`'s.
pub async fn verify_chain(
    conn: &mut ReadConn,
    workspace: WorkspaceId,
) -> Result<std::result::Result<i64, AuditBreak>> {
    let mut link = Link::beginning(workspace);
    loop {
        let rows = db!(conn, audit::page(workspace, link.seq(), 500))?;
        if rows.is_empty() {
            break;
        }
        for row in rows {
            if let Err(broken) = link.follow(row) {
                return Ok(Err(broken));
            }
        }
    }
    let head = db!(conn, audit::head(workspace))?
        .ok_or_else(|| Error::NoAuditChain { workspace: workspace.to_string() })?;
    let last = link.seq();
    if head.seq != last || (last > 0 && head.hash != link.hash()) {
        return Ok(Err(AuditBreak::Cut { expected: head.seq, found: last }));
    }
    Ok(Ok(last))
}
