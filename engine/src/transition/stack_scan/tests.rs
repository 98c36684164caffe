//! Tests of the conservative scan: what it ends the process for, and what it leaves alone.

use std::hint::black_box;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex};

use osr_ir::Signature;

use crate::{HostCall, Imports, Instance, Settings, Thread, Tiers};

/// Runs `act` in a host function that the compiled function `f` calls.
fn run(act: impl Fn(&HostCall<'_>) + Send + Sync + 'static) {
    let text = r#"
        import act () = "env" "act"
        export "f" function f
        function f () {
        b0:
          call act ()
          return
        }"#;
    let mut imports = Imports::new();
    imports.function("env", "act", Signature::new(vec![], vec![]), move |call, _, _| {
        act(call);
        Ok(())
    });
    let settings = Settings { tiers: Tiers::Optimized, threshold: Some(0), ..Settings::default() };
    let module = osr_ir::text::parse(text).expect("valid");
    let instance = Instance::new(settings, module, &imports).expect("an instance");
    Thread::new(&instance).expect("a thread").invoke("f", &[]).expect("it returns");
}

/// What the scan for the only version says.
fn scan(call: &HostCall<'_>) -> Result<(), String> {
    let scan = || call.thread().scan_before_release(&call.thread().instance().versions());
    catch_unwind(AssertUnwindSafe(scan)).map_err(|panic| *panic.downcast().expect("a message"))
}

#[test]
fn a_slot_that_returns_into_the_code_is_found() {
    let found = Arc::new(Mutex::new(Ok(())));
    let host = Arc::clone(&found);
    run(move |call| *host.lock().unwrap() = scan(call));
    let message = found.lock().unwrap().clone().expect_err("the frame of `f` is active");
    assert!(message.contains("code is to be released, but the slot at"), "{message}");
}

#[test]
fn a_hijacked_slot_does_not_return_into_the_code() {
    run(|call| {
        call.thread().hijack(|_| true).expect("a walk");
        scan(call).expect("nothing returns into `f`");
    });
}

/// Words that only look like return PCs are counted, not taken for slots.
#[test]
fn a_word_that_is_not_a_slot_is_left_alone() {
    run(|call| {
        let pc = call.thread().compiled_frames().expect("a walk")[0].frame.pc;
        call.thread().hijack(|_| true).expect("a walk");
        let words = black_box([pc; 2]);
        black_box(&words);
        scan(call).expect("nothing returns into `f`");
        black_box(&words);
        assert!(call.thread().stale_words() >= 2);
    });
}
