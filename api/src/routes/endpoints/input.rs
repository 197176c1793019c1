//! What is sent to make or change an endpoint, checked.

use crate::extract::present;
use crate::problem::ApiError;
use ipnet::IpNet;
use serde::Deserialize;
use smarttasks_model::{
    EndpointId, EventPattern, HeaderSet, Invalid, SigningSecret, WebhookUrl, WorkspaceId,
    text_within,
};
use smarttasks_store::endpoints::{Endpoint, EndpointChanges, NewEndpoint};
use std::collections::BTreeMap;

/// Longest name, in characters.
const NAME: usize = 100;
/// Most event types of one endpoint.
const EVENT_TYPES: usize = 50;

#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct CreateEndpoint {
    /// The workspace; your personal one when absent.
    #[schema(value_type = Option<Uuid>)]
    pub(super) workspace_id: Option<WorkspaceId>,
    /// Unique in the workspace, without `://`.
    #[schema(example = "ops")]
    name: String,
    /// `https`; `http` only to networks that the operator lists.
    #[schema(example = "https://example.com/hooks/tasks")]
    url: String,
    /// Which events it gets without a rule: types, or patterns with `*` for one segment.
    #[schema(example = json!(["task.*"]))]
    event_types: Option<Vec<String>>,
    /// Sent with each request.
    #[schema(example = json!({ "authorization": "Bearer s3cret" }))]
    headers: Option<BTreeMap<String, String>>,
    /// `true` when absent.
    enabled: Option<bool>,
}

impl CreateEndpoint {
    pub(super) fn parse(self, id: EndpointId, allowed: &[IpNet]) -> Result<NewEndpoint, ApiError> {
        let name = name(&self.name);
        let url = url(&self.url, allowed);
        let event_types = event_types(&self.event_types.unwrap_or_default());
        let headers = HeaderSet::parse("/headers", &self.headers.unwrap_or_default());
        match (name, url, event_types, headers) {
            (Ok(name), Ok(url), Ok(event_types), Ok(headers)) => Ok(NewEndpoint {
                id,
                name,
                url,
                event_types,
                headers,
                enabled: self.enabled.unwrap_or(true),
                secret: SigningSecret::generate(),
            }),
            (name, url, event_types, headers) => {
                let wrong = [name.err(), url.err(), headers.err()].into_iter().flatten();
                let wrong = wrong.chain(event_types.err().unwrap_or_default());
                Err(ApiError::invalid(wrong))
            }
        }
    }
}

/// What may be changed; what is absent stays, `null` clears event types and headers.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct UpdateEndpoint {
    #[serde(default, deserialize_with = "present")]
    name: Option<String>,
    #[serde(default, deserialize_with = "present")]
    url: Option<String>,
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<Vec<String>>)]
    event_types: Option<Option<Vec<String>>>,
    /// Merged name by name; `null` removes one.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<BTreeMap<String, Option<String>>>)]
    headers: Option<Option<BTreeMap<String, Option<String>>>>,
    /// To enable it forgets why the system disabled it.
    #[serde(default, deserialize_with = "present")]
    enabled: Option<bool>,
}

impl UpdateEndpoint {
    /// The changes to `before`.
    pub(super) fn parse(
        self,
        before: &Endpoint,
        allowed: &[IpNet],
    ) -> Result<EndpointChanges, ApiError> {
        let name = self.name.map(|text| name(&text)).transpose();
        let url = self.url.map(|text| url(&text, allowed)).transpose();
        let event_types = self
            .event_types
            .map(|list| event_types(&list.unwrap_or_default()))
            .transpose();
        let headers = self
            .headers
            .map(|patch| HeaderSet::parse("/headers", &merged(&before.headers, patch)))
            .transpose();
        match (name, url, event_types, headers) {
            (Ok(name), Ok(url), Ok(event_types), Ok(headers)) => Ok(EndpointChanges {
                name,
                url,
                event_types,
                headers,
                enabled: self.enabled,
            }),
            (name, url, event_types, headers) => {
                let wrong = [name.err(), url.err(), headers.err()].into_iter().flatten();
                let wrong = wrong.chain(event_types.err().unwrap_or_default());
                Err(ApiError::invalid(wrong))
            }
        }
    }
}

/// The headers with `patch` merged onto them; their names have no case.
fn merged(
    headers: &HeaderSet,
    patch: Option<BTreeMap<String, Option<String>>>,
) -> BTreeMap<String, String> {
    let Some(patch) = patch else {
        return BTreeMap::new();
    };
    let patched = |name: &str| patch.keys().any(|of| of.eq_ignore_ascii_case(name));
    let kept = headers.iter().filter(|(name, _)| !patched(name));
    let mut merged: BTreeMap<String, String> = kept
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    let set = patch
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?)));
    merged.extend(set);
    merged
}

fn name(text: &str) -> Result<String, Invalid> {
    let name = text_within("/name", text, 1, NAME, &[])?;
    if name.contains("://") {
        let detail = "must not contain ://, by which a script tells a URL from a name";
        return Err(Invalid::at("/name", detail));
    }
    Ok(name)
}

fn url(text: &str, allowed: &[IpNet]) -> Result<WebhookUrl, Invalid> {
    text.parse()
        .and_then(|url: WebhookUrl| url.check(allowed).map(|()| url))
        .map_err(|error| Invalid::at("/url", error.to_string()))
}

fn event_types(texts: &[String]) -> Result<Vec<EventPattern>, Vec<Invalid>> {
    let mut patterns = Vec::new();
    let mut wrong = Vec::new();
    if texts.len() > EVENT_TYPES {
        let detail = format!("at most {EVENT_TYPES} are allowed");
        wrong.push(Invalid::at("/event_types", detail));
    }
    for (index, text) in texts.iter().enumerate().take(EVENT_TYPES) {
        match text.parse() {
            Ok(pattern) if patterns.contains(&pattern) => {}
            Ok(pattern) => patterns.push(pattern),
            Err(error) => {
                let error: smarttasks_model::EventTypeError = error;
                wrong.push(Invalid::at(
                    format!("/event_types/{index}"),
                    error.to_string(),
                ));
            }
        }
    }
    if wrong.is_empty() {
        Ok(patterns)
    } else {
        Err(wrong)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts<const N: usize>(pairs: [(&str, &str); N]) -> BTreeMap<String, String> {
        pairs
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into()
    }

    #[test]
    fn headers_are_merged_name_by_name_without_regard_to_case() {
        let before = [
            ("Authorization", "Bearer a"),
            ("X-Team", "ops"),
            ("X-A", "1"),
        ];
        let before = HeaderSet::parse("/headers", &texts(before)).unwrap();
        let patch = [
            ("X-TEAM".to_owned(), Some("dev".to_owned())),
            ("x-a".to_owned(), None),
        ];
        let after = merged(&before, Some(patch.into()));
        assert_eq!(
            after,
            texts([("authorization", "Bearer a"), ("X-TEAM", "dev")])
        );
        assert!(merged(&before, None).is_empty());
    }

    #[test]
    fn each_event_type_that_is_wrong_is_named() {
        let wrong = event_types(&["task.*", "nonsense", "task.exploded"].map(str::to_owned));
        let pointers: Vec<_> = wrong
            .unwrap_err()
            .into_iter()
            .map(|of| of.pointer)
            .collect();
        assert_eq!(pointers, ["/event_types/1", "/event_types/2"]);
        let fine = event_types(&["task.*", "task.*"].map(str::to_owned)).unwrap();
        assert_eq!(fine.len(), 1);
    }
}
