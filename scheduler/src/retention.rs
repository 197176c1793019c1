//! Rows and files past their retention go, a bounded number at a time.

use smarttasks_model::Timestamp;
use smarttasks_store::retention::{self, Retention};
use smarttasks_store::{Db, Result};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

/// How often retention is looked at.
pub(crate) const INTERVAL: Duration = Duration::from_secs(3600);

/// How long what is kept.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Rows.
    pub rows: Retention,
    /// Mails kept as files, where they are.
    pub mail_files: Option<MailFiles>,
}

/// Mails kept as files.
#[derive(Clone, Debug)]
pub struct MailFiles {
    /// Where they are.
    pub directory: PathBuf,
    /// How long they are kept.
    pub kept: Duration,
}

/// Removes what is past its retention.
pub(crate) async fn sweep(db: &Db, settings: &Settings) -> Result<()> {
    let rows = settings.rows;
    while db
        .write(move |tx| Box::pin(async move { retention::sweep(tx, &rows).await }))
        .await?
    {
        tokio::task::yield_now().await;
    }
    db.tidy().await?;
    if let Some(files) = settings.mail_files.clone() {
        let before = db.clock().now() - files.kept;
        let swept =
            tokio::task::spawn_blocking(move || sweep_files(&files.directory, before)).await;
        match swept {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, "old mail files could not be removed"),
            Err(error) => tracing::error!(%error, "removing old mail files failed"),
        }
    }
    Ok(())
}

/// Removes the mails in `directory` that were last written before `before`.
fn sweep_files(directory: &Path, before: Timestamp) -> io::Result<()> {
    let entries = match std::fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    for entry in entries {
        let entry = entry?;
        let is_mail = entry
            .path()
            .extension()
            .is_some_and(|extension| extension == "eml");
        let written = entry.metadata()?.modified()?;
        let written = written
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default()
            .as_millis();
        let written = Timestamp::from_unix_millis(i64::try_from(written).unwrap_or(i64::MAX));
        if is_mail && written < before {
            std::fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}
