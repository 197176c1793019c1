//! Mails kept as `.eml` files, for running without a mail server.

use crate::SetupError;
use smarttasks_model::DeliveryId;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// A directory with a file for each delivery.
pub(super) struct Directory(PathBuf);

impl Directory {
    /// Makes it when it is not there.
    pub(super) fn open(path: PathBuf) -> Result<Self, SetupError> {
        match fs::create_dir_all(&path) {
            Ok(()) => Ok(Self(path)),
            Err(source) => Err(SetupError::MailDirectory {
                directory: path,
                source,
            }),
        }
    }

    /// Writes the message and returns its file's name. A repeat replaces the file; no reader
    /// ever sees half of it, and it is on disk when this returns.
    pub(super) async fn keep(&self, id: DeliveryId, message: Vec<u8>) -> io::Result<String> {
        let (directory, name) = (self.0.clone(), format!("{id}.eml"));
        let writing = tokio::task::spawn_blocking(move || {
            replace(&directory, &name, &message)?;
            Ok(name)
        });
        writing.await.map_err(io::Error::other)?
    }
}

fn replace(directory: &Path, name: &str, message: &[u8]) -> io::Result<()> {
    let unfinished = directory.join(format!(".{name}.part"));
    let mut file = create_private(&unfinished)?;
    file.write_all(message)?;
    file.sync_all()?;
    fs::rename(&unfinished, directory.join(name))?;
    File::open(directory)?.sync_all()
}

/// Mails may hold links that reset a password: only our own user reads them.
fn create_private(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}
