//! Who gets an account, and for how long a login lasts.

use crate::config::Registration;
use crate::config::key::{WhenAbsent, section};
use std::net::SocketAddr;
use std::time::Duration;

section! {
    /// Who gets an account, and for how long a login lasts.
    "accounts" => Accounts {
        /// Who may register: everyone, who was invited, or nobody.
        registration: Registration = WhenAbsent::Derived {
            says: "`open` on a loopback listener, else `closed`",
            from: |given| {
                let listen: SocketAddr = given.get("http", "listen")?;
                let word = if listen.ip().is_loopback() { "open" } else { "closed" };
                Some(word.to_owned())
            },
        },
        /// How long an access token is valid.
        access_token_ttl: Duration = WhenAbsent::Text("15m"),
    }
}
