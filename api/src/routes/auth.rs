//! Tokens: logging in, staying logged in, logging out.

use crate::app::App;
use crate::caller::Caller;
use crate::extract::{ApiForm, ApiPath};
use crate::problem::{ApiError, Code, OAuthError};
use crate::request::ClientAddress;
use crate::token::{ACCESS_LIFETIME, RefreshToken, Rotation, rotate};
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{StatusCode, header};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use smarttasks_model::{Email, SessionId, Timestamp, UserId};
use smarttasks_store::{sessions, users};
use std::net::IpAddr;
use std::time::Duration;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(token))
        .routes(routes!(revoke))
        .routes(routes!(list_sessions))
        .routes(routes!(end_session))
}

/// A login ends when it is not used for this long.
const IDLE: Duration = Duration::from_secs(30 * 24 * 3600);

#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct TokenRequest {
    /// `password` or `refresh_token`.
    grant_type: String,
    /// With `password`: the e-mail address.
    username: Option<String>,
    /// With `password`: the password.
    #[schema(value_type = Option<String>)]
    password: Option<SecretString>,
    /// With `refresh_token`: the latest refresh token of the login.
    #[schema(value_type = Option<String>)]
    refresh_token: Option<SecretString>,
    /// Not looked at.
    #[expect(dead_code, reason = "clients send it, and it must not be refused")]
    scope: Option<String>,
    /// Not looked at.
    #[expect(dead_code, reason = "clients send it, and it must not be refused")]
    client_id: Option<String>,
    /// Not looked at.
    #[expect(dead_code, reason = "clients send it, and it must not be refused")]
    #[schema(value_type = Option<String>)]
    client_secret: Option<SecretString>,
}

#[derive(Serialize, utoipa::ToSchema)]
struct TokenResponse {
    /// For `Authorization: Bearer`.
    access_token: String,
    #[schema(example = "Bearer")]
    token_type: &'static str,
    /// Seconds.
    expires_in: u64,
    /// Exchange it for the next pair; good once.
    refresh_token: String,
}

/// Logs in, or exchanges a refresh token (OAuth 2.0, RFC 6749, sections 4.3 and 6).
#[utoipa::path(post, path = "/api/v1/auth/token", tag = "accounts", security(()),
    request_body(content = TokenRequest, content_type = "application/x-www-form-urlencoded"),
    responses((status = 200, body = TokenResponse)))]
async fn token(
    State(app): State<App>,
    ClientAddress(address): ClientAddress,
    ApiForm(form): ApiForm<TokenRequest>,
) -> Result<Response, OAuthError> {
    let tokens = match form.grant_type.as_str() {
        "password" => log_in(&app, address, form).await?,
        "refresh_token" => refresh(&app, form).await?,
        _ => {
            let detail = "grant_type must be password or refresh_token.";
            return Err(ApiError::new(Code::UnsupportedGrantType, detail).into());
        }
    };
    let headers = [
        (header::CACHE_CONTROL, "no-store"),
        (header::PRAGMA, "no-cache"),
    ];
    Ok((headers, axum::Json(tokens)).into_response())
}

async fn log_in(app: &App, address: IpAddr, form: TokenRequest) -> Result<TokenResponse, ApiError> {
    let (Some(username), Some(password)) = (form.username, form.password) else {
        return Err(missing("username and password"));
    };
    let refused = || {
        ApiError::new(
            Code::InvalidGrant,
            "The e-mail address or password is wrong.",
        )
    };
    let email: Email = username.parse().map_err(|_| refused())?;
    let attempt = app.logins.attempt(&email, address, app.now()).await?;
    let (account, hash) = users::find_for_login(&app.db, &email).await?.unzip();
    let right = app.passwords.verify(password, hash.clone()).await?;
    let Some((account, hash)) = account.zip(hash).filter(|_| right) else {
        attempt.wrong(app.now()).await;
        return Err(refused());
    };
    attempt.right().await;
    let (session, user) = (SessionId::new(app.now()), account.user.id);
    let begun = app
        .write(move |tx| {
            let hash = hash.clone();
            Box::pin(async move {
                let is_still_right = users::has_password(tx, user, &hash).await?;
                if is_still_right {
                    let expires_at = tx.now() + IDLE;
                    sessions::create(tx, session, user, expires_at).await?;
                }
                Ok(is_still_right)
            })
        })
        .await?;
    if !begun {
        return Err(refused());
    }
    tokens(app, user, session, 0)
}

fn missing(what: &str) -> ApiError {
    ApiError::new(
        Code::InvalidRequest,
        format!("This grant type needs {what}."),
    )
}

/// What a presented refresh token leads to, decided in the transaction that carries it out.
enum Refreshed {
    Go(UserId, i64),
    Ended,
}

