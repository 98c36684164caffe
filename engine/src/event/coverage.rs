//! Coverage of landings: which frame-map entries of all versions compiled were landed on.
//!
//! Versions come and go; two versions of one function, tier and entry have the same code, so coverage
//! is by function, tier, entry and site.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use osr_compiler::EntryPoint;
use osr_ir::{FunctionIndex, Point};

use crate::code::CodeVersion;
use crate::settings::stress::mix;
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
    /// The function that the site resumes in: the version's, or one inlined into it.
    pub innermost: FunctionIndex,
    /// Where the site resumes.
    pub point: Point,
    /// How many activations its frames stand for.
    pub activations: usize,
    /// Entries of its frame map.
    pub entries: usize,
    /// Whether a frame was on the stack there when it was asked which were to land ([`Stress::Uncovered`](crate::Stress)):
    /// whether the program comes there at all while the runtime can see it.
    pub seen: bool,
    /// Times that it was landed on, by the [`Tier`] that the frame continued in.
    pub landings: [u64; 3],
}

type Key = (FunctionIndex, CompiledTier, EntryPoint);

/// Counts landings by site.
#[derive(Debug, Default)]
pub(crate) struct Coverage {
    versions: Mutex<BTreeMap<Key, Covered>>,
    /// Calls of the guest so far.
    calls: AtomicU64,
}

/// The sites of versions with one key.
#[derive(Debug)]
struct Covered {
    sites: Vec<CoveredSite>,
    /// Pairs of a site and a tier such that no frame of that site has landed in that tier.
    missing: usize,
}

impl Coverage {
    fn versions(&self) -> MutexGuard<'_, BTreeMap<Key, Covered>> {
        self.versions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The guest is called.
    pub(crate) fn called(&self) {
        self.calls.fetch_add(1, Ordering::Relaxed);
    }

    /// A version was compiled: its sites count from now on.
    pub(crate) fn compiled(&self, version: &CodeVersion) {
        self.versions().entry(key(version)).or_insert_with(|| {
            let site = |(number, site): (u32, osr_compiler::frame_map::Site)| CoveredSite {
                function: version.function,
                tier: version.tier,
                entry: version.entry,
                innermost: version.function_at(number),
                point: site.point,
                activations: version.activations(number).count().max(1),
                entries: version.frame_maps.entries(&site).count(),
                seen: false,
                landings: [0; 3],
            };
            let sites: Vec<CoveredSite> = (0..).zip(version.frame_maps.sites()).map(site).collect();
            Covered { missing: sites.len() * Tier::ALL.len(), sites }
        });
    }

    /// A frame of `version` at its `site`th site has landed in the tier `to`.
    pub(crate) fn landed(&self, version: &CodeVersion, site: u32, to: Tier) {
        let mut versions = self.versions();
        let covered = versions.get_mut(&key(version)).expect("compiled before it lands");
        let count = &mut covered.sites[site as usize].landings[to as usize];
        covered.missing -= usize::from(*count == 0);
        *count += 1;
    }

    /// Whether coverage may grow if a frame of `version` at its `site`th site lands: if none has landed from
    /// there in some tier, or else, now and then, to get into versions with sites that are not covered.
    pub(crate) fn wants(&self, version: &CodeVersion, site: u32) -> bool {
        let mut versions = self.versions();
        let Some(covered) = versions.get_mut(&key(version)) else { return false };
        let missing = covered.missing;
        let found = &mut covered.sites[site as usize];
        found.seen = true;
        let found = *found;
        if found.landings.contains(&0) {
            return true;
        }
        // Who stays sees the far sites of this version, who leaves those of others. A frame may wait for
        // long: it must not be asked again until it leaves.
        let random = mix(mix(self.calls.load(Ordering::Relaxed)) ^ version.id.0 << 32 ^ u64::from(site));
        let patience = if missing > 0 { 3 + (random >> 32) % 6 } else { 1 };
        random & ((1 << patience) - 1) == 0 && leads_on(&versions, found).next().is_some()
    }

    /// Where a frame of `version` at its `site`th site is to land so that coverage grows; of several tiers, the
    /// one that `random` picks.
    pub(crate) fn destination(&self, version: &CodeVersion, site: u32, random: u64) -> Option<Tier> {
        let versions = self.versions();
        let site = versions.get(&key(version))?.sites[site as usize];
        let is_new = |tier: &Tier| site.landings[*tier as usize] == 0;
        let mut tiers: Vec<Tier> = Tier::ALL.into_iter().filter(is_new).collect();
        if tiers.is_empty() {
            tiers.extend(leads_on(&versions, site));
        }
        let number = random as usize % tiers.len().max(1);
        tiers.get(number).copied()
    }

    /// All sites.
    pub(crate) fn sites(&self) -> Vec<CoveredSite> {
        self.versions().values().flat_map(|covered| &covered.sites).copied().collect()
    }
}

/// The tiers that lead a frame which lands from `site` into code with sites that are not covered.
fn leads_on(versions: &BTreeMap<Key, Covered>, site: CoveredSite) -> impl Iterator<Item = Tier> {
    Tier::ALL.into_iter().filter(move |&tier| match CompiledTier::try_from(tier) {
        Ok(tier) => {
            let continuation = versions.get(&(site.innermost, tier, EntryPoint::Continuation(site.point)));
            continuation.is_some_and(|covered| covered.missing > 0)
        }
        // From there it comes to versions that are entered at loop headers.
        Err(()) => {
            let mut others = versions.range((site.innermost, CompiledTier::Baseline, EntryPoint::Function)..);
            let mut others = others.by_ref().take_while(|((function, ..), _)| *function == site.innermost);
            others.any(|(_, covered)| covered.missing > 0)
        }
    })
}

fn key(version: &CodeVersion) -> Key {
    (version.function, version.tier, version.entry)
}
