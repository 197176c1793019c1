//! Settings that are fine one by one and do not fit together.

use super::{Config, DatabaseUrl};

/// What does not fit, each with the section and name of the key that it is said of.
pub(super) fn problems(config: &Config) -> Vec<((&'static str, &'static str), &'static str)> {
    let instance = &config.instance;
    let server = matches!(instance.database_url, DatabaseUrl::Server(_));
    let broker = instance.amqp_url.is_some();
    let mut problems = Vec::new();
    if server && !broker {
        problems.push((
            ("", "amqp_url"),
            "a PostgreSQL database goes with a broker: give AMQP_URL=amqp://user:password@host too",
        ));
    }
    if broker && !server {
        problems.push((
            ("", "amqp_url"),
            "a broker goes with a PostgreSQL database, because a SQLite file is one process's: give DATABASE_URL=postgres://user:password@host/database too, or remove it",
        ));
    }
    if instance.redis_url.is_some() && !server {
        problems.push((
            ("", "redis_url"),
            "a cache is for processes that share a PostgreSQL database: with a SQLite file there is one, which remembers by itself; remove it",
        ));
    }
    if server && instance.secret_key.is_none() {
        problems.push((
            ("", "secret_key"),
            "with a PostgreSQL database it must be given, the same to every process; `openssl rand -base64 32` makes one",
        ));
    }
    if !broker && !instance.roles.are_all() {
        problems.push((
            ("", "roles"),
            "some roles alone need a broker, by which they reach the others: give AMQP_URL and DATABASE_URL=postgres://…",
        ));
    }
    problems
}
