//! Frame states do not multiply code: shapes in which live ranges once fell into pieces, with each state recording
//! against the same code without recording (`compiler/docs/live_ranges.md`).

use std::fmt::{self, Write as _};
use std::sync::Arc;

use osr_engine::{
    CodeVersion, CompiledTier, EntryPoint, Imports, Inlining, Instance, Location, Mechanism, Settings,
    StateRecording,
};
use osr_ir::{PointKind, Register};
use osr_tests::{Program, programs};

/// A generator of modules whose function 1 has `locals` locals and `steps` steps.
type Shape = fn(locals: usize, steps: usize) -> String;

/// All locals are needed where any of the calls fails.
fn one_exit(locals: usize, steps: usize) -> String {
    let mut choose = chooser(locals);
    let mut code = "(block $exit (loop $again".to_owned();
    for step in 0..steps {
        let (to, from) = (choose(), choose());
        write!(
            code,
            "(local.set {to} (call $callee (i32.add (local.get {from}) (i32.const {step})))) \
             (br_if $exit (global.get $flag))"
        )
        .expect("a string");
    }
    code += "(br_if $again (local.get 0))) (return (i32.const 0)))";
    module(locals, &code)
}

/// A jump table in a loop; each arm may go back to it or on to the next.
fn dispatch(locals: usize, steps: usize) -> String {
    let mut choose = chooser(locals);
    let mut code = "(block $exit (loop $again".to_owned();
    (0..steps).for_each(|step| write!(code, "(block $arm{step} ").expect("a string"));
    code += "(br_table ";
    (0..steps).for_each(|step| write!(code, "$arm{step} ").expect("a string"));
    code += "$exit (local.get 0))";
    for step in 0..steps {
        let (to, from, condition) = (choose(), choose(), choose());
        write!(
            code,
            ") (local.set {to} (call $callee (i32.add (local.get {from}) (i32.const {step})))) \
             (if (local.get {condition}) (then (local.set {from} (i32.const {step})))) \
             (local.set 0 (i32.add (local.get 0) (i32.const 1))) (br_if $again (local.get {to}))"
        )
        .expect("a string");
    }
    module(locals, &(code + "))"))
}

/// Every call may be skipped, as in what has been prepared to be wound back.
fn skipped_calls(locals: usize, steps: usize) -> String {
    let mut choose = chooser(locals);
    let mut code = "(block $exit".to_owned();
    for step in 0..steps {
        let (to, from, result) = (choose(), choose(), choose());
        write!(
            code,
            "(if (i32.eqz (global.get $flag)) \
                 (then (local.set {to} (i32.add (local.get {from}) (i32.const {step}))))) \
             (if (i32.or (i32.eqz (global.get $flag)) (i32.eq (local.get 0) (i32.const {step}))) (then \
                 (local.set {result} (call $callee (local.get {to}))) \
                 (br_if $exit (i32.eq (global.get $flag) (i32.const 1)))))"
        )
        .expect("a string");
    }
    module(locals, &(code + "(return (i32.const 0)))"))
}

/// A state machine: each arm reads half a dozen values, and calls for each that it can read.
fn decoder(locals: usize, arms: usize) -> String {
    let mut choose = chooser(locals);
    let mut code = "(block $exit (loop $again".to_owned();
    (0..arms).for_each(|arm| write!(code, "(block $arm{arm} ").expect("a string"));
    code += "(br_table ";
    (0..arms).for_each(|arm| write!(code, "$arm{arm} ").expect("a string"));
    code += "$exit (local.get 0))";
    for arm in 0..arms {
        code += ")";
        for read in 0..6 {
            let (from, end, value) = (choose(), choose(), choose());
            write!(
                code,
                "(block $next (br_if $next (i32.lt_u (local.get {from}) (local.get {end}))) \
                 (local.set {value} (i32.load offset={} (local.get {from}))) \
                 (br_if $exit (i32.eqz (local.get {value}))) \
                 (local.set {from} (call $callee (local.get {value}))))",
                read * 4
            )
            .expect("a string");
        }
        write!(code, "(local.set 0 (i32.const {}))", choose() % arms).expect("a string");
        if arm % 8 == 7 {
            code += "(br_if $again (local.get 1))";
        }
    }
    module(locals, &(code + "))"))
}

