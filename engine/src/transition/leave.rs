//! Frames that leave their code by themselves: from an [invalidation point](super::invalidation_point), or because of a
//! [return check](super::return_check).
//!
//! Nothing is known of such a frame before it arrives, with the PC at which it left. Its version is there, since it waits
//! for this; what remains is a landing.

use osr_stackwalk::{ReturnPc, ReturnSlot};
use osr_stubs::Context;

use crate::code::SiteRef;
use crate::thread::Thread;
use crate::transition::landing::land_frame;

/// The hook behind the stub at which such frames arrive.
///
/// # Safety
/// Called by the stub, with the context of a thread.
pub(crate) unsafe extern "C" fn leave(context: *mut Context) -> *const u8 {
    // SAFETY: the context is the first field of its thread.
    let thread = unsafe { &*context.cast::<Thread>() };
    // SAFETY: the stub has saved the registers and does not touch them before we are done.
    let registers = unsafe { &mut (*context).landing };
    let site = thread.instance().registry().site_at(ReturnPc::new(registers.pc));
    let SiteRef { version, site } = site.expect("frames leave at sites of versions in memory");
    let site = thread.pending_site(&version, site);
    let site = match thread.take_tier_up() {
        Some(tier) => site.landing_in(tier),
        None => site,
    };
    version.add_pending_frames(1);
    let slot = ReturnSlot::below(registers.stack_pointer);
    let record = thread.ledger().borrow_mut().unrecorded(slot, site, true);
    land_frame(thread, record, registers)
}
