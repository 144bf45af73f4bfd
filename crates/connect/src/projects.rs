//! Projects as connect pages show them: their names, the company's name and support address in
//! both environments, and their logos.

use crate::error::InvalidInput;
use crate::settings::{self, Settings, Theme};
use crate::{Connect, limits};
use causeway_identity::{Denied, MAX_NAME, Permit, action};
use causeway_store::{Audit, WriteTx, db};
use causeway_types::entity::{ConnectSettings, EnvironmentKind, Project, ProjectLogo};
use causeway_types::{Code, Coded, EnvironmentId, ProjectId, Tenant, WorkspaceId};
use std::borrow::Cow;

/// The largest logo, in bytes.
pub const MAX_LOGO: usize = 256 << 10;
/// The pictures that a logo may be, with what they begin with. SVG is not among them: it can hold
/// scripts.
const PICTURES: &[(&str, &[u8])] = &[
    ("image/png", b"\x89PNG\r\n\x1a\n"),
    ("image/jpeg", b"\xff\xd8\xff"),
    ("image/gif", b"GIF8"),
    ("image/webp", b"RIFF"),
];

/// A project with what its connect pages say.
#[derive(Debug, Clone)]
pub struct ConnectProject {
    /// The project.
    pub project: Project,
    /// The company's name for its customers; empty for the project's.
    pub company: String,
    /// Where customers get help; may be empty.
    pub support_email: String,
}

/// What is to change of a project; what is missing stays.
#[derive(Debug, Clone, Default)]
pub struct ProjectChange {
    /// Its name.
    pub name: Option<String>,
    /// The company's name for its customers, in both environments.
    pub company: Option<String>,
    /// Where customers get help, in both environments.
    pub support_email: Option<String>,
}

