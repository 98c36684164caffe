//! Executes machine code instruction by instruction, and looks at each.
//!
//! ```text
//!   begin(range)      the trap flag is set: SIGTRAP before every instruction
//!   .. in range       each is noted: registers, the stack, a backtrace
//!   behind it         the first instruction is noted, too, and the flag is cleared
//! ```

use std::backtrace::Backtrace;
use std::ops::Range;
use std::sync::Mutex;

use libc::{c_int, c_void, siginfo_t, ucontext_t};
use osr_stackwalk::CalleeSavedRegs;

/// What is seen before an instruction.
#[derive(Debug)]
pub struct Seen {
    /// Where it is.
    pub pc: u64,
    /// The stack pointer.
    pub stack_pointer: u64,
    /// The registers that callees preserve.
    pub registers: CalleeSavedRegs,
    /// What is on the stack, from the stack pointer on.
    pub stack: Vec<u64>,
    /// What the system's unwinder makes of it.
    pub backtrace: Backtrace,
}

impl Seen {
    /// The word of the stack at `address`.
    pub fn word(&self, address: u64) -> Option<u64> {
        let offset = address.checked_sub(self.stack_pointer)?;
        self.stack.get(offset as usize / 8).copied().filter(|_| offset.is_multiple_of(8))
    }
}

static STEPS: Mutex<(Range<u64>, Vec<Seen>)> = Mutex::new((0..0, Vec::new()));

/// How many words of the stack are noted.
const WORDS: usize = 256;

/// From now on this native thread steps, until it has been in `code` and left it. One at a time.
///
/// # Panics
/// If another thread steps.
pub fn begin(code: Range<u64>) {
    *STEPS.try_lock().expect("nothing steps") = (code, Vec::new());
    let handler: extern "C" fn(c_int, *mut siginfo_t, *mut c_void) = step;
    // SAFETY: an action of this form. The handler returns to what it interrupts.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = handler as usize;
        action.sa_flags = libc::SA_SIGINFO;
        libc::sigaction(libc::SIGTRAP, &raw const action, std::ptr::null_mut());
        libc::raise(libc::SIGTRAP);
    }
}

/// What was seen: in the code, and the first instruction behind it.
///
/// # Panics
/// If another thread steps.
pub fn seen() -> Vec<Seen> {
    std::mem::take(&mut STEPS.try_lock().expect("nothing steps").1)
}

const TRAP_FLAG: i64 = 1 << 8;

extern "C" fn step(_: c_int, _: *mut siginfo_t, context: *mut c_void) {
    // SAFETY: the system's description of what was interrupted.
    let registers = unsafe { &mut (*context.cast::<ucontext_t>()).uc_mcontext.gregs };
    let of = |register: c_int| registers[register as usize] as u64;
    let pc = of(libc::REG_RIP);
    // What is interrupted holds no lock of this: it is the guest, or what leads to it.
    let mut steps = STEPS.try_lock().expect("nothing else steps");
    let (code, seen) = &mut *steps;
    let is_in_code = code.contains(&pc);
    let has_left = !is_in_code && !seen.is_empty();
    if is_in_code || has_left {
        let stack_pointer = of(libc::REG_RSP);
        // SAFETY: the stack goes on that far: below the guest's frames are those of the test and of what has started it.
        let stack = unsafe { std::slice::from_raw_parts(stack_pointer as *const u64, WORDS) };
        let registers = CalleeSavedRegs {
            rbx: of(libc::REG_RBX),
            rbp: of(libc::REG_RBP),
            r12: of(libc::REG_R12),
            r13: of(libc::REG_R13),
            r14: of(libc::REG_R14),
            r15: of(libc::REG_R15),
        };
        let (stack, backtrace) = (stack.to_vec(), Backtrace::force_capture());
        seen.push(Seen { pc, stack_pointer, registers, stack, backtrace });
    }
    let flags = &mut registers[libc::REG_EFL as usize];
    *flags = if has_left { *flags & !TRAP_FLAG } else { *flags | TRAP_FLAG };
}
