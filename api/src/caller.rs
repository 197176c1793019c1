//! Who is asking, in which workspace, with which right: extractors, so that a handler that
//! forgets them cannot know whose rows it touches.

use crate::app::App;
use crate::problem::{ApiError, FieldError};
use crate::request::RequestContext;
use crate::token::bearer;
use axum::extract::FromRequestParts;
use http::request::Parts;
use smarttasks_model::{Actor, SessionId, TraceParent, WorkspaceId};
use smarttasks_store::Cause;
use smarttasks_store::workspaces::Role;
use std::convert::Infallible;
use std::marker::PhantomData;

/// The person behind an access token.
#[derive(Clone, Debug)]
pub struct Caller {
    /// Who.
    pub actor: Actor,
    /// By which login.
    pub session: SessionId,
    /// Their personal workspace.
    pub personal: WorkspaceId,
    role_in_personal: Role,
    trace: TraceParent,
}

impl Caller {
    /// What this request causes.
    pub fn cause(&self, app: &App) -> Cause {
        Cause::person(app.now(), self.actor.clone(), Some(self.trace))
    }

    /// The workspace that a request names, or else the personal one, if the caller has the right.
    ///
    /// # Errors
    /// 404 when they do not belong to it; 403 when their role does not give the right.
    pub async fn workspace<R: Right>(
        &self,
        app: &App,
        named: Option<WorkspaceId>,
    ) -> Result<Member<R>, ApiError> {
        let workspace_id = named.unwrap_or(self.personal);
        let role = if workspace_id == self.personal {
            self.role_in_personal
        } else {
            let role = app.sessions.role(app, workspace_id, self.actor.id).await?;
            role.ok_or_else(|| ApiError::not_found("workspace"))?
        };
        if role < R::LEAST {
            return Err(ApiError::forbidden(format!(
                "This needs the role {} in the workspace; yours is {}.",
                R::LEAST.as_str(),
                role.as_str()
            )));
        }
        Ok(Member {
            caller: self.clone(),
            workspace_id,
            right: PhantomData,
        })
    }
}

impl FromRequestParts<App> for Caller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, ApiError> {
        if let Some(known) = parts.extensions.get::<Self>() {
            return Ok(known.clone());
        }
        let (claims, live) = app.sessions.login(app, bearer(&parts.headers)?).await?;
        app.limits.count(claims.user, &parts.extensions).await?;
        let Ok(context): Result<RequestContext, Infallible> =
            RequestContext::from_request_parts(parts, app).await;
        let caller = Self {
            actor: live.actor,
            session: claims.session,
            personal: live.workspace,
            role_in_personal: live.role,
            trace: context.trace,
        };
        parts.extensions.insert(caller.clone());
        Ok(caller)
    }
}

/// What a role must give.
pub trait Right: Send + Sync + 'static {
    /// The least role that gives it.
    const LEAST: Role;
}

/// To see.
#[derive(Clone, Copy, Debug)]
pub struct Read;
/// To work on tasks.
#[derive(Clone, Copy, Debug)]
pub struct Write;
/// To run the workspace: rules and endpoints.
#[derive(Clone, Copy, Debug)]
pub struct Manage;

impl Right for Read {
    const LEAST: Role = Role::Viewer;
}
impl Right for Write {
    const LEAST: Role = Role::Member;
}
impl Right for Manage {
    const LEAST: Role = Role::Admin;
}

/// The caller in the workspace that the query names (`?workspace_id=`), or else in their
/// personal one, with the right `R`.
#[derive(Clone, Debug)]
pub struct Member<R> {
    /// Who.
    pub caller: Caller,
    /// Where.
    pub workspace_id: WorkspaceId,
    right: PhantomData<R>,
}

impl<R: Right> FromRequestParts<App> for Member<R> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, ApiError> {
        let caller = Caller::from_request_parts(parts, app).await?;
        let query = parts.uri.query().unwrap_or_default();
        let named = url::form_urlencoded::parse(query.as_bytes())
            .find(|(name, _)| name == "workspace_id")
            .map(|(_, id)| id.parse())
            .transpose()
            .map_err(|_| {
                ApiError::invalid([FieldError::at(
                    "?workspace_id",
                    "is not the id of a workspace",
                )])
            })?;
        caller.workspace(app, named).await
    }
}