/// A function that stores all its locals after `code`.
fn module(locals: usize, code: &str) -> String {
    let mut text = format!(
        "(module (memory 1) (global $flag (mut i32) (i32.const 0))
           (func $callee (param i32) (result i32) (local.get 0))
           (func (export \"run\") (param i32) (result i32) (local {}) {code}",
        "i32 ".repeat(locals)
    );
    for local in 1..=locals {
        write!(text, "(i32.store offset={} (i32.const 0) (local.get {local}))", local * 4).expect("a string");
    }
    text + "(i32.const 1)))"
}

/// Local after local, in an order that looks random.
fn chooser(locals: usize) -> impl FnMut() -> usize {
    let mut state = 1u32;
    move || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as usize % locals + 1
    }
}

/// The bytes of optimized code of a shape.
fn bytes(shape: (Shape, usize, usize), recording: StateRecording) -> f64 {
    f64::from(compiled(shape, recording).code_bytes)
}

/// Optimized code of a shape.
fn compiled((shape, locals, steps): (Shape, usize, usize), recording: StateRecording) -> Arc<CodeVersion> {
    let module = osr_ir::wasm::import_text(&shape(locals, steps)).expect("a valid module");
    let function = module.function_indices().nth(1).expect("the function after its callee");
    let mechanism = Mechanism::recorded_by(recording);
    let settings = Settings { mechanism, checked: false, ..Settings::default() };
    let instance = Instance::new(settings, module, &Imports::new()).expect("it imports nothing");
    let version = instance.compile(function, CompiledTier::Optimized, EntryPoint::Function);
    version.expect("it compiles")
}

/// Where the allocator cannot merge what locations keep alive, slots hold it instead.
#[test]
fn scattered_values_are_stored_instead() {
    let shape: (Shape, usize, usize) = (decoder, 20, 100);
    for recording in [StateRecording::Locations, StateRecording::Pads] {
        assert_eq!(compiled(shape, recording).recording, StateRecording::Slots, "{recording:?}");
    }
    let ratio = bytes(shape, StateRecording::Locations) / bytes(shape, StateRecording::None);
    assert!(ratio < 2.0, "{ratio:.2} times the code");
    let merged: (Shape, usize, usize) = (decoder, 20, 10);
    assert_eq!(compiled(merged, StateRecording::Locations).recording, StateRecording::Locations);
}

/// What holds one constant on all paths is that constant in frame maps, though more than one definition and a join are before it.
#[test]
fn constants_are_not_kept() {
    let module = osr_ir::wasm::import_text(
        "(module (func $callee (param i32) (result i32) (local.get 0))
           (func (param i32) (result i32) (local i32)
             (local.set 1 (i32.const 77))
             (if (local.get 0) (then (drop (call $callee (i32.const 1)))))
             (drop (call $callee (local.get 0)))
             (i32.add (local.get 0) (local.get 1))))",
    );
    let module = module.expect("a valid module");
    let function = module.function_indices().nth(1).expect("the function after its callee");
    let settings = Settings { checked: false, ..Settings::default() };
    let instance = Instance::new(settings, module, &Imports::new()).expect("it imports nothing");
    let version = instance.compile(function, CompiledTier::Optimized, EntryPoint::Function);
    let version = version.expect("it compiles");
    let maps = &version.frame_maps;
    let places = maps.sites().filter(|site| site.kind == PointKind::AfterCall).map(|site| {
        let mut entries = maps.entries(&site);
        entries.find(|entry| entry.register == Register::new(1)).expect("it is live").location
    });
    let held: Vec<_> = places
        .map(|place| match place {
            Location::Constant(n) => Ok(maps.constant(n)),
            other => Err(other),
        })
        .collect();
    assert_eq!(held, [Ok(77), Ok(77)]);
}

const SHAPES: [(&str, Shape); 3] =
    [("one exit", one_exit), ("dispatch", dispatch), ("skipped calls", skipped_calls)];

#[test]
fn recording_does_not_multiply_code() {
    for (name, shape) in SHAPES {
        let shape = (shape, 60, 250);
        let none = bytes(shape, StateRecording::None);
        // Stores are code, and their slots lie between what code refers to and its stack pointer.
        for (recording, most) in
            [(StateRecording::Slots, 2.0), (StateRecording::Locations, 1.6), (StateRecording::Pads, 1.6)]
        {
            let ratio = bytes(shape, recording) / none;
            assert!(ratio < most, "{name}: {ratio:.2} times the code with {recording:?}");
        }
    }
}

#[test]
fn code_grows_with_the_program() {
    for (name, shape) in SHAPES {
        for recording in [StateRecording::None, StateRecording::Slots, StateRecording::Locations] {
            let (small, large) = (bytes((shape, 60, 100), recording), bytes((shape, 60, 400), recording));
            let ratio = large / small;
            assert!(ratio < 6.0, "{name}, {recording:?}: {ratio:.2} times the code for four times the steps");
        }
    }
}

/// Bytes of all optimized code of a program, its inlined bodies included, and of what says where its frames are.
#[derive(Default)]
struct Bytes {
    code: u64,
    frame_maps: u64,
    virtual_frames: u64,
    unwind: u64,
}

impl Bytes {
    fn metadata(&self) -> u64 {
        self.frame_maps + self.virtual_frames + self.unwind
    }

    fn of(program: &Program) -> Bytes {
        let settings =
            Settings { inlining: Some(Inlining::default()), checked: false, ..Settings::default() };
        let (instance, _thread) = osr_tests::configuration::start(&program.module(true), &settings);
        let mut bytes = Bytes::default();
        let module = instance.module();
        for function in
            module.function_indices().filter(|&function| module.function(function).body().is_some())
        {
            let version = instance.compile(function, CompiledTier::Optimized, EntryPoint::Function);
            let version = version.expect("it compiles");
            bytes.code += u64::from(version.code_bytes);
            bytes.frame_maps += version.frame_maps.bytes();
            bytes.virtual_frames += version.frame_map_bytes() - version.frame_maps.bytes();
            bytes.unwind += version.unwind_bytes();
        }
        bytes
    }
}

impl fmt::Display for Bytes {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let percent = self.metadata() as f64 * 100.0 / self.code as f64;
        let Bytes { code, frame_maps, virtual_frames, unwind } = self;
        write!(
            formatter,
            "{code} bytes of code; {frame_maps} of frame maps, {virtual_frames} of virtual frames, {unwind} of unwind \
             rows: {percent:.1} % of that"
        )
    }
}

#[test]
fn metadata_with_virtual_frames_is_a_fraction_of_the_code() {
    let mut all = Bytes::default();
    for program in programs() {
        let bytes = Bytes::of(&program);
        println!("{}: {bytes}", program.name);
        all.code += bytes.code;
        all.frame_maps += bytes.frame_maps;
        all.virtual_frames += bytes.virtual_frames;
        all.unwind += bytes.unwind;
    }
    println!("all: {all}");
    assert!(all.metadata() * 100 < all.code * 30, "{all}");
}
