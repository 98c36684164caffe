//! Tests of the interpreter alone: everything runs in [`Tiers::Interpreter`].

mod calls;
mod numeric;
mod random;
mod reference;
mod resume;
mod traps;

use std::pin::Pin;
use std::sync::Arc;

use osr_ir::{FunctionIndex, Module, Point, TrapKind};

use super::{Outcome, Start, run};
use crate::{HostError, Imports, Instance, InvokeError, Settings, Thread, Tiers, Trap};

/// What a call gave: results, or where it trapped.
type Answer = Result<Vec<u64>, (TrapKind, String, Point)>;

/// The host of all tests: `env.add`, `env.fail`, and `env.back`, which calls function 0 again.
fn imports() -> Imports {
    use osr_ir::{Signature, Type::I32};
    let mut imports = Imports::new();
    let binary = Signature::new(vec![I32, I32], vec![I32]);
    imports.function("env", "add", binary, |_, arguments, results| {
        results[0] = u64::from((arguments[0] as u32).wrapping_add(arguments[1] as u32));
        Ok(())
    });
    imports
        .function("env", "fail", Signature::default(), |_, _, _| Err(HostError::Failed("on purpose".into())));
    let unary = Signature::new(vec![I32], vec![I32]);
    imports.function("env", "back", unary, |call, arguments, results| {
        let function = call.thread().instance().exported_function("back").expect("an export");
        match call.call(function, arguments) {
            Ok(words) => results.copy_from_slice(&words),
            Err(InvokeError::Trap(trap)) => return Err(HostError::Trap(trap)),
            Err(error) => return Err(HostError::Failed(error.to_string())),
        }
        Ok(())
    });
    imports
}

fn instance(module: Module) -> Arc<Instance> {
    let settings = Settings {
        tiers: Tiers::Interpreter,
        value_stack_bytes: 1 << 20,
        code_bytes: 1 << 20,
        ..Settings::default()
    };
    Instance::new(settings, module, &imports()).expect("an instance")
}

fn thread(module: Module) -> Pin<Box<Thread>> {
    Thread::new(&instance(module)).expect("a thread")
}

/// A thread for a module in textual form.
fn thread_of(source: &str) -> Pin<Box<Thread>> {
    thread(osr_ir::text::parse(source).expect("a well-formed module"))
}

fn call(thread: &Thread, function: FunctionIndex, arguments: &[u64]) -> Answer {
    match thread.call(function, arguments) {
        Ok(results) => Ok(results),
        Err(InvokeError::Trap(Trap { kind, function_name, point, .. })) => Err((kind, function_name, point)),
        Err(error) => panic!("{error}"),
    }
}

/// Calls the exported function `name`.
fn invoke(thread: &Thread, name: &str, arguments: &[u64]) -> Answer {
    call(thread, thread.instance().exported_function(name).expect("an export"), arguments)
}

/// Resumes `function` at `point` with `state` as its live registers, all others poisoned.
fn resume(
    thread: &Thread,
    function: FunctionIndex,
    point: Point,
    state: &[(usize, u64)],
) -> Option<Vec<u64>> {
    let instance = thread.instance();
    let window = thread.values().top();
    let words = instance.window_words(function);
    assert!(thread.values().fits(window, words));
    // SAFETY: the window fits; the registers are the function's.
    unsafe {
        (0..words).for_each(|word| *window.add(word) = 0xdead_beef_dead_beef);
        state.iter().for_each(|&(register, word)| *window.add(register) = word);
    }
    let outcome = run(thread, function, Start::Point(point), window);
    assert_eq!(thread.values().top(), window, "the top is what it was");
    let results = instance.module().signature_of(function).results.len();
    match outcome {
        // SAFETY: the results are in the window.
        Outcome::Done => Some(unsafe { std::slice::from_raw_parts(window, results) }.to_vec()),
        Outcome::Trap => None,
        Outcome::Continue { .. } => unreachable!("there is no compiled code"),
    }
}
