//! Outgoing webhooks.

use crate::config::key::{WhenAbsent, section};
use ipnet::IpNet;
use std::time::Duration;

section! {
    /// Outgoing webhooks.
    "webhooks" => Webhooks {
        /// Private networks that webhooks and the requests of scripts may reach, also without TLS,
        /// such as `10.1.0.0/16`. Other private addresses are refused.
        allowed_networks: Vec<IpNet> = WhenAbsent::Text(""),
        /// How long one attempt may take, from the connection to the end of the response.
        timeout: Duration = WhenAbsent::Text("20s"),
    }
}
