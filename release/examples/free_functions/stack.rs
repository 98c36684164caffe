//! Where compiled code and the host meet: what finds frames, and what is told when they end.

use std::arch::naked_asm;

use osr_release::{Census, CodeRange};
use osr_stackwalk::{
    ExitRecord, Frame, LiveStack, ReturnPc, ReturnPcs, ReturnSlot, SegmentedWalk, StackBounds,
};

use crate::host::{self, Host};

/// What compiled code calls: leaves word of where its frame is, and continues in the host.
///
/// A walk needs the two registers as they are here: `rsp` is the address of the slot that leads back, `rbp` the base of the
/// frame that called. No Rust function could say, which has a frame of its own by then.
#[unsafe(naked)]
pub(crate) extern "C" fn pause() -> f64 {
    naked_asm!("mov rdi, rsp", "mov rsi, rbp", "jmp {pause_from}", pause_from = sym pause_from)
}

extern "C" fn pause_from(return_slot: u64, frame_base: u64) -> f64 {
    host::pause(ExitRecord { return_slot: ReturnSlot::new(return_slot), frame_base })
}

/// What code that is retired calls before it returns, if its frames are counted. Its return address says who it is.
#[unsafe(naked)]
pub(crate) extern "C" fn left() {
    naked_asm!("mov rdi, [rsp]", "jmp {left_from}", left_from = sym left_from)
}

extern "C" fn left_from(pc: u64) {
    host::frame_ended(ReturnPc::new(pc));
}

/// Where the frames of retired functions return to, if they are noticed by barriers.
///
/// ```text
///   a return:   rsp is right above the slot; rax, rdx, xmm0 and xmm1 may hold results: all four are kept, whatever the
///               function returns; other registers that a call may change are free
///   here:       | slot | rbp | rax | rdx | xmm0 | xmm1 |    low addresses to the right; rsp is a multiple of 16 at the call
///   then:       a jump, not a return: the return that led here has matched its call; with shadow stacks (CET) a swapped slot
///               faults, so programs that have these cannot have barriers
/// ```
#[unsafe(naked)]
pub(crate) extern "C" fn barrier() {
    naked_asm!(
        // Takes the slot back: it is the return address of this frame.
        "lea rsp, [rsp - 8]",
        "push rbp",
        "mov rbp, rsp",
        "push rax",
        "push rdx",
        "sub rsp, 32",
        "movups [rsp + 16], xmm0",
        "movups [rsp], xmm1",
        "lea rdi, [rbp + 8]",
        "call {ended}",
        "mov r11, rax",
        "movups xmm1, [rsp]",
        "movups xmm0, [rsp + 16]",
        "add rsp, 32",
        "pop rdx",
        "pop rax",
        "pop rbp",
        "lea rsp, [rsp + 8]",
        "jmp r11",
        ended = sym ended,
    )
}

/// The barrier's PC.
pub(crate) fn barrier_pc() -> ReturnPc {
    ReturnPc::new(barrier as *const () as u64)
}

/// The frame that ended by `slot` is gone. Where to continue.
extern "C" fn ended(slot: u64) -> u64 {
    host::returned(ReturnSlot::new(slot)).address()
}

/// What the walk has to know of PCs.
struct Pcs<'h> {
    host: &'h Host,
    /// All code there is.
    code: Vec<CodeRange>,
}

impl ReturnPcs for Pcs<'_> {
    /// Frames of the host begin where a PC is in no code.
    fn is_boundary(&self, pc: ReturnPc) -> bool {
        !self.code.iter().any(|range| range.holds(pc))
    }

    fn is_landing(&self, pc: ReturnPc) -> bool {
        pc == barrier_pc()
    }

    /// A slot with a barrier stands for what it held.
    fn original(&self, frame: Frame) -> Option<ReturnPc> {
        self.host.original(frame.return_slot)
    }
}

/// Counts the compiled frames in `ranges`: those of all segments, from the innermost exit on, over the host's frames
/// between.
pub(crate) fn census(host: &Host, ranges: &[CodeRange]) -> Census {
    let mut census = Census::begin(ranges).keeping_frames();
    let exits = host.exits();
    let Some(innermost) = exits.last() else { return census };
    let bounds = StackBounds::current().expect("the system says where the stack is");
    // SAFETY: from the innermost exit up the stack is in use, and this thread's.
    let stack = unsafe { LiveStack::new(bounds.from(innermost.return_slot.address())) };
    let pcs = Pcs { host, code: host.all_code() };
    let walked =
        SegmentedWalk::new(stack, &pcs, exits.iter().rev().copied()).visit(|frame| census.add(frame.into()));
    walked.expect("compiled code keeps frame pointers");
    census
}
