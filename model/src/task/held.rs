//! How much memory a task takes: whoever reads many stops in time.

use super::Task;
use serde_json::Value;

impl Task {
    /// About the bytes that it holds in memory.
    pub fn held_bytes(&self) -> usize {
        let texts = self.title.len() + self.description.len();
        let tags: usize = self.tags.iter().map(|tag| tag.len() + 24).sum();
        let fields = self.fields.iter();
        let fields: usize = fields.map(|(name, value)| entry(name, value)).sum();
        size_of::<Self>() + texts + tags + fields
    }
}

fn entry(name: &str, value: &Value) -> usize {
    name.len() + held(value) + 64
}

fn held(value: &Value) -> usize {
    match value {
        Value::String(text) => text.len() + 32,
        Value::Array(items) => items.iter().map(held).sum::<usize>() + 32,
        Value::Object(entries) => {
            let entries = entries.iter();
            entries.map(|(name, value)| entry(name, value)).sum()
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => 32,
    }
}
