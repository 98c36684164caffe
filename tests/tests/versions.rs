//! Handles of code versions: what they say while the code lives, and when it is gone.

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use osr_engine::{
    CodeVersion, Delegates, Event, HostCall, Imports, Instance, Observation, Observer, Settings, Thread,
    Tiers, VersionState,
};
use osr_ir::{Module, Signature, Value};

/// `f` calls `g` twice, which calls the host.
const CALLS: &str = r#"(module
    (import "env" "act" (func $act))
    (func $g (param $n i32) (result i32) (call $act) (i32.mul (local.get $n) (i32.const 3)))
    (func $f (export "f") (param $n i32) (result i32) (local $a i32)
        (local.set $a (i32.add (local.get $n) (i32.const 1)))
        (i32.add (call $g (local.get $n)) (i32.add (local.get $a) (call $g (local.get $a))))))"#;

/// What `f` of [`CALLS`] returns for 5.
const RESULT: u64 = 15 + 6 + 18;

fn compiled_at_once() -> Settings {
    Settings { tiers: Tiers::Optimized, ..Settings::default() }
}

fn module(text: &str) -> Module {
    osr_ir::wasm::import_text(text).expect("a module")
}

fn imports(name: &str, act: impl Fn(&HostCall<'_>) + Send + Sync + 'static) -> Imports {
    let mut imports = Imports::new();
    add(&mut imports, name, act);
    imports
}

fn add(imports: &mut Imports, name: &str, act: impl Fn(&HostCall<'_>) + Send + Sync + 'static) {
    imports.function("env", name, Signature::new(vec![], vec![]), move |call, _, _| {
        act(call);
        Ok(())
    });
}

fn start(text: &str, settings: Settings, imports: &Imports) -> (Arc<Instance>, Pin<Box<Thread>>) {
    let instance = Instance::new(settings, module(text), imports).expect("an instance");
    let thread = Thread::new(&instance).expect("a thread");
    (instance, thread)
}

fn invalidate(call: &HostCall<'_>) {
    call.thread().invalidate_active().expect("an invalidation");
}

fn call(thread: &Thread, argument: i32) -> u64 {
    thread.invoke("f", &[Value::I32(argument)]).expect("it returns")[0]
}

#[test]
fn handles_outlive_the_code() {
    let (instance, thread) = start(CALLS, compiled_at_once(), &imports("act", |_| ()));
    assert_eq!(call(&thread, 5), RESULT);
    let versions = instance.versions();
    let describe = |version: &Arc<CodeVersion>| (version.id, version.code_bytes, version.frame_maps.len());
    let before: Vec<_> = versions.iter().map(describe).collect();
    for version in &versions {
        assert_eq!((version.state(), version.drained()), (VersionState::Current, None));
        assert_eq!(version.code().map(|code| code.len()), Some(version.code_bytes as usize));
    }
    thread.invalidate_all().expect("an invalidation");
    assert_eq!(instance.versions().len(), 0);
    assert_eq!(versions.iter().map(describe).collect::<Vec<_>>(), before);
    for version in &versions {
        assert_eq!((version.state(), version.code()), (VersionState::Released, None));
        assert!(version.drained().is_some());
        assert!(version.wait_until_drained(Duration::MAX), "it is drained");
    }
}

#[test]
fn handles_outlive_the_instance() {
    let (instance, thread) = start(CALLS, compiled_at_once(), &imports("act", |_| ()));
    call(&thread, 5);
    let versions = instance.versions();
    drop((instance, thread));
    for version in versions {
        assert_eq!((version.state(), version.code()), (VersionState::Released, None));
        assert!(version.wait_until_drained(Duration::MAX), "nothing is left that could return into it");
    }
}

/// What another native thread does with handles while code comes and goes.
#[test]
fn another_native_thread_reads_versions_that_are_released() {
    let (instance, thread) = start(CALLS, compiled_at_once(), &imports("act", |_| ()));
    let finished = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            while !finished.load(Ordering::Relaxed) {
                for version in instance.versions() {
                    let sites = version.frame_maps.sites();
                    let entries: usize = sites.map(|site| version.frame_maps.entries(&site).count()).sum();
                    assert!(entries > 0, "frames of both functions have a state");
                    assert!(version.code().is_none_or(|code| code.len() == version.code_bytes as usize));
                }
            }
        });
        for _ in 0..300 {
            assert_eq!(call(&thread, 5), RESULT);
            thread.invalidate_all().expect("an invalidation");
        }
        finished.store(true, Ordering::Relaxed);
        reader.join().expect("it reads what is there");
    });
}

