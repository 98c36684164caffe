//! Call sites: which versions in memory call a function, so that all of its calls can be patched.
//!
//! The sites themselves are listed by their version. Here is, by callee, who calls it: a version comes and goes
//! with one entry for each function that it calls, however many calls there are.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use osr_ir::FunctionIndex;

use crate::code::memory::Memory;
use crate::code::version::{CodeVersion, VersionId};
use crate::code::x86_64::jump_stub;

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct CallSites {
    callers: HashMap<FunctionIndex, BTreeMap<VersionId, Arc<CodeVersion>>>,
    count: u64,
}

impl CallSites {
    /// How many there are.
    pub(super) fn count(&self) -> u64 {
        self.count
    }

    /// Those of `callee` in `version` are there from now on.
    pub(super) fn add(&mut self, version: &Arc<CodeVersion>, callee: FunctionIndex) {
        self.count += version.direct_calls_of(callee).len() as u64;
        self.callers.entry(callee).or_default().insert(version.id, Arc::clone(version));
    }

    /// Those of `version` are gone.
    pub(super) fn remove(&mut self, version: &CodeVersion) {
        for calls in version.direct_calls_by_callee() {
            let callers = self.callers.get_mut(&calls[0].callee);
            if callers.is_some_and(|callers| callers.remove(&version.id).is_some()) {
                self.count -= calls.len() as u64;
            }
        }
    }

    /// From now on all calls of `function` lead to `code`. Nothing executes meanwhile. Returns how many were patched.
    pub(super) fn lead(&self, memory: &mut Memory, function: FunctionIndex, code: u64) -> u64 {
        let Some(callers) = self.callers.get(&function) else { return 0 };
        let mut patched = 0;
        for version in callers.values() {
            let calls = version.direct_calls_of(function);
            let prefix = version.offset_in_allocation(memory);
            let patches = calls.iter().map(|call| {
                let distance = jump_stub::distance(version.start + u64::from(call.offset), code);
                (prefix + call.offset as usize, distance)
            });
            version
                .life
                .while_in_memory(|| memory.patch(version.allocation, patches))
                .expect("calls of released code are removed");
            patched += calls.len() as u64;
        }
        if patched > 0 {
            memory.synchronize();
        }
        patched
    }
}
