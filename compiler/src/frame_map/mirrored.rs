//! Frame maps by rule: those of frames that mirror the interpreter's window.
//!
//! Where each register of the body has its slot, whatever the point, frame maps need no entries. What they would say
//! follows from the registers that are live at a point, which are known for the body anyway, and a byte for each register:
//!
//! ```text
//!   a live register is   what the call returned   if it is the site's result
//!                        a constant               if its byte says so: it holds that wherever it is live
//!                        in its slot              otherwise: 8 bytes below that of the register before it
//!
//!   | layout: 8 bytes | constant 0, 1, ..: 8 bytes each | site .. site | lowest slot: 4 bytes | register 0, 1, ..: a byte each |
//!
//!   byte    | number of the constant, from 1; 0 if it has a slot: 7 | wide: 1 |
//! ```
//!
//! Registers behind the last that is live at a site have no byte; the lowest slot is that of the last that has one.
//!
//! That is the frame of Sparkplug (Swirski, "Sparkplug: a non-optimizing JavaScript compiler", v8.dev, 2021) and of
//! SpiderMonkey's baseline compiler, which keep what their interpreters keep, where these do.

use std::sync::Arc;

use osr_ir::{Body, Liveness, Point, PointKind, Register, Type};

use super::builder::pack_sites;
use super::{
    FrameMapBuilder, FrameMapEntry, FrameMaps, Layout, Location, MIRRORED, MachineRegister, Site, Source,
};

/// The byte of a register.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place(u8);

impl Place {
    const CONSTANTS: usize = 1 << 7;

    fn new(constant: Option<usize>, is_wide: bool) -> Place {
        let number = constant.map_or(0, |number| number as u8 + 1);
        Place(number << 1 | u8::from(is_wide))
    }

    /// Of `register`, if so many have a byte.
    #[inline(always)]
    pub(super) fn source(self, register: usize, registers: usize) -> Source {
        let (wide, constant) = (usize::from(self.0 & 1), usize::from(self.0 >> 1));
        match constant.checked_sub(1) {
            None => Source { kind: Source::SLOT | wide, number: registers - 1 - register, register },
            Some(number) => Source { kind: Source::CONSTANT | wide, number, register },
        }
    }

    /// Of `register`, where `result` is what the call returned.
    #[inline(always)]
    pub(super) fn returned(self, register: usize, result: SiteResult) -> Source {
        let machine = if result.is_float() { MachineRegister::Xmm0 } else { MachineRegister::Rax };
        let kind = Source::MACHINE_REGISTER | usize::from(self.0 & 1);
        Source { kind, number: machine as usize, register }
    }
}

/// The register that a site's call returns, and whether in `xmm0` or in `rax`: one number, which is 0 if there is none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct SiteResult(pub(super) u32);

impl SiteResult {
    fn new(result: Option<(Register, Type)>) -> SiteResult {
        SiteResult(result.map_or(0, |(register, ty)| (register.as_u32() << 1 | u32::from(ty.is_float())) + 1))
    }

    #[inline(always)]
    pub(super) fn is(self, register: usize) -> bool {
        self.0 != 0 && (self.0 - 1) as usize >> 1 == register
    }

    #[inline(always)]
    fn is_float(self) -> bool {
        (self.0 - 1) & 1 == 1
    }
}

/// Collects the sites of a version whose frame maps are by rule.
#[derive(Debug, Default)]
pub(crate) struct MirroredSites {
    sites: Vec<Site>,
}

/// What the rule is about.
#[derive(Clone, Copy)]
pub(crate) struct Mirrored<'b> {
    pub(crate) body: &'b Body,
    pub(crate) liveness: &'b Arc<Liveness>,
    /// Where the lowest slot of a register is, in bytes from the frame base.
    pub(crate) lowest_slot: i32,
}

impl MirroredSites {
    /// Adds a site behind all others, after a call that returns `result`.
    pub(crate) fn site(
        &mut self,
        return_offset: u32,
        (point, kind): (Point, PointKind),
        result: Option<(Register, Type)>,
    ) {
        debug_assert!(self.sites.last().is_none_or(|before| before.return_offset < return_offset));
        self.sites.push(Site { return_offset, point, kind, first: SiteResult::new(result).0 });
    }

    /// The maps; `everywhere` is what registers hold wherever they are live. The sites are forgotten.
    pub(crate) fn finish(
        &mut self,
        frame: Mirrored<'_>,
        everywhere: impl Fn(Register) -> Option<u64>,
    ) -> FrameMaps {
        if self.sites.is_empty() {
            return FrameMaps::default();
        }
        let maps = self.pack(frame, &everywhere).unwrap_or_else(|| self.entries(frame, &everywhere));
        self.sites.clear();
        maps
    }

