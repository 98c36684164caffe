//! Where the values of frame states are.

use osr_engine::{CodeVersion, Location, MachineRegister};
use osr_ir::PointKind;
use serde::Serialize;

use super::pads::{self, Source};

/// The values that are live at calls, of a function or of all functions of a program.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(super) struct Values {
    /// Calls of guest code and of the runtime.
    pub(super) calls: u64,
    /// Values that are live at them, in all.
    pub(super) live: u64,
    /// Of those: returned by the call itself.
    pub(super) results: u64,
    /// Constants.
    pub(super) constants: u64,
    /// In registers that the call preserves.
    pub(super) registers: u64,
    /// In spill slots.
    pub(super) spilled: u64,
    /// Values that pads make again: nothing else needs them as they are. Locations force them into a register
    /// or a spill slot.
    pub(super) recomputed: u64,
    /// Values that pads know to be constant, beyond what frame maps know. Locations force these, too.
    pub(super) pad_constants: u64,
}

impl Values {
    /// Where `located`, code with locations, has its values, and what the pads of `padded`, code with pads, know better.
    pub(super) fn of(located: &CodeVersion, padded: &CodeVersion) -> Values {
        let mut values = Values::default();
        values.add_places(located);
        values.add_pads(padded);
        values
    }

    fn add_places(&mut self, version: &CodeVersion) {
        use MachineRegister::{R12, R13, R14, R15, Rbx};
        let maps = &version.frame_maps;
        for site in maps.sites().filter(|site| site.kind == PointKind::AfterCall) {
            self.calls += 1;
            for entry in maps.entries(&site) {
                self.live += 1;
                *match entry.location {
                    Location::Register(Rbx | R12 | R13 | R14 | R15) => &mut self.registers,
                    Location::FrameSlot(_) => &mut self.spilled,
                    Location::Constant(_) => &mut self.constants,
                    Location::Register(_) | Location::Result(_) | Location::Pad => &mut self.results,
                } += 1;
            }
        }
    }

    fn add_pads(&mut self, version: &CodeVersion) {
        let code = version.code().expect("a version that nothing enters is not released");
        for pad in version.pad_ranges().into_iter().flatten() {
            for source in pads::sources(&code, pad.start) {
                match source {
                    Source::Recomputed => self.recomputed += 1,
                    Source::Constant => self.pad_constants += 1,
                    Source::Register | Source::Spill => {}
                }
            }
        }
    }

    /// Adds those of another function.
    pub(super) fn add(&mut self, other: &Values) {
        let Values { calls, live, results, constants, registers, spilled, recomputed, pad_constants } = other;
        self.calls += calls;
        self.live += live;
        self.results += results;
        self.constants += constants;
        self.registers += registers;
        self.spilled += spilled;
        self.recomputed += recomputed;
        self.pad_constants += pad_constants;
    }
}
