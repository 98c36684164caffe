//! Decides how the interpreter goes from one operation to the next (`engine/src/interpreter/machine.rs`):
//! with `cfg(threaded)` the calls that end its functions must become jumps, which LLVM sees to when it
//! optimizes, that is from level 2 on.

use std::env;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rustc-check-cfg=cfg(threaded)");
    let level = env::var("OPT_LEVEL").unwrap_or_default();
    if matches!(&*level, "2" | "3" | "s" | "z") {
        println!("cargo::rustc-cfg=threaded");
    }
}
