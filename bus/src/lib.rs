//! Carries messages from the outbox to their consumers.
