//! Leaves the unwind tables out of a release build, in which nothing unwinds.

use std::env;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=link/no-unwind-tables.ld");
    let is = |name: &str, value: &str| env::var(name).is_ok_and(|found| found == value);
    // Linkers that take no script are chosen by flags; a larger binary works as well.
    let flags = env::var("CARGO_ENCODED_RUSTFLAGS").unwrap_or_default();
    let takes_scripts = !["mold", "wild"].iter().any(|linker| flags.contains(linker));
    if is("PROFILE", "release") && is("CARGO_CFG_TARGET_OS", "linux") && takes_scripts {
        let root = env::var("CARGO_MANIFEST_DIR").unwrap_or_default();
        println!("cargo::rustc-link-arg-bins=-Wl,-T,{root}/link/no-unwind-tables.ld");
    }
}
