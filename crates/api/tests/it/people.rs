//! People in a workspace, with a session each, put straight into the store: how they come in for
//! real is shown by the tests of the sign-in.

use crate::kit::{World, value};
use axum::body::Body;
use axum::http::{Method, Request, header};
use causeway_identity::token::{self, Plain};
use causeway_store::{Audit, db};
use causeway_types::entity::{
    IdentityProvider, Member, MemberOrigin, MemberState, ProviderKind, Role, RoleGrant, Session,
    User,
};
use causeway_types::place::Sealed;
use causeway_types::{
    Actor, Clock, EnvironmentId, INSTALLATION, MemberId, OsRandom, ProjectId, ProviderId,
    RoleGrantId, SessionId, Timestamp, UserId, WorkspaceId,
};
use serde_json::Value;
use std::time::Duration;

/// Somebody who is signed in.
pub(crate) struct Somebody {
    pub(crate) user: UserId,
    pub(crate) session: SessionId,
    /// Their place in the workspace, if they have one.
    pub(crate) member: Option<MemberId>,
    /// The cookie's value.
    pub(crate) cookie: String,
}

/// Where a request says that it acts.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Named {
    Environment(EnvironmentId),
    Workspace(WorkspaceId),
}

impl Somebody {
    /// A request in the session, from a page of the server's own.
    pub(crate) fn request(
        &self,
        named: Option<Named>,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Request<Body> {
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::COOKIE, format!("causeway_8400={}", self.cookie))
            .header(header::ORIGIN, "http://127.0.0.1:8400")
            .header(header::CONTENT_TYPE, "application/json")
            .body(body.map_or_else(Body::empty, |body| body.to_string().into()))
            .unwrap();
        let (name, text) = match named {
            Some(Named::Environment(id)) => ("causeway-environment", id.to_string()),
            Some(Named::Workspace(id)) => ("causeway-workspace", id.to_string()),
            None => return request,
        };
        request.headers_mut().insert(name, value(&text));
        request
    }
}

impl World {
    /// Somebody who just signed in and is nowhere a member.
    pub(crate) async fn somebody(&self, email: &str) -> Somebody {
        self.somebody_since(email, self.clock.now()).await
    }

    /// The same, with the time of the sign-in.
    pub(crate) async fn somebody_since(&self, email: &str, at: Timestamp) -> Somebody {
        let provider = self.provider().await;
        let now = self.clock.now();
        let user = User {
            id: UserId::generate(now, &OsRandom),
            workspace_id: INSTALLATION,
            email: email.to_owned(),
            name: "Somebody".to_owned(),
            created_at: now,
            signed_in_at: at,
        };
        let plain = Plain::<token::Session>::generate(&OsRandom);
        let session = Session {
            id: SessionId::generate(now, &OsRandom),
            user_id: user.id,
            provider_id: provider,
            digest: plain.keyed_digest(self.own_keys.token()).to_vec(),
            email: email.to_owned(),
            hosted_domain: None,
            authentication: "{}".to_owned(),
            authenticated_at: at,
            mfa_at: None,
            address: "192.0.2.7".to_owned(),
            user_agent: "test".to_owned(),
            created_at: at,
            last_seen_at: now,
            expires_at: at.plus(Duration::from_hours(24)),
            revoked_at: None,
        };
        let mut tx = self.store().write(Actor::Machine).await.unwrap();
        db!(tx, user::insert(&user)).unwrap();
        db!(tx, session::insert(&session)).unwrap();
        let event = Audit::SignedIn { user: user.id, session: session.id, provider, mfa: false };
        tx.commit(INSTALLATION, now, event).await.unwrap();
        Somebody {
            user: user.id,
            session: session.id,
            member: None,
            cookie: plain.reveal().expose().clone(),
        }
    }

    /// A member of a workspace with one role, in all of it or in one project.
    pub(crate) async fn member(
        &self,
        workspace: WorkspaceId,
        role: Role,
        project: Option<ProjectId>,
    ) -> Somebody {
        let noise = UserId::generate(self.clock.now(), &OsRandom);
        let email = format!("{role}.{noise}@example.com");
        let mut person = self.somebody(&email).await;
        let now = self.clock.now();
        let member = Member {
            id: MemberId::generate(now, &OsRandom),
            workspace_id: workspace,
            user_id: Some(person.user),
            email: email.clone(),
            name: "Somebody".to_owned(),
            external_id: None,
            origin: MemberOrigin::Invitation,
            state: MemberState::Active,
            created_at: now,
            updated_at: now,
            last_active_at: None,
        };
        let grant = RoleGrant {
            id: RoleGrantId::generate(now, &OsRandom),
            workspace_id: workspace,
            member_id: Some(member.id),
            group_id: None,
            role,
            project_id: project,
            created_at: now,
        };
        let mut tx = self.store().write(Actor::Machine).await.unwrap();
        db!(tx, member::insert(&member)).unwrap();
        db!(tx, role_grant::insert(&grant)).unwrap();
        let event = Audit::MemberJoined {
            member: member.id,
            user: Some(person.user),
            email,
            invitation: None,
        };
        tx.commit(workspace, now, event).await.unwrap();
        person.member = Some(member.id);
        person
    }

    /// The installation's provider.
    async fn provider(&self) -> ProviderId {
        let mut conn = self.store().read().await.unwrap();
        if let Some(provider) = db!(conn, provider::list(INSTALLATION)).unwrap().first() {
            return provider.id;
        }
        drop(conn);
        let now = self.clock.now();
        let provider = IdentityProvider {
            id: ProviderId::generate(now, &OsRandom),
            workspace_id: INSTALLATION,
            kind: ProviderKind::Oidc,
            name: "Example".to_owned(),
            issuer: "https://id.example.com".to_owned(),
            client_id: "causeway".to_owned(),
            secret: Sealed::from_bytes(Vec::new()),
            created_at: now,
            updated_at: now,
        };
        let mut tx = self.store().write(Actor::Machine).await.unwrap();
        db!(tx, provider::insert(&provider)).unwrap();
        let event = Audit::IdentityProviderSet {
            provider: provider.id,
            kind: provider.kind.to_string(),
            issuer: provider.issuer.clone(),
        };
        tx.commit(INSTALLATION, now, event).await.unwrap();
        provider.id
    }
}
