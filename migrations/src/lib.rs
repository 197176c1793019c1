//! The database's schema, as migrations for SQLite and PostgreSQL alike.
