//! By how many rules something is measured.

use crate::Failure;

/// Numbers of rules.
const COUNTS: &[usize] = &[1, 100, 1_000, 10_000, 100_000];
/// What strangers' scripts may need, as in the product.
const STACK_BYTES: usize = 256 * 1024 * 1024;

/// Measures by numbers of rules up to the one that the command line names, or else by all.
///
/// # Errors
/// What stands there is no number, or nothing can be measured.
pub fn by_count(
    measure: impl FnOnce(&[usize]) -> Result<(), Failure> + Send + 'static,
) -> Result<(), Failure> {
    let most = match std::env::args().nth(1) {
        None => usize::MAX,
        Some(text) => text.parse().map_err(|_| format!("{text:?} is no number"))?,
    };
    let counts: Vec<usize> = COUNTS.iter().copied().filter(|of| *of <= most).collect();
    let bench = std::thread::Builder::new()
        .stack_size(STACK_BYTES)
        .spawn(move || measure(&counts))?;
    bench.join().map_err(|_| "the benchmark panicked")?
}
