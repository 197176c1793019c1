//! What happens because time passed: due timers, cron occurrences, retention.
