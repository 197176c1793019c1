//! The rules of a server, over its API.

use super::text::printable;
use crate::Error;
use crate::cli::Connection;
use crate::config::{PublicUrl, Setting};
use crate::error::chain;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue, LOCATION, RETRY_AFTER};
use reqwest::redirect::Policy;
use reqwest::{Client, Method, Response, StatusCode};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use smarttasks_model::{RuleId, RuleSpec, WorkspaceId};
use smarttasks_notifier::trust;
use smarttasks_rules::Severity;
use std::fmt;
use std::io::Write;
use std::time::Duration;
use url::{Host, Url};

/// How long connecting may take.
const CONNECTING: Duration = Duration::from_secs(10);
/// How long a request may take.
const PATIENCE: Duration = Duration::from_secs(60);
/// How often a request is made that the server asks to make later.
const TRIES: u32 = 5;
/// How long the server may ask to wait.
const LONGEST_WAIT: Duration = Duration::from_secs(120);
/// The largest answer that is read, in bytes.
const LARGEST: usize = 64 * 1024 * 1024;
/// Rules that are asked for at once.
const PAGE: &str = "100";

/// A rule as the server has it.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct RemoteRule {
    pub(super) id: RuleId,
    pub(super) version: i64,
    /// Why the system has disabled it.
    #[serde(default)]
    pub(super) disabled_reason: Option<String>,
    #[serde(flatten)]
    pub(super) spec: RuleSpec,
}

/// A rule to be saved: its file says everything about it but this.
pub(super) struct Saved<'s> {
    pub(super) source: &'s str,
    /// Whether it is not for what matches already.
    pub(super) skip_existing: bool,
}

impl Saved<'_> {
    fn body(&self) -> Value {
        json!({ "script": self.source, "apply_to_existing": !self.skip_existing })
    }
}

/// What a server finds in a script.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct RemoteDiagnostic {
    pub(super) severity: Severity,
    pub(super) code: String,
    pub(super) line: Option<usize>,
    pub(super) column: Option<usize>,
    pub(super) message: String,
    pub(super) hint: Option<String>,
}

/// Why a server does not do what it was asked for (RFC 9457).
#[derive(Clone, Debug, Deserialize, thiserror::Error)]
pub struct Refusal {
    /// The kind of problem.
    pub code: String,
    /// What was wrong.
    pub detail: String,
    /// Each value that was wrong.
    #[serde(default)]
    pub errors: Vec<FieldRefusal>,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { code, detail, .. } = self;
        write!(f, "the server refuses: {} ({code})", printable(detail))
    }
}

/// One value that was wrong.
#[derive(Clone, Debug, Deserialize)]
pub struct FieldRefusal {
    /// A JSON pointer into the rule.
    pub pointer: String,
    /// What was wrong.
    pub detail: String,
    /// The line within the script, from 1.
    #[serde(default)]
    pub line: Option<usize>,
    /// The column within that line, from 1.
    #[serde(default)]
    pub column: Option<usize>,
}

/// A server, and who asks it.
pub(super) struct Server {
    client: Client,
    address: PublicUrl,
    authorization: HeaderValue,
    workspace: Option<WorkspaceId>,
}

