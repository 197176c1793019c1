//! `http(#{ method, url, headers, body, timeout })`.

use super::timeout;
use crate::action::{refused, text};
use crate::evaluation::{self, Evaluation, Host};
use crate::nearest::did_you_mean;
use crate::words::Words;
use crate::world::{kind_of, map_from_json, to_json};
use crate::{HttpRequest, Wait};
use rhai::{Dynamic, Map, NativeCallContext};
use serde_json::{Value, json};
use smarttasks_model::{HeaderSet, Span, WebhookUrl, WebhookUrlError};
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

pub(super) fn define(words: &mut Words) {
    words
        .function(
            "http(request: map) -> map",
            "Asks another system and waits for its answer: `url`, and optionally `method` (\"GET\", or \"POST\" where there is a body; PUT, PATCH, DELETE, HEAD), `headers`, `body` (a text, or any value, which is written as JSON) and `timeout` (an hour unless it says otherwise, at most 7 days), within which a request that fails for a while is repeated. Gives `status`, `headers` (names in lower case), `body`, of which what is beyond 64 KiB is cut off (`truncated` is `true` then), and `json`, the body where it says that it is JSON, or else `()`; without an answer `status` is 0 and `error` says why.",
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
        let most = e.limits.http_timeout;
        let given = asked.get("timeout").filter(|given| !given.is_unit());
        let given = given
            .map(|given| timeout("http", given, most))
            .transpose()?;
        let asked = json!([request, given.map(Span::millis)]);
        let until = match given {
            Some(given) => e.inputs.now + given,
            None => e.inputs.now + most.min(USUAL_TIMEOUT),
        };
        let wait = Wait::Http { request, until };
        e.wait("http", wait, &asked, context.call_position())?;
        Ok(match e.woken() {
            Value::Object(answer) => map_from_json(answer),
            _ => unanswered(),
        })
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
    let body = body.map(|Written { text, is_json }| {
        if is_json {
            let kind = headers.entry("content-type".to_owned());
            kind.or_insert_with(|| "application/json".to_owned());
        }
        text
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

/// A body as it is sent.
struct Written {
    text: String,
    /// Whether it has been written as JSON. What a text is, only its author knows.
    is_json: bool,
}

fn written(evaluation: &Evaluation, body: &Dynamic) -> Host<Written> {
    let written = match body.as_immutable_string_ref() {
        Ok(text) => Written {
            text: text.to_string(),
            is_json: false,
        },
        Err(_) => Written {
            text: to_json(evaluation, body)?.to_string(),
            is_json: true,
        },
    };
    if written.text.len() > LONGEST_BODY {
        let most = LONGEST_BODY / 1024;
        return Err(format!("http: `body` is longer than {most} KiB").into());
    }
    Ok(written)
}

/// What is ours to set is refused.
fn headers(given: Option<&Dynamic>) -> Host<BTreeMap<String, String>> {
    let Some(given) = given else {
        return Ok(BTreeMap::new());
    };
    let Ok(map) = given.as_map_ref() else {
        let kind = kind_of(given);
        return Err(format!("http: `headers` must be a map of texts, not {kind}").into());
    };
    let mut named = BTreeMap::new();
    for (name, value) in map.iter() {
        let value = text("http", &format!("headers.{name}"), value)?;
        named.insert(name.to_string(), value);
    }
    let checked = HeaderSet::of_request("/headers", &named);
    let checked = checked.map_err(|wrong| refused("http", &[wrong]))?;
    Ok(checked.into())
}
