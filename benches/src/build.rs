//! The binary that is measured.

use crate::Failure;
use std::process::Command;

/// Brings the product's binary up to date, built as its users build it.
///
/// # Errors
/// It does not build, or this is a debug build itself.
pub fn build() -> Result<(), Failure> {
    if cfg!(debug_assertions) {
        return Err("figures of a debug build mean nothing: run it with --release".into());
    }
    let mut cargo = Command::new(env!("CARGO"));
    cargo
        .args(["build", "--release", "--package", "smarttasks"])
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
    // What `cargo run` says of this package: build scripts that look at it would run again.
    for (name, _) in std::env::vars_os() {
        let of_package = ["CARGO_PKG_", "CARGO_MANIFEST_"];
        let text = name.to_string_lossy();
        if of_package.iter().any(|prefix| text.starts_with(prefix)) {
            cargo.env_remove(&name);
        }
    }
    match cargo.status()?.success() {
        true => Ok(()),
        false => Err("the product does not build".into()),
    }
}
