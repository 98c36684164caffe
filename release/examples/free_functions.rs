//! Frees single functions of a program that cranelift-jit has compiled, while the program runs.
//!
//! Each function is a `JITModule` of its own, which is what cranelift-jit can free. The program is a recursion: `step`
//! calls `down` of the host with a number, and adds to what that returns. `down` compiles a new `step` for each level,
//! so that each frame is of other code, and retires the one before. Nobody can free that at once: its frame waits.
//!
//! ```text
//!   main ─> step #0 ─> down ─> step #1 ─> down ─> step #2 ─> ...      retired: #0, #1, ...
//! ```
//!
//! With a *scan*, the host looks at the stack when it likes. With *barriers*, the return slots of the frames lead to a
//! stub, and each function is freed by the return of its last frame.
//!
//! Run it: `cargo run -p osr-release --example free_functions`.

use std::arch::naked_asm;
use std::cell::RefCell;

use cranelift_codegen::ir::{AbiParam, InstBuilder, types};
use cranelift_codegen::settings::{self, Configurable};
use cranelift_frontend::{FunctionBuilder, FunctionBuilderContext};
use cranelift_jit::{JITBuilder, JITModule};
use cranelift_module::{Linkage, Module, default_libcall_names};
use osr_release::{ActiveFrame, Census, CodeRange, Drained, Reclaimer, Strategy};
use osr_stackwalk::{ExitRecord, ReturnPc, ReturnSlot};

/// How deep the recursion goes.
const DEPTH: u64 = 5;

/// A compiled function. Dropping it would leak its code: it is [freed](Self::free).
struct Function {
    name: String,
    module: JITModule,
    code: extern "C" fn(u64) -> u64,
    range: CodeRange,
}

impl Function {
    /// Compiles `step`: `n + down(n)`.
    fn compile(n: u64) -> Function {
        let mut flags = settings::builder();
        flags.set("preserve_frame_pointers", "true").expect("a flag");
        let isa = cranelift_native::builder().expect("this machine").finish(settings::Flags::new(flags));
        let mut builder = JITBuilder::with_isa(isa.expect("flags that fit"), default_libcall_names());
        builder.symbol("down", down as *const u8);
        let mut module = JITModule::new(builder);
        let mut context = module.make_context();
        context.func.signature.params.push(AbiParam::new(types::I64));
        context.func.signature.returns.push(AbiParam::new(types::I64));
        let signature = context.func.signature.clone();
        let callee = module.declare_function("down", Linkage::Import, &signature).expect("declared once");
        let step = module.declare_function("step", Linkage::Export, &signature).expect("declared once");
        let callee = module.declare_func_in_func(callee, &mut context.func);
        let mut shared = FunctionBuilderContext::new();
        let mut builder = FunctionBuilder::new(&mut context.func, &mut shared);
        let block = builder.create_block();
        builder.append_block_params_for_function_params(block);
        builder.switch_to_block(block);
        builder.seal_all_blocks();
        let n_here = builder.block_params(block)[0];
        let call = builder.ins().call(callee, &[n_here]);
        let below = builder.inst_results(call)[0];
        let sum = builder.ins().iadd(below, n_here);
        builder.ins().return_(&[sum]);
        builder.finalize(module.target_config());
        module.define_function(step, &mut context).expect("it compiles");
        let bytes = context.compiled_code().expect("compiled").code_buffer().len() as u64;
        module.clear_context(&mut context);
        module.finalize_definitions().expect("memory");
        let start = module.get_finalized_function(step);
        // SAFETY: that is the signature it was compiled with.
        let code = unsafe { std::mem::transmute::<*const u8, extern "C" fn(u64) -> u64>(start) };
        let range = CodeRange::new(start as u64, bytes);
        Function { name: format!("step #{n}"), module, code, range }
    }

    fn free(self) {
        // SAFETY: the reclaimer says that nobody is inside, and the function is not called again.
        unsafe { self.module.free_memory() };
    }
}

thread_local! {
    static RECLAIMER: RefCell<Option<Reclaimer<Function>>> = const { RefCell::new(None) };
    /// The function that is entered next time.
    static CURRENT: RefCell<Option<Function>> = const { RefCell::new(None) };
    /// Where compiled code has called the host, outermost first.
    static EXITS: RefCell<Vec<ExitRecord>> = const { RefCell::new(Vec::new()) };
}

fn with_reclaimer<T>(act: impl FnOnce(&mut Reclaimer<Function>) -> T) -> T {
    RECLAIMER.with_borrow_mut(|reclaimer| act(reclaimer.as_mut().expect("main makes one")))
}

