//! Accounts and profiles.

use super::schedules::first_occurrences;
use crate::answer::{Answer, Versioned};
use crate::app::App;
use crate::caller::Caller;
use crate::etag::{IfMatch, IfNoneMatch};
use crate::extract::{ApiJson, present};
use crate::once::Post;
use crate::password::{NewPassword, Passwords};
use crate::problem::{ApiError, Code};
use crate::request::{ClientAddress, RequestContext};
use axum::extract::State;
use axum::response::Response;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use smarttasks_model::{
    Actor, Email, Invalid, NotifyBy, RuleId, TimeZone, Timestamp, UserId, WorkspaceId, text_within,
};
use smarttasks_rules::library;
use smarttasks_store::rules::{self, NewRule};
use smarttasks_store::users::{self, Account, NewUser, ProfileChanges};
use smarttasks_store::{Cause, Db, Error as StoreError, workspaces};
use std::net::IpAddr;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(register))
        .routes(routes!(me, update_me))
}

/// Longest name, in characters.
const NAME: usize = 200;
/// Where a wrong present password is told.
const CURRENT_PASSWORD: &str = "/current_password";

#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct Register {
    /// What you are called.
    #[schema(example = "Ann")]
    name: String,
    /// Where your mail goes; you log in with it.
    #[schema(example = "ann@example.com")]
    email: String,
    /// 8 to 256 characters.
    #[schema(example = "correct horse battery staple")]
    password: String,
    /// An IANA time zone; UTC when absent.
    #[schema(example = "Europe/Berlin")]
    timezone: Option<String>,
}

/// An account.
#[derive(Serialize, utoipa::ToSchema)]
struct UserView {
    #[schema(value_type = uuid::Uuid)]
    id: UserId,
    name: String,
    #[schema(value_type = String)]
    email: Email,
    #[schema(value_type = String)]
    timezone: TimeZone,
    /// How rules reach you when they do not say by which channel: `email` or `off`.
    #[schema(value_type = String, example = "email")]
    notify_by: NotifyBy,
    /// The workspace that requests mean when they do not name one.
    #[schema(value_type = uuid::Uuid)]
    personal_workspace_id: WorkspaceId,
    version: i64,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    updated_at: Timestamp,
}

impl UserView {
    fn of(account: Account, personal_workspace_id: WorkspaceId) -> Self {
        Self {
            id: account.user.id,
            name: account.user.name,
            email: account.user.email,
            timezone: account.user.timezone,
            notify_by: account.user.notify_by,
            personal_workspace_id,
            version: account.version,
            created_at: account.created_at,
            updated_at: account.updated_at,
        }
    }
}

/// Registers: an account and its personal workspace with the starter rules.
#[utoipa::path(post, path = "/api/v1/users", tag = "accounts", security(()),
    request_body = Register, responses((status = 201, body = UserView)))]
async fn register(
    State(app): State<App>,
    context: RequestContext,
    Post { body, key }: Post<Register>,
) -> Result<Response, ApiError> {
    if !app.settings.registration_open {
        let detail = "This server does not let people register by themselves; ask its operator.";
        return Err(ApiError::new(Code::RegistrationClosed, detail));
    }
    let (new, password) = parse(body, app.now())?;
    let new = NewUser {
        password_hash: app.passwords.hash(password).await?,
        ..new
    };
    let actor = Actor {
        id: new.id,
        name: new.name.clone(),
    };
    let cause = Cause::person(app.now(), actor, Some(context.trace));
    app.write_once(key, move |tx| {
        let (new, cause) = (new.clone(), cause.clone());
        Box::pin(async move {
            let (account, workspace) = users::register(tx, new, &cause).await?;
            let view = UserView::of(account, workspace);
            Answer::created("/api/v1/users/me".to_owned(), view.version, &view)
        })
    })
    .await
}

