//! Consumes events, evaluates rules, applies their actions.
