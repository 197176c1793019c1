//! What stands at the top of the file.

use crate::config::key::{WhenAbsent, section};
use crate::config::{DatabaseUrl, SecretKey, SmtpUrl};
use std::path::PathBuf;

section! {
    /// Where this instance keeps its data, and the services that it uses.
    "" => Instance {
        /// The directory for the database, the secret key and, without a mail server, the mails
        /// (`mail/*.eml`). One process at a time may use it.
        data_dir: PathBuf = WhenAbsent::Text("./data"),
        /// The database: `sqlite:<path of a file>`.
        database_url: DatabaseUrl = WhenAbsent::Derived {
            says: "`sqlite:<data_dir>/smarttasks.db`",
            from: |given| {
                let data_dir: PathBuf = given.get("", "data_dir")?;
                Some(format!("sqlite:{}", data_dir.join("smarttasks.db").display()))
            },
        },
        /// The mail server: `smtps://user:password@host` for TLS, `smtp://user:password@host` for
        /// STARTTLS. Without a password `smtp://` takes STARTTLS when it is offered, and none on
        /// this machine; `?tls=required`, `opportunistic` or `none` says otherwise. Without a mail
        /// server mails are kept as files in the data directory.
        smtp_url: Option<SmtpUrl> = WhenAbsent::Text(""),
        /// Encrypts what is secret at rest. Without it one is made at the first start and kept in
        /// `<data_dir>/secret.key`, readable by its owner only.
        secret_key: Option<SecretKey> = WhenAbsent::Text(""),
    }
}
