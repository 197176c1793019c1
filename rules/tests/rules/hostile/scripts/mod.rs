//! The scripts, by what they aim at.

mod callbacks;
mod depth;
mod escapes;
mod growth;
mod host;
mod loops;
mod names;
mod natives;
mod parsing;
mod waiting;

/// Name, what may become of it (one of several, between bars), script.
pub type Script = (&'static str, &'static str, String);

/// Every script.
pub fn scripts() -> Vec<Script> {
    let mut all = loops::loops();
    all.extend(growth::growth());
    all.extend(depth::depth());
    all.extend(escapes::escapes());
    all.extend(callbacks::callbacks());
    all.extend(natives::natives());
    all.extend(parsing::parsing());
    all.extend(names::names());
    all.extend(host::host());
    all.extend(waiting::waiting());
    all
}

const TIME: &str = "failed limit_operations|failed limit_time";
const MEMORY: &str =
    "failed limit_operations|failed limit_time|failed limit_memory|failed limit_data";

fn own(script: &str) -> String {
    script.to_owned()
}
