//! Callee-saved registers of a popped Cranelift frame, against the values that its caller really had.
//!
//! ```text
//!   test_patterned   puts a pattern into every callee-saved register, calls
//!     compiled       Cranelift's code: uses those registers for its own values across its call of
//!       test_probe   records slot and all callee-saved registers as they are now, calls Rust
//!         popped     pops the compiled frame by its rows: the patterns must be back
//! ```
#![allow(missing_docs)]

use std::arch::global_asm;
use std::ptr::null_mut;

use cranelift_codegen::ir::{AbiParam, Function, InstBuilder, MemFlagsData, Signature, UserFuncName, types};
use cranelift_codegen::isa::unwind::UnwindInfo;
use cranelift_codegen::isa::{CallConv, OwnedTargetIsa};
use cranelift_codegen::settings::{self, Configurable};
use cranelift_codegen::{Context, control::ControlPlane};
use cranelift_frontend::{FunctionBuilder, FunctionBuilderContext};
use gimli::write::Address;
use osr_stackwalk::{
    CalleeSaved, CalleeSavedRegs, CfiRows, LiveStack, Popped, ReturnPc, ReturnSlot, Save, StackBounds,
};

global_asm!(
    // extern "C" fn test_patterned(code, argument, &patterns): the patterns are in the order of CalleeSavedRegs.
    ".globl test_patterned, test_patterned_return",
    "test_patterned:",
    ".cfi_startproc",
    "push rbx",
    "push rbp",
    "push r12",
    "push r13",
    "push r14",
    "push r15",
    ".cfi_def_cfa_offset 56",
    "sub rsp, 8",
    ".cfi_def_cfa_offset 64",
    "mov rax, rdi",
    "mov rdi, rsi",
    "mov rbx, [rdx]",
    "mov rbp, [rdx + 8]",
    "mov r12, [rdx + 16]",
    "mov r13, [rdx + 24]",
    "mov r14, [rdx + 32]",
    "mov r15, [rdx + 40]",
    "call rax",
    "test_patterned_return:",
    "add rsp, 8",
    "pop r15",
    "pop r14",
    "pop r13",
    "pop r12",
    "pop rbp",
    "pop rbx",
    ".cfi_def_cfa_offset 8",
    "ret",
    ".cfi_endproc",
    // Called by compiled code with a `Probe`: slot, registers, then what to call.
    ".globl test_probe",
    "test_probe:",
    ".cfi_startproc",
    "mov [rdi], rsp",
    "mov [rdi + 8], rbx",
    "mov [rdi + 16], rbp",
    "mov [rdi + 24], r12",
    "mov [rdi + 32], r13",
    "mov [rdi + 40], r14",
    "mov [rdi + 48], r15",
    "sub rsp, 8",
    ".cfi_def_cfa_offset 16",
    "call [rdi + 56]",
    "add rsp, 8",
    ".cfi_def_cfa_offset 8",
    "ret",
    ".cfi_endproc",
);

unsafe extern "C" {
    fn test_patterned(code: *const (), argument: *mut Probe, patterns: *const CalleeSavedRegs);
    fn test_probe();
    static test_patterned_return: u8;
}

const _: () =
    assert!(std::mem::offset_of!(Probe, registers) == 8 && std::mem::offset_of!(Probe, callback) == 56);

/// How many values live across the call: more than there are callee-saved registers.
const VALUES: usize = 12;

#[repr(C)]
struct Probe {
    slot: ReturnSlot,
    registers: CalleeSavedRegs,
    callback: unsafe extern "C" fn(*mut Probe),
    values: [u64; VALUES],
    /// What Rust learnt, in a [`Found`] that compiled code does not touch.
    found: *mut (),
}

struct Found<'a> {
    rows: &'a CfiRows,
    start: u64,
    popped: Option<Popped>,
    returns_to: ReturnPc,
}

fn isa(frame_pointers: bool) -> OwnedTargetIsa {
    let mut flags = settings::builder();
    flags.set("opt_level", "speed").unwrap();
    flags.set("preserve_frame_pointers", if frame_pointers { "true" } else { "false" }).unwrap();
    let lookup = cranelift_codegen::isa::lookup_by_name("x86_64-unknown-linux-gnu").unwrap();
    lookup.finish(settings::Flags::new(flags)).unwrap()
}

