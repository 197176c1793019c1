//! Everything that is kept: entities, queries, the outbox, timers. The only crate with SQL.
