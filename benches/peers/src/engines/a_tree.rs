//! An index over boolean expressions: A-Tree, of SIGMOD 2021.

use super::{Dialect, Engine};
use crate::task::{NUMBERS, TAGS, TEXTS, Task};
use a_tree::AttributeDefinition;
use smarttasks_benches::Failure;
use smarttasks_benches::rules::Case;
use smarttasks_model::Timestamp;

const DIALECT: Dialect = Dialect {
    and: " and ",
    or: " or ",
    is: "=",
    is_not: "<>",
    one_of: |name, texts| format!("{name} in {texts}"),
    has_tag: |tag| format!("tags one of [{tag}]"),
};

/// The index.
pub struct ATree {
    tree: a_tree::ATree<usize>,
    now: Timestamp,
}

impl Engine for ATree {
    const NAME: &'static str = "a-tree 0.6, an index";

    fn load(case: &Case, count: usize, now: Timestamp) -> Result<Self, Failure> {
        let texts = TEXTS.iter().map(|name| AttributeDefinition::string(name));
        let numbers = NUMBERS
            .iter()
            .map(|name| AttributeDefinition::integer(name));
        let tags = [AttributeDefinition::string_list(TAGS)];
        let attributes: Vec<_> = texts.chain(numbers).chain(tags).collect();
        let tree = a_tree::ATree::new(&attributes).map_err(|error| error.to_string());
        let mut tree = tree?;
        for number in 0..count {
            let guard = DIALECT.guard(case, number);
            let inserted = tree.insert(&number, &guard);
            inserted.map_err(|error| format!("{error:?}"))?;
        }
        Ok(Self { tree, now })
    }

    fn matching(&mut self, event: &str) -> Result<usize, Failure> {
        let task = Task::read(event, self.now)?;
        let mut event = self.tree.make_event();
        for (name, text) in task.texts() {
            event.with_string(name, text)?;
        }
        for (name, number) in task.numbers() {
            event.with_integer(name, number)?;
        }
        let tags: Vec<&str> = task.tags().collect();
        event.with_string_list(TAGS, &tags)?;
        let found = self.tree.search(&event.build()?);
        Ok(found.map_err(|error| error.to_string())?.matches().len())
    }
}
