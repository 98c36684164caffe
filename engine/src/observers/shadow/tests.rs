//! The shadow interpreter agrees with right executions, and finds every wrong value.

use std::sync::Arc;

use osr_ir::{MemoryIndex, Module, Signature, Type};

use super::{Compared, Difference, Disagreement, Shadow};
use crate::event::{Event, FrameState};
use crate::{Delegates, Imports, Instance, Land, Observation, Observer, Settings, Stress, Thread, Tiers};

/// Loops in recursions; all types, memory, a global, several results, calls of the host that write to
/// memory and call back.
const MODULE: &str = r#"(module
    (import "env" "write" (func $write (param i32)))
    (memory (export "memory") 1)
    (table (export "table") 2 funcref)
    (elem (i32.const 0) $leaf)
    (global $sum (mut i64) (i64.const 1))
    (type $leaf (func (param i32 f64) (result f64 f32)))
    (func $leaf (type $leaf)
        (i32.store8 (i32.add (local.get 0) (i32.const 64)) (local.get 0))
        (f64.add (local.get 1) (f64.convert_i32_s (local.get 0)))
        (f32.demote_f64 (local.get 1)))
    (func $f (export "f") (param $n i32) (param $x f64) (result f64)
        (local $i i32) (local $y f32) (local $z i64)
        (if (i32.eqz (local.get $n)) (then (return (local.get $x))))
        (local.set $i (i32.const 3))
        (loop $again
            (call_indirect (type $leaf) (local.get $i) (local.get $x) (i32.const 0))
            (local.set $y (f32.add (local.get $y)))
            (local.set $x)
            (local.set $z (i64.add (local.get $z) (i64.const 1000000007)))
            (br_if $again (local.tee $i (i32.sub (local.get $i) (i32.const 1)))))
        (call $write (local.get $n))
        (local.set $x (call $f (i32.sub (local.get $n) (i32.const 1)) (local.get $x)))
        (memory.fill (i32.const 128) (local.get $n) (i32.const 8))
        (global.set $sum (i64.add (global.get $sum) (local.get $z)))
        (f64.add (local.get $x) (f64.promote_f32 (local.get $y))))
    (func (export "back") (param i32) (result i32)
        (i32.add (i32.load (i32.const 0)) (local.get 0)))
    (func (export "divide") (param i32) (result i32) (i32.div_s (i32.const 7) (local.get 0)))
    (func $deep (export "deep") (param i32) (result i32)
        (i32.add (call $deep (local.get 0)) (i32.const 1))))"#;

fn module() -> Module {
    osr_ir::wasm::import_text(MODULE).expect("a valid module")
}

/// `env.write` writes its argument to memory, and calls the guest's `back`.
fn imports() -> Imports {
    let mut imports = Imports::new();
    let signature = Signature::new(vec![Type::I32], vec![]);
    imports.function("env", "write", signature, |call, arguments, _| {
        assert!(call.memory().expect("a memory").write(0, &arguments[0].to_le_bytes()));
        let back = call.thread().instance().exported_function("back").expect("an export");
        let sum = call.call(back, arguments)?;
        assert_eq!(sum, [2 * arguments[0]]);
        Ok(())
    });
    imports
}

/// What a run does wrong: nothing, or something at one event.
#[derive(Clone, Copy, Debug)]
enum Wrong {
    Nothing,
    /// The `register`th live register at that transition.
    Register {
        transition: u64,
        register: usize,
    },
    /// A byte of memory, written at that transition.
    Memory {
        transition: u64,
    },
    /// That arrival is not told of.
    Arrival(u64),
    /// A result.
    Result,
    /// The argument of the host.
    Argument,
}

/// Hands on what it sees to a shadow, but for what is wrong.
#[derive(Debug)]
struct Observed {
    shadow: Shadow,
    wrong: Wrong,
}

const FLIPPED: u64 = 1 << 20;

impl Observer for Observed {
    fn observe(&self, at: &Observation<'_>, event: &Event<'_>) {
        let next = |count: fn(Compared) -> u64| count(self.shadow.compared()) + 1;
        let transition = next(|compared| compared.transitions);
        match (*event, self.wrong) {
            (
                Event::TieredUp { state, .. } | Event::Landed { state, .. },
                Wrong::Register { transition: wrong, register },
            ) if transition == wrong && register < state.values().count() => {
                self.hand_on_corrupted(at, event, state, register);
            }
            (Event::TieredUp { .. } | Event::Landed { .. }, Wrong::Memory { transition: wrong })
                if transition == wrong =>
            {
                assert!(at.instance().memory().expect("a memory").write(9_000, &[77]));
                self.shadow.observe(at, event);
            }
            (Event::Reached { .. }, Wrong::Arrival(wrong)) if next(|compared| compared.points) == wrong => {}
            (Event::Finished { outcome: Ok(words) }, Wrong::Result) => {
                let words: Vec<u64> = words.iter().map(|word| word ^ FLIPPED).collect();
                self.shadow.observe(at, &Event::Finished { outcome: Ok(&words) });
            }
            (Event::HostCalled { function, arguments }, Wrong::Argument) => {
                let arguments = [arguments[0] ^ FLIPPED];
                self.shadow.observe(at, &Event::HostCalled { function, arguments: &arguments });
            }
            _ => self.shadow.observe(at, event),
        }
    }

    fn wants_points(&self) -> bool {
        true
    }
}

