//! Where values come from: flags, environment, file.

use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;

/// Everything that was given, before it is read. Gathered apart from the reading, which thus
/// depends on nothing but its arguments (and the files that `*_file` keys name).
#[derive(Debug, Default)]
pub struct Sources {
    /// Settings of the command line; they win.
    pub flags: Vec<Flag>,
    /// The environment.
    pub env: Vec<(String, OsString)>,
    /// The configuration file, if there is one.
    pub file: Option<ConfigFile>,
}

/// A setting of the command line.
#[derive(Debug, Clone)]
pub struct Flag {
    /// The flag as written: `--listen`, `--set http.listen`.
    pub flag: String,
    /// The key that it sets: `http.listen`.
    pub key: String,
    /// The value as text.
    pub value: String,
}

/// A configuration file and what is in it.
#[derive(Debug, Clone)]
pub struct ConfigFile {
    /// Where it is.
    pub path: PathBuf,
    /// Its content: TOML.
    pub text: String,
}

/// Where one value came from, for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// It was not given.
    Default,
    /// A line of the configuration file.
    File {
        /// The file.
        path: PathBuf,
        /// The line, counted from 1; none for the file as a whole.
        line: Option<usize>,
    },
    /// An environment variable.
    Env(String),
    /// A flag as written.
    Flag(String),
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File { path, line: None } => write!(f, "{}", path.display()),
            Self::File {
                path,
                line: Some(line),
            } => write!(f, "{}:{line}", path.display()),
            Self::Env(name) => f.write_str(name),
            Self::Flag(flag) => f.write_str(flag),
        }
    }
}
