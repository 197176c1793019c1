//! `smarttasks rules check`: what is wrong with rule files.

use super::Ending;
use super::files::{Names, RuleFile, named, text_of};
use super::finding::Finding;
use super::server::Server;
use super::text::count;
use crate::Error;
use crate::cli::CheckRules;
use crate::config::Config;
use crate::service::limits;
use smarttasks_model::Trigger;
use smarttasks_rules::{Analysis, Language, Pool, check_rule, parse_rule_file};
use std::io::Write;
use std::path::{Path, PathBuf};
use tokio::sync::oneshot;

/// Says what is wrong with each file, by the limits of this configuration.
///
/// # Errors
/// There are no files, or the server that is to be asked does not answer.
pub(super) async fn run(
    config: &Config,
    asked: &CheckRules,
    out: &mut (dyn Write + Send),
) -> Result<Ending, Error> {
    let paths = named(&asked.paths)?;
    let server = match asked.connection.server {
        Some(_) => Some(Server::named(&asked.connection)?),
        None => None,
    };
    let mut checker = Checker {
        // One thread: the files are told of in their order.
        pool: Pool::new(Language::new(limits(config)), 1)
            .map_err(|error| Error::start("start the thread that reads scripts", &error))?,
        names: Names::default(),
        server,
    };
    let (mut errors, mut warnings) = (0, 0);
    let files = paths.len();
    for path in paths {
        let mut findings = checker.check(path).await?;
        findings.sort_by_key(Finding::place);
        for finding in findings {
            match finding.is_error() {
                true => errors += 1,
                false => warnings += 1,
            }
            write!(out, "{finding}")?;
        }
    }
    let files = count(files, "file");
    let (told, warned) = (count(errors, "error"), count(warnings, "warning"));
    writeln!(out, "{files}: {told}, {warned}")?;
    Ok(match errors > 0 || (asked.deny_warnings && warnings > 0) {
        true => Ending::Failed,
        false => Ending::Done,
    })
}

struct Checker {
    pool: Pool,
    names: Names,
    server: Option<Server>,
}

impl Checker {
    async fn check(&mut self, path: PathBuf) -> Result<Vec<Finding>, Error> {
        let source = match text_of(&path) {
            Ok(source) => source,
            Err(finding) => return Ok(vec![*finding]),
        };
        let spec = match parse_rule_file(&source) {
            Ok(spec) => spec,
            Err(error) => {
                // Of what starts it nothing is known, so warnings may be wrong.
                let analysis = self.analysed(&source, Vec::new()).await?;
                let mut findings = in_script(&path, &source, analysis);
                findings.retain(Finding::is_error);
                findings.push(Finding::of_header(&path, &source, &error));
                return Ok(findings);
            }
        };
        let analysis = self.analysed(&source, spec.triggers.clone()).await?;
        let mut findings = in_script(&path, &source, analysis);
        let wrong = check_rule(&spec, self.pool.language().limits());
        // Of the script, the analysis says more, and places.
        let said = !findings.is_empty();
        let wrong = wrong.iter().filter(|of| !said || of.pointer != "/script");
        findings.extend(wrong.map(|wrong| Finding::of_field(&path, &source, wrong)));
        let file = RuleFile { path, spec };
        findings.extend(self.names.taken(&file));
        self.ask(&file, &mut findings).await?;
        Ok(findings)
    }

    async fn analysed(&self, source: &str, triggers: Vec<Trigger>) -> Result<Analysis, Error> {
        let (done, analysis) = oneshot::channel();
        self.pool.analyse(source.to_owned(), triggers, |found| {
            // Whoever waits is this function.
            drop(done.send(found));
        });
        analysis
            .await
            .map_err(|error| Error::start("read the script", &error))
    }

    /// Adds what the server finds besides: it knows what the workspace has.
    async fn ask(&self, file: &RuleFile, findings: &mut Vec<Finding>) -> Result<(), Error> {
        let Some(server) = &self.server else {
            return Ok(());
        };
        let RuleFile { path, spec } = file;
        for found in server.validate(&spec.script).await? {
            let finding = Finding::of_server(path, &spec.script, found);
            if !findings.contains(&finding) {
                findings.push(finding);
            }
        }
        Ok(())
    }
}

fn in_script(path: &Path, source: &str, analysis: Analysis) -> Vec<Finding> {
    let found = analysis.diagnostics.into_iter();
    found
        .map(|found| Finding::of_script(path, source, found))
        .collect()
}