/// `f(probe)`: loads the values, calls `test_probe(probe)`, stores each value plus one.
fn compile(isa: &OwnedTargetIsa) -> (Vec<u8>, CfiRows) {
    let mut signature = Signature::new(CallConv::SystemV);
    signature.params.push(AbiParam::new(types::I64));
    let mut context =
        Context::for_function(Function::with_name_signature(UserFuncName::user(0, 0), signature.clone()));
    let mut builder_context = FunctionBuilderContext::new();
    let mut builder = FunctionBuilder::new(&mut context.func, &mut builder_context);
    let block = builder.create_block();
    builder.append_block_params_for_function_params(block);
    builder.switch_to_block(block);
    builder.seal_all_blocks();
    let probe = builder.block_params(block)[0];
    let flags = MemFlagsData::trusted();
    let offset = |index: usize| (std::mem::offset_of!(Probe, values) + 8 * index) as i32;
    let load = |index| builder.ins().load(types::I64, flags, probe, offset(index));
    let values: Vec<_> = (0..VALUES).map(load).collect();
    let signature = builder.import_signature(signature);
    let target = builder.ins().iconst(types::I64, test_probe as *const () as i64);
    builder.ins().call_indirect(signature, target, &[probe]);
    for (index, value) in values.into_iter().enumerate() {
        let value = builder.ins().iadd_imm_s(value, 1);
        builder.ins().store(flags, value, probe, offset(index));
    }
    builder.ins().return_(&[]);
    builder.finalize(isa.frontend_config());

    let code = context.compile(&**isa, &mut ControlPlane::default()).unwrap();
    let Some(UnwindInfo::SystemV(info)) = code.create_unwind_info(&**isa).unwrap() else { unreachable!() };
    let cie = isa.create_systemv_cie().unwrap();
    let rows = CfiRows::new(&cie, info.to_fde(Address::Constant(0x1000))).unwrap();
    assert_eq!(rows.length() as usize, code.code_buffer().len());
    (code.code_buffer().to_vec(), rows)
}

/// Runs inside the call that compiled code makes: pops its frame.
unsafe extern "C" fn popped(probe: *mut Probe) {
    // SAFETY: the test made both, and uses neither until this returns.
    let (probe, found) = unsafe { (&*probe, &mut *(*probe).found.cast::<Found<'_>>()) };
    let bounds = StackBounds::current().unwrap().from(probe.slot.address());
    // SAFETY: it is this thread's own stack, from a frame that is live to its end.
    let memory = unsafe { LiveStack::new(bounds) };
    let pc = probe.slot.read(&memory).unwrap();
    let row = found.rows.at_return(u32::try_from(pc.address() - found.start).unwrap()).unwrap();
    assert_eq!(row, found.rows.body());
    let popped = row.pop(&memory, probe.slot.stack_pointer(), &probe.registers).unwrap();
    found.returns_to = popped.return_slot.read(&memory).unwrap();
    found.popped = Some(popped);
}

/// Code made executable for the length of a test.
struct Page(*mut libc::c_void);

impl Page {
    fn new(code: &[u8]) -> Self {
        assert!(code.len() <= 4096);
        let (write, anonymous) =
            (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
        // SAFETY: a fresh page of our own is mapped, written and only then made executable.
        unsafe {
            let page = libc::mmap(null_mut(), 4096, write, anonymous, -1, 0);
            assert_ne!(page, libc::MAP_FAILED);
            page.cast::<u8>().copy_from_nonoverlapping(code.as_ptr(), code.len());
            assert_eq!(libc::mprotect(page, 4096, libc::PROT_READ | libc::PROT_EXEC), 0);
            Self(page)
        }
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        // SAFETY: the page is ours, and its code has returned.
        unsafe { libc::munmap(self.0, 4096) };
    }
}

fn check(frame_pointers: bool) {
    let (code, rows) = compile(&isa(frame_pointers));
    let saved = CalleeSaved::ALL.map(|register| matches!(rows.body().save(register), Save::At(_)));
    assert_eq!(saved, [true; 6], "code that saves too little to show anything");
    let page = Page::new(&code);
    let patterns = CalleeSavedRegs { rbx: 0x1b, rbp: 0x2b, r12: 0x12, r13: 0x13, r14: 0x14, r15: 0x15 };
    let mut found =
        Found { rows: &rows, start: page.0 as u64, popped: None, returns_to: ReturnPc::default() };
    let values = std::array::from_fn(|index| index as u64 * 1000);
    let mut probe = Probe {
        slot: ReturnSlot::default(),
        registers: CalleeSavedRegs::default(),
        callback: popped,
        values,
        found: (&raw mut found).cast(),
    };
    // SAFETY: the page holds code of the signature that `test_patterned` calls, and a `Probe` has the
    // layout that it and `test_probe` know.
    unsafe { test_patterned(page.0.cast(), &mut probe, &patterns) };
    assert_eq!(probe.values, values.map(|value| value + 1));
    let popped = found.popped.unwrap();
    assert_ne!(probe.registers, patterns, "the compiled code used none of the registers");
    assert_eq!(popped.registers, patterns);
    assert_eq!(popped.return_slot.stack_pointer(), popped.stack_pointer);
    assert_eq!(found.returns_to.address(), (&raw const test_patterned_return).expose_provenance() as u64);
}

#[test]
fn a_popped_frame_restores_what_its_caller_had() {
    check(true);
}

#[test]
fn also_without_frame_pointers_being_asked_for() {
    check(false);
}
