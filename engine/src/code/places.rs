//! Places: with [`Placement::SameAddress`](crate::Placement::SameAddress), where the code of a key is, and will be.
//!
//! ```text
//!   first version of a key    | code      | slack |     a quarter more than it needs
//!   drained                   | int3 ..           |     the place waits
//!   next version of the key   | new code   | int3 |     refused if it does not fit
//! ```
//!
//! A place is written only while it waits: what was there is released, so nothing enters it, returns into it, or reads
//! it. The memory of a place is freed with the instance.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use osr_compiler::{CompileError, VersionKey};

use super::memory::{Allocation, GRANULE, Memory};
use super::version::CodeVersion;
use super::x86_64::entry_stub::TRAP_INSTRUCTION;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Places(HashMap<VersionKey, Place>);

#[derive(Debug)]
struct Place {
    allocation: Allocation,
    /// How far after the begin of a granule code begins, or what precedes it.
    padding: usize,
    is_occupied: bool,
}

impl Places {
    /// The padding of the place of `key`; `padding` if there is none yet.
    pub(super) fn padding(&self, key: VersionKey, padding: usize) -> usize {
        self.0.get(&key).map_or(padding, |place| place.padding)
    }

    /// Puts `code` into the place of `key`. It is not sealed then.
    pub(super) fn put(
        &mut self,
        memory: &mut Memory,
        key: VersionKey,
        padding: usize,
        code: &[u8],
    ) -> Result<Allocation, CompileError> {
        let mut filled = code.to_vec();
        match self.0.entry(key) {
            Entry::Vacant(vacant) => {
                filled.resize(code.len() + (code.len() / 4).next_multiple_of(GRANULE), TRAP_INSTRUCTION);
                let allocation = memory.allocate(&filled).ok_or(CompileError::NoCodeMemory)?;
                vacant.insert(Place { allocation, padding, is_occupied: true });
                Ok(allocation)
            }
            Entry::Occupied(mut occupied) => {
                let place = occupied.get_mut();
                let Allocation { bytes: available, .. } = place.allocation;
                if place.is_occupied {
                    return Err(CompileError::PlaceOccupied);
                }
                if code.len() > available {
                    return Err(CompileError::PlaceTooSmall { bytes: code.len(), available });
                }
                filled.resize(available, TRAP_INSTRUCTION);
                memory.unseal(place.allocation);
                memory.write(place.allocation, 0, &filled);
                place.is_occupied = true;
                Ok(place.allocation)
            }
        }
    }

    /// The code of `version` is gone: its place waits for the next version of the key.
    pub(super) fn vacate(&mut self, memory: &mut Memory, version: &CodeVersion) {
        let CodeVersion { function, tier, entry, allocation, .. } = *version;
        let begin = version.offset_in_allocation(memory);
        let traps = vec![TRAP_INSTRUCTION; allocation.bytes - begin];
        memory.patch(allocation, [(begin, traps)]);
        memory.synchronize();
        let place = self.0.get_mut(&VersionKey { function, tier, entry });
        place.expect("code is put into places").is_occupied = false;
    }
}

#[cfg(test)]
mod tests {
    use osr_compiler::{CompiledTier, EntryPoint};
    use osr_ir::FunctionIndex;

    use super::*;
    use crate::memory::reservation::Reservation;
    use crate::settings::code_memory::CodeMemory;

    #[test]
    fn what_does_not_fit_a_place_is_refused_and_leaves_it_as_it_was() {
        for kind in CodeMemory::ALL {
            let mut memory = Memory::new(kind, Reservation::new(1 << 20).unwrap(), false).unwrap();
            let (function, tier) = (FunctionIndex::new(0), CompiledTier::Optimized);
            let key = VersionKey { function, tier, entry: EntryPoint::Function };
            let mut places = Places::default();
            let mut put = |places: &mut Places, bytes| places.put(&mut memory, key, 0, &vec![0x90; bytes]);
            let first = put(&mut places, 40 * GRANULE).unwrap();
            assert!(first.bytes >= 50 * GRANULE, "a quarter more");
            assert!(matches!(put(&mut places, 1), Err(CompileError::PlaceOccupied)), "{kind:?}");
            places.0.get_mut(&key).unwrap().is_occupied = false;
            let (bytes, available) = (first.bytes + 1, first.bytes);
            let error = put(&mut places, bytes).unwrap_err().to_string();
            assert!(error.contains(&format!("{bytes} bytes")), "{error}");
            assert!(error.contains(&format!("{available} bytes")), "{error}");
            assert_eq!(put(&mut places, first.bytes).unwrap(), first, "{kind:?}");
        }
    }
}
