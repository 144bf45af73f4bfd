//! `/account/workspaces/…/invite`: invite somebody into a workspace, so that its first owner needs
//! no more than a browser.

use super::account::to_sign_in;
use super::{ACCOUNT, Visiting, go_to, moment, wrong_form};
use crate::html::{self, Document, Markup};
use crate::v1::invitations::link_of;
use crate::{Api, Problem};
use axum::Form;
use axum::extract::rejection::{FormRejection, PathRejection};
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use causeway_identity::action::ManageMembers;
use causeway_identity::{
    Caller, Denied, DeniedReason, MadeInvitation, NewInvitation, Permit, WantedPlace, authorize,
    role,
};
use causeway_types::entity::{HeldRole, Role};
use causeway_types::{Code, Coded, WorkspaceId};
use serde::Deserialize;

/// Who is to come, and as what.
#[derive(Deserialize)]
pub(crate) struct InviteForm {
    email: String,
    role: Role,
}

/// Where a workspace's form stands.
pub(super) fn path_of(workspace: WorkspaceId) -> String {
    format!("/account/workspaces/{workspace}/invite")
}

/// Whether somebody with these roles may invite at all.
pub(super) fn may_invite(roles: &[HeldRole]) -> bool {
    Role::ALL.iter().any(|role| may_give(roles, *role))
}

fn may_give(roles: &[HeldRole], role: Role) -> bool {
    roles.iter().any(|own| own.project_id.is_none() && role::may_grant(own.role, role))
}

/// Shows the form.
pub(crate) async fn show(
    State(api): State<Api>,
    workspace: Result<Path<String>, PathRejection>,
    visiting: Visiting,
) -> Response {
    match enter(&api, workspace, &visiting).await {
        Ok(entered) => form(&api, &entered, None).into_response(),
        Err(refused) => refused,
    }
}

/// Invites, and shows the link.
pub(crate) async fn invite(
    State(api): State<Api>,
    workspace: Result<Path<String>, PathRejection>,
    visiting: Visiting,
    typed: Result<Form<InviteForm>, FormRejection>,
) -> Response {
    let entered = match enter(&api, workspace, &visiting).await {
        Ok(entered) => entered,
        Err(refused) => return refused,
    };
    let typed = match typed {
        Ok(Form(typed)) => typed,
        Err(rejection) => return wrong_form(rejection.status()),
    };
    let email = typed.email.trim().to_owned();
    let new = NewInvitation { email, role: typed.role, project: None, lifetime: None };
    match api.members().invite(&entered.permit, &entered.caller, &new).await {
        Ok(made) => invited(&api, &made).into_response(),
        Err(error) if error.code().kind().status() < 500 => {
            if error.code() == Code::Denied {
                visiting.refused();
            }
            form(&api, &entered, Some((&error, &new))).into_response()
        }
        Err(error) => html::refusal(error).into_response(),
    }
}

/// Somebody who may invite here.
struct Entered {
    caller: Caller,
    permit: Permit<ManageMembers>,
}

/// Lets in who may invite; leads the others to where they can prove who they are, or says why not.
async fn enter(
    api: &Api,
    workspace: Result<Path<String>, PathRejection>,
    visiting: &Visiting,
) -> Result<Entered, Response> {
    let workspace = workspace.ok().and_then(|Path(id)| id.parse::<WorkspaceId>().ok());
    let Some(workspace) = workspace else { return Err(go_to(api, ACCOUNT)) };
    let Some(cookie) = visiting.session() else { return Err(to_sign_in(api)) };
    let place = Some(WantedPlace::Workspace(workspace));
    let caller = match api.sign_in().sessions().authenticate(cookie, place).await {
        Ok(caller) => visiting.recorded(caller),
        Err(error) if error.code() == Code::Unauthenticated => return Err(to_sign_in(api)),
        Err(error) => return Err(html::refusal(error).into_response()),
    };
    match authorize::<ManageMembers>(&caller, api.clock().now()) {
        Ok(permit) => Ok(Entered { caller, permit }),
        Err(Denied { reason: DeniedReason::StepUp, .. }) => {
            Err(go_to(api, &format!("/auth/step-up?return={}", path_of(workspace))))
        }
        Err(denied) => Err(html::problem(&Problem::from(denied)).into_response()),
    }
}

fn form(api: &Api, entered: &Entered, failed: Option<(&dyn Coded, &NewInvitation)>) -> Document {
    let mut body = Markup::default();
    let (mut email, mut chosen) = ("", Role::Developer);
    if let Some((error, typed)) = failed {
        body.join(&Markup::alert(error.public()));
        (email, chosen) = (&typed.email, typed.role);
    }
    body.add(
        "<form method=\"post\" action=\"{}\"><label>E-mail address<input name=\"email\" type=\"email\" required value=\"{}\" aria-describedby=\"of\"></label><small id=\"of\">They sign in with an account of this address.</small><label>Role<select name=\"role\">",
        &[&api.at(&path_of(entered.permit.workspace())), &email],
    );
    for role in Role::ALL.iter().filter(|role| may_give(entered.caller.roles(), **role)) {
        let template =
            if *role == chosen { "<option selected>{}</option>" } else { "<option>{}</option>" };
        body.add(template, &[role]);
    }
    body.add(
        "</select></label><button>Make the link</button></form><p class=\"note\"><a href=\"{}\">Back to your account</a></p>",
        &[&api.at(ACCOUNT)],
    );
    let page = Document::new("Invite somebody", body);
    match failed {
        Some((error, _)) => page.status(Problem::new(error.code(), error.public()).status()),
        None => page,
    }
}

fn invited(api: &Api, made: &MadeInvitation) -> Document {
    let mut body = Markup::of(
        "<p>Send this link to <strong>{}</strong>. It is shown this once, and works once, until ",
        &[&made.invitation.email],
    );
    body.join(&moment(made.invitation.expires_at)).add(
        ".</p><p><code class=\"block\">{}</code></p><p class=\"note\"><a href=\"{}\">Back to your account</a></p>",
        &[&link_of(api, made), &api.at(ACCOUNT)],
    );
    Document::new("The invitation is made", body)
}
