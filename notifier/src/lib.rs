//! Consumes notifications: e-mail, webhooks, signatures, retries, the delivery log.
