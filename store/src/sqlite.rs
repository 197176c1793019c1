//! The embedded database: a file that one process owns, written through one connection.

use crate::Result;
use crate::db::PATIENCE;
use sea_orm::sqlx::sqlite::{SqliteAutoVacuum, SqliteJournalMode, SqliteSynchronous};
use sea_orm::{ConnectOptions, Database, DatabaseConnection};
use std::path::Path;

/// The one connection that writes.
pub(crate) async fn writer(path: &Path) -> Result<DatabaseConnection> {
    connect(path, Access::Write, 1).await
}

/// Connections that only read.
pub(crate) async fn readers(path: &Path, number: u32) -> Result<DatabaseConnection> {
    connect(path, Access::Read, number).await
}

#[derive(Clone, Copy)]
enum Access {
    Write,
    Read,
}

async fn connect(path: &Path, access: Access, connections: u32) -> Result<DatabaseConnection> {
    let path = path.to_owned();
    let mut options = ConnectOptions::new("sqlite::memory:");
    options
        .max_connections(connections)
        .min_connections(1)
        .acquire_timeout(PATIENCE)
        .test_before_acquire(false)
        .sqlx_logging(false)
        .record_stmt_in_spans(false)
        .map_sqlx_sqlite_opts(move |options| {
            let options = options
                .in_memory(false)
                .shared_cache(false)
                .filename(&path)
                .busy_timeout(PATIENCE)
                .foreign_keys(false)
                .statement_cache_capacity(200);
            match access {
                Access::Read => options.read_only(true),
                Access::Write => options
                    .create_if_missing(true)
                    .journal_mode(SqliteJournalMode::Wal)
                    .synchronous(SqliteSynchronous::Full)
                    .auto_vacuum(SqliteAutoVacuum::Incremental),
            }
        });
    Ok(Database::connect(options).await?)
}
