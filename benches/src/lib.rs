//! What benchmarks of the product share: figures about a process and about latencies.
//!
//! Each benchmark is a binary of this crate and one command; `docs/performance.md` names them and
//! what they found. They measure and never judge: a machine that is slow today breaks no build.

mod build;
pub mod bulk;
mod figures;
pub mod rules;
mod timing;
mod usage;

pub use build::build;
pub use figures::{Latencies, millis, say};
pub use timing::{Took, each};
pub use usage::{FamilyUsage, Usage, syncs_per_second, thread_time};

/// Why a measurement could not be made.
pub type Failure = Box<dyn std::error::Error + Send + Sync>;