fn free_drained(when: &str) {
    let drained: Vec<Drained<Function>> = with_reclaimer(|reclaimer| reclaimer.take_drained().collect());
    for Drained { code, latency, .. } in drained {
        println!("  {when}: nobody is inside {} any more, after {latency:.1?}", code.name);
        code.free();
    }
}

/// The compiled frames, innermost first: one for each exit, since compiled code here calls nothing but the host.
fn frames() -> Vec<ActiveFrame> {
    let frame = |exit: &ExitRecord| {
        let end = ReturnSlot::new(exit.frame_base + 8);
        // SAFETY: the exit's slot is on this thread's stack, and the host function has not returned.
        ActiveFrame { pc: unsafe { exit.return_slot.load() }, end }
    };
    EXITS.with_borrow(|exits| exits.iter().rev().map(frame).collect())
}

fn census(ranges: &[CodeRange]) -> Census {
    let mut census = Census::begin(ranges).keeping_frames();
    frames().into_iter().for_each(|frame| census.add(frame));
    census
}

/// Nothing enters the current function any more.
fn retire_current() {
    let function = CURRENT.take().expect("there is one");
    let range = function.range;
    with_reclaimer(|reclaimer| reclaimer.retire([(range, function)], &census(&[range])));
}

/// Calls the current function.
fn call_current(n: u64) -> u64 {
    let code = CURRENT.with_borrow(|current| current.as_ref().expect("there is one").code);
    code(n)
}

/// Frees what has no frame, if that is how it is found out.
fn scan() {
    with_reclaimer(|reclaimer| {
        if reclaimer.strategy() == Strategy::Scan {
            let census = census(&reclaimer.waiting());
            reclaimer.scan(&census);
        }
    });
    free_drained("a scan");
}

/// What compiled code calls: leaves word of where its frame is, and goes on in [`down_from`].
#[unsafe(naked)]
extern "C" fn down(_n: u64) -> u64 {
    naked_asm!("mov rsi, rsp", "mov rdx, rbp", "jmp {down_from}", down_from = sym down_from)
}

extern "C" fn down_from(n: u64, return_slot: u64, frame_base: u64) -> u64 {
    EXITS.with_borrow_mut(|exits| {
        exits.push(ExitRecord { return_slot: ReturnSlot::new(return_slot), frame_base });
    });
    let below = if n == 0 {
        0
    } else {
        retire_current();
        CURRENT.set(Some(Function::compile(n - 1)));
        call_current(n - 1)
    };
    scan();
    EXITS.with_borrow_mut(Vec::pop);
    below
}

/// Where the frames of retired functions return to. What they return stays where it is.
#[unsafe(naked)]
extern "C" fn barrier() {
    naked_asm!(
        // Takes the slot back: it is the return address of this frame.
        "lea rsp, [rsp - 8]",
        "push rbp",
        "mov rbp, rsp",
        "push rax",
        "push rdx",
        "lea rdi, [rbp + 8]",
        "call {ended}",
        "mov r11, rax",
        "pop rdx",
        "pop rax",
        "pop rbp",
        "lea rsp, [rsp + 8]",
        // A jump, not a return: the return that led here has matched its call.
        "jmp r11",
        ended = sym ended,
    )
}

/// The frame that ended by `slot` is gone. Where to continue.
extern "C" fn ended(slot: u64) -> u64 {
    let original = with_reclaimer(|reclaimer| reclaimer.returned(ReturnSlot::new(slot)));
    free_drained("a return");
    original.expect("barriers are met innermost first").address()
}

/// Runs the program; says what it computes.
fn run(reclaimer: Reclaimer<Function>) -> u64 {
    println!("{:?}:", reclaimer.strategy());
    RECLAIMER.set(Some(reclaimer));
    CURRENT.set(Some(Function::compile(DEPTH)));
    let sum = call_current(DEPTH);
    scan();
    retire_current();
    free_drained("at last");
    assert_eq!(with_reclaimer(|reclaimer| reclaimer.waiting().len()), 0, "all code was freed");
    sum
}

fn main() {
    let expected = DEPTH * (DEPTH + 1) / 2;
    assert_eq!(run(Reclaimer::new(Strategy::Scan)), expected);
    // SAFETY: censuses are of this thread's frames and their slots; the stub asks, and continues as it is told with
    // all that a return of these functions leaves.
    let barriers = unsafe { Reclaimer::with_stub(ReturnPc::new(barrier as *const () as u64)) };
    assert_eq!(run(barriers), expected);
}
