//! SmartTasks.
