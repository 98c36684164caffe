//! Builds a real stack out of links, keeps its shadow, and runs a check at its innermost end.
#![allow(unreachable_pub, missing_docs)]

use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Once;

use gimli::X86_64;
use gimli::write::CallFrameInstruction as Cfi;
use osr_stackwalk::{ExitRecord, Frame, ReturnPc, ReturnSlot};

use crate::asm::{Callee, test_compiled, test_entry, test_note};
use crate::support::cfi::{eh_frame, fde};

/// What a function says of itself before it calls: where it will be returned into.
#[derive(Clone, Copy, Default)]
#[repr(C)]
pub struct Note {
    slot: ReturnSlot,
    pc: ReturnPc,
    rbp: u64,
}

/// What `test_compiled` and `test_exit` are told; they know the offsets.
#[repr(C)]
pub struct Plan {
    depth: u64,
    cursor: *mut Note,
    callback: unsafe extern "C" fn(*mut Plan),
    exit: ExitRecord,
    /// The [`Chain`], which the assembly leaves alone.
    chain: *mut (),
}

const _: () = assert!(std::mem::offset_of!(Plan, cursor) == 8 && std::mem::offset_of!(Plan, callback) == 16);
const _: () = assert!(std::mem::offset_of!(Plan, exit) == 24 && size_of::<Note>() == 24);

/// One piece of the stack, outermost first.
#[derive(Clone, Copy, Debug)]
pub enum Link {
    /// Entry stub, this many compiled frames, exit stub.
    Compiled(u64),
    /// This many Rust functions.
    Rust(u32),
    /// Generated code that uses rbp for its own purposes.
    Jit,
    /// The standard library, as compiled by its makers.
    Once,
    /// The standard library's catch.
    CatchUnwind,
    /// libc.
    Qsort,
}

/// The stack that is being built.
pub struct Chain {
    links: std::vec::IntoIter<Link>,
    notes: Vec<Note>,
    cursor: *mut Note,
    /// Outermost first: the exit, and which notes are its compiled frames.
    segments: Vec<(ExitRecord, Range<usize>)>,
    check: *mut dyn FnMut(&Chain),
    code: Code,
    /// How the check ended. Its panic is kept here: it must not unwind through C frames.
    outcome: Option<std::thread::Result<()>>,
}

const NOTES: usize = 256;