/// Makes an account without a request: for the operator.
///
/// # Errors
/// A value is not valid, or the address has an account.
pub async fn register_user(
    db: &Db,
    name: &str,
    email: &Email,
    password: &str,
) -> Result<UserId, ApiError> {
    let body = Register {
        name: name.to_owned(),
        email: email.to_string(),
        password: password.to_owned(),
        timezone: None,
    };
    let now = db.clock().now();
    let (new, password) = parse(body, now)?;
    let password_hash = Passwords::new().hash(password).await?;
    let new = NewUser {
        password_hash,
        ..new
    };
    let id = new.id;
    let cause = Cause::person(
        now,
        Actor {
            id,
            name: new.name.clone(),
        },
        None,
    );
    db.write(move |tx| {
        let (new, cause) = (new.clone(), cause.clone());
        Box::pin(async move { users::register(tx, new, &cause).await })
    })
    .await?;
    Ok(id)
}

fn parse(body: Register, now: Timestamp) -> Result<(NewUser, NewPassword), ApiError> {
    let name = text_within("/name", &body.name, 1, NAME, &[]);
    let email = parse_at::<Email>("/email", &body.email);
    let password = NewPassword::parse("/password", &body.password);
    let timezone = body
        .timezone
        .as_deref()
        .map(|zone| parse_at::<TimeZone>("/timezone", zone));
    match (
        name,
        email,
        password,
        timezone.unwrap_or_else(|| Ok(TimeZone::default())),
    ) {
        (Ok(name), Ok(email), Ok(password), Ok(timezone)) => {
            let new = NewUser {
                id: UserId::new(now),
                name,
                email,
                password_hash: String::new(),
                timezone,
                starter_rules: starter_rules(now)?,
            };
            Ok((new, password))
        }
        (name, email, password, timezone) => {
            let wrong = [name.err(), email.err(), password.err(), timezone.err()];
            Err(ApiError::invalid(wrong.into_iter().flatten()))
        }
    }
}

fn parse_at<T: std::str::FromStr<Err: std::fmt::Display>>(
    pointer: &str,
    text: &str,
) -> Result<T, Invalid> {
    text.parse()
        .map_err(|error: T::Err| Invalid::at(pointer, format!("{error}")))
}

/// The rules that every new workspace has.
fn starter_rules(now: Timestamp) -> Result<Vec<NewRule>, ApiError> {
    library()
        .iter()
        .filter(|rule| rule.starter)
        .map(|rule| {
            let spec = rule.spec().map_err(ApiError::internal)?;
            Ok(NewRule {
                id: RuleId::new(now),
                spec,
                occurrences: Vec::new(),
                apply_to_existing: true,
                cancel_runs: false,
            })
        })
        .collect()
}

/// The account of the caller.
#[utoipa::path(get, path = "/api/v1/users/me", tag = "accounts",
    responses((status = 200, body = UserView)))]
async fn me(
    State(app): State<App>,
    caller: Caller,
    known: IfNoneMatch,
) -> Result<Versioned<UserView>, ApiError> {
    let account = users::get(&app.db, caller.actor.id).await?;
    let view = UserView::of(account, caller.personal);
    Ok(Versioned::new(view.version, view).unless(&known))
}

/// What may be changed; what is absent stays.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct UpdateMe {
    /// What you are called.
    #[serde(default, deserialize_with = "present")]
    name: Option<String>,
    /// An IANA time zone.
    #[serde(default, deserialize_with = "present")]
    timezone: Option<String>,
    /// How rules reach you when they do not say by which channel: `email` or `off`.
    #[serde(default, deserialize_with = "present")]
    notify_by: Option<String>,
    /// A new password; needs the present one, and ends every login.
    #[serde(default, deserialize_with = "present")]
    password: Option<String>,
    /// The present password.
    current_password: Option<String>,
}

/// The rules of a personal workspace whose schedules follow it into `zone`, with their versions.
async fn rules_moved_to(
    app: &App,
    workspace: WorkspaceId,
    zone: TimeZone,
) -> Result<Vec<(i64, NewRule)>, ApiError> {
    let enabled = rules::enabled(&app.db, [workspace]).await?;
    Ok(enabled
        .into_iter()
        .map(|rule| {
            let occurrences = first_occurrences(&rule.spec.triggers, app.now(), zone);
            (
                rule.version,
                NewRule {
                    id: rule.id,
                    spec: rule.spec,
                    occurrences,
                    apply_to_existing: true,
                    cancel_runs: false,
                },
            )
        })
        .filter(|(_, rule)| !rule.occurrences.is_empty())
        .collect())
}