/// One thing to ask.
struct Question<'q> {
    method: Method,
    path: String,
    query: Vec<(&'q str, String)>,
    header: Option<(&'static str, String)>,
    body: Option<Value>,
}

impl Server {
    /// The server that was named, by a flag or else in the environment.
    pub(super) fn named(connection: &Connection) -> Result<Self, Error> {
        let given = connection
            .server
            .clone()
            .or_else(|| variable("SMARTTASKS_SERVER"));
        let given = given.ok_or(Error::NoServer)?;
        let address = PublicUrl::parse(&given).map_err(|expected| Error::NotAServer {
            given: without_user(&given),
            expected,
        })?;
        let workspace = connection.workspace.as_deref();
        Ok(Self {
            client: client(&address)?,
            address,
            authorization: authorization(&token(connection)?)?,
            workspace: workspace.map(workspace_id).transpose()?,
        })
    }

    /// All rules, the oldest first.
    pub(super) async fn rules(&self) -> Result<Vec<RemoteRule>, Error> {
        #[derive(Deserialize)]
        struct Page {
            data: Vec<RemoteRule>,
            next_cursor: Option<String>,
        }
        let (mut rules, mut cursor) = (Vec::new(), None::<String>);
        loop {
            let mut query = self.workspace_query();
            query.push(("limit", PAGE.to_owned()));
            query.extend(cursor.clone().map(|cursor| ("cursor", cursor)));
            let question = Question {
                query,
                ..Question::of(Method::GET, "rules".to_owned())
            };
            let page: Page = self.ask_for(question).await?;
            rules.extend(page.data);
            match page.next_cursor {
                None => break,
                next if next == cursor => {
                    return Err(self.does("sends the same page of its list again and again"));
                }
                next => cursor = next,
            }
        }
        rules.sort_by_key(|rule| rule.id.to_string());
        Ok(rules)
    }

    /// Makes a rule of a file.
    pub(super) async fn create(&self, saved: &Saved<'_>) -> Result<RemoteRule, Error> {
        let body = self.of_workspace(saved.body());
        // So that asking again cannot make two.
        let mut key = [0; 16];
        getrandom::fill(&mut key).map_err(Error::Random)?;
        let key = format!("{:032x}", u128::from_le_bytes(key));
        self.ask_for(Question {
            header: Some(("idempotency-key", key)),
            body: Some(body),
            ..Question::of(Method::POST, "rules".to_owned())
        })
        .await
    }

    /// Makes a rule what a file says, unless it is no longer what was seen.
    pub(super) async fn replace(
        &self,
        seen: &RemoteRule,
        saved: &Saved<'_>,
    ) -> Result<RemoteRule, Error> {
        self.ask_for(Question {
            body: Some(saved.body()),
            ..self.about(Method::PUT, seen)
        })
        .await
    }

    /// Deletes a rule, unless it is no longer what was seen.
    pub(super) async fn delete(&self, seen: &RemoteRule) -> Result<(), Error> {
        self.ask(self.about(Method::DELETE, seen)).await.map(drop)
    }

    /// What the server finds in the file of a rule.
    pub(super) async fn validate(&self, source: &str) -> Result<Vec<RemoteDiagnostic>, Error> {
        #[derive(Deserialize)]
        struct Validation {
            diagnostics: Vec<RemoteDiagnostic>,
        }
        let body = self.of_workspace(json!({ "script": source }));
        let validation: Validation = self
            .ask_for(Question {
                body: Some(body),
                ..Question::of(Method::POST, "rules/validate".to_owned())
            })
            .await?;
        Ok(validation.diagnostics)
    }

    fn about<'q>(&self, method: Method, seen: &RemoteRule) -> Question<'q> {
        Question {
            query: self.workspace_query(),
            header: Some(("if-match", format!("\"v{}\"", seen.version))),
            ..Question::of(method, format!("rules/{}", seen.id))
        }
    }

    fn of_workspace(&self, mut body: Value) -> Value {
        if let Some(workspace) = self.workspace {
            body["workspace_id"] = json!(workspace);
        }
        body
    }

    fn workspace_query<'q>(&self) -> Vec<(&'q str, String)> {
        let workspace = self.workspace.iter();
        workspace
            .map(|id| ("workspace_id", id.to_string()))
            .collect()
    }

    async fn ask_for<T: DeserializeOwned>(&self, question: Question<'_>) -> Result<T, Error> {
        let value = self.ask(question).await?;
        serde_json::from_value(value).map_err(|error| {
            self.does(format!(
                "answers something that this version does not know ({error}); is it a newer one?"
            ))
        })
    }

    /// Asks, and again as long as the server says to come later.
    async fn ask(&self, question: Question<'_>) -> Result<Value, Error> {
        let mut tries = TRIES;
        loop {
            tries -= 1;
            let response = self.send(&question).await?;
            match asked_to_wait(&response) {
                Some(wait) if tries > 0 => {
                    // Beside the output: nobody who reads that wants to know.
                    let _ = writeln!(
                        std::io::stderr(),
                        "{} asks to wait for {} s",
                        self.address,
                        wait.as_secs()
                    );
                    tokio::time::sleep(wait).await;
                }
                _ => return self.understood(response).await,
            }
        }
    }

    async fn send(&self, question: &Question<'_>) -> Result<Response, Error> {
        let address = format!("{}/api/v1/{}", self.address, question.path);
        let mut url = Url::parse(&address).map_err(|error| self.does(error))?;
        if !question.query.is_empty() {
            url.query_pairs_mut().extend_pairs(&question.query);
        }
        let mut request = self
            .client
            .request(question.method.clone(), url)
            .header(AUTHORIZATION, self.authorization.clone());
        if let Some((name, value)) = &question.header {
            request = request.header(*name, value);
        }
        if let Some(body) = &question.body {
            let kind = "application/json";
            request = request.header(CONTENT_TYPE, kind).body(body.to_string());
        }
        let sent = request.send().await;
        sent.map_err(|error| self.unanswered(error))
    }

    async fn understood(&self, mut response: Response) -> Result<Value, Error> {
        let status = response.status();
        let headers = std::mem::take(response.headers_mut());
        let body = self.body(response).await?;
        if status == StatusCode::UNAUTHORIZED {
            let server = self.address.to_string();
            return Err(Error::TokenNotAccepted { server });
        }
        if status.is_success() {
            let nothing = body.is_empty().then_some(Ok(Value::Null));
            return nothing
                .unwrap_or_else(|| serde_json::from_slice(&body))
                .map_err(|_| self.does("does not answer JSON; is it SmartTasks that runs there?"));
        }
        let refusal: Option<Refusal> = serde_json::from_slice(&body).ok();
        match refusal {
            Some(refusal) if status.is_client_error() && !asks_later(status) => Err(refusal.into()),
            refusal => Err(self.does(unexpected(status, &headers, refusal.as_ref()))),
        }
    }

    async fn body(&self, mut response: Response) -> Result<Vec<u8>, Error> {
        let mut body = Vec::new();
        let mut more = response.chunk().await;
        while let Some(chunk) = more.map_err(|error| self.unanswered(error))? {
            if body.len() + chunk.len() > LARGEST {
                return Err(self.does("answers more than a server of rules ever would"));
            }
            body.extend_from_slice(&chunk);
            more = response.chunk().await;
        }
        Ok(body)
    }

    fn does(&self, why: impl fmt::Display) -> Error {
        Error::Server {
            server: self.address.to_string(),
            why: why.to_string(),
        }
    }

    fn unanswered(&self, error: reqwest::Error) -> Error {
        self.does(format!("does not answer: {}", chain(&error.without_url())))
    }
}