impl Chain {
    /// Builds the stack on a thread of its own and runs `check` at its innermost end, once.
    pub fn run(links: &[Link], check: impl FnMut(&Chain) + Send) {
        let links = links.to_vec();
        let mut check = check;
        std::thread::scope(|scope| {
            let thread = scope.spawn(move || {
                let check: *mut (dyn FnMut(&Chain) + '_) = &mut check;
                // SAFETY: only the lifetime changes, and the check outlives the chain, which is local.
                let check: *mut (dyn FnMut(&Chain) + 'static) = unsafe { std::mem::transmute(check) };
                let mut notes = vec![Note::default(); NOTES];
                let (cursor, code) = (notes.as_mut_ptr(), Code::new());
                let links = links.into_iter();
                let mut chain = Self { links, notes, cursor, segments: vec![], check, code, outcome: None };
                descend(&mut chain);
                chain.outcome.expect("the chain has an end")
            });
            // The panic of a failed check is passed on as it is.
            thread.join().flatten().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        });
    }

    fn noted(&self) -> usize {
        (self.cursor as usize - self.notes.as_ptr() as usize) / size_of::<Note>()
    }

    fn frame(&self, index: usize) -> Frame {
        // SAFETY: the index is below the cursor, where a note was written through the same pointer.
        let note = unsafe { self.cursor.sub(self.noted()).add(index).read() };
        Frame { pc: note.pc, return_slot: note.slot, frame_base: note.rbp }
    }

    /// Every frame that was noted.
    pub fn shadow(&self) -> impl Iterator<Item = Frame> {
        (0..self.noted()).rev().map(|index| self.frame(index))
    }

    /// The compiled frames of each segment, innermost first.
    pub fn segments(&self) -> impl Iterator<Item = Vec<Frame>> {
        self.segments.iter().rev().map(|(_, notes)| notes.clone().rev().map(|n| self.frame(n)).collect())
    }

    /// All compiled frames, innermost first.
    pub fn compiled(&self) -> impl Iterator<Item = Frame> {
        self.segments().flatten()
    }

    /// The exit records, innermost first.
    pub fn exits(&self) -> Vec<ExitRecord> {
        self.segments.iter().rev().map(|(exit, _)| *exit).collect()
    }

    /// The last frame that was noted: where a walk of everything starts.
    pub fn innermost(&self) -> ExitRecord {
        let frame = self.shadow().next().expect("something was noted");
        ExitRecord { return_slot: frame.return_slot, frame_base: frame.frame_base }
    }

    pub fn code(&self) -> &Code {
        &self.code
    }
}

/// Adds the next link, or runs the check if there is none.
fn descend(chain: &mut Chain) {
    assert!(chain.noted() + 64 < NOTES);
    match chain.links.next() {
        None => {
            // SAFETY: the check outlives the chain, and nothing else uses it meanwhile.
            let check = unsafe { &mut *chain.check };
            chain.outcome = Some(catch_unwind(AssertUnwindSafe(|| check(chain))));
        }
        Some(Link::Compiled(depth)) => enter(chain, depth),
        Some(Link::Rust(depth)) => rust_level(chain, depth),
        Some(Link::Jit) => {
            let note: unsafe extern "C" fn(*mut *mut Note, Callee, *mut ()) = test_note;
            let code = chain.code.entry();
            // SAFETY: the code keeps to the calling convention and calls `test_note` with these arguments.
            unsafe { code(&mut chain.cursor, resume_chain, (&raw mut *chain).cast(), note) };
        }
        Some(Link::Once) => Once::new().call_once_force(|_| descend_noted(chain)),
        Some(Link::CatchUnwind) => {
            let caught = catch_unwind(AssertUnwindSafe(|| descend_noted(chain)));
            caught.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        }
        Some(Link::Qsort) => sort(chain),
    }
}

/// Continues through `test_note`, so that the caller's frame is in the shadow.
#[inline(never)]
fn descend_noted(chain: &mut Chain) {
    let argument: *mut Chain = chain;
    // SAFETY: the cursor has room, and `resume_chain` takes a chain.
    unsafe { test_note(&raw mut (*argument).cursor, resume_chain, argument.cast()) };
    std::hint::black_box(argument);
}

unsafe extern "C" fn resume_chain(chain: *mut ()) {
    // SAFETY: it is the chain that `descend` passed, which it does not use until this returns.
    descend(unsafe { &mut *chain.cast::<Chain>() });
}

/// Rust frames of different sizes, each with values that it needs after its call.
#[inline(never)]
fn rust_level(chain: &mut Chain, depth: u32) {
    struct Deeper<'a>(&'a mut Chain, u32);
    unsafe extern "C" fn deeper(next: *mut ()) {
        // SAFETY: it is the value that `rust_level` passed.
        let Deeper(chain, depth) = unsafe { &mut *next.cast::<Deeper<'_>>() };
        rust_level(chain, *depth);
    }
    if depth == 0 {
        return descend(chain);
    }
    let ballast = std::hint::black_box([u64::from(depth); 9]);
    let cursor = &raw mut chain.cursor;
    let mut next = Deeper(chain, depth - 1);
    // SAFETY: the cursor has room, and `deeper` takes what it is given.
    unsafe { test_note(cursor, deeper, (&raw mut next).cast()) };
    assert_eq!(std::hint::black_box(ballast).iter().sum::<u64>(), 9 * u64::from(depth));
}

/// A segment of compiled frames.
#[inline(never)]
fn enter(chain: &mut Chain, depth: u64) {
    let exit = ExitRecord { return_slot: ReturnSlot::default(), frame_base: 0 };
    let mut plan =
        Plan { depth, cursor: chain.cursor, callback: left, exit, chain: (&raw mut *chain).cast() };
    // SAFETY: the plan is of the layout that the assembly knows, and its cursor has room.
    unsafe { test_entry(test_compiled, &mut plan) };
}

/// Compiled code was left through `test_exit`.
unsafe extern "C" fn left(plan: *mut Plan) {
    // SAFETY: `enter` made the plan and the chain, and uses neither until this returns.
    let (plan, chain) = unsafe { (&*plan, &mut *(*plan).chain.cast::<Chain>()) };
    let first = chain.noted();
    chain.cursor = plan.cursor;
    chain.segments.push((plan.exit, first..chain.noted()));
    descend_noted(chain);
}

/// Continues from the comparison of libc's sort.
fn sort(chain: &mut Chain) {
    thread_local!(static SORTING: std::cell::Cell<*mut Chain> = const { std::cell::Cell::new(std::ptr::null_mut()) });
    unsafe extern "C" fn compare(_: *const libc::c_void, _: *const libc::c_void) -> libc::c_int {
        let chain = SORTING.replace(std::ptr::null_mut());
        if !chain.is_null() {
            // SAFETY: `sort` put it there and does not use it until the sort returns.
            descend_noted(unsafe { &mut *chain });
        }
        0
    }
    SORTING.set(chain);
    let mut words = [3_u64, 1, 2];
    // SAFETY: three words of eight bytes; the comparison does not unwind unless the test fails.
    unsafe { libc::qsort(words.as_mut_ptr().cast(), 3, 8, Some(compare)) };
}

/// Makes the return into a compiled frame of this thread go to `pc`.
pub fn write_slot(slot: ReturnSlot, pc: ReturnPc) {
    // SAFETY: the tests write return slots of frames that they hold, and restore them before returning.
    unsafe { slot.store(pc) };
}

/// A page of generated code: `f(cursor, function, argument, test_note)` that calls `test_note`.
pub struct Code {
    page: *mut libc::c_void,
}

/// `Code`'s function.
type Generated = unsafe extern "C" fn(
    *mut *mut Note,
    Callee,
    *mut (),
    unsafe extern "C" fn(*mut *mut Note, Callee, *mut ()),
);

const PAGE: usize = 4096;

#[rustfmt::skip]
const BYTES: [u8; 20] = [
    0x55,                         // 0: push rbp
    0xbd, 0x02, 0xb0, 0xad, 0x1b, // 1: mov ebp, 0x1badb002
    0x53,                         // 6: push rbx
    0x48, 0x83, 0xec, 0x28,       // 7: sub rsp, 0x28
    0xff, 0xd1,                   // 11: call rcx
    0x48, 0x83, 0xc4, 0x28,       // 13: add rsp, 0x28
    0x5b, 0x5d, 0xc3,             // 17: pop rbx; pop rbp; ret
];

impl Code {
    pub fn new() -> Self {
        let (write, anonymous) =
            (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
        // SAFETY: a fresh page of our own is mapped, written and only then made executable.
        let page = unsafe {
            let page = libc::mmap(std::ptr::null_mut(), PAGE, write, anonymous, -1, 0);
            assert_ne!(page, libc::MAP_FAILED);
            page.cast::<[u8; 20]>().write(BYTES);
            assert_eq!(libc::mprotect(page, PAGE, libc::PROT_READ | libc::PROT_EXEC), 0);
            page
        };
        Self { page }
    }

    pub fn range(&self) -> Range<u64> {
        self.page as u64..self.page as u64 + PAGE as u64
    }

    fn entry(&self) -> Generated {
        // SAFETY: the page begins with code of this signature.
        unsafe { std::mem::transmute(self.page) }
    }

    pub fn eh_frame(&self) -> Vec<u8> {
        let rules = [
            (1, Cfi::CfaOffset(16)),
            (1, Cfi::Offset(X86_64::RBP, -16)),
            (7, Cfi::CfaOffset(24)),
            (7, Cfi::Offset(X86_64::RBX, -24)),
            (11, Cfi::CfaOffset(64)),
        ];
        eh_frame([fde(self.page as u64, BYTES.len() as u32, &rules)])
    }
}

impl Drop for Code {
    fn drop(&mut self) {
        // SAFETY: the page is ours, and its function has returned.
        unsafe { libc::munmap(self.page, PAGE) };
    }
}
