//! A counting allocator: how much live heap the current thread holds.
//!
//! A script's memory cannot be capped by the sizes of its values alone, because the functions it
//! calls allocate too. The sandbox therefore reads [`live`] before and during an evaluation and
//! ends the script when the difference passes its cap. Where [`Counting`] is not installed as the
//! global allocator, [`live`] stays at zero and that cap never trips; the limits on the sizes of
//! values still hold.
//!
//! The count belongs to the thread: a block that one thread allocates and another frees raises
//! the first count and lowers the second for good. Only differences over a stretch of work on
//! one thread mean anything.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

thread_local! {
    // Constant and without a destructor: reading it never allocates and never fails.
    static LIVE: Cell<isize> = const { Cell::new(0) };
}

/// The system's allocator, counting. Install it in a binary:
///
/// ```
/// #[global_allocator]
/// static HEAP: smarttasks_heap::Counting = smarttasks_heap::Counting;
///
/// let before = smarttasks_heap::live();
/// let block = vec![0u8; 4096];
/// assert!(smarttasks_heap::live() - before >= 4096);
/// drop(block);
/// assert!(smarttasks_heap::live() - before < 4096);
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct Counting;

/// Bytes that this thread has allocated less those that it has freed.
pub fn live() -> isize {
    LIVE.get()
}

/// Sizes fit: `Layout` holds at most `isize::MAX` bytes.
fn count(bytes: usize, sign: isize) {
    LIVE.set(
        LIVE.get()
            .wrapping_add(sign.wrapping_mul(bytes.cast_signed())),
    );
}

#[expect(
    unsafe_code,
    reason = "GlobalAlloc is an unsafe trait; every call goes to the system's allocator unchanged"
)]
// SAFETY: each method hands its arguments to `System` as they are and returns what it returns,
// so `System`'s own guarantees are this allocator's; the count is beside them.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller keeps `GlobalAlloc::alloc`'s contract.
        let block = unsafe { System.alloc(layout) };
        if !block.is_null() {
            count(layout.size(), 1);
        }
        block
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller keeps `GlobalAlloc::alloc_zeroed`'s contract.
        let block = unsafe { System.alloc_zeroed(layout) };
        if !block.is_null() {
            count(layout.size(), 1);
        }
        block
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        count(layout.size(), -1);
        // SAFETY: the caller keeps `GlobalAlloc::dealloc`'s contract.
        unsafe { System.dealloc(block, layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: the caller keeps `GlobalAlloc::realloc`'s contract.
        let moved = unsafe { System.realloc(block, layout, size) };
        if !moved.is_null() {
            count(layout.size(), -1);
            count(size, 1);
        }
        moved
    }
}