/// A project cannot be read, changed or deleted.
#[derive(Debug, thiserror::Error)]
pub enum ProjectError {
    /// There is no such project in this workspace.
    #[error("finding the project")]
    Unknown,
    /// Another project has this name.
    #[error("naming a project like another one")]
    NameTaken,
    /// It has connections, workflows or webhook endpoints.
    #[error("deleting a project with {things} connections, workflows and webhook endpoints")]
    NotEmpty {
        /// How many.
        things: i64,
    },
    /// It is the caller's own.
    #[error("deleting the project that the caller's credential is of")]
    Own,
    /// The caller is confined to some apps.
    #[error(transparent)]
    Denied(#[from] Denied),
    /// A field has the wrong form.
    #[error(transparent)]
    Invalid(#[from] InvalidInput),
    /// The store failed.
    #[error("reading or writing projects")]
    Store(#[from] causeway_store::Error),
}

impl Coded for ProjectError {
    fn code(&self) -> Code {
        match self {
            Self::Unknown => Code::NotFound,
            Self::NameTaken => Code::Taken,
            Self::NotEmpty { .. } | Self::Own => Code::ProjectInUse,
            Self::Denied(source) => source.code(),
            Self::Invalid(_) => Code::InvalidRequest,
            Self::Store(source) => source.code(),
        }
    }

    fn public(&self) -> Cow<'static, str> {
        match self {
            Self::Unknown => "There is no such project in this workspace.".into(),
            Self::NameTaken => "Another project of this workspace has this name.".into(),
            Self::NotEmpty { things } => format!(
                "The project still has {things} connections, workflows or webhook endpoints. Delete them first."
            )
            .into(),
            Self::Own => {
                "The credential of this request is of this project. Delete it with one of another project.".into()
            }
            Self::Denied(source) => source.public(),
            Self::Invalid(source) => source.public(),
            Self::Store(source) => source.public(),
        }
    }
}

impl Connect {
    /// What the connect pages of projects say. Those that the workspace does not have are left out.
    ///
    /// # Errors
    /// [`ProjectError::Store`].
    pub async fn described_projects(
        &self,
        permit: &Permit<action::ReadWorkspace>,
        projects: Vec<Project>,
    ) -> Result<Vec<ConnectProject>, ProjectError> {
        let workspace = permit.workspace();
        let mut conn = self.inner.store.read().await?;
        let environments = db!(conn, workspace::environments(workspace))?;
        let mut described = Vec::with_capacity(projects.len());
        for project in projects.into_iter().filter(|one| one.workspace_id == workspace) {
            let own = environments.iter().filter(|one| one.project_id == project.id);
            let shown = own.max_by_key(|one| one.kind == EnvironmentKind::Production);
            let settings = match shown {
                Some(environment) => db!(conn, connect_session::settings(environment.tenant()))?,
                None => None,
            };
            let settings = settings.as_ref().map(settings::view).unwrap_or_default();
            described.push(ConnectProject {
                project,
                company: settings.company,
                support_email: settings.support_email,
            });
        }
        Ok(described)
    }

    /// Changes a project.
    ///
    /// # Errors
    /// [`ProjectError`].
    pub async fn change_project(
        &self,
        permit: &Permit<action::ManageProjects>,
        id: ProjectId,
        change: ProjectChange,
    ) -> Result<ConnectProject, ProjectError> {
        permit.covers_every_app()?;
        let (inner, workspace, now) = (&self.inner, permit.workspace(), self.inner.clock.now());
        let mut tx = inner.store.write(permit.actor()).await?;
        // One change at a time, so that names stay unique.
        db!(tx, audit::lock_head(workspace))?;
        let mut project =
            db!(tx, workspace::project(workspace, id))?.ok_or(ProjectError::Unknown)?;
        let mut changed = Vec::new();
        if let Some(name) = change.name.filter(|name| *name != project.name) {
            rename(&mut tx, &project, &name).await?;
            changed.push("name".to_owned());
            project.name = name;
        }
        let mut shown = Settings::default();
        for tenant in environments(&mut tx, workspace, id).await? {
            let old = settings_in(&mut tx, tenant).await?;
            let new = Settings {
                company: change.company.clone().unwrap_or_else(|| old.company.clone()),
                support_email: change.support_email.clone().unwrap_or(old.support_email.clone()),
                ..old.clone()
            };
            settings::check(&new)?;
            for (field, differs) in [
                ("company", new.company != old.company),
                ("support_email", new.support_email != old.support_email),
            ] {
                if differs && !changed.iter().any(|one| one == field) {
                    changed.push(field.to_owned());
                }
            }
            db!(tx, connect_session::set_settings(&settings::row(tenant, &new, now)))?;
            shown = new;
        }
        if !changed.is_empty() {
            tx.commit(workspace, now, Audit::ProjectChanged { project: id, changed }).await?;
        }
        Ok(ConnectProject { project, company: shown.company, support_email: shown.support_email })
    }

    /// Deletes a project that has neither connections nor workflows nor webhook endpoints, with its
    /// customers, its OAuth clients and every key to it. `own` is the project of the caller's own
    /// credential, which he cannot delete.
    ///
    /// # Errors
    /// [`ProjectError`].
    pub async fn delete_project(
        &self,
        permit: &Permit<action::ManageProjects>,
        id: ProjectId,
        own: Option<ProjectId>,
    ) -> Result<(), ProjectError> {
        permit.covers_every_app()?;
        let (inner, workspace, now) = (&self.inner, permit.workspace(), self.inner.clock.now());
        let mut tx = inner.store.write(permit.actor()).await?;
        db!(tx, audit::lock_head(workspace))?;
        let project = db!(tx, workspace::project(workspace, id))?.ok_or(ProjectError::Unknown)?;
        if own == Some(id) {
            return Err(ProjectError::Own);
        }
        let things = db!(tx, project::contents(workspace, id))?;
        if things > 0 {
            return Err(ProjectError::NotEmpty { things });
        }
        db!(tx, project::delete(workspace, id)).map_err(|error| match error {
            // Something was made in it since the question.
            causeway_store::Error::Conflict { .. } => ProjectError::NotEmpty { things: 1 },
            other => other.into(),
        })?;
        tx.access_changed(workspace).await?;
        let event = Audit::ProjectDeleted { project: id, name: project.name };
        tx.commit(workspace, now, event).await?;
        Ok(())
    }

    /// Sets a project's logo, which its connect pages show in both environments from `url`.
    ///
    /// # Errors
    /// [`ProjectError`].
    pub async fn set_logo(
        &self,
        permit: &Permit<action::ManageProjects>,
        id: ProjectId,
        picture: Vec<u8>,
        url: &str,
    ) -> Result<(), ProjectError> {
        permit.covers_every_app()?;
        let media_type = kind_of(&picture)?;
        let (inner, workspace, now) = (&self.inner, permit.workspace(), self.inner.clock.now());
        let mut tx = inner.store.write(permit.actor()).await?;
        db!(tx, workspace::project(workspace, id))?.ok_or(ProjectError::Unknown)?;
        let logo = ProjectLogo {
            project_id: id,
            workspace_id: workspace,
            media_type: media_type.to_owned(),
            picture,
            updated_at: now,
        };
        db!(tx, project::set_logo(&logo))?;
        for tenant in environments(&mut tx, workspace, id).await? {
            let old = settings_in(&mut tx, tenant).await?;
            let theme = Theme { logo_url: Some(url.to_owned()), ..old.theme.clone() };
            let new = Settings { theme, ..old };
            settings::check(&new)?;
            db!(tx, connect_session::set_settings(&settings::row(tenant, &new, now)))?;
        }
        let event = Audit::ProjectChanged { project: id, changed: vec!["logo".to_owned()] };
        tx.commit(workspace, now, event).await?;
        Ok(())
    }

    /// A project's logo. Everybody may see it: connect pages show it.
    ///
    /// # Errors
    /// [`ProjectError::Unknown`]; [`ProjectError::Store`].
    pub async fn logo(&self, id: ProjectId) -> Result<ProjectLogo, ProjectError> {
        let mut conn = self.inner.store.read().await?;
        db!(conn, project::logo(id))?.ok_or(ProjectError::Unknown)
    }

    /// The apps that customers of an environment have connected, or that the company has a client
    /// for: slugs.
    ///
    /// # Errors
    /// [`ProjectError::Store`].
    pub async fn apps_in_use(&self, tenant: Tenant) -> Result<Vec<String>, ProjectError> {
        let mut conn = self.inner.store.read().await?;
        let mut apps = db!(conn, account::apps(tenant))?;
        apps.sort();
        Ok(apps)
    }

    /// Which of a project's environments this is.
    ///
    /// # Errors
    /// [`ProjectError`].
    pub async fn kind_of(&self, id: EnvironmentId) -> Result<EnvironmentKind, ProjectError> {
        let mut conn = self.inner.store.read().await?;
        let found = db!(conn, workspace::environment(id))?;
        Ok(found.ok_or(ProjectError::Unknown)?.kind)
    }
}

async fn rename(tx: &mut WriteTx, project: &Project, name: &str) -> Result<(), ProjectError> {
    limits::line("name", name, MAX_NAME)?;
    if name.is_empty() {
        return Err(InvalidInput::new("name", "a project has a name").into());
    }
    let workspace = project.workspace_id;
    if db!(tx, workspace::projects(workspace))?.iter().any(|other| other.name == name) {
        return Err(ProjectError::NameTaken);
    }
    db!(tx, project::rename(workspace, project.id, name))?;
    Ok(())
}

/// The environments of a project.
async fn environments(
    tx: &mut WriteTx,
    workspace: WorkspaceId,
    project: ProjectId,
) -> Result<Vec<Tenant>, ProjectError> {
    let all = db!(tx, workspace::environments(workspace))?;
    Ok(all.into_iter().filter(|one| one.project_id == project).map(|one| one.tenant()).collect())
}

async fn settings_in(tx: &mut WriteTx, tenant: Tenant) -> Result<Settings, ProjectError> {
    let row: Option<ConnectSettings> = db!(tx, connect_session::settings(tenant))?;
    Ok(row.as_ref().map(settings::view).unwrap_or_default())
}

/// What kind of picture it is.
fn kind_of(picture: &[u8]) -> Result<&'static str, InvalidInput> {
    let kind = PICTURES.iter().find(|(_, head)| picture.starts_with(head));
    match kind {
        Some((media_type, _)) if picture.len() <= MAX_LOGO => Ok(media_type),
        _ => Err(InvalidInput::new(
            "logo",
            "a PNG, JPEG, GIF or WebP picture of at most 256 KiB, as a data URI in base64",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_logo_is_a_picture_that_runs_nothing() {
        assert_eq!(kind_of(b"\x89PNG\r\n\x1a\n....").unwrap(), "image/png");
        assert!(kind_of(b"<svg onload=alert(1)>").is_err());
        assert!(kind_of(b"<html>").is_err() && kind_of(b"").is_err());
        let mut large = b"GIF89a".to_vec();
        large.resize(MAX_LOGO + 1, 0);
        assert!(kind_of(&large).is_err());
    }
}
