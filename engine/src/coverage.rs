//! Coverage of landings: which frame-map entries of all versions compiled were landed on.
//!
//! Versions come and go; two versions of one function, tier and entry have the same code, so coverage
//! is by function, tier, entry and site.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use osr_ir::{FunctionIndex, Point};

use crate::code::CodeVersion;
use crate::compiler::EntryPoint;
use crate::settings::{CompiledTier, Tier};

/// A site that was compiled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CoveredSite {
    /// The function.
    pub function: FunctionIndex,
    /// The tier of the version.
    pub tier: CompiledTier,
    /// Where the version is entered.
    pub entry: EntryPoint,
    /// Where the site resumes.
    pub point: Point,
    /// Entries of its frame map.
    pub entries: usize,
    /// Times that it was landed on, by the [`Tier`] that the frame went on in.
    pub landings: [u64; 3],
}

type Key = (FunctionIndex, CompiledTier, Option<Point>);

/// Counts landings by site.
#[derive(Debug, Default)]
pub(crate) struct Coverage {
    sites: Mutex<BTreeMap<Key, Vec<CoveredSite>>>,
}

impl Coverage {
    /// A version was compiled: its sites count from now on.
    pub(crate) fn compiled(&self, version: &CodeVersion) {
        let mut all = self.sites.lock().unwrap_or_else(PoisonError::into_inner);
        all.entry(key(version)).or_insert_with(|| {
            let site = |site: &crate::frame_map::Site| CoveredSite {
                function: version.function,
                tier: version.tier,
                entry: version.entry,
                point: site.point,
                entries: version.frame_maps.entries(site).len(),
                landings: [0; 3],
            };
            version.frame_maps.sites().iter().map(site).collect()
        });
    }

    /// A frame of `version` at its `site`th site has landed in the tier `to`.
    pub(crate) fn landed(&self, version: &CodeVersion, site: u32, to: Tier) {
        let mut all = self.sites.lock().unwrap_or_else(PoisonError::into_inner);
        let sites = all.get_mut(&key(version)).expect("compiled before it lands");
        sites[site as usize].landings[to as usize] += 1;
    }

    /// All sites.
    pub(crate) fn sites(&self) -> Vec<CoveredSite> {
        let all = self.sites.lock().unwrap_or_else(PoisonError::into_inner);
        all.values().flatten().copied().collect()
    }
}

fn key(version: &CodeVersion) -> Key {
    let point = match version.entry {
        EntryPoint::Function => None,
        EntryPoint::Continuation(point) => Some(point),
    };
    (version.function, version.tier, point)
}
