//! The code of an instance: which version each function's calls enter, and what there is.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use osr_compiler::frame_map::VirtualActivation;
use osr_compiler::profile::Profile;
use osr_compiler::{CompileError, CompiledTier, EntryPoint, VersionKey};
use osr_ir::FunctionIndex;

use crate::code::{BindingStatistics, CodeStatistics, CodeTimes, CodeVersion, ExitLink};
use crate::event::coverage::{Coverage, CoveredSite};
use crate::instance::Instance;
use crate::instance::function::FunctionState;
use crate::settings::Tier;
use crate::settings::failing_guards::FailingGuards;
use crate::tiering::{NEVER, compile};

/// Code that the compiler has refused to make: there the function stays in the tier that it is in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefusedCode {
    /// The code.
    pub key: VersionKey,
    /// The compiler's reason.
    pub reason: String,
}

impl Instance {
    /// What the compiler has refused so far, by function.
    pub fn refused_code(&self) -> impl Iterator<Item = RefusedCode> + '_ {
        let refused = |(function, state): (FunctionIndex, &FunctionState)| {
            let code = move |(tier, entry, reason)| RefusedCode {
                key: VersionKey { function, tier, entry },
                reason,
            };
            state.refused().into_iter().map(code)
        };
        let bodies = self.module().function_indices().chain(self.module().added_bodies());
        bodies.zip(self.functions()).flat_map(refused)
    }

    /// From now on `version` is entered.
    pub(crate) fn publish(&self, version: &CodeVersion) {
        let state = self.function(version.function);
        state.set_code(version.tier, version.entry, version.start as *mut u8);
        if version.tier == CompiledTier::Optimized {
            self.has_optimized.store(true, Ordering::Relaxed);
        }
        self.update_calls(version);
        if let Some(coverage) = &self.coverage {
            coverage.compiled(version);
        }
    }

    /// The counters of `function`'s baseline code; none if it neither is left nor counts anything.
    pub(crate) fn profile(&self, function: FunctionIndex) -> Option<&Profile> {
        let (threshold, counts) = (self.threshold(Tier::Baseline), self.settings.counts());
        if threshold == NEVER && !counts.any() {
            return None;
        }
        let points = &self.analysis(function).points;
        let parameters = self.module().signature_of(function).parameters.len();
        let new = || Profile::new(self.body(function), parameters, points, threshold, counts);
        Some(self.function(function).profile(new))
    }

    /// Restarts the countdown of `function`'s baseline code.
    pub(crate) fn restart_countdown(&self, function: FunctionIndex) {
        if let Some(profile) = self.function(function).existing_profile() {
            profile.reset_countdown(self.threshold(Tier::Baseline));
        }
    }

    /// Cuts the incoming edges of `version`: nothing new enters it. The function's counting restarts. False,
    /// and nothing done, if the version was retired before.
    pub(crate) fn retire(&self, version: &CodeVersion) -> bool {
        if !version.life.retire() {
            return false;
        }
        if self.settings().failing_guards != FailingGuards::Remake {
            self.registry.cut_links(version);
        }
        let state = self.function(version.function);
        state.withdraw_code(version.tier, version.entry, version.start as *mut u8);
        self.update_calls(version);
        state.restart_count(self.head_start);
        state.account.retire();
        self.restart_countdown(version.function);
        true
    }

    /// Calls that enter `version`'s body enter its best code.
    fn update_calls(&self, version: &CodeVersion) {
        let function = self.module().function_of(version.function);
        if version.entry == EntryPoint::Function && self.bodies().entered(function) == version.function {
            self.update_calls_of(function);
        }
    }

    /// Calls of `function` enter the best code of the body that they are to enter.
    pub(crate) fn update_calls_of(&self, function: FunctionIndex) {
        let body = self.bodies().entered(function);
        let compiled = self.function(body).compiled();
        let code = compiled.map_or_else(|| self.stubs.stub(self.number(body)), <*const u8>::cast_mut);
        self.cell(function).store(code, Ordering::Release);
        if self.settings().mechanism.binding.follows_cells() {
            self.registry.rebind(function, code as u64);
        }
    }

    /// The sites of all versions compiled so far with their landings; empty unless
    /// [`Settings::coverage`](crate::Settings::coverage) is on.
    pub fn covered_sites(&self) -> Vec<CoveredSite> {
        self.coverage.as_ref().map(Coverage::sites).unwrap_or_default()
    }

    /// How much code there is and was.
    pub fn code_statistics(&self) -> CodeStatistics {
        self.registry.statistics()
    }

    /// The counters that code of `version` names by their addresses, which differ from run to run: what a disassembly can call
    /// them, and where they are.
    pub fn counters(&self, version: &CodeVersion) -> impl Iterator<Item = (&'static str, Range<u64>)> {
        let profile = self.function(version.function).existing_profile();
        let profile = profile.map(|profile| ("profile", profile.addresses()));
        let residence = version.residence.as_ref().map(|count| ("residents", count.addresses()));
        profile.into_iter().chain(residence)
    }

    /// What binding calls takes, besides the call cells.
    pub fn binding_statistics(&self) -> BindingStatistics {
        self.registry.binding_statistics()
    }

    /// How often frames have left by exits of guards that are [linked](crate::FailingGuards::Link). None of these times is
    /// counted elsewhere, or observed.
    pub fn linked_exits(&self) -> u64 {
        self.functions().iter().map(|function| function.learnt.linked_exits()).sum()
    }

    /// What installing and releasing code took so far.
    pub fn code_times(&self) -> CodeTimes {
        self.registry.times()
    }

    /// The activations that a frame at the `site`th site of `version`, which is of this instance, stands for: innermost
    /// first.
    pub fn activations(&self, version: &CodeVersion, site: u32) -> Vec<VirtualActivation> {
        let inlined: Vec<VirtualActivation> = version.activations(site).collect();
        if !inlined.is_empty() {
            return inlined;
        }
        let (function, point) = (version.function, version.frame_maps.site(site).point);
        vec![VirtualActivation { function, point, offset: 0, registers: self.frame_words(function) }]
    }

    /// Handles of the versions whose code is in memory.
    pub fn versions(&self) -> Vec<Arc<CodeVersion>> {
        self.registry.live()
    }

    /// How frames of `version` are unwound, as an `.eh_frame` section for a copy of its code at `start`: for tools that
    /// want to be told of code.
    ///
    /// # Errors
    /// If the rows cannot be encoded.
    pub fn unwind_section(&self, version: &CodeVersion, start: u64) -> Result<Vec<u8>, osr_stackwalk::Error> {
        self.registry.unwind_section_of(version, start)
    }

    /// The same of the code of an exit that is [linked](crate::Event::ExitLinked).
    ///
    /// # Errors
    /// If the rows cannot be encoded.
    pub fn unwind_section_of_link(&self, link: &ExitLink) -> Result<Vec<u8>, osr_stackwalk::Error> {
        self.registry.unwind_section_of_link(link)
    }

    /// Compiles `function` in `tier` to be entered at `entry`, and installs the code, which nothing enters: for
    /// tools that show compiled code.
    ///
    /// # Errors
    /// If the compiler refuses the body, or no code memory is left.
    ///
    /// # Panics
    /// If the function is imported, or has no such entry.
    pub fn compile(
        &self,
        function: FunctionIndex,
        tier: CompiledTier,
        entry: EntryPoint,
    ) -> Result<Arc<CodeVersion>, CompileError> {
        compile::compile(self, VersionKey { function, tier, entry })
    }
}
