//! What `config show` and docs/configuration.md say of the keys.

use super::Config;
use super::key::{Key, WhenAbsent};
use super::reader::Effective;
use super::source::Source;
use std::fmt::Write;

/// What holds, as a configuration file with the source of each value beside it. Lines of secrets
/// that were given are comments: without the secret they would not mean the same.
pub fn show(settings: &[Effective]) -> String {
    let line = |Effective { key, value, .. }: &Effective| {
        let value = serde_json::Value::from(value.as_str());
        format!("{} = {value}", key.id())
    };
    let width = settings.iter().map(|setting| line(setting).len()).max();
    let width = width.unwrap_or_default();
    settings.iter().fold(String::new(), |mut out, setting| {
        let mark = match setting.source {
            Source::Default => "",
            _ if setting.key.secret => "# ",
            _ => "",
        };
        let line = format!("{mark}{}", line(setting));
        let _ = writeln!(out, "{line:width$}  # {}", setting.source);
        out
    })
}

/// The tables of docs/configuration.md: every key with its names, type, default and meaning.
pub fn reference() -> String {
    Config::sections().fold(String::new(), |mut out, (about, keys)| {
        let section = keys.first().map_or("", |key| key.section);
        let heading = match section {
            "" => "Top of the file".to_owned(),
            section => format!("`[{section}]`"),
        };
        let _ = write!(
            out,
            "### {heading}\n\n{}\n\n\
             | key | environment | value | default | meaning |\n\
             | --- | --- | --- | --- | --- |\n",
            about.trim()
        );
        for key in keys {
            let _ = writeln!(out, "{}", row(key));
        }
        out.push('\n');
        out
    })
}

fn row(key: &Key) -> String {
    let default = match key.default {
        WhenAbsent::Text("") => "none".to_owned(),
        WhenAbsent::Text(text) => format!("`{text}`"),
        WhenAbsent::Derived { says, .. } => says.to_owned(),
    };
    let secret = if key.secret {
        format!(
            " Or `{0}_file`, `{1}_FILE`: a file that holds it.",
            key.name,
            key.env()
        )
    } else {
        String::new()
    };
    format!(
        "| `{}` | `{}` | {} | {default} | {}{secret} |",
        key.name,
        key.env(),
        key.kind,
        key.doc.trim()
    )
}
