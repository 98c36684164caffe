//! Frees single functions of a program that cranelift-jit has compiled, while the program runs.
//!
//! Each function is a `JITModule` of its own, which is what cranelift-jit can free. Functions call one another through
//! *cells*, words that hold the current code: a store into a cell, and nothing new enters the old code. `even` and `odd`
//! call each other until they are at 0, where `even` calls the host; the host replaces all three functions, and calls the
//! new ones. So there are frames of code that nothing enters any more, with frames of the host and of newer code
//! between:
//!
//! ```text
//!   run ─> even #0 ─> odd #0 ─> ... ─> even #0 ─> pause ─> even #1 ─> odd #1 ─> even #1 ─> pause ─> even #2 ...
//!                                                   └ retires #0, installs #1               └ retires #1, installs #2
//! ```
//!
//! `half` is a leaf, so nobody is inside when it is retired: it is freed at once. The others are freed when their last frame
//! has ended, which each strategy finds out in its own way:
//!
//! | strategy | here |
//! |---|---|
//! | scan | the host walks the stack whenever it is called ([`stack::census`]) |
//! | count | one walk at the retirement; retired code calls the host before it returns ([`stack::left`]) |
//! | barrier | one walk at the retirement; the return slots of old frames lead to a stub ([`stack::barrier`]) |
//! | residence | the code counts its own activations ([`program`]); the host looks at the count |
//! | epoch | nothing; the code is freed when the outermost call has ended that was under way |
//!
//! Run it: `cargo run -p osr-release --example free_functions`. It is a test, too.

mod host;
mod program;
mod stack;

use osr_release::Strategy;

const STRATEGIES: [Strategy; 5] =
    [Strategy::Scan, Strategy::Count, Strategy::Barrier, Strategy::Residence, Strategy::Epoch];

/// How deep the recursion goes.
const DEPTH: u64 = 7;

fn main() {
    for strategy in STRATEGIES {
        println!("{strategy:?}:");
        let (result, [during, freed]) = host::run(strategy, DEPTH - 1, 2);
        println!("  the program computes {result}");
        check(strategy, result, &during, &freed);
    }
}

/// What `even(n)` is.
fn even(n: u64) -> f64 {
    if n == 0 { 1.0 } else { even(n - 2) * 1.5 + n as f64 * 0.5 }
}

/// The result is what Rust computes, bit for bit: replacing code changes nothing, nor do barriers. And all that was
/// replaced is freed in time, in the order in which it can be.
fn check(strategy: Strategy, result: f64, during: &[String], freed: &[String]) {
    assert_eq!(result, even(DEPTH - 1), "{strategy:?}");
    assert_eq!(freed.len(), 9, "{strategy:?}: three functions, compiled three times: {freed:?}");
    assert_eq!(
        during.len(),
        6,
        "{strategy:?}: all but what is current, before the outermost call has returned to us"
    );
    let place = |name: &str| freed.iter().position(|freed| freed == name).expect("it was freed");
    for which in ["even", "odd", "half"] {
        assert!(place(&format!("{which} #2")) >= 6, "{strategy:?}: what was current comes last: {freed:?}");
    }
    if strategy == Strategy::Epoch {
        return;
    }
    let in_order = ["half #0", "half #1", "even #1", "even #0"].map(place);
    assert!(in_order.is_sorted(), "{strategy:?}: a leaf at once, inner frames before outer ones: {freed:?}");
    assert!(place("odd #1") < place("odd #0"), "{strategy:?}: {freed:?}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_strategy_frees_everything_and_changes_nothing() {
        STRATEGIES.iter().for_each(|&strategy| {
            let (result, [during, freed]) = host::run(strategy, DEPTH - 1, 2);
            check(strategy, result, &during, &freed);
        });
    }
}
