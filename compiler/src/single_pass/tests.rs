//! What bits are counted with, where the processor has no instruction for it: nothing else executes that code on a processor
//! that has one.

use std::collections::BTreeSet;

use osr_ir::FunctionIndex;

use super::{Buffers, Features, SinglePass};
use crate::settings::{
    BaselineCompiler, CallBinding, CodeSettings, CompiledTier, Poll, ReturnSites, StateRecording,
};
use crate::unit::{EntryPoint, Unit, VersionKey};
use crate::{Analysis, LinkedModule};

/// A page that code is executed in.
struct Page(*mut u8);

const PAGE: usize = 4096;

impl Page {
    fn new(code: &[u8]) -> Page {
        assert!(code.len() <= PAGE);
        let (access, kind) =
            (libc::PROT_READ | libc::PROT_WRITE | libc::PROT_EXEC, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
        // SAFETY: a new mapping, where the kernel likes.
        let page = unsafe { libc::mmap(std::ptr::null_mut(), PAGE, access, kind, -1, 0) };
        assert_ne!(page, libc::MAP_FAILED);
        // SAFETY: the page is ours, and large enough.
        unsafe { std::ptr::copy_nonoverlapping(code.as_ptr(), page.cast(), code.len()) };
        Page(page.cast())
    }

    /// Calls a function that takes a word and returns one.
    fn call(&self, argument: u64) -> u64 {
        // Of the context such a function reads the stack limit, which is 0: no poll is requested.
        let context = [0_u64; size_of::<osr_stubs::Context>() / 8];
        // SAFETY: the code is a function of this type by System V.
        let function: extern "C" fn(*const u64, u64) -> u64 = unsafe { std::mem::transmute(self.0) };
        function(context.as_ptr(), argument)
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        // SAFETY: nothing executes there.
        unsafe { libc::munmap(self.0.cast(), PAGE) };
    }
}

/// The code of the function `(operand) -> result` that is `operation`.
fn compile(operation: &str, ty: &str, features: Features) -> Page {
    let text = format!("(module (func (param {ty}) (result {ty}) ({ty}.{operation} (local.get 0))))");
    let module = osr_ir::wasm::import_text(&text).expect("valid");
    let function = FunctionIndex::new(0);
    let analysis = Analysis::of(module.function(function).body().expect("it is defined"));
    let linked = LinkedModule::new(module, 0, Box::new([0]), Box::new([0]));
    let settings = CodeSettings {
        baseline: BaselineCompiler::SinglePass,
        recording: StateRecording::Slots,
        binding: CallBinding::Cell,
        has_near_words: false,
        poll: Poll::StackLimit,
        counts_residents: false,
        keeps_return_pc: false,
        return_sites: ReturnSites::Plain,
        inlining: None,
        unrolling: 1,
        lists_stores: false,
        guards_leave: true,
        exits_are_linked: false,
        guards_fail: false,
        shows_arrivals: false,
        frame_limit: 1 << 16,
    };
    let key = VersionKey { function, tier: CompiledTier::Baseline, entry: EntryPoint::Function };
    let unit = Unit {
        linked: &linked,
        key,
        analysis: &analysis,
        inner: &[],
        values: &[],
        settings,
        profile: None,
        speculation: None,
        left_out: &BTreeSet::new(),
    };
    let compiled = SinglePass { features }.compile(&unit, None, &mut Buffers::default());
    Page::new(&compiled.expect("its frame is small").code)
}

fn numbers() -> impl Iterator<Item = u64> {
    let powers = (0..64).flat_map(|bit| [1_u64 << bit, (1 << bit) - 1, u64::MAX << bit, 5 << bit]);
    powers.chain([0, u64::MAX, 0x0123_4567_89ab_cdef, 0xf0f0_5555_aaaa_3333])
}

#[test]
fn bits_are_counted_without_instructions_for_it() {
    let features = Features { lzcnt: false, bmi1: false, popcnt: false };
    let code = |operation| [compile(operation, "i32", features), compile(operation, "i64", features)];
    let (leading, trailing, ones) = (code("clz"), code("ctz"), code("popcnt"));
    for number in numbers() {
        let low = number as u32;
        let found = [&leading[0], &trailing[0], &ones[0]].map(|page| page.call(number) as u32);
        assert_eq!(found, [low.leading_zeros(), low.trailing_zeros(), low.count_ones()], "{low:#x}");
        let found = [&leading[1], &trailing[1], &ones[1]].map(|page| page.call(number) as u32);
        assert_eq!(
            found,
            [number.leading_zeros(), number.trailing_zeros(), number.count_ones()],
            "{number:#x}"
        );
    }
}
