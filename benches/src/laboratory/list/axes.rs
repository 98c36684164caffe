//! The axes of a mechanism with all their values, and what each means in a line.

use std::collections::BTreeMap;

use osr_engine::Mechanism;
use serde::Serialize;

/// An axis.
#[derive(Debug, Serialize)]
pub(super) struct Axis {
    /// Its name.
    pub(super) name: &'static str,
    /// In the order of declaration; the first is the default.
    pub(super) values: Vec<Value>,
}

/// A value of an axis.
#[derive(Debug, Serialize)]
pub(super) struct Value {
    /// Its name.
    pub(super) name: String,
    /// Valid combinations with other axes' values; 0: none, it is refused with anything.
    pub(super) combinations: usize,
    /// What it means.
    pub(super) meaning: &'static str,
}

/// What each value means, by its name and its axis.
const MEANINGS: &[(&str, &str, &str)] = &[
    ("binding", "cell", "calls are indirect, through the function's call cell"),
    ("binding", "trampoline-cell", "direct calls of a stub, which is `jmp [cell]`"),
    ("binding", "trampoline", "direct calls of a stub, a `jmp rel32` that is patched"),
    ("binding", "patchpoint", "direct calls, all of which are patched"),
    (
        "binding",
        "entry-check",
        "direct calls; the entry checks whether it is still current, and stays mapped",
    ),
    ("binding", "direct", "direct calls, bound for good: nothing is replaced"),
    ("placement", "elsewhere", "new code goes to memory that no other version occupies"),
    ("placement", "same-address", "new code goes over the old, once that is drained"),
    (
        "frames",
        "hijack",
        "return PCs are swapped; a frame continues where the policy says when it is returned to",
    ),
    ("frames", "hijack-to-interpreter", "the same, and all continue in the interpreter"),
    ("frames", "hijack-to-version", "the same, and all continue in another version"),
    ("frames", "landing-pad", "return PCs are swapped, and the call's exception edge stores the frame state"),
    ("frames", "invalidation-point", "what follows each call in the old code is overwritten by a jump"),
    ("frames", "return-check", "after each call the code loads a flag, and leaves if it is set"),
    ("frames", "return-barrier", "frames run out; return PCs are swapped so that each end is noticed"),
    ("frames", "run-out", "frames run to their end in the old code"),
    ("rebuild", "at-landing", "a hijacked frame is rebuilt when control returns to it"),
    ("rebuild", "at-once", "all hijacked frames are rebuilt at the invalidation"),
    ("density", "every-frame", "all frames of the invalidated versions are hijacked"),
    ("density", "sparse", "the innermost ones; landings hijack further out, twice as many each time"),
    ("release", "on-hijack", "old code is freed as soon as no return PC leads into it"),
    ("release", "residence-count", "when as many activations have ended as have begun: code counts both"),
    ("release", "frame-count", "when each frame that was active at the invalidation has ended or landed"),
    ("release", "stack-scan", "when a scan of the stack, at a safepoint, finds no frame of it"),
    ("release", "epoch", "when all guest calls have ended that were under way at the invalidation"),
    ("release", "never", "with its instance"),
    ("poll", "none", "no polls and no stack checks"),
    ("poll", "stack-check", "stack checks at entries; loops cannot be stopped"),
    ("poll", "stack-limit", "the stack check is the poll; loops compare with the stack limit, too"),
    ("poll", "flag", "a flag is loaded and tested, beside the stack check"),
    ("poll", "guard-page", "loops load from a page that a request makes inaccessible"),
    ("poll", "patched-nop", "nothing, until a request patches every back-edge"),
    ("poll", "patched-nop-active", "the same, but only versions with frames are patched"),
    ("recording", "none", "frame states are not known: frames run out"),
    ("recording", "slots", "live values are stored before each call"),
    ("recording", "locations", "live values are where the register allocator keeps them"),
    ("recording", "pads", "cold code of each call stores live values when a landing asks"),
    ("recording", "cross-checked", "all three, compared at each landing: for tests"),
    ("bookkeeping", "ledger", "originals of swapped return PCs are in a table beside the stack"),
    ("bookkeeping", "frame-slot", "in a slot of each frame"),
    (
        "bookkeeping",
        "pcs-in-map",
        "nowhere: each site has a landing PC of its own, and the frame maps know both",
    ),
];

/// All axes.
pub(super) fn all() -> Vec<Axis> {
    // Valid combinations by axis and value, and the values in the order in which the product has them.
    let mut counts: BTreeMap<(usize, String), usize> = BTreeMap::new();
    let mut orders: Vec<Vec<String>> = vec![Vec::new(); Mechanism::AXES.len()];
    for mechanism in Mechanism::all() {
        let is_valid = mechanism.check().is_ok();
        for (axis, value) in mechanism.values().into_iter().enumerate() {
            if !orders[axis].contains(&value) {
                orders[axis].push(value.clone());
            }
            *counts.entry((axis, value)).or_default() += usize::from(is_valid);
        }
    }
    let value = |axis: usize, name: String| {
        let combinations = counts[&(axis, name.clone())];
        Value { meaning: meaning(Mechanism::AXES[axis], &name), name, combinations }
    };
    let axis = |(axis, names): (usize, Vec<String>)| Axis {
        name: Mechanism::AXES[axis],
        values: names.into_iter().map(|name| value(axis, name)).collect(),
    };
    orders.into_iter().enumerate().map(axis).collect()
}

fn meaning(axis: &str, value: &str) -> &'static str {
    let found = MEANINGS.iter().find(|(of, name, _)| (*of, *name) == (axis, value));
    found.map_or("", |(_, _, meaning)| meaning)
}

#[cfg(test)]
mod tests {
    use super::all;

    #[test]
    fn every_value_of_every_axis_has_a_meaning() {
        for axis in all() {
            for value in axis.values {
                assert!(!value.meaning.is_empty(), "{}={}", axis.name, value.name);
            }
        }
    }
}
