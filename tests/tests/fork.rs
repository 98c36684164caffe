//! Forks: a child cannot execute its parent's instances, and what it tries leaves the parent's code alone.

use std::pin::Pin;
use std::sync::Arc;

use osr_engine::{
    CodeMemory, HostCall, Imports, Instance, InstantiationError, InvokeError, Settings, Store, Thread,
    ThreadError, Tiers, TransitionError,
};
use osr_ir::{Module, Signature, Value};

const TEXT: &str = r#"(module
    (import "env" "act" (func $act))
    (func $g (param $n i32) (result i32) (call $act) (i32.mul (local.get $n) (i32.const 3)))
    (func (export "f") (param $n i32) (result i32) (i32.add (call $g (local.get $n)) (i32.const 1))))"#;

fn module() -> Module {
    osr_ir::wasm::import_text(TEXT).expect("a module")
}

fn imports(act: impl Fn(&HostCall<'_>) + Send + Sync + 'static) -> Imports {
    let mut imports = Imports::new();
    imports.function("env", "act", Signature::new(vec![], vec![]), move |call, _, _| {
        act(call);
        Ok(())
    });
    imports
}

fn start(settings: Settings, imports: &Imports) -> (Arc<Instance>, Pin<Box<Thread>>) {
    let instance = Instance::new(settings, module(), imports).expect("an instance");
    let thread = Thread::new(&instance).expect("a thread");
    (instance, thread)
}

fn settings(code_memory: CodeMemory) -> Settings {
    Settings { tiers: Tiers::Optimized, code_memory, ..Settings::default() }
}

fn call(thread: &Thread) -> u64 {
    thread.invoke("f", &[Value::I32(5)]).expect("it returns")[0]
}

/// Forks; the child ends with code 0 if `act` says so. Returns the child's status.
fn fork(act: impl FnOnce() -> bool) -> i32 {
    // SAFETY: the child does what `act` says and ends, without unwinding or running what its parent has left.
    let child = unsafe { libc::fork() };
    assert!(child >= 0, "a fork");
    if child == 0 {
        // SAFETY: ends the process.
        unsafe { libc::_exit(i32::from(!act())) };
    }
    wait(child)
}

fn wait(child: i32) -> i32 {
    let mut status = 0;
    // SAFETY: a child of this process.
    let waited = unsafe { libc::waitpid(child, &mut status, 0) };
    assert_eq!(waited, child);
    status
}

#[test]
fn a_child_is_refused() {
    for code_memory in CodeMemory::ALL {
        let store = Store::new();
        let (_instance, thread) = start(settings(code_memory), &imports(|_| ()));
        assert_eq!(call(&thread), 16);
        let status = fork(|| {
            let again = store.instantiate(settings(code_memory), module(), &imports(|_| ()));
            matches!(thread.invoke("f", &[Value::I32(5)]), Err(InvokeError::Forked))
                && matches!(thread.invalidate_all(), Err(TransitionError::Forked))
                && matches!(thread.hijack(|_| true), Err(TransitionError::Forked))
                && matches!(again, Err(InstantiationError::Forked))
        });
        assert_eq!(status, 0, "{code_memory:?}");
        assert_eq!(call(&thread), 16);
    }
}

#[test]
fn a_child_makes_no_thread_of_its_parents_instance() {
    let instance = Instance::new(Settings::default(), module(), &imports(|_| ())).expect("an instance");
    assert_eq!(fork(|| matches!(Thread::new(&instance), Err(ThreadError::Forked))), 0);
}

#[test]
fn a_child_drops_its_parents_instances_and_makes_its_own() {
    let (instance, thread) = start(settings(CodeMemory::Arena), &imports(|_| ()));
    assert_eq!(call(&thread), 16);
    let mut parents = Some((instance, thread));
    let status = fork(|| {
        drop(parents.take());
        let (_instance, thread) = start(settings(CodeMemory::Arena), &imports(|_| ()));
        call(&thread) == 16
    });
    assert_eq!(status, 0);
    assert_eq!(call(&parents.expect("the parent has them").1), 16);
}

/// A child that is forked in a host function does not return to the guest.
#[test]
fn a_child_does_not_return_to_its_parents_code() {
    let status = std::sync::Arc::new(std::sync::Mutex::new(None));
    let seen = Arc::clone(&status);
    let imports = imports(move |_| {
        // SAFETY: the child returns to the engine, which ends it.
        let child = unsafe { libc::fork() };
        if child > 0 {
            *seen.lock().unwrap() = Some(wait(child));
        }
    });
    let (_instance, thread) = start(settings(CodeMemory::Arena), &imports);
    assert_eq!(call(&thread), 16);
    let status = status.lock().unwrap().expect("it was forked");
    assert_eq!((libc::WIFSIGNALED(status), libc::WTERMSIG(status)), (true, libc::SIGABRT));
}
