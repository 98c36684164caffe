//! Walks, hijacks and landings, per frame.
//!
//! A guest function descends to a depth and calls the host there, where the stack is walked and
//! hijacked; then it returns through all frames. What is measured at the bottom is per frame; the
//! landings are what the way back takes more than it does without a hijack.
//!
//! ```text
//!   walk/frame pointers, warm, 8 live/1000      frames keep 8 values; 1,000 of them, and the one that calls
//!   hijack/mixed, cold, 8 live/1000             recursion of seven functions, with frames of different sizes
//!   return/landing in optimized code, warm, 32 live/10
//!   inlined/landing in the interpreter, 3 activations a frame/1000     the recursion is inlined into itself twice
//! ```
//!
//! *Warm* repeats the same transition; *cold* touches 64 MiB before it, so that code, frame maps, stack and
//! ledger come from memory.

#[path = "../src/laboratory/transitions/recursion.rs"]
mod recursion;

use std::cell::{Cell, RefCell};
use std::hint::black_box;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, BenchmarkId, Criterion, Throughput, criterion_group};
use osr_engine::{
    CompiledTier, Destination, HostError, Imports, Inlining, Instance, Settings, Thread, Tiers,
};
use osr_ir::{FunctionIndex, Signature};
use recursion::{Shape, recursion};

const DEPTHS: [u64; 6] = [1, 10, 100, 1_000, 10_000, 100_000];
const LIVE: [usize; 3] = [1, 8, 32];
const STACK_BYTES: usize = 256 << 20;

/// What is done to the thread at the bottom.
type Action = fn(&Thread);

/// What happens at the bottom, and what it measured.
type Bottom = dyn Fn(&Thread) -> Duration;

thread_local! {
    static BOTTOM: RefCell<Option<Rc<Bottom>>> = const { RefCell::new(None) };
    static MEASURED: Cell<Duration> = const { Cell::new(Duration::ZERO) };
    static LEFT_BOTTOM: Cell<Option<Instant>> = const { Cell::new(None) };
}

fn imports() -> Imports {
    let mut imports = Imports::new();
    imports.function("env", "bottom", Signature::default(), |call, _, _| {
        let bottom = BOTTOM.with(|bottom| bottom.borrow().clone()).expect("someone measures");
        MEASURED.set(bottom(call.thread()));
        LEFT_BOTTOM.set(Some(Instant::now()));
        Ok::<(), HostError>(())
    });
    imports
}

/// A guest to descend in, and to return from.
struct Guest {
    thread: Pin<Box<Thread>>,
    descend: FunctionIndex,
}

impl Guest {
    /// A guest that keeps `live` values across its call; its hijacked frames land where `landing` says.
    fn new(live: usize, shape: Shape, landing: Destination) -> Guest {
        Guest::with_inlining(live, shape, landing, None)
    }

    /// The same, where so much is inlined.
    fn with_inlining(live: usize, shape: Shape, landing: Destination, inlining: Option<Inlining>) -> Guest {
        let settings = Settings {
            inlining,
            tiers: Tiers::Optimized,
            landing,
            checked: false,
            value_stack_bytes: STACK_BYTES,
            ..Settings::default()
        };
        let instance: Arc<Instance> =
            Instance::new(settings, recursion(live, shape), &imports()).expect("a valid module");
        let thread = Thread::new(&instance).expect("a thread");
        let descend = instance.exported_function("descend").expect("exported");
        let guest = Guest { thread, descend };
        guest.descend(10, |_| Duration::ZERO);
        guest
    }

    /// Descends, does `bottom` there, and returns what that measured and how long the way back took.
    fn descend(&self, depth: u64, bottom: impl Fn(&Thread) -> Duration + 'static) -> (Duration, Duration) {
        BOTTOM.set(Some(Rc::new(bottom)));
        self.thread.call(self.descend, &[depth, 3]).expect("no trap");
        let back = LEFT_BOTTOM.take().expect("the bottom was reached").elapsed();
        (MEASURED.get(), back)
    }
}

/// Whether caches hold what is needed.
#[derive(Clone, Copy, PartialEq)]
enum Caches {
    Warm,
    Cold,
}

impl Caches {
    const ALL: [Caches; 2] = [Caches::Warm, Caches::Cold];

    fn name(self) -> &'static str {
        match self {
            Caches::Warm => "warm",
            Caches::Cold => "cold",
        }
    }

    /// Makes it so: touches more memory than the caches hold, or nothing.
    fn prepare(self) {
        thread_local! {
            static BUFFER: RefCell<Vec<u8>> = RefCell::new(vec![0; 64 << 20]);
        }
        if self == Caches::Cold {
            BUFFER.with_borrow_mut(|buffer| {
                buffer.iter_mut().step_by(64).for_each(|byte| *byte = byte.wrapping_add(1))
            });
        }
    }
}

/// The recursions at whose bottoms is measured: name, live values, shape.
fn recursions() -> impl Iterator<Item = (String, usize, Shape)> {
    let uniform = LIVE.into_iter().map(|live| (format!("{live} live"), live, Shape::Uniform));
    uniform.chain([("8 live".to_owned(), 8, Shape::Mixed)])
}

