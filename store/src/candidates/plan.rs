//! How the database would read the candidates of a predicate, in its own words.

use super::{Reading, select};
use crate::predicate::condition;
use crate::{Db, Result};
use sea_orm::sea_query::Query;
use sea_orm::{
    ConnectionTrait, DatabaseConnection, DbBackend, DbErr, QueryTrait, Statement, TransactionTrait,
};
use smarttasks_model::predicate::Predicate;
use smarttasks_model::{Timestamp, WorkspaceId};

/// How candidates are read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Plan {
    /// The condition in SQL, with its values.
    pub condition: String,
    /// The statements that read them, one after the other; none when nothing can pass.
    pub steps: Vec<Step>,
}

/// One statement.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Step {
    /// The statement without what it returns, with its values.
    pub sql: String,
    /// The index that finds what it reads; none when all tasks of the workspace are looked at.
    pub index: Option<String>,
    /// The database's plan.
    pub detail: String,
}

impl Plan {
    /// Whether indexes find all candidates.
    pub fn is_indexed(&self) -> bool {
        self.steps.iter().all(|step| step.index.is_some())
    }
}

/// How the candidates of a predicate would be read.
///
/// # Errors
/// When the database cannot be read.
pub async fn plan(
    db: &Db,
    workspace: WorkspaceId,
    predicate: &Predicate,
    now: Timestamp,
) -> Result<Plan> {
    let on = db.reader().get_database_backend();
    let steps = Reading::of(predicate, workspace, now).steps(db).await?;
    let whole = Query::select()
        .cond_where(sea_orm::Condition::all().add(condition(predicate, now, on)))
        .to_owned();
    let whole = on.build(&whole).to_string();
    Ok(Plan {
        condition: after(&whole, "WHERE ").to_owned(),
        steps,
    })
}

impl Reading {
    /// How it would be read.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub(crate) async fn steps(&self, db: &Db) -> Result<Vec<Step>> {
        let on = db.reader().get_database_backend();
        let mut steps = Vec::new();
        for walk in &self.walks {
            let statement = select(walk, self.workspace, self.now, on).build(on);
            let lines = explain(&db.reader().pool(), &statement).await?;
            steps.push(Step {
                sql: from_where(&statement),
                index: lines.iter().find_map(|line| index_of(line)),
                detail: lines.join("\n"),
            });
        }
        Ok(steps)
    }
}

/// The plan of a statement, line by line.
async fn explain(conn: &DatabaseConnection, statement: &Statement) -> Result<Vec<String>, DbErr> {
    let how = match statement.db_backend {
        DbBackend::Postgres => "EXPLAIN (COSTS OFF) ",
        _ => "EXPLAIN QUERY PLAN ",
    };
    let explained = Statement {
        sql: format!("{how}{}", statement.sql),
        ..statement.clone()
    };
    let tx = conn.begin().await?;
    if statement.db_backend == DbBackend::Postgres {
        // A table of few rows is read as a whole whatever indexes it has, and of interest is what is
        // done when it has grown.
        tx.execute_unprepared("SET LOCAL enable_seqscan = off; SET LOCAL enable_sort = off")
            .await?;
    }
    let column = match statement.db_backend {
        DbBackend::Postgres => "QUERY PLAN",
        _ => "detail",
    };
    let lines = tx.query_all_raw(explained).await?;
    let lines = lines.iter().map(|row| row.try_get("", column));
    let lines = lines.collect::<Result<Vec<String>, DbErr>>();
    tx.rollback().await?;
    lines
}

/// The index that a line of a plan speaks of, unless it is one of all tasks of a workspace. Lines with a
/// colon tell conditions, in which any text may stand.
fn index_of(line: &str) -> Option<String> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let index = words.windows(2).find_map(|pair| match pair {
        ["using" | "on" | "INDEX", index] if index.starts_with("tasks_") => Some(*index),
        _ => None,
    });
    let of_all = |index: &&str| matches!(*index, "tasks_by_age" | "tasks_pkey");
    let index = index.filter(|index| !line.contains(':') && !of_all(index));
    index.map(str::to_owned)
}

/// A statement from its condition on, with its values.
fn from_where(statement: &Statement) -> String {
    after(&statement.to_string(), " WHERE ").to_owned()
}

fn after<'a>(sql: &'a str, word: &str) -> &'a str {
    sql.split_once(word).map_or("TRUE", |(_, rest)| rest)
}