/// Changes the account of the caller; a new password ends every login.
#[utoipa::path(patch, path = "/api/v1/users/me", tag = "accounts", request_body = UpdateMe,
    responses((status = 200, body = UserView)))]
async fn update_me(
    State(app): State<App>,
    caller: Caller,
    ClientAddress(address): ClientAddress,
    if_match: IfMatch,
    ApiJson(body): ApiJson<UpdateMe>,
) -> Result<Versioned<UserView>, ApiError> {
    let (id, expected) = (caller.actor.id, if_match.versions().map(<[i64]>::to_vec));
    let (changes, present_hash) = parse_changes(&app, id, address, body).await?;
    let moved = match changes.timezone {
        Some(zone) => rules_moved_to(&app, caller.personal, zone).await?,
        None => Vec::new(),
    };
    let personal = caller.personal;
    let account = app
        .write_about(move |tx| {
            let (changes, expected) = (changes.clone(), expected.clone());
            let (present_hash, moved) = (present_hash.clone(), moved.clone());
            Box::pin(async move {
                if let Some(hash) = present_hash
                    && !users::has_password(tx, id, &hash).await?
                {
                    return Err(StoreError::Invalid(vec![wrong_password()]));
                }
                let account = users::update(tx, id, changes, expected.as_deref()).await?;
                for (version, rule) in &moved {
                    rules::reschedule(tx, personal, *version, rule).await?;
                }
                Ok((account, Some(id)))
            })
        })
        .await?;
    let workspace = workspaces::personal_of(&app.db, id).await?;
    let view = UserView::of(account, workspace);
    Ok(Versioned::new(view.version, view))
}

/// What is to change, and the hash of the present password if it was needed; says all that is
/// wrong at once.
async fn parse_changes(
    app: &App,
    id: UserId,
    address: IpAddr,
    body: UpdateMe,
) -> Result<(ProfileChanges, Option<String>), ApiError> {
    let name = body
        .name
        .map(|name| text_within("/name", &name, 1, NAME, &[]));
    let timezone = body.timezone.map(|zone| parse_at("/timezone", &zone));
    let notify_by = body.notify_by.map(|by| parse_at("/notify_by", &by));
    let password = body
        .password
        .map(|password| NewPassword::parse("/password", &password));
    let present_hash = match &password {
        Some(_) => Some(check_password(app, id, address, body.current_password).await?),
        None => None,
    };
    match (
        name.transpose(),
        timezone.transpose(),
        notify_by.transpose(),
        password.transpose(),
        present_hash.transpose(),
    ) {
        (Ok(name), Ok(timezone), Ok(notify_by), Ok(password), Ok(present_hash)) => {
            let password_hash = match password {
                Some(password) => Some(app.passwords.hash(password).await?),
                None => None,
            };
            let changes = ProfileChanges {
                name,
                timezone,
                notify_by,
                password_hash,
            };
            Ok((changes, present_hash))
        }
        (name, timezone, notify_by, password, present_hash) => {
            let wrong = [
                name.err(),
                timezone.err(),
                notify_by.err(),
                password.err(),
                present_hash.err(),
            ];
            Err(ApiError::invalid(wrong.into_iter().flatten()))
        }
    }
}

/// The hash of the present password, if that is the one given. To guess it is counted like
/// guessing at a login.
async fn check_password(
    app: &App,
    id: UserId,
    address: IpAddr,
    given: Option<String>,
) -> Result<Result<String, Invalid>, ApiError> {
    let Some(given) = given else {
        let detail = "is required with a new password";
        return Ok(Err(Invalid::at(CURRENT_PASSWORD, detail)));
    };
    let email = users::get(&app.db, id).await?.user.email;
    let attempt = app.logins.attempt(&email, address, app.now()).await?;
    let found = users::find_for_login(&app.db, &email).await?;
    let hash = found.map(|(_, hash)| hash);
    let right = app
        .passwords
        .verify(SecretString::from(given), hash.clone())
        .await?;
    let Some(hash) = hash.filter(|_| right) else {
        attempt.wrong(app.now()).await;
        return Ok(Err(wrong_password()));
    };
    attempt.right().await;
    Ok(Ok(hash))
}

fn wrong_password() -> Invalid {
    Invalid::at(CURRENT_PASSWORD, "is not the present password")
}
