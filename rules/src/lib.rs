//! The rule language: compile, analyse, evaluate; cron expressions; the library of rules. Pure: no I/O, no async.