async fn refresh(app: &App, form: TokenRequest) -> Result<TokenResponse, ApiError> {
    use secrecy::ExposeSecret;
    let text = form.refresh_token.ok_or_else(|| missing("refresh_token"))?;
    let refused = || {
        let detail = "The refresh token is not good any more; log in again.";
        ApiError::new(Code::InvalidGrant, detail)
    };
    let presented =
        RefreshToken::verify(text.expose_secret(), &app.refresh_key).ok_or_else(refused)?;
    let refreshed = app
        .write_about(move |tx| {
            Box::pin(async move {
                let now = tx.now();
                let found = sessions::lock(tx, presented.session).await?;
                let Some(session) = found.filter(|session| session.is_live(now)) else {
                    return Ok((Refreshed::Ended, None));
                };
                let user = session.user_id;
                match rotate(
                    session.generation,
                    session.rotated_at,
                    presented.generation,
                    now,
                ) {
                    Rotation::Next(next) => {
                        sessions::rotate(tx, session.id, next, now + IDLE).await?;
                        Ok((Refreshed::Go(user, next), None))
                    }
                    Rotation::SameSuccessor(same) => Ok((Refreshed::Go(user, same), None)),
                    Rotation::Reuse => {
                        sessions::end(tx, user, session.id).await?;
                        Ok((Refreshed::Ended, Some(user)))
                    }
                }
            })
        })
        .await?;
    match refreshed {
        Refreshed::Go(user, generation) => tokens(app, user, presented.session, generation),
        Refreshed::Ended => Err(refused()),
    }
}

fn tokens(
    app: &App,
    user: UserId,
    session: SessionId,
    generation: i64,
) -> Result<TokenResponse, ApiError> {
    Ok(TokenResponse {
        access_token: app.keys.ring().issue(user, session, app.now())?,
        token_type: "Bearer",
        expires_in: ACCESS_LIFETIME.as_secs(),
        refresh_token: RefreshToken {
            session,
            generation,
        }
        .issue(&app.refresh_key),
    })
}

#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct RevokeRequest {
    /// An access or refresh token.
    #[schema(value_type = String)]
    token: SecretString,
    /// Not looked at: the token itself tells.
    #[expect(dead_code, reason = "a hint of RFC 7009 that must not be refused")]
    token_type_hint: Option<String>,
}

/// Ends the login of a token (RFC 7009); 200 also when it was not good any more.
#[utoipa::path(post, path = "/api/v1/auth/revoke", tag = "accounts", security(()),
    request_body(content = RevokeRequest, content_type = "application/x-www-form-urlencoded"),
    responses((status = 200, description = "The login has ended.")))]
async fn revoke(
    State(app): State<App>,
    ApiForm(form): ApiForm<RevokeRequest>,
) -> Result<StatusCode, OAuthError> {
    use secrecy::ExposeSecret;
    let token = form.token.expose_secret();
    let session = match RefreshToken::verify(token, &app.refresh_key) {
        Some(refresh) => Some(refresh.session),
        None => app
            .keys
            .ring()
            .verify(token, app.now())
            .ok()
            .map(|claims| claims.session),
    };
    if let Some(id) = session
        && let Some(found) = sessions::find(&app.db, id).await.map_err(ApiError::from)?
    {
        end(&app, found.user_id, id)
            .await
            .or_else(|error| match error.code() {
                Code::NotFound => Ok(()),
                _ => Err(error),
            })?;
    }
    Ok(StatusCode::OK)
}

async fn end(app: &App, user: UserId, id: SessionId) -> Result<(), ApiError> {
    app.write_about(move |tx| {
        Box::pin(async move {
            sessions::end(tx, user, id).await?;
            Ok(((), Some(user)))
        })
    })
    .await
}

/// A login.
#[derive(Serialize, utoipa::ToSchema)]
struct SessionView {
    #[schema(value_type = uuid::Uuid)]
    id: SessionId,
    /// Whether this request came by it.
    current: bool,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    /// When its refresh token was last exchanged.
    #[schema(value_type = String, format = DateTime)]
    last_used_at: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    expires_at: Timestamp,
}

#[derive(Serialize, utoipa::ToSchema)]
struct SessionList {
    data: Vec<SessionView>,
    /// Always `null`: there are never more than one page.
    next_cursor: Option<String>,
}

/// The live logins of the caller, newest first.
#[utoipa::path(get, path = "/api/v1/auth/sessions", tag = "accounts",
    responses((status = 200, body = SessionList)))]
async fn list_sessions(
    State(app): State<App>,
    caller: Caller,
) -> Result<axum::Json<SessionList>, ApiError> {
    let live = sessions::list_live(&app.db, caller.actor.id, app.now()).await?;
    let view = |session: sessions::Session| SessionView {
        id: session.id,
        current: session.id == caller.session,
        created_at: session.created_at,
        last_used_at: session.rotated_at,
        expires_at: session.expires_at,
    };
    Ok(axum::Json(SessionList {
        data: live.into_iter().map(view).collect(),
        next_cursor: None,
    }))
}

/// Ends a login of the caller.
#[utoipa::path(delete, path = "/api/v1/auth/sessions/{id}", tag = "accounts",
    params(("id" = uuid::Uuid, Path)), responses((status = 204)))]
async fn end_session(
    State(app): State<App>,
    caller: Caller,
    ApiPath(id): ApiPath<SessionId>,
) -> Result<StatusCode, ApiError> {
    end(&app, caller.actor.id, id).await?;
    Ok(StatusCode::NO_CONTENT)
}
