//! Who gets an account.

use crate::config::Registration;
use crate::config::key::{WhenAbsent, section};
use std::net::SocketAddr;

section! {
    /// Who gets an account.
    "accounts" => Accounts {
        /// Who may register: everyone, or nobody; `invitation` is nobody too, as nobody can be invited yet.
        registration: Registration = WhenAbsent::Derived {
            says: "`open` on a loopback listener, else `closed`",
            from: |given| {
                let listen: SocketAddr = given.get("http", "listen")?;
                let word = if listen.ip().is_loopback() { "open" } else { "closed" };
                Some(word.to_owned())
            },
        },
    }
}
