//! How the activations that frames of a version stand for become frames of the interpreter, by site.
//!
//! Here is what is known of it. The interpreter finds it out, and [makes](crate::interpreter) the frames.

use std::sync::OnceLock;

use osr_ir::FunctionIndex;

/// How the activations that frames at a site stand for become frames of the interpreter. Places are in words from the base, and
/// addresses those of one instance.
#[derive(Debug)]
pub(crate) struct Stacking {
    /// The function of the outermost one, whose window is at the base.
    pub(crate) outermost: FunctionIndex,
    /// All others, innermost first.
    pub(crate) callees: Box<[StackedCallee]>,
    /// The innermost window.
    pub(crate) innermost: usize,
    /// The address of the operation at which the innermost activation continues.
    pub(crate) ip: u64,
    /// The words that are taken, from the base on.
    pub(crate) words: usize,
}

/// An activation that another one waits for.
#[derive(Debug)]
pub(crate) struct StackedCallee {
    /// Where its registers are in the state.
    pub(crate) state: u32,
    /// How many there are.
    pub(crate) registers: u32,
    /// Where its window is.
    pub(crate) window: u32,
    /// Where its caller's is.
    pub(crate) caller: u32,
    /// What its header says: the address of the caller's operation behind the call.
    pub(crate) resume: u64,
    /// That of the function's state.
    pub(crate) function: u64,
    /// The register of the caller for a single result.
    pub(crate) result: u64,
}

/// Those of the sites that frames have landed from.
#[derive(Debug, Default)]
pub(crate) struct Stackings(OnceLock<Box<[OnceLock<Box<Stacking>>]>>);

impl Stackings {
    /// That of `site`, of so many: what `make` returned when it was first asked for.
    #[inline(always)]
    pub(crate) fn of(&self, site: u32, sites: usize, make: impl FnOnce() -> Stacking) -> &Stacking {
        let by_site = self.0.get_or_init(|| (0..sites).map(|_| OnceLock::new()).collect());
        by_site[site as usize].get_or_init(|| Box::new(make()))
    }
}
