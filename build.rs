//! Leaves the unwind tables out of a release build, in which nothing unwinds, and packs
//! the references of `cx man`.

use std::{env, fs, io::Write as _, path::Path};

use flate2::{Compression, write::GzEncoder};

/// As `src/commands/man.rs` has them.
const REFERENCES: [&str; 8] =
    ["agents", "backends", "config", "http", "ledger", "mcp", "memory", "plans"];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo::rerun-if-changed=build.rs");
    let out = env::var_os("OUT_DIR").ok_or("cargo names no OUT_DIR")?;
    for name in REFERENCES {
        let page = format!("docs/{name}.md");
        println!("cargo::rerun-if-changed={page}");
        let packed = fs::File::create(Path::new(&out).join(format!("{name}.md.gz")))?;
        let mut packed = GzEncoder::new(packed, Compression::best());
        packed.write_all(&fs::read(page)?)?;
        packed.finish()?;
    }
    println!("cargo::rerun-if-changed=link/no-unwind-tables.ld");
    let is = |name: &str, value: &str| env::var(name).is_ok_and(|found| found == value);
    // Linkers that take no script are chosen by flags; a larger binary works as well.
    let flags = env::var("CARGO_ENCODED_RUSTFLAGS").unwrap_or_default();
    let takes_scripts = !["mold", "wild"].iter().any(|linker| flags.contains(linker));
    if is("PROFILE", "release") && is("CARGO_CFG_TARGET_OS", "linux") && takes_scripts {
        let root = env::var("CARGO_MANIFEST_DIR").unwrap_or_default();
        println!("cargo::rustc-link-arg-bins=-Wl,-T,{root}/link/no-unwind-tables.ld");
    }
    Ok(())
}
