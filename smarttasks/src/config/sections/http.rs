//! The listener.

use crate::config::key::{WhenAbsent, section};
use crate::config::{PublicUrl, RateLimit};
use std::net::SocketAddr;

section! {
    /// The listener, and what it takes from one client.
    "http" => Http {
        /// Where to listen. Put a proxy that speaks TLS in front of anything but loopback.
        listen: SocketAddr = WhenAbsent::Text("127.0.0.1:8080"),
        /// The address under which people and other systems reach this service; in links,
        /// and the issuer of access tokens.
        public_url: PublicUrl = WhenAbsent::Derived {
            says: "`http://<http.listen>`, or `http://localhost:<port>` when that is every address",
            from: |given| {
                let listen: SocketAddr = given.get("http", "listen")?;
                Some(if listen.ip().is_unspecified() {
                    format!("http://localhost:{}", listen.port())
                } else {
                    format!("http://{listen}")
                })
            },
        },
        /// How many requests a minute one user may make, and a quarter of what one address may.
        rate_limit: RateLimit = WhenAbsent::Text("600"),
    }
}
