//! Hijacked slots that lead into landing tables, by what they hold.

use std::sync::atomic::Ordering;

use osr_stackwalk::{Frame, ReturnPc};

use super::Registry;
use crate::code::landing_table::LandingTable;
use crate::code::version::CodeVersion;
use crate::settings::mechanism::Bookkeeping;

impl Registry {
    /// Whether versions have landing tables.
    pub(crate) fn has_landing_tables(&self) -> bool {
        self.bookkeeping != Bookkeeping::Ledger
    }

    /// Whether a slot that holds `pc` leads into a landing table. This and what follows is to be asked on the native
    /// thread that executes the instance.
    pub(crate) fn is_in_landing_table(&self, pc: ReturnPc) -> bool {
        self.at_landing(pc, |_, _| ()).is_some()
    }

    /// The return PC that the slot of `frame` held before it was hijacked; the PC of the frame is what it holds.
    ///
    /// # Safety
    /// The frame is on the stack of the thread of the instance.
    pub(crate) unsafe fn original(&self, frame: Frame) -> Option<ReturnPc> {
        self.at_landing(frame.pc, |version, table| {
            // SAFETY: the frame is there, and what its slot holds says that it was hijacked by the table.
            let site = unsafe { table.site(version, frame.pc, frame.frame_base) };
            ReturnPc::new(version.start + u64::from(version.frame_maps.site(site).return_offset))
        })
    }

    /// What `read` returns of the version that has `entry` in its landing table. It must release nothing.
    #[inline]
    pub(crate) fn at_landing<T>(
        &self,
        entry: ReturnPc,
        read: impl FnOnce(&CodeVersion, LandingTable) -> T,
    ) -> Option<T> {
        // Without tables, no version is looked for.
        let version = self.has_landing_tables().then(|| self.find_in_slots(entry.address())).flatten()?;
        // SAFETY: marked granules belong to versions whose handles are in their slots. They leave the slots on this
        // native thread only, when they are released.
        let version = unsafe { &*version };
        let table = version.landings.filter(|table| table.holds(version, entry))?;
        Some(read(version, table))
    }

    /// Hijacked slots that led into the landing tables are gone: no frame of any version is pending, until they are
    /// [counted](CodeVersion::add_pending_frames) again.
    pub(crate) fn forget_landings(&self) {
        self.live().iter().for_each(|version| version.pending_sites.store(0, Ordering::Release));
    }
}

impl CodeVersion {
    /// So many more of its frames are pending, whose slots lead into its landing table.
    pub(crate) fn add_pending_frames(&self, frames: u64) {
        self.pending_sites.fetch_add(frames, Ordering::AcqRel);
    }
}