    /// The maps by rule, if there are not too many constants for that.
    fn pack(&self, frame: Mirrored<'_>, everywhere: impl Fn(Register) -> Option<u64>) -> Option<FrameMaps> {
        let Mirrored { body, liveness, lowest_slot } = frame;
        let mut places = vec![None; body.registers.len()];
        for &register in self.sites.iter().flat_map(|site| liveness.at(site.point)) {
            places[register.index()] = Some(Place::new(None, is_wide(body.ty(register))));
        }
        places.truncate(places.iter().rposition(Option::is_some).map_or(0, |last| last + 1));
        let mut constants: Vec<u64> = Vec::new();
        for (number, place) in places.iter_mut().enumerate().filter(|(_, place)| place.is_some()) {
            let register = Register::new(number);
            let Some(bits) = everywhere(register) else { continue };
            let known = constants.iter().position(|&constant| constant == bits).unwrap_or_else(|| {
                constants.push(bits);
                constants.len() - 1
            });
            if constants.len() == Place::CONSTANTS {
                return None;
            }
            *place = Some(Place::new(Some(known), is_wide(body.ty(register))));
        }
        let without = body.registers.len() - places.len();
        let lowest_slot = lowest_slot + 8 * without as i32;
        let mut packed = vec![0; Layout::BYTES];
        packed.extend(constants.iter().flat_map(|constant| constant.to_le_bytes()));
        let site_format = pack_sites(&self.sites, &mut packed);
        packed.extend(lowest_slot.to_le_bytes());
        packed.extend(places.iter().map(|place| place.map_or(0, |place| place.0)));
        let (sites, constants) = (self.sites.len() as u32, constants.len() as u32);
        let layout = Layout { sites, constants, site_format, entry_format: MIRRORED };
        packed[..Layout::BYTES].copy_from_slice(&layout.to_bytes());
        Some(FrameMaps { packed: packed.into(), liveness: Some(Arc::clone(liveness)) })
    }

    /// The same maps with entries.
    fn entries(&self, frame: Mirrored<'_>, everywhere: impl Fn(Register) -> Option<u64>) -> FrameMaps {
        let Mirrored { body, liveness, lowest_slot } = frame;
        let mut builder = FrameMapBuilder::default();
        for site in &self.sites {
            let result = SiteResult(site.first);
            let mut entry = |&register: &Register| {
                let place = Place::new(None, is_wide(body.ty(register)));
                let source = match result.is(register.index()) {
                    true => place.returned(register.index(), result),
                    false => place.source(register.index(), body.registers.len()),
                };
                let entry = source.entry(lowest_slot);
                match everywhere(register).filter(|_| matches!(entry.location, Location::FrameSlot(_))) {
                    Some(bits) => FrameMapEntry { location: builder.constant(bits), ..entry },
                    None => entry,
                }
            };
            let entries = liveness.at(site.point).iter().map(&mut entry).collect();
            builder.site(site.return_offset, (site.point, site.kind), entries);
        }
        builder.finish()
    }
}

fn is_wide(ty: Type) -> bool {
    !matches!(ty, Type::I32 | Type::F32)
}

#[cfg(test)]
mod tests {
    use osr_ir::{FunctionIndex, Points};

    use super::*;

    /// A function with values of all kinds live at calls, and with as many constants.
    fn body(constants: usize) -> Body {
        let registers: String = (0..constants).map(|n| format!(", r{}: i64", n + 6)).collect();
        let defined: String = (0..constants).map(|n| format!("r{} = i64.const {n} ", n + 6)).collect();
        let used: String = (0..constants).map(|n| format!("r3 = i64.add r3, r{} ", n + 6)).collect();
        let text = format!(
            "function g () -> (f32) {{ r0: f32 b0: r0 = f32.const 0.0 return r0 }}
             function h () -> (i64) {{ r0: i64 b0: r0 = i64.const 0 return r0 }}
             function f (r0: i32, r1: f64, r2: i32, r3: i64) -> (i64, i32, f64, f32) {{
               r4: f32, r5: i64{registers}
               b0: {defined} r4 = call g () r5 = call h () r3 = i64.add r3, r5 {used} return r3, r2, r1, r4 }}"
        );
        let module = osr_ir::text::parse(&text).expect("it is well formed");
        osr_ir::verifier::verify(&module).expect("it is well formed");
        module.function(FunctionIndex::new(2)).body().expect("it is defined").clone()
    }

    #[test]
    fn the_rule_says_what_entries_say() {
        for constants in [0, 1, 3, Place::CONSTANTS - 1, Place::CONSTANTS, 200] {
            let body = body(constants);
            let points = Points::of(&body);
            let liveness = Arc::new(Liveness::of(&body, &points));
            let frame =
                Mirrored { body: &body, liveness: &liveness, lowest_slot: -8 * (3 + 6 + constants as i32) };
            let everywhere = |register: Register| register.index().checked_sub(6).map(|n| n as u64);
            let calls =
                points.iter().filter(|&(_, kind, _)| kind == PointKind::AfterCall).map(|(point, ..)| point);
            let mut sites = MirroredSites::default();
            sites.site(5, (Points::entry(), PointKind::Entry), None);
            let results = [(Register::new(4), Type::F32), (Register::new(5), Type::I64)];
            for (number, (point, result)) in calls.zip(results).enumerate() {
                sites.site(20 + number as u32, (point, PointKind::AfterCall), Some(result));
            }
            let by_rule = sites.pack(frame, everywhere);
            assert_eq!(by_rule.is_some(), constants < Place::CONSTANTS);
            let entries = sites.entries(frame, everywhere);
            let maps = sites.finish(frame, everywhere);
            assert_eq!(maps.len(), 3);
            for (one, other) in maps.sites().zip(entries.sites()) {
                let value = |maps: &FrameMaps, entry: &FrameMapEntry| match entry.location {
                    Location::Constant(n) => Some(maps.constant(n)),
                    _ => None,
                };
                let read = |maps: &FrameMaps, site: &Site| -> Vec<(Register, bool, Result<u64, Location>)> {
                    let entries = maps.entries(site);
                    let shown = |entry: FrameMapEntry| {
                        (entry.register, entry.wide, value(maps, &entry).ok_or(entry.location))
                    };
                    entries.map(shown).collect()
                };
                assert_eq!((one.return_offset, one.point), (other.return_offset, other.point));
                assert_eq!(read(&maps, &one), read(&entries, &other), "{constants} constants, {one:?}");
                assert!(maps.entries(&one).count() >= 3);
            }
        }
    }
}
