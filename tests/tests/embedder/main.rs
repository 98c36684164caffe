//! What code of the embedder does from inside the engine's hooks: observers, policies, choices, host functions.
//! Whatever they ask for or however they panic, the guest's result is right, or an error says what was wrong.

mod chosen;
mod frames;
mod hosts;
mod interrupts;
mod panics;
mod refusals;
mod requests;

use std::cell::RefCell;
use std::fmt;
use std::rc::Rc;
use std::sync::Arc;

use osr_engine::{
    CompiledTier, Delegates, Destination, Event, Imports, Instance, Observation, Observer, Settings, Thread,
    Tiers,
};
use osr_ir::Value;
use osr_tests::guest::{eager, parse};

/// `f` calls the host below two frames, twice. `loop` counts to its argument. `trap` traps below hijackable
/// frames; `deep` recurses for ever.
const GUEST: &str = r#"(module
  (import "env" "act" (func $act))
  (memory (export "memory") 1)
  (func $g (param $n i32) (result i32) (call $act) (i32.mul (local.get $n) (i32.const 3)))
  (func $f (export "f") (param $n i32) (result i32) (local $a i32)
    (local.set $a (i32.add (local.get $n) (i32.const 1)))
    (drop (memory.grow (i32.const 0)))
    (i32.add (call $g (local.get $n)) (i32.add (local.get $a) (call $g (local.get $a)))))
  (func (export "loop") (param $n i32) (result i32) (local $i i32) (local $s i32)
    (loop $again
      (local.set $s (i32.add (i32.mul (local.get $s) (i32.const 31)) (local.get $i)))
      (local.set $i (i32.add (local.get $i) (i32.const 1)))
      (br_if $again (i32.lt_u (local.get $i) (local.get $n))))
    (local.get $s))
  (func $trap (export "trap") (param $n i32) (result i32)
    (if (i32.eqz (local.get $n)) (then (call $act) (unreachable)))
    (i32.add (call $trap (i32.sub (local.get $n) (i32.const 1))) (i32.const 1))))"#;

/// The result of `f`.
fn f_of(n: u64) -> u64 {
    3 * n + (n + 1) + 3 * (n + 1)
}

/// The result of `loop`.
fn loop_of(n: u32) -> u64 {
    (0..n).fold(0u32, |sum, i| sum.wrapping_mul(31).wrapping_add(i)).into()
}

/// An observer that does whatever a test wants.
struct Acting {
    act: Box<Act>,
    points: bool,
}

type Act = dyn Fn(&Observation<'_>, &Event<'_>) + Send + Sync;

impl fmt::Debug for Acting {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Acting")
    }
}

impl Observer for Acting {
    fn observe(&self, at: &Observation<'_>, event: &Event<'_>) {
        (self.act)(at, event);
    }

    fn wants_points(&self) -> bool {
        self.points
    }
}

/// An observer that is told of all events, points among them.
fn observer(act: impl Fn(&Observation<'_>, &Event<'_>) + Send + Sync + 'static) -> Delegates {
    Delegates::observer(Arc::new(Acting { act: Box::new(act), points: true }))
}

/// An observer that is told of all events but points.
fn observer_of_transitions(act: impl Fn(&Observation<'_>, &Event<'_>) + Send + Sync + 'static) -> Delegates {
    Delegates::observer(Arc::new(Acting { act: Box::new(act), points: false }))
}

/// The name of an event's kind.
fn kind(event: &Event<'_>) -> String {
    let debugged = format!("{event:?}");
    debugged.split([' ', '{']).next().unwrap_or_default().to_owned()
}

/// Settings under which all kinds of transitions happen.
fn various() -> Vec<Settings> {
    let optimized = Destination::Compiled(CompiledTier::Optimized);
    let auto = Settings { tiers: Tiers::Auto, threshold: Some(2), optimize_threshold: Some(4), ..eager() };
    vec![
        eager(),
        Settings { landing: optimized, ..eager() },
        Settings { tiers: Tiers::Baseline, ..eager() },
        Settings { tiers: Tiers::Interpreter, ..eager() },
        Settings { landing: optimized, ..auto.clone() },
        auto,
    ]
}

thread_local! {
    /// The thread that hooks get at although they were not handed it.
    static REACHED: RefCell<Option<Rc<Pinned>>> = const { RefCell::new(None) };
}

type Pinned = std::pin::Pin<Box<Thread>>;

/// A thread of an instance of [`GUEST`], which hooks can get at by [`reached`].
fn start(settings: Settings, delegates: Delegates, imports: &Imports) -> (Arc<Instance>, Rc<Pinned>) {
    let points = delegates.observer.as_ref().is_some_and(|observer| observer.wants_points());
    let settings = Settings { points, ..settings };
    let instance = Instance::with_delegates(settings, delegates, parse(GUEST), imports);
    let instance = instance.expect("an instance");
    let thread = Rc::new(Thread::new(&instance).expect("a thread"));
    REACHED.set(Some(Rc::clone(&thread)));
    (instance, thread)
}

/// The thread that was started last.
fn reached() -> Rc<Pinned> {
    REACHED.with_borrow(|thread| Rc::clone(thread.as_ref().expect("there is one")))
}

fn call(thread: &Thread, function: &str, n: i32) -> Result<u64, osr_engine::InvokeError> {
    thread.invoke(function, &[Value::I32(n)]).map(|words| words[0])
}
