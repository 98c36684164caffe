//! Walks, hijacks and landings, per frame.
//!
//! A guest function descends to a depth and calls the host there, where the stack is walked and
//! hijacked; then it returns through all frames. What is measured at the bottom is per frame; the
//! landings are what the way back takes more than it does without a hijack.
//!
//! *Warm* repeats the same transition; *cold* touches 64 MiB before it, so that code, frame maps and
//! ledger come from memory.

use std::cell::{Cell, RefCell};
use std::hint::black_box;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use osr_engine::{CompiledTier, Destination, HostError, Imports, Instance, Settings, Thread, Tiers};
use osr_ir::{FunctionIndex, Module, Signature};

/// What happens at the bottom, and what it measured.
type Bottom = dyn Fn(&Thread, u64) -> Duration;

thread_local! {
    static BOTTOM: RefCell<Option<Rc<Bottom>>> = const { RefCell::new(None) };
    static MEASURED: Cell<Duration> = const { Cell::new(Duration::ZERO) };
    static ITERATIONS: Cell<u64> = const { Cell::new(1) };
    static LEFT_BOTTOM: Cell<Option<Instant>> = const { Cell::new(None) };
}

/// A module whose `descend(depth, x)` keeps `live` values across its call of itself.
fn descent(live: usize) -> Module {
    let registers: Vec<String> = (2..live + 5).map(|register| format!("r{register}: i64")).collect();
    let mut text =
        String::from("import bottom () = \"env\" \"bottom\"\nexport \"descend\" function descend\n");
    text += "function descend (r0: i64, r1: i64) -> (i64) {\n  ";
    text += &registers.join(", ");
    text += ", r100: i32\nb0:\n";
    // The live values: each depends on the argument, so that none is a constant.
    for value in 0..live {
        text += &format!("  r{0} = i64.const {1}\n  r{0} = i64.add r{0}, r1\n", value + 2, value * 7 + 1);
    }
    text += "  r100 = i64.eqz r0\n  branch r100, b1, b2\nb1:\n  call bottom ()\n  jump b3\nb2:\n";
    let (one, next) = (live + 2, live + 3);
    text += &format!("  r{one} = i64.const 1\n  r{next} = i64.sub r0, r{one}\n");
    text += &format!("  r{next} = call descend (r{next}, r2)\n  jump b3\nb3:\n");
    for value in 1..live {
        text += &format!("  r2 = i64.add r2, r{}\n", value + 2);
    }
    text += "  return r2\n}\n";
    let text = renumber(&text, live);
    osr_ir::text::parse(&text).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

/// The condition's register takes the number after the others.
fn renumber(text: &str, live: usize) -> String {
    text.replace("r100", &format!("r{}", live + 5))
}

fn imports() -> Imports {
    let mut imports = Imports::new();
    imports.function("env", "bottom", Signature::default(), |call, _, _| {
        let bottom = BOTTOM.with(|bottom| bottom.borrow().clone()).expect("someone measures");
        MEASURED.set(bottom(call.thread(), ITERATIONS.get()));
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
    fn new(live: usize, landing: Destination) -> Guest {
        let settings = Settings { tiers: Tiers::Optimized, landing, checked: false, ..Settings::default() };
        let instance: Arc<Instance> =
            Instance::new(settings, descent(live), &imports()).expect("a valid module");
        let thread = Thread::new(&instance).expect("a thread");
        let descend = instance.exported_function("descend").expect("exported");
        let guest = Guest { thread, descend };
        guest.descend(10, |_, _| Duration::ZERO);
        guest
    }

    /// Descends, does `bottom` there, and gives what that measured and how long the way back took.
    fn descend(
        &self,
        depth: u64,
        bottom: impl Fn(&Thread, u64) -> Duration + 'static,
    ) -> (Duration, Duration) {
        BOTTOM.set(Some(Rc::new(bottom)));
        self.thread.call(self.descend, &[depth, 3]).expect("no trap");
        let back = LEFT_BOTTOM.take().expect("the bottom was reached").elapsed();
        (MEASURED.get(), back)
    }
}

const DEPTHS: [u64; 4] = [10, 100, 1_000, 10_000];

/// Walks at the bottom: by frame pointers, and by unwind tables.
fn walk(criterion: &mut Criterion) {
    let guest = Guest::new(8, Destination::Interpreter);
    let mut group = criterion.benchmark_group("walk");
    for depth in DEPTHS {
        group.throughput(Throughput::Elements(depth + 1));
        group.bench_function(BenchmarkId::new("frame pointers", depth), |bencher| {
            bencher.iter_custom(|iterations| {
                ITERATIONS.set(iterations);
                let bottom = |thread: &Thread, iterations| {
                    let start = Instant::now();
                    for _ in 0..iterations {
                        black_box(thread.count_compiled_frames().expect("a walk"));
                    }
                    start.elapsed()
                };
                guest.descend(depth, bottom).0
            });
        });
        group.bench_function(BenchmarkId::new("unwind tables", depth), |bencher| {
            bencher.iter_custom(|iterations| {
                ITERATIONS.set(iterations);
                let bottom = |thread: &Thread, iterations| {
                    let start = Instant::now();
                    for _ in 0..iterations {
                        black_box(thread.native_frames().expect("a walk").len());
                    }
                    start.elapsed()
                };
                guest.descend(depth, bottom).0
            });
        });
    }
    group.finish();
}

/// Walk and hijack of all frames at the bottom; unhijacking them again is not measured.
fn hijack(criterion: &mut Criterion) {
    let guest = Guest::new(8, Destination::Interpreter);
    let mut group = criterion.benchmark_group("walk and hijack");
    for depth in DEPTHS {
        group.throughput(Throughput::Elements(depth + 1));
        group.bench_function(BenchmarkId::from_parameter(depth), |bencher| {
            bencher.iter_custom(|iterations| {
                ITERATIONS.set(iterations);
                let bottom = |thread: &Thread, iterations| {
                    let mut total = Duration::ZERO;
                    for _ in 0..iterations {
                        let start = Instant::now();
                        black_box(thread.hijack(|_| true).expect("a walk"));
                        total += start.elapsed();
                        thread.unhijack();
                    }
                    total
                };
                guest.descend(depth, bottom).0
            });
        });
    }
    group.finish();
}

/// The way back through `depth` frames: returning plainly, or all of them landing in the interpreter, or
/// in a version that is there already.
fn landing(criterion: &mut Criterion) {
    for (name, depth, evict) in [("warm", 1_000, false), ("cold", 1, true)] {
        let mut group = criterion.benchmark_group(format!("return, {name}"));
        group.throughput(Throughput::Elements(depth + 1));
        for live in [1, 8, 32] {
            for (what, landing) in [
                ("plain", None),
                ("landing in the interpreter", Some(Destination::Interpreter)),
                ("landing in baseline code", Some(Destination::Compiled(CompiledTier::Baseline))),
                ("landing in optimized code", Some(Destination::Compiled(CompiledTier::Optimized))),
            ] {
                let guest = Guest::new(live, landing.unwrap_or_default());
                let hijacked = landing.is_some();
                group.bench_function(BenchmarkId::new(what, live), |bencher| {
                    bencher.iter_custom(|iterations| {
                        let mut total = Duration::ZERO;
                        for _ in 0..iterations {
                            let bottom = move |thread: &Thread, _| {
                                if hijacked {
                                    thread.hijack(|_| true).expect("a walk");
                                }
                                if evict {
                                    evict_caches();
                                }
                                Duration::ZERO
                            };
                            total += guest.descend(depth, bottom).1;
                        }
                        total
                    });
                });
            }
        }
        group.finish();
    }
}

/// Touches more memory than the caches hold.
fn evict_caches() {
    thread_local! {
        static BUFFER: RefCell<Vec<u8>> = RefCell::new(vec![0; 64 << 20]);
    }
    BUFFER.with_borrow_mut(|buffer| {
        buffer.iter_mut().step_by(64).for_each(|byte| *byte = byte.wrapping_add(1))
    });
}

criterion_group! {
    name = benches;
    config = Criterion::default().measurement_time(Duration::from_secs(2)).warm_up_time(Duration::from_millis(500));
    targets = walk, hijack, landing
}
criterion_main!(benches);
