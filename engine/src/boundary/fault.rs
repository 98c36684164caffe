//! Faults: what the machine notices in compiled code becomes a trap.
//!
//! The handler runs on the faulting thread, between two instructions of compiled code. It looks up whether
//! the instruction may trap (no locks), notes where it is in the thread, and makes the thread continue in a stub: that has the
//! trap made, with its backtrace, and unwinds to the nearest entry. A load from the page that guards polls is no trap: the thread continues at the poll. Faults that are not the guest's go to the handler that was there before.
//!
//! It may interrupt anything, in any native thread: it allocates nothing, takes no lock, and reads only what
//! was written before it was installed, code that does not move, and the thread whose context is current.

use std::ptr;
use std::sync::{Once, OnceLock};

use libc::{c_int, c_void, sigaction, siginfo_t, ucontext_t};
use osr_stubs::x86_64 as stubs;

use crate::boundary::signal_text::write_line;
use crate::boundary::x86_64::Interrupted;
use crate::thread::Thread;
use crate::thread::trap::Fault;

const SIGNALS: [c_int; 4] = [libc::SIGSEGV, libc::SIGBUS, libc::SIGILL, libc::SIGFPE];

/// By signal, who handled it before.
static PREVIOUS: [OnceLock<sigaction>; SIGNALS.len()] = [const { OnceLock::new() }; SIGNALS.len()];

/// Installs the handler, once per process.
pub(crate) fn install_handler() {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        for (signal, previous) in SIGNALS.into_iter().zip(&PREVIOUS) {
            // SAFETY: zeroed actions are valid. The handler does what handlers may, and finds the previous one:
            // it is written first.
            unsafe {
                let mut old: sigaction = std::mem::zeroed();
                assert_eq!(libc::sigaction(signal, ptr::null(), &mut old), 0, "sigaction");
                previous.set(old).expect("installed once");
                let mut action: sigaction = std::mem::zeroed();
                action.sa_sigaction = handle as *const () as usize;
                action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK | libc::SA_NODEFER;
                assert_eq!(libc::sigaction(signal, &action, ptr::null_mut()), 0, "sigaction");
            }
        }
    });
}

extern "C" fn handle(signal: c_int, info: *mut siginfo_t, context: *mut c_void) {
    // SAFETY: the kernel passes a ucontext.
    let mut interrupted = Interrupted(unsafe { &mut *context.cast::<ucontext_t>() });
    let pc = interrupted.pc();
    let current = stubs::current();
    if !current.is_null() {
        // SAFETY: a context is current only during a call of its thread, which borrows it; it is the first field.
        let thread = unsafe { &*current.cast::<Thread>() };
        // SAFETY: a valid siginfo has an address for these signals.
        let address = unsafe { (*info).si_addr() } as u64;
        if let Some(poll) = thread.instance().registry().poll_of_fault(pc, address) {
            return interrupted.jump(poll);
        }
        if let Some(fault) = guest_fault(thread, signal, pc, address) {
            thread.set_fault(Fault { frame_base: interrupted.frame_base(), ..fault });
            return interrupted.continue_at(stubs::faulted as *const () as u64, current as u64);
        }
        if thread.instance().registry().contains(pc) {
            name_stray(thread, pc);
        }
    }
    chain(signal, info, context);
}

/// What the guest did, if it was the guest.
fn guest_fault(thread: &Thread, signal: c_int, pc: u64, address: u64) -> Option<Fault> {
    let version = thread.instance().registry().find(pc)?;
    version.trap_site(pc)?;
    if signal == libc::SIGSEGV || signal == libc::SIGBUS {
        thread.instance().memories().find(|memory| memory.reaches(address))?;
    }
    Some(Fault { pc, frame_base: 0 })
}

/// Compiled code faulted where it must not: most likely a return into released code.
#[cold]
fn name_stray(thread: &Thread, pc: u64) {
    match thread.instance().registry().find(pc) {
        Some(version) => {
            write_line(format_args!("fault at {pc:#x}, offset {} of {}", version.offset(pc), version.id));
        }
        None => {
            write_line(format_args!("stray return: {pc:#x} is in the code arena, but in no version's code"));
        }
    }
}

/// Lets the handler that was there before have the signal.
fn chain(signal: c_int, info: *mut siginfo_t, context: *mut c_void) {
    let position = SIGNALS.iter().position(|&ours| ours == signal).expect("only installed for these");
    let previous = PREVIOUS[position].get().expect("written before the handler was installed");
    match previous.sa_sigaction {
        libc::SIG_DFL | libc::SIG_IGN => {
            // SAFETY: the default action is restored; the instruction faults again and ends the process.
            unsafe { libc::sigaction(signal, previous, ptr::null_mut()) };
        }
        handler if previous.sa_flags & libc::SA_SIGINFO != 0 => {
            // SAFETY: its owner installed it with this type.
            let handler: extern "C" fn(c_int, *mut siginfo_t, *mut c_void) =
                unsafe { std::mem::transmute(handler) };
            handler(signal, info, context);
        }
        handler => {
            // SAFETY: its owner installed it with this type.
            let handler: extern "C" fn(c_int) = unsafe { std::mem::transmute(handler) };
            handler(signal);
        }
    }
}
