//! The pads of a version: frame maps that execute.
//!
//! ```text
//!   code of v:   | hot ... call ... call ... | cold: polls, pad 0, pad 1 | constants |
//!                     │ release, with frames of v still to land
//!                     v
//!   moved:       | pad 0 | pad 1 | their constants |     until the last ledger record of v is gone
//! ```
//!
//! While the version's code is there its pads are a cold part of it. When the code is released, they go
//! to an allocation of their own, if a record still needs them.

use std::sync::OnceLock;

use osr_compiler::{PadRange, PadSites};

use super::memory::Allocation;

/// The pads of a version.
#[derive(Debug)]
pub(crate) struct Pads {
    sites: PadSites,
    moved: OnceLock<Moved>,
}

/// Pads that have outlived the code they were compiled with.
#[derive(Debug)]
struct Moved {
    allocation: Allocation,
    base: u64,
    /// By site, offsets from the base.
    starts: Box<[Option<u32>]>,
}

impl Pads {
    /// Those that were compiled with a version's code.
    pub(crate) fn new(sites: PadSites) -> Pads {
        Pads { sites, moved: OnceLock::new() }
    }

    /// Where the pad of `site` is in the version's code.
    pub(crate) fn range(&self, site: u32) -> Option<PadRange> {
        self.sites.range(site)
    }

    /// The address of the pad of `site`, where the version's code begins, or began, at `code`.
    #[inline(always)]
    pub(crate) fn address(&self, site: u32, code: u64) -> Option<u64> {
        match self.moved.get() {
            Some(moved) => moved.starts[site as usize].map(|start| moved.base + u64::from(start)),
            None => self.sites.range(site).map(|range| code + u64::from(range.start)),
        }
    }

    /// Bytes of code.
    pub(crate) fn code_bytes(&self) -> u64 {
        self.sites.code_bytes()
    }

    /// Bytes of what is known of them.
    pub(crate) fn bytes(&self) -> u64 {
        self.sites.bytes()
    }

    /// A copy of all pads in `code` that can be executed anywhere, and where each of them begins.
    pub(crate) fn copy(&self, code: &[u8]) -> (Vec<u8>, Box<[Option<u32>]>) {
        self.sites.copy(code)
    }

    /// From now on the pads are the copy at `allocation`, whose code begins at `base`.
    pub(crate) fn move_to(&self, allocation: Allocation, base: u64, starts: Box<[Option<u32>]>) {
        self.moved.set(Moved { allocation, base, starts }).expect("code is released once");
    }

    /// The allocation of their own, if they have one.
    pub(crate) fn allocation(&self) -> Option<Allocation> {
        self.moved.get().map(|moved| moved.allocation)
    }
}
