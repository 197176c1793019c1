//! Which rules an event matches: the product's index against other engines, at the same rules and the
//! same event.
//!
//! `cargo run --release --manifest-path benches/peers/Cargo.toml [most rules]`: for each case a table
//! of the microseconds of processor time that an event costs, its JSON read and every matching rule
//! found, by the number of rules. All engines must find as many.

mod engines;
mod task;

use engines::{ATree, Acting, Cel, Engine, Matching, Rhai, Zen};
use smarttasks_benches::rules::{CASES, Case, by_count};
use smarttasks_benches::{Failure, each};
use smarttasks_model::{Clock, Timestamp};
use std::io::Write;

#[global_allocator]
static HEAP: smarttasks_heap::Counting = smarttasks_heap::Counting;

/// The columns are so wide.
const WIDTH: usize = 10;

fn main() -> Result<(), Failure> {
    by_count(compare)
}

fn compare(counts: &[usize]) -> Result<(), Failure> {
    let now = Clock::system().now();
    for case in CASES {
        let mut table = Table {
            case,
            counts,
            now,
            found: None,
        };
        table.begin()?;
        table.row::<Matching>()?;
        table.row::<Acting>()?;
        table.row::<ATree>()?;
        table.row::<Zen>()?;
        table.row::<Rhai>()?;
        table.row::<Cel>()?;
    }
    Ok(())
}

/// The table of a case.
struct Table<'a> {
    case: &'a Case,
    counts: &'a [usize],
    now: Timestamp,
    /// How many rules match, by their number, as the first engine has it.
    found: Option<Vec<usize>>,
}

impl Table<'_> {
    fn begin(&self) -> Result<(), Failure> {
        let counts: Vec<String> = self.counts.iter().map(usize::to_string).collect();
        let mut out = std::io::stdout();
        writeln!(out, "\n{}; µs an event\n", self.case.name)?;
        write_row(&mut out, "rules", &counts)
    }

    fn row<E: Engine>(&mut self) -> Result<(), Failure> {
        let event = self.case.event(self.now)?;
        let (mut cells, mut found) = (Vec::new(), Vec::new());
        for count in self.counts {
            let mut engine = E::load(self.case, *count, self.now)?;
            let took = each(|| engine.matching(&event))?;
            cells.push(format!("{:.1}", took.micros));
            found.push(took.found);
        }
        write_row(&mut std::io::stdout(), E::NAME, &cells)?;
        let first = self.found.get_or_insert_with(|| found.clone());
        match *first == found {
            true => Ok(()),
            false => Err(format!("{} finds {found:?}, not {first:?}", E::NAME).into()),
        }
    }
}

fn write_row(out: &mut impl Write, name: &str, cells: &[String]) -> Result<(), Failure> {
    write!(out, "| {name:<40} |")?;
    for cell in cells {
        write!(out, " {cell:>WIDTH$} |")?;
    }
    Ok(writeln!(out)?)
}
