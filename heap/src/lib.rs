//! A counting allocator: how much live heap the current thread holds.
