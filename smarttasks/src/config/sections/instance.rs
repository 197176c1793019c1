//! What stands at the top of the file.

use crate::config::key::{WhenAbsent, section};
use crate::config::{AmqpUrl, DatabaseUrl, RedisUrl, Roles, SecretKey, SmtpUrl};
use std::path::PathBuf;

section! {
    /// Where this instance keeps its data, and the services that it uses.
    "" => Instance {
        /// What this process does: some of `api`, `engine`, `scheduler` and `notifier`; or
        /// `--roles`. Some of them need `AMQP_URL`.
        roles: Roles = WhenAbsent::Text("api,engine,scheduler,notifier"),
        /// The directory for the database, the secret key and, without a mail server, the mails
        /// (`mail/*.eml`). With a SQLite database one process at a time may use it.
        data_dir: PathBuf = WhenAbsent::Text("./data"),
        /// The database: `sqlite:<path of a file>`, or, together with `AMQP_URL`,
        /// `postgres://user:password@host/database`.
        database_url: DatabaseUrl = WhenAbsent::Derived {
            says: "`sqlite:<data_dir>/smarttasks.db`",
            from: |given| {
                let data_dir: PathBuf = given.get("", "data_dir")?;
                Some(format!("sqlite:{}", data_dir.join("smarttasks.db").display()))
            },
        },
        /// The broker, RabbitMQ: `amqp://user:password@host/vhost`, or `amqps` for TLS. Without it
        /// messages stay in this process, which then has every role.
        amqp_url: Option<AmqpUrl> = WhenAbsent::Text(""),
        /// The cache, Redis: `redis://host`, or `rediss` for TLS. With it replicas share rate limits,
        /// and look up logins there before they ask the database.
        redis_url: Option<RedisUrl> = WhenAbsent::Text(""),
        /// The mail server: `smtps://user:password@host` for TLS, `smtp://user:password@host` for
        /// STARTTLS. Without a password `smtp://` takes STARTTLS when it is offered, and none on
        /// this machine; `?tls=required`, `opportunistic` or `none` says otherwise. Without a mail
        /// server mails are kept as files in the data directory.
        smtp_url: Option<SmtpUrl> = WhenAbsent::Text(""),
        /// Encrypts what is secret at rest. Without it one is made at the first start and kept in
        /// `<data_dir>/secret.key`, readable by its owner only; with a PostgreSQL database it must be
        /// given, the same to every process.
        secret_key: Option<SecretKey> = WhenAbsent::Text(""),
    }
}
