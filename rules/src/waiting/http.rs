//! `http(#{ method, url, headers, body, timeout })`.

use super::timeout;
use crate::action::{refused, text};
use crate::evaluation::{self, Evaluation, Host};
use crate::nearest::did_you_mean;
use crate::words::Words;
use crate::world::{kind_of, map_from_json, to_json};
use crate::{HttpRequest, Wait};
use rhai::{Dynamic, Map, NativeCallContext};
use serde_json::Value;
use smarttasks_model::{HeaderSet, Timestamp, WebhookUrl, WebhookUrlError};
use std::collections::BTreeMap;
use std::time::Duration;

/// What `http` takes.
pub(crate) const KEYS: &[&str] = &["method", "url", "headers", "body", "timeout"];

/// How it may ask.
pub(crate) const METHODS: &[&str] = &["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD"];

/// How long it waits unless the script says otherwise.
const USUAL_TIMEOUT: Duration = Duration::from_secs(3_600);

/// Longest body, in bytes: what is asked is kept until it has been answered.
const LONGEST_BODY: usize = 256 * 1024;

/// The header that says what the body is.
const CONTENT_TYPE: &str = "content-type";

pub(super) fn define(words: &mut Words) {
    words
        .function(
            "http(request: map) -> map",
            "Asks another system and waits for its answer: `url`, and optionally `method` (\"GET\", or \"POST\" where there is a body; PUT, PATCH, DELETE, HEAD), `headers`, `body` (a text, or any value, which is written as JSON) and `timeout` (an hour unless it says otherwise, at most 7 days), within which a request that fails for a while is repeated. Gives `status`, `headers` (names in lower case), `body`, of which what is beyond 16 KiB is cut off, and `json`, the body read as JSON or `()`; without an answer `status` is 0 and `error` says why.",
            r#"let answer = http(#{ url: "https://status.example.com/api", timeout: minutes(10) });
if answer.status == 200 && answer.json.up { task.comment("It is up again."); }
log(answer.json); // #{"up": true}"#,
        )
        .is(words, http);
}

fn http(context: NativeCallContext, asked: Map) -> Host<Dynamic> {
    known(&asked)?;
    evaluation::with(|e| {
        let request = request(e, &asked)?;
        let until = until(e, asked.get("timeout"))?;
        let wait = Wait::Http { request, until };
        match e.wait("http", wait, context.call_position())? {
            Value::Object(answer) => Ok(map_from_json(&answer)),
            _ => Ok(unanswered()),
        }
    })
}

/// What a script gets that was brought to go on before there was an answer.
fn unanswered() -> Dynamic {
    let mut answer = Map::new();
    answer.insert("status".into(), Dynamic::from_int(0));
    answer.insert("headers".into(), Dynamic::from_map(Map::new()));
    answer.insert("body".into(), "".into());
    answer.insert("json".into(), Dynamic::UNIT);
    answer.insert("error".into(), "there was no answer".into());
    Dynamic::from_map(answer)
}

fn known(asked: &Map) -> Host<()> {
    for key in asked.keys() {
        if !KEYS.contains(&key.as_str()) {
            let hint = did_you_mean(key, KEYS.iter().copied())
                .unwrap_or_else(|| format!("it takes {}", KEYS.join(", ")));
            return Err(format!("http: there is no `{key}`; {hint}").into());
        }
    }
    match asked.contains_key("url") {
        true => Ok(()),
        false => Err("http: `url` is missing".into()),
    }
}

fn request(evaluation: &Evaluation, asked: &Map) -> Host<HttpRequest> {
    let part = |key| asked.get(key).filter(|value| !value.is_unit());
    let url = text("http", "url", asked.get("url").unwrap_or(&Dynamic::UNIT))?;
    let url = self::url(&url).map_err(|error| format!("http: `url`: {error}"))?;
    let body = part("body").map(|body| written(evaluation, body));
    let body = body.transpose()?;
    let method = method(part("method"), body.is_some())?;
    let mut headers = headers(part("headers"))?;
    let body = body.map(|(body, kind)| {
        let named = headers.entry(CONTENT_TYPE.to_owned());
        named.or_insert_with(|| kind.to_owned());
        body
    });
    Ok(HttpRequest {
        method,
        url: url.to_string(),
        headers,
        body,
    })
}

/// Where a request may go, as far as the URL says it.
pub(crate) fn url(text: &str) -> Result<WebhookUrl, String> {
    text.parse()
        .map_err(|error: WebhookUrlError| error.to_string())
}

fn method(given: Option<&Dynamic>, has_body: bool) -> Host<String> {
    let method = match given {
        Some(method) => text("http", "method", method)?.to_ascii_uppercase(),
        None if has_body => "POST".to_owned(),
        None => "GET".to_owned(),
    };
    if !METHODS.contains(&method.as_str()) {
        let hint = did_you_mean(&method, METHODS.iter().copied())
            .unwrap_or_else(|| format!("there are {}", METHODS.join(", ")));
        return Err(format!("http: `method`: there is no {method}; {hint}").into());
    }
    if has_body && matches!(method.as_str(), "GET" | "HEAD") {
        return Err(format!("http: a {method} carries no `body`; use POST, or the URL").into());
    }
    Ok(method)
}

/// The body as it is sent, and what it is.
fn written(evaluation: &Evaluation, body: &Dynamic) -> Host<(String, &'static str)> {
    let (body, kind) = match body.as_immutable_string_ref() {
        Ok(text) => (text.to_string(), "text/plain; charset=utf-8"),
        Err(_) => (to_json(evaluation, body)?.to_string(), "application/json"),
    };
    if body.len() > LONGEST_BODY {
        let most = LONGEST_BODY / 1024;
        return Err(format!("http: `body` is longer than {most} KiB").into());
    }
    Ok((body, kind))
}

/// What is ours to set is refused, but for the type of the body, which only the script knows.
fn headers(given: Option<&Dynamic>) -> Host<BTreeMap<String, String>> {
    let Some(given) = given else {
        return Ok(BTreeMap::new());
    };
    let Ok(map) = given.as_map_ref() else {
        let kind = kind_of(given);
        return Err(format!("http: `headers` must be a map of texts, not {kind}").into());
    };
    let mut named = BTreeMap::new();
    let mut kind = None;
    for (name, value) in map.iter() {
        let value = text("http", &format!("headers.{name}"), value)?;
        if name.eq_ignore_ascii_case(CONTENT_TYPE) {
            kind = Some(content_type(value)?);
        } else {
            named.insert(name.to_string(), value);
        }
    }
    let checked = HeaderSet::parse("/headers", &named);
    let checked = checked.map_err(|wrong| refused("http", &[wrong]))?;
    let mut headers = BTreeMap::from(checked);
    headers.extend(kind.map(|kind| (CONTENT_TYPE.to_owned(), kind)));
    Ok(headers)
}

fn content_type(value: String) -> Host<String> {
    let printable = value.bytes().all(|b| (b' '..=b'~').contains(&b));
    match printable && (1..=255).contains(&value.len()) {
        true => Ok(value),
        false => Err("http: `headers/content-type` is not a type such as application/json".into()),
    }
}

fn until(evaluation: &Evaluation, given: Option<&Dynamic>) -> Host<Timestamp> {
    let most = evaluation.limits.http_timeout;
    match given.filter(|given| !given.is_unit()) {
        Some(given) => timeout(evaluation, "http", given, most),
        None => Ok(evaluation.inputs.now + most.min(USUAL_TIMEOUT)),
    }
}
