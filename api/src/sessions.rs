//! Which logins are live, remembered for a short while.
//!
//! An access token is good for fifteen minutes, but a login that was ended, or whose password
//! was changed, ends at once: each request asks here, and whoever ends one says so here.

use crate::app::App;
use crate::problem::{ApiError, Code};
use crate::token::AccessClaims;
use quick_cache::sync::Cache;
use smarttasks_model::{Actor, SessionId, Timestamp, UserId, WorkspaceId};
use smarttasks_store::workspaces::Role;
use smarttasks_store::{sessions, users, workspaces};
use std::time::Duration;

/// Logins remembered.
const REMEMBERED: usize = 50_000;
/// For how long: another process may have changed them.
const FRESH: Duration = Duration::from_secs(5);

/// A live login.
#[derive(Clone, Debug)]
pub(crate) struct Live {
    pub(crate) actor: Actor,
    pub(crate) workspace: WorkspaceId,
    pub(crate) role: Role,
    until: Timestamp,
}

/// Access tokens whose signature was verified; some 700 bytes each.
const TOKENS: usize = 4096;

/// Live logins, and the tokens that name them.
pub(crate) struct Sessions {
    live: Cache<SessionId, Live>,
    tokens: Cache<Box<str>, AccessClaims>,
}

impl Sessions {
    pub(crate) fn new() -> Self {
        Self {
            live: Cache::new(REMEMBERED),
            tokens: Cache::new(TOKENS),
        }
    }

    /// What an access token says. Its signature is verified once, which costs more than the rest
    /// of a request; that it has not expired, each time.
    pub(crate) fn claims(&self, app: &App, token: &str) -> Result<AccessClaims, ApiError> {
        let now = app.now();
        if let Some(known) = self
            .tokens
            .get(token)
            .filter(|known| now < known.expires_at)
        {
            return Ok(known);
        }
        let claims = app.keys.ring().verify(token, now)?;
        self.tokens.insert(token.into(), claims);
        Ok(claims)
    }

    /// The login of an access token, while it is live.
    pub(crate) async fn live(
        &self,
        app: &App,
        id: SessionId,
        user: UserId,
    ) -> Result<Live, ApiError> {
        let now = app.now();
        if let Some(live) = self
            .live
            .get(&id)
            .filter(|live| now < live.until && live.actor.id == user)
        {
            return Ok(live);
        }
        let session = sessions::find(&app.db, id).await?;
        if !session.is_some_and(|session| session.user_id == user && session.is_live(now)) {
            return Err(ApiError::new(
                Code::InvalidToken,
                "This login has ended; log in again.",
            ));
        }
        let account = users::get(&app.db, user).await?;
        let workspace = workspaces::personal_of(&app.db, user).await?;
        let role = users::role_in(&app.db, workspace, user).await?;
        let live = Live {
            actor: Actor {
                id: user,
                name: account.user.name,
            },
            workspace,
            role: role.ok_or_else(|| ApiError::not_found("workspace"))?,
            until: now + FRESH,
        };
        self.live.insert(id, live.clone());
        Ok(live)
    }

    /// Forgets everything: a login was ended, or what is remembered of one has changed.
    pub(crate) fn forget(&self) {
        self.live.clear();
    }
}
