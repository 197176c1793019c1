//! `smarttasks rules`: rules as files, checked, tested, compared and exchanged with a server.

mod check;
mod diff;
mod files;
mod finding;
mod plan;
mod pull;
mod push;
mod server;
mod test;
mod text;

pub use server::{FieldRefusal, Refusal};

use crate::Error;
use crate::cli::{RulesCommand, SettingFlags};
use crate::config;
use std::io::{BufRead, Write};

/// How a command ended that did not fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// Everything is as was asked.
    Done,
    /// Something is wrong, or was refused, and was said.
    Failed,
    /// The two sides differ.
    Different,
    /// The two sides cannot be compared.
    Trouble,
    /// There is something to do, and nobody has allowed it.
    Pending,
}

impl Ending {
    /// The exit code of the process. For `diff` they are those of diff(1); 2 is also what a command
    /// line gets that is none.
    pub fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failed | Self::Different => 1,
            Self::Trouble => 2,
            Self::Pending => 3,
        }
    }
}

/// Where a command says what it has to say, and may ask.
pub struct Terminal {
    /// Whether a person sits there.
    pub interactive: bool,
    /// What is typed.
    pub input: Box<dyn BufRead + Send>,
    /// What is said.
    pub out: Box<dyn Write + Send>,
}

impl Terminal {
    /// Whether the person there agrees; none when there is nobody.
    fn agrees(&mut self, question: &str) -> Result<Option<bool>, Error> {
        if !self.interactive {
            return Ok(None);
        }
        write!(self.out, "{question} [y/N] ")?;
        self.out.flush()?;
        let mut answer = String::new();
        self.input.read_line(&mut answer)?;
        let answer = answer.trim().to_lowercase();
        Ok(Some(matches!(answer.as_str(), "y" | "yes")))
    }
}

/// Does what was asked for.
///
/// # Errors
/// The configuration is none (for `check` and `test`), files cannot be read or written, or the server does not
/// do its part.
pub async fn run(
    command: &RulesCommand,
    settings: &SettingFlags,
    terminal: &mut Terminal,
) -> Result<Ending, Error> {
    match command {
        RulesCommand::Check(asked) => {
            let loaded = config::load(&settings.sources()?)?;
            check::run(&loaded.config, asked, &mut terminal.out).await
        }
        RulesCommand::Test(asked) => {
            let loaded = config::load(&settings.sources()?)?;
            test::run(&loaded.config, asked, &mut terminal.out).await
        }
        RulesCommand::Push(asked) => push::run(asked, terminal).await,
        RulesCommand::Pull(asked) => pull::run(asked, terminal).await,
        RulesCommand::Diff(asked) => diff::run(asked, &mut terminal.out).await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Cursor;

    fn answered(interactive: bool, typed: &'static str) -> Option<bool> {
        let mut terminal = Terminal {
            interactive,
            input: Box::new(Cursor::new(typed)),
            out: Box::new(std::io::sink()),
        };
        terminal.agrees("Apply?").unwrap()
    }

    #[test]
    fn only_a_person_who_says_yes_agrees() {
        for yes in ["y\n", "Yes\r\n", " y"] {
            assert_eq!(answered(true, yes), Some(true), "{yes:?}");
        }
        for no in ["", "\n", "n\n", "yeah no\n", "no\ny\n"] {
            assert_eq!(answered(true, no), Some(false), "{no:?}");
        }
        assert_eq!(answered(false, "y\n"), None);
    }
}
