//! The words of the rule language, for editors that complete them.

use crate::app::App;
use crate::caller::Caller;
use axum::Json;
use axum::extract::State;
use serde::Serialize;
use smarttasks_rules::{Word, WordKind};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(get_language))
}

/// The rule language.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = RuleLanguage)]
struct LanguageView {
    /// Every word that a script may use, in the order of the reference.
    words: Vec<WordView>,
}

/// A word of the rule language. One that may be called in several ways comes several times.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = RuleWord)]
struct WordView {
    /// One of `name`, `constant`, `field`, `function`, `method`, `action` and `operator`.
    #[schema(value_type = String, example = "method")]
    kind: WordKind,
    #[schema(example = "format")]
    name: &'static str,
    /// The type before the dot of a method or field; else `null`.
    #[schema(example = "Timestamp")]
    of: Option<&'static str>,
    /// With the names and types of what it takes, and the type of what it gives.
    #[schema(example = "Timestamp.format(pattern: text) -> text")]
    signature: &'static str,
    /// What it does, in which units, and when it fails.
    doc: &'static str,
    /// A script that runs; a comment behind a call of `log` is the line that this writes.
    #[schema(example = "log(task.due_at.format(\"%d %b %H:%M\")); // 01 Dec 10:00")]
    example: &'static str,
    /// Where the reference tells of it.
    #[schema(example = "Time")]
    topic: &'static str,
}

impl From<&Word> for WordView {
    fn from(word: &Word) -> Self {
        Self {
            kind: word.kind,
            name: word.name,
            of: word.of,
            signature: word.signature,
            doc: word.doc,
            example: word.example,
            topic: word.topic,
        }
    }
}

/// The words that a rule's script may use, each with its signature, what it does, and an example.
#[utoipa::path(get, path = "/api/v1/rules/language", tag = "rules",
    responses((status = 200, body = LanguageView)))]
async fn get_language(State(app): State<App>, _: Caller) -> Json<LanguageView> {
    let words = app.pool.language().words();
    Json(LanguageView {
        words: words.iter().map(WordView::from).collect(),
    })
}
