//! What host functions do with the guest's memory, and errors of the embedder's own that they return.

use osr_engine::{HostCall, HostError, Imports, InvokeError, NotNow, Phase, TransitionError, Trap};
use osr_ir::{FunctionIndex, Signature, TrapKind};
use osr_tests::guest::acting;

use crate::{call, f_of, reached, start, various};

/// An error that only this file knows.
#[derive(Debug, PartialEq, thiserror::Error)]
#[error("enough, at {0}")]
struct Enough(u32);

/// Imports whose `act` may fail.
fn failing(act: impl Fn(&HostCall<'_>) -> Result<(), HostError> + Send + Sync + 'static) -> Imports {
    let mut imports = acting(|_| {});
    imports.function("env", "act", Signature::default(), move |call, _, _| act(call));
    imports
}

#[test]
fn an_error_of_the_embedders_own_is_in_the_trap() {
    let imports = failing(|call| {
        call.thread().invalidate_active().map_err(|error| HostError::Failed(error.to_string()))?;
        Err(HostError::embedder(Enough(7)))
    });
    for settings in various() {
        let (_, thread) = start(settings, osr_engine::Delegates::default(), &imports);
        for _ in 0..3 {
            let trap = trap_of(call(&thread, "f", 5));
            assert_eq!((trap.kind, trap.message.as_deref()), (TrapKind::HostError, Some("enough, at 7")));
            assert_eq!(trap.cause::<Enough>(), Some(&Enough(7)));
            assert_eq!(trap.cause::<std::fmt::Error>(), None);
            let source = std::error::Error::source(&trap).expect("it has a cause");
            assert_eq!(source.downcast_ref::<Enough>(), Some(&Enough(7)));
            assert!(trap.to_string().ends_with("p0"), "the source says why: {trap}");
        }
        assert_eq!(thread.hijacked_slots(), 0);
    }
}

#[test]
fn an_error_passes_through_a_host_function_that_called_back() {
    let depth = std::sync::atomic::AtomicU32::new(0);
    let imports = failing(move |call| {
        if depth.fetch_add(1, std::sync::atomic::Ordering::Relaxed) % 3 == 2 {
            return Err(HostError::embedder(Enough(3)));
        }
        let f = call.thread().instance().exported_function("f").expect("it is exported");
        call.call(f, &[1])?;
        Ok(())
    });
    for settings in various() {
        let (_, thread) = start(settings, osr_engine::Delegates::default(), &imports);
        assert_eq!(trap_of(call(&thread, "f", 5)).cause::<Enough>(), Some(&Enough(3)));
    }
}

#[test]
fn a_host_function_has_memory_in_place() {
    let imports = acting(|call| {
        let seen = call.with_memory(|memory| {
            memory[100] = memory[100].wrapping_add(1);
            memory.len()
        });
        assert_eq!(seen, Some(65_536));
    });
    for settings in various() {
        let (instance, thread) = start(settings, osr_engine::Delegates::default(), &imports);
        assert_eq!(call(&thread, "f", 5).expect("it returns"), f_of(5));
        assert_eq!(instance.memory().expect("it has one").read(100, 1), Some(vec![2]));
    }
}

#[test]
fn nothing_else_reaches_memory_that_a_host_function_has() {
    let imports = acting(|call: &HostCall<'_>| {
        let now = NotNow { phase: Phase::MemoryLent };
        call.with_memory(|memory| {
            memory[0] = 1;
            for thread in [call.thread(), &**reached()] {
                let called = thread.call(FunctionIndex::new(1), &[5]);
                assert!(matches!(called, Err(InvokeError::NotNow(refused)) if refused == now), "{called:?}");
                let done = thread.invalidate_active();
                assert!(matches!(done, Err(TransitionError::NotNow(refused)) if refused == now));
                assert!(matches!(thread.compiled_frames(), Err(TransitionError::NotNow(refused)) if refused == now));
            }
            let panics = |access: &dyn Fn()| {
                std::panic::catch_unwind(std::panic::AssertUnwindSafe(access)).expect_err("memory is in use");
            };
            panics(&|| drop(call.memory().expect("it has one").read(0, 1)));
            panics(&|| assert!(call.memory().expect("it has one").write(0, &[2])));
            panics(&|| assert!(call.with_memory(|memory| memory[0] = 3).is_some()));
            assert_eq!(memory[0], 1);
        });
        assert_eq!(call.memory().expect("it has one").read(0, 1), Some(vec![1]));
    });
    let settings = various().swap_remove(0);
    let (_, thread) = start(settings, osr_engine::Delegates::default(), &imports);
    assert_eq!(call(&thread, "f", 5).expect("it returns"), f_of(5));
}

#[test]
fn memory_is_back_after_a_panic() {
    let imports = acting(|call| {
        call.with_memory(|_| std::panic::resume_unwind(Box::new("a bug")));
    });
    let (instance, thread) = start(various().swap_remove(0), osr_engine::Delegates::default(), &imports);
    let trap = trap_of(call(&thread, "f", 5));
    assert_eq!(trap.message.as_deref(), Some("the host function panicked: a bug"));
    assert!(trap.to_string().ends_with(": the host function panicked: a bug"), "{trap}");
    assert!(instance.memory().expect("it has one").write(0, &[1]));
    thread.invalidate_all().expect("a walk");
}

fn trap_of(outcome: Result<u64, InvokeError>) -> Trap {
    match outcome {
        Err(InvokeError::Trap(trap)) => trap,
        other => panic!("{other:?}"),
    }
}
