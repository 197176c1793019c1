//! Which logins are live, and what their people may do where.
//!
//! An access token is good for fifteen minutes, but a login that was ended, or whose password
//! was changed, ends at once, and so does what a role gave: each request asks here, and whoever
//! changes one of them says so to [`App::forget`].

use crate::app::App;
use crate::memory::{Memory, Recalled};
use crate::problem::{ApiError, Code};
use crate::token::AccessClaims;
use quick_cache::sync::Cache;
use serde::{Deserialize, Serialize};
use smarttasks_model::{Actor, Timestamp, UserId, WorkspaceId};
use smarttasks_store::workspaces::Role;
use smarttasks_store::{sessions, users, workspaces};

/// A live login.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Live {
    pub(crate) actor: Actor,
    pub(crate) workspace: WorkspaceId,
    /// In that workspace.
    #[serde(with = "role_by_name")]
    pub(crate) role: Role,
}

#[derive(Serialize, Deserialize)]
struct Membership(#[serde(with = "role_by_name")] Role);

/// Access tokens whose signature was verified; some 700 bytes each.
const TOKENS: usize = 4096;

/// Live logins, and the tokens that name them.
pub(crate) struct Sessions {
    memory: Memory,
    tokens: Cache<Box<str>, AccessClaims>,
}

impl Sessions {
    pub(crate) fn new(memory: Memory) -> Self {
        Self {
            memory,
            tokens: Cache::new(TOKENS),
        }
    }

    /// What an access token says, if its signature was verified before: that costs more than the
    /// rest of a request. That it has not expired is looked at each time.
    pub(crate) fn known(&self, token: &str, now: Timestamp) -> Option<AccessClaims> {
        let known = self.tokens.get(token);
        known.filter(|known| now < known.expires_at)
    }

    /// The login of an access token, while it is live, and what the token says.
    pub(crate) async fn login(
        &self,
        app: &App,
        token: &str,
    ) -> Result<(AccessClaims, Live), ApiError> {
        let known = self.known(token, app.now());
        let claims = match known {
            Some(known) => known,
            None => app.keys.ring().verify(token, app.now())?,
        };
        let live = self.live(app, &claims).await.inspect_err(|_| {
            // What comes with it from now on is not counted as its user's.
            self.tokens.remove(token);
        })?;
        if known.is_none() {
            self.tokens.insert(token.into(), claims);
        }
        Ok((claims, live))
    }

    async fn live(&self, app: &App, claims: &AccessClaims) -> Result<Live, ApiError> {
        let (user, key) = (claims.user, format!("session:{}", claims.session));
        let note = match self.memory.recall::<Live>(user, &key).await {
            Recalled::Known(live) if live.actor.id == user => return Ok(live),
            Recalled::Known(_) => return Err(ended()),
            Recalled::Unknown(note) => note,
        };
        let session = sessions::find(&app.db, claims.session).await?;
        if !session.is_some_and(|session| session.user_id == user && session.is_live(app.now())) {
            return Err(ended());
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
        };
        self.memory.remember(note, &key, &live).await;
        Ok(live)
    }

    /// The role in which a user belongs to a workspace.
    pub(crate) async fn role(
        &self,
        app: &App,
        workspace: WorkspaceId,
        user: UserId,
    ) -> Result<Option<Role>, ApiError> {
        let key = format!("member:{workspace}:{user}");
        let note = match self.memory.recall::<Membership>(user, &key).await {
            Recalled::Known(Membership(role)) => return Ok(Some(role)),
            Recalled::Unknown(note) => note,
        };
        let role = users::role_in(&app.db, workspace, user).await?;
        if let Some(role) = role {
            self.memory.remember(note, &key, &Membership(role)).await;
        }
        Ok(role)
    }

    /// Forgets a user: a login or a role of theirs has ended, or what is known of them has changed.
    pub(crate) async fn forget(&self, user: UserId) {
        self.memory.forget(user).await;
    }
}

fn ended() -> ApiError {
    ApiError::new(Code::InvalidToken, "This login has ended; log in again.")
}

/// Roles as the API names them.
mod role_by_name {
    use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};
    use smarttasks_store::workspaces::Role;

    pub(super) fn serialize<S: Serializer>(role: &Role, serializer: S) -> Result<S::Ok, S::Error> {
        role.as_str().serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(text: D) -> Result<Role, D::Error> {
        String::deserialize(text)?.parse().map_err(D::Error::custom)
    }
}
