//! The database's schema, as migrations for SQLite and PostgreSQL alike.
//!
//! Conventions: instants are `bigint` milliseconds since the Unix epoch in columns named `at`, `*_at` or `*_until`,
//! because time is the clock's and never the database's; ids are `uuid`; JSON that is only
//! stored is `text`, JSON that is queried is the backend's own type. There are no foreign keys:
//! every row names its workspace, and what must go together is written together.

mod m0001_accounts;
mod m0002_tasks;
mod m0003_rules;
mod m0004_messages;
mod m0005_deliveries;
mod m0006_sweeps;
mod m0007_workflows;

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::DbBackend;
pub use sea_orm_migration::{MigratorTrait, migrator};

/// Every migration, in order.
pub struct Migrator;

#[async_trait::async_trait]
impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![
            Box::new(m0001_accounts::Migration),
            Box::new(m0002_tasks::Migration),
            Box::new(m0003_rules::Migration),
            Box::new(m0004_messages::Migration),
            Box::new(m0005_deliveries::Migration),
            Box::new(m0006_sweeps::Migration),
            Box::new(m0007_workflows::Migration),
        ]
    }
}

/// Declares a migration: its tables, then its indexes, then what only PostgreSQL needs.
///
/// Indexes are SQL text because both backends read the same text, and partial and expression
/// indexes are said more plainly so.
macro_rules! migration {
    (tables: [$($table:expr),+ $(,)?], indexes: [$($index:literal),* $(,)?]
        $(, postgres: [$($statement:literal),* $(,)?])? $(,)?) => {
        use sea_orm_migration::prelude::*;

        #[derive(DeriveMigrationName)]
        pub struct Migration;

        #[async_trait::async_trait]
        impl MigrationTrait for Migration {
            async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
                $(manager.create_table($table.to_owned()).await?;)+
                $crate::compare_by_code_point(manager).await?;
                $(manager.get_connection().execute_unprepared($index).await?;)*
                $(if manager.get_database_backend() == $crate::DbBackend::Postgres {
                    $(manager.get_connection().execute_unprepared($statement).await?;)*
                })?
                Ok(())
            }
        }
    };
}
pub(crate) use migration;

/// Makes PostgreSQL compare text as SQLite does, by code point: people see the same order on both,
/// and a new version of the system's locales makes no index wrong.
async fn compare_by_code_point(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    if manager.get_database_backend() != DbBackend::Postgres {
        return Ok(());
    }
    let each_column = r#"DO $$
        DECLARE it record;
        BEGIN
            FOR it IN
                SELECT table_name, column_name FROM information_schema.columns
                WHERE table_schema = current_schema() AND data_type = 'text'
                    AND collation_name IS DISTINCT FROM 'C'
            LOOP
                EXECUTE format('ALTER TABLE %I ALTER COLUMN %I TYPE text COLLATE "C"',
                    it.table_name, it.column_name);
            END LOOP;
        END $$"#;
    manager
        .get_connection()
        .execute_unprepared(each_column)
        .await?;
    Ok(())
}