impl Observed {
    fn hand_on_corrupted(
        &self,
        at: &Observation<'_>,
        event: &Event<'_>,
        state: FrameState<'_>,
        register: usize,
    ) {
        let FrameState { function, point, .. } = state;
        let mut words = vec![0; at.instance().frame_words(state.function)];
        state.values().for_each(|(register, word)| words[register.index()] = word);
        let (register, _) = state.values().nth(register).expect("it is live");
        words[register.index()] ^= FLIPPED;
        let state = FrameState::new(function, point, at.instance().analysis(function), &words);
        let corrupted = match *event {
            Event::TieredUp { place, to, .. } => Event::TieredUp { place, to, state },
            Event::Landed { place, version, slot, frame, further, to, .. } => {
                Event::Landed { place, version, slot, frame, further, to, state }
            }
            _ => unreachable!("only these have a frame state"),
        };
        self.shadow.observe(at, &corrupted);
    }
}

/// Calls `function` under `stress`; returns the shadow's verdict, what it compared, and the transitions.
fn run(
    (function, arguments): (&str, &[osr_ir::Value]),
    stress: Stress,
    wrong: Wrong,
) -> (Option<Difference>, Compared, u64) {
    let shadow = Shadow::new(&module(), &imports()).expect("a shadow");
    let observed = Arc::new(Observed { shadow, wrong });
    let settings = Settings {
        tiers: Tiers::Auto,
        threshold: Some(2),
        optimize_threshold: Some(3),
        stress,
        points: true,
        checked: true,
        ..Settings::default()
    };
    let watched = Delegates::observer(observed.clone());
    let instance = Instance::with_delegates(settings, watched, module(), &imports()).expect("an instance");
    let thread = Thread::new(&instance).expect("a thread");
    for _ in 0..2 {
        let _ = thread.invoke(function, arguments);
    }
    let moves = thread.moves().iter().map(|moves| moves.count).sum();
    (observed.shadow.difference(), observed.shadow.compared(), moves)
}

fn recursion(stress: Stress, wrong: Wrong) -> (Option<Difference>, Compared, u64) {
    run(("f", &[osr_ir::Value::I32(6), osr_ir::Value::F64(1.5f64.to_bits())]), stress, wrong)
}

fn stresses() -> Vec<Stress> {
    vec![
        Stress::None,
        Stress::invalidate(1),
        Stress::invalidate(2).landing(Land::Random(1)),
        Stress::hijack(1).landing(Land::Random(2)),
        Stress::hijack(3).landing(Land::Random(3)),
        Stress::Random(4),
    ]
}

#[test]
fn every_transition_of_a_right_execution_agrees() {
    for stress in stresses() {
        let (difference, compared, moves) = recursion(stress.clone(), Wrong::Nothing);
        assert_eq!(difference, None, "{stress:?}");
        assert_eq!(compared.transitions, moves, "{stress:?}: each move was compared");
        assert!(moves > 0 && compared.points > 30 && compared.memories >= 2, "{stress:?}: {compared:?}");
    }
}

#[test]
fn every_wrong_register_is_found() {
    let stress = || Stress::hijack(1).landing(Land::Random(2));
    let (_, right, _) = recursion(stress(), Wrong::Nothing);
    let mut found = 0;
    for transition in (1..right.transitions).step_by(3) {
        for register in 0..6 {
            let (difference, ..) = recursion(stress(), Wrong::Register { transition, register });
            // There may be fewer live registers.
            let Some(difference) = difference else { continue };
            assert_eq!(difference.ordinal, transition);
            let Disagreement::Register { execution, shadow, .. } = difference.disagreement else {
                panic!("{difference}")
            };
            assert_eq!(execution, shadow ^ FLIPPED, "{difference}");
            found += 1;
        }
    }
    assert!(found as u64 > right.transitions / 2, "{found} of {right:?}");
}

#[test]
fn other_differences_are_found() {
    let stress = || Stress::invalidate(1).landing(Land::Random(2));
    let found = |wrong| recursion(stress(), wrong).0.expect("a difference").disagreement;
    let memory = found(Wrong::Memory { transition: 9 });
    assert_eq!(
        memory,
        Disagreement::Memory { memory: MemoryIndex::FIRST, address: 9_000, execution: 77, shadow: 0 }
    );
    for wrong in [Wrong::Arrival(7), Wrong::Result, Wrong::Argument] {
        let disagreement = found(wrong);
        assert!(matches!(disagreement, Disagreement::Path { .. }), "{wrong:?}: {disagreement}");
    }
}

#[test]
fn traps_agree() {
    let divide = ("divide", &[osr_ir::Value::I32(0)][..]);
    let (difference, compared, _) = run(divide, Stress::invalidate(1), Wrong::Nothing);
    assert_eq!(difference, None);
    assert_eq!(compared.memories, 2, "both calls ended in the trap: {compared:?}");
}

#[test]
fn an_exhausted_stack_ends_the_comparison() {
    let deep = ("deep", &[osr_ir::Value::I32(0)][..]);
    let (difference, compared, _) = run(deep, Stress::None, Wrong::Nothing);
    assert_eq!(difference, None);
    assert!(compared.points > 100, "{compared:?}");
}

#[test]
fn a_difference_says_where() {
    let wrong = Wrong::Register { transition: 5, register: 0 };
    let (difference, ..) = recursion(Stress::hijack(1).landing(Land::Random(2)), wrong);
    let text = difference.expect("a difference").to_string();
    for part in ["in the rebuilt frame state, but", "of `f`", "transition 5", " to "] {
        assert!(text.contains(part), "{text}");
    }
}