/// Measures `action` at the bottom of `guest`, after which `undo` is done.
fn at_the_bottom(
    group: &mut BenchmarkGroup<'_, WallTime>,
    what: &str,
    live: &str,
    guest: &Rc<Guest>,
    (action, undo): (Action, Action),
) {
    for (caches, depth) in Caches::ALL.into_iter().flat_map(|caches| DEPTHS.map(|depth| (caches, depth))) {
        group.throughput(Throughput::Elements(depth + 1));
        let id = BenchmarkId::new(format!("{what}, {}, {live}", caches.name()), depth);
        group.bench_function(id, |bencher| {
            bencher.iter_custom(|iterations| {
                let bottom = move |thread: &Thread| {
                    let mut total = Duration::ZERO;
                    for _ in 0..iterations {
                        caches.prepare();
                        let start = Instant::now();
                        action(thread);
                        total += start.elapsed();
                        undo(thread);
                    }
                    total
                };
                guest.descend(depth, bottom).0
            });
        });
    }
}

/// Walks at the bottom: by frame pointers, and by unwind tables.
fn walk(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("walk");
    for (live, values, shape) in recursions() {
        let guest = Rc::new(Guest::new(values, shape, Destination::Interpreter));
        let by_frame_pointers: Action = |thread| {
            black_box(thread.count_compiled_frames().expect("a walk"));
        };
        let by_tables: Action = |thread| {
            black_box(thread.native_frames().expect("a walk").len());
        };
        let mixed = matches!(shape, Shape::Mixed).then_some("mixed, ").unwrap_or_default();
        let name = |walker| format!("{mixed}{walker}");
        at_the_bottom(&mut group, &name("frame pointers"), &live, &guest, (by_frame_pointers, |_| ()));
        at_the_bottom(&mut group, &name("unwind tables"), &live, &guest, (by_tables, |_| ()));
    }
    group.finish();
}

/// Walk and hijack of all frames at the bottom; unhijacking them again is not measured.
fn hijack(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("walk and hijack");
    for (live, values, shape) in recursions() {
        let guest = Rc::new(Guest::new(values, shape, Destination::Interpreter));
        let name = if matches!(shape, Shape::Mixed) { "mixed" } else { "uniform" };
        let hijack: Action = |thread| {
            black_box(thread.hijack(|_| true).expect("a walk"));
        };
        let undo: Action = |thread| {
            thread.unhijack().expect("it can");
        };
        at_the_bottom(&mut group, name, &live, &guest, (hijack, undo));
    }
    group.finish();
}

/// The way back: returning plainly, or all frames landing in the interpreter, or in a version that is there
/// already.
fn landing(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("return");
    for (live, values, shape) in recursions() {
        let mixed = matches!(shape, Shape::Mixed).then_some("mixed, ").unwrap_or_default();
        for (what, landing) in [
            ("plain", None),
            ("landing in the interpreter", Some(Destination::Interpreter)),
            ("landing in baseline code", Some(Destination::Compiled(CompiledTier::Baseline))),
            ("landing in optimized code", Some(Destination::Compiled(CompiledTier::Optimized))),
        ] {
            let guest = Guest::new(values, shape, landing.unwrap_or_default());
            for (caches, depth) in
                Caches::ALL.into_iter().flat_map(|caches| DEPTHS.map(|depth| (caches, depth)))
            {
                group.throughput(Throughput::Elements(depth + 1));
                let id = BenchmarkId::new(format!("{mixed}{what}, {}, {live}", caches.name()), depth);
                group.bench_function(id, |bencher| {
                    bencher.iter_custom(|iterations| {
                        let bottom = move |thread: &Thread| {
                            if landing.is_some() {
                                thread.hijack(|_| true).expect("a walk");
                            }
                            caches.prepare();
                            Duration::ZERO
                        };
                        (0..iterations).map(|_| guest.descend(depth, bottom).1).sum()
                    });
                });
            }
        }
    }
    group.finish();
}

/// The way back of a recursion that is inlined into itself, per activation: what is more than with one activation a frame
/// and less than with none inlined is what further activations of a frame cost.
fn inlined(criterion: &mut Criterion) {
    const DEPTH: u64 = 999;
    let mut group = criterion.benchmark_group("inlined");
    group.throughput(Throughput::Elements(DEPTH + 1));
    for (what, landing) in [
        ("plain", None),
        ("landing in the interpreter", Some(Destination::Interpreter)),
        ("landing in optimized code", Some(Destination::Compiled(CompiledTier::Optimized))),
    ] {
        for further in 0..5 {
            let inlining = Inlining { callee: 200, growth: 1_000, depth: further, recursion: further };
            let inlining = (further > 0).then_some(inlining);
            let guest = Guest::with_inlining(8, Shape::Uniform, landing.unwrap_or_default(), inlining);
            let id = BenchmarkId::new(format!("{what}, {} activations a frame", further + 1), DEPTH + 1);
            group.bench_function(id, |bencher| {
                bencher.iter_custom(|iterations| {
                    let bottom = move |thread: &Thread| {
                        if landing.is_some() {
                            thread.hijack(|_| true).expect("a walk");
                        }
                        Duration::ZERO
                    };
                    (0..iterations).map(|_| guest.descend(DEPTH, bottom).1).sum()
                });
            });
        }
    }
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .sample_size(15)
        .measurement_time(Duration::from_millis(500))
        .warm_up_time(Duration::from_millis(100));
    targets = walk, hijack, landing, inlined
}

/// The deepest stacks are deeper than those of main threads.
fn main() {
    let run = || {
        benches();
        Criterion::default().configure_from_args().final_summary();
    };
    let guest = std::thread::Builder::new().stack_size(STACK_BYTES).spawn(run).expect("a thread");
    guest.join().expect("no benchmark fails");
}
