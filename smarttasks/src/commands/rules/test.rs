//! `smarttasks rules test`: whether rules do what the tests beside them expect.

use super::Ending;
use super::files::{self, RuleFile, text_of};
use super::finding::Finding;
use super::text::{count, printable};
use crate::Error;
use crate::cli::TestRules;
use crate::config::Config;
use crate::service::limits;
use smarttasks_rules::{Diagnostic, Language, Pool, RuleTests, TestResult};
use std::io::Write;
use std::path::Path;
use tokio::sync::oneshot;

/// Runs the tests of each rule, by the limits of this configuration, and tells of those that fail.
///
/// # Errors
/// There are no tests.
pub(super) async fn run(
    config: &Config,
    asked: &TestRules,
    out: &mut (dyn Write + Send),
) -> Result<Ending, Error> {
    let all = files::tests(&asked.paths)?;
    let pool = Pool::new(Language::new(limits(config)), 1)
        .map_err(|error| Error::start("start the thread that evaluates scripts", &error))?;
    let (mut passed, mut failed, mut unusable) = (0, 0, 0);
    let number = all.len();
    for tests in all {
        let rule = files::of_tests(&tests);
        match results(&pool, &rule, &tests).await? {
            Ok(results) => {
                for result in results {
                    match result.differences.is_empty() {
                        true => passed += 1,
                        false => failed += 1,
                    }
                    tell(&tests, &result, out)?;
                }
            }
            Err(findings) => {
                unusable += 1;
                for finding in findings {
                    write!(out, "{finding}")?;
                }
            }
        }
    }
    let mut parts = vec![format!("{passed} passed"), format!("{failed} failed")];
    if unusable > 0 {
        parts.push(format!("{} not to be tested", count(unusable, "rule")));
    }
    writeln!(out, "{}: {}", count(number, "rule"), parts.join(", "))?;
    Ok(match failed + unusable {
        0 => Ending::Done,
        _ => Ending::Failed,
    })
}

/// What came of the tests of a rule, or why they could not be run.
async fn results(
    pool: &Pool,
    rule: &Path,
    tests: &Path,
) -> Result<Result<Vec<TestResult>, Vec<Finding>>, Error> {
    let read = RuleFile::read(rule.to_owned()).and_then(|rule| Ok((rule, parsed(tests)?)));
    let (RuleFile { path, spec }, parsed) = match read {
        Ok(read) => read,
        Err(finding) => return Ok(Err(vec![*finding])),
    };
    let source = spec.script.clone();
    let (done, results) = oneshot::channel();
    let language = pool.language().clone();
    pool.run(move || {
        // Whoever waits is this function.
        drop(done.send(parsed.run(&language, &spec)));
    });
    let results = results
        .await
        .map_err(|error| Error::start("run the tests", &error))?;
    let found = |found: Diagnostic| Finding::of_script(&path, &source, found);
    Ok(results.map_err(|wrong| wrong.into_iter().map(found).collect()))
}

fn parsed(path: &Path) -> Result<RuleTests, Box<Finding>> {
    let text = text_of(path)?;
    RuleTests::parse(&text).map_err(|error| Finding::of_tests(path, &text, &error).into())
}

fn tell(tests: &Path, result: &TestResult, out: &mut dyn Write) -> Result<(), Error> {
    let verdict = match result.differences.is_empty() {
        true => "ok    ",
        false => "FAILED",
    };
    let name = printable(&result.name);
    writeln!(out, "{verdict} {}: {name}", tests.display())?;
    for difference in &result.differences {
        writeln!(out, "       {}", printable(difference))?;
    }
    Ok(())
}