#[test]
fn another_native_thread_waits_until_a_version_is_drained() {
    let (instance, thread) = start(CALLS, compiled_at_once(), &imports("act", |_| ()));
    call(&thread, 5);
    let version = Arc::clone(&instance.versions()[0]);
    assert!(!version.wait_until_drained(Duration::ZERO), "it is current");
    let waiting = std::thread::spawn(move || version.wait_until_drained(Duration::MAX));
    thread.invalidate_all().expect("an invalidation");
    assert!(waiting.join().expect("it returns"));
}

/// Keeps what happens to versions, and their handles.
#[derive(Debug, Default)]
struct Lives(Mutex<Vec<(&'static str, Arc<CodeVersion>)>>);

impl Observer for Lives {
    fn observe(&self, _: &Observation<'_>, event: &Event<'_>) {
        let (name, version) = match *event {
            Event::Compiled { version, .. } => ("compiled", version),
            Event::Retired { version, .. } => ("retired", version),
            Event::Drained { version, latency, .. } => {
                assert_eq!(version.drained(), Some(latency));
                ("drained", version)
            }
            Event::Released { version, .. } => ("released", version),
            _ => return,
        };
        self.0.lock().unwrap().push((name, version.handle()));
    }
}

#[test]
fn a_life_is_told_in_events() {
    let lives = Arc::new(Lives::default());
    let observer: Arc<dyn Observer> = lives.clone();
    let delegates = Delegates::observer(observer);
    let imports = imports("act", invalidate);
    let instance = Instance::with_delegates(compiled_at_once(), delegates, module(CALLS), &imports);
    let instance = instance.expect("an instance");
    let thread = Thread::new(&instance).expect("a thread");
    assert_eq!(call(&thread, 5), RESULT);
    let lives = lives.0.lock().unwrap();
    let first = &lives.first().expect("code was compiled").1;
    let told = lives.iter().filter(|(_, version)| version.id == first.id);
    let names: Vec<_> = told.map(|(name, _)| *name).collect();
    assert_eq!(names, ["compiled", "retired", "drained", "released"]);
}

/// The versions of frames that have landed are forgotten before those of frames that still wait.
#[test]
fn slots_are_restored_when_versions_that_they_do_not_lead_into_are_gone() {
    let text = r#"(module
        (import "env" "invalidate" (func $invalidate))
        (import "env" "unhijack" (func $unhijack))
        (func $c (param i32) (result i32) (call $invalidate) (local.get 0))
        (func $b (param i32) (result i32) (local $x i32)
            (local.set $x (call $c (local.get 0)))
            (call $unhijack)
            (i32.add (local.get $x) (local.get 0)))
        (func (export "f") (param i32) (result i32) (i32.add (call $b (local.get 0)) (local.get 0))))"#;
    let mut imports = imports("invalidate", invalidate);
    add(&mut imports, "unhijack", |call| {
        assert_eq!(call.thread().unhijack().expect("it can"), 0, "all code is gone")
    });
    let (_instance, thread) = start(text, compiled_at_once(), &imports);
    assert_eq!(call(&thread, 5), 15);
}

/// Every version is released while its frames are pending: code memory is reused, what is known of the
/// versions is not.
#[test]
fn more_versions_can_be_awaited_than_fit_the_code_memory() {
    const DEPTH: i32 = 600;
    let text = r#"(module
        (import "env" "act" (func $act))
        (func $f (export "f") (param $n i32) (result i32)
            (i32.add (call $step (local.get $n)) (i32.const 1)))
        (func $step (param $n i32) (result i32)
            (call $act)
            (if (i32.eqz (local.get $n)) (then (return (i32.const 0))))
            (call $f (i32.sub (local.get $n) (i32.const 1)))))"#;
    let settings = Settings { code_bytes: 16 << 10, checked: false, ..compiled_at_once() };
    let (instance, thread) = start(text, settings, &imports("act", invalidate));
    assert_eq!(call(&thread, DEPTH), DEPTH as u64 + 1);
    let statistics = instance.code_statistics();
    assert!(statistics.versions_released > DEPTH as u64, "{statistics:?}");
    let frame_maps: u64 = instance.versions().iter().map(|version| version.frame_map_bytes()).sum();
    assert_eq!(statistics.frame_map_bytes, frame_maps, "those of the others are gone");
}