impl Question<'_> {
    fn of(method: Method, path: String) -> Self {
        Self {
            method,
            path,
            query: Vec::new(),
            header: None,
            body: None,
        }
    }
}

fn client(address: &PublicUrl) -> Result<Client, Error> {
    let setup = "set up TLS";
    let tls = trust::client_tls().map_err(|error| Error::start(setup, &error))?;
    let mut client = Client::builder();
    if is_here(address) {
        // Whatever the environment says of proxies: there "here" would be somewhere else.
        client = client.no_proxy();
    }
    client
        .tls_backend_preconfigured(tls)
        .user_agent(concat!("smarttasks/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(CONNECTING)
        .timeout(PATIENCE)
        .redirect(Policy::none())
        .build()
        .map_err(|error| Error::start(setup, &error))
}

/// Whether the server is on this machine.
fn is_here(address: &PublicUrl) -> bool {
    let url = Url::parse(address.as_str());
    match url.as_ref().ok().and_then(Url::host) {
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    }
}

fn token(connection: &Connection) -> Result<SecretString, Error> {
    let token = match &connection.token_file {
        Some(path) => std::fs::read_to_string(path).map_err(|cause| Error::File {
            doing: "read the token in",
            path: path.clone(),
            cause,
        })?,
        None => variable("SMARTTASKS_TOKEN").ok_or(Error::NoToken("an access token is needed"))?,
    };
    Ok(token.trim().into())
}

fn authorization(token: &SecretString) -> Result<HeaderValue, Error> {
    let token = token.expose_secret();
    let sensible = !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_graphic());
    let value = HeaderValue::try_from(format!("Bearer {token}")).ok();
    match value {
        Some(mut value) if sensible => {
            value.set_sensitive(true);
            Ok(value)
        }
        _ => Err(Error::NoToken("what was given is no access token")),
    }
}

/// A variable of the environment; an empty one counts as absent.
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

fn workspace_id(text: &str) -> Result<WorkspaceId, Error> {
    serde_json::from_value(json!(text)).map_err(|_| Error::NotAWorkspace(text.to_owned()))
}

/// An address to show: who logs in by one has written a password.
fn without_user(address: &str) -> String {
    match (address.find("://"), address.rfind('@')) {
        (Some(start), Some(end)) if start + 3 <= end => {
            format!("{}…{}", &address[..start + 3], &address[end..])
        }
        _ => address.to_owned(),
    }
}

fn asks_later(status: StatusCode) -> bool {
    matches!(
        status,
        StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE
    )
}

/// How long to wait before asking again; none when that is not asked for, or for too long.
fn asked_to_wait(response: &Response) -> Option<Duration> {
    if !asks_later(response.status()) {
        return None;
    }
    let seconds = response.headers().get(RETRY_AFTER);
    let seconds = seconds.and_then(|value| value.to_str().ok()?.trim().parse().ok());
    let wait = Duration::from_secs(seconds.unwrap_or(1));
    (wait <= LONGEST_WAIT).then_some(wait)
}

fn unexpected(status: StatusCode, headers: &HeaderMap, refusal: Option<&Refusal>) -> String {
    if status.is_redirection() {
        let location = headers.get(LOCATION).and_then(|value| value.to_str().ok());
        let location = location.map(|to| format!(" to {}", printable(to)));
        return format!(
            "sends elsewhere ({status}{}); give the address of the server itself",
            location.unwrap_or_default()
        );
    }
    match refusal {
        Some(Refusal { detail, .. }) => format!("answers {status}: {}", printable(detail)),
        None if status.is_server_error() => format!("answers {status}; try again later"),
        None => format!("answers {status}, not as SmartTasks does; is the address right?"),
    }
}

#[cfg(test)]
mod tests;
