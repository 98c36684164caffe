//! The guest of experiments: a program of our own, under a mechanism, that calls back at chosen places.

use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};

use osr_engine::{Delegates, HostCall, HostError, Imports, Instance, Observer, Settings, Thread, Tiers};
use osr_ir::{Module, Signature, Value};

use super::Trial;

/// Native stack, and as much for interpreter frames: a million frames, and their landings.
pub(super) const STACK_BYTES: usize = 1 << 30;

/// What the guest's import `env.probe` does.
type Probe = Box<dyn FnMut(&HostCall<'_>) -> Result<(), HostError> + Send>;

/// A guest.
pub(super) struct Guest {
    /// It executes there.
    pub(super) thread: Pin<Box<Thread>>,
    probe: Arc<Mutex<Probe>>,
}

impl Guest {
    /// `text`, a module in textual IR, in optimized code with the mechanism of `trial`. All of it is compiled when
    /// `change` leaves the settings so.
    pub(super) fn new(
        text: &str,
        trial: &Trial,
        observer: Option<Arc<dyn Observer>>,
        change: impl FnOnce(Settings) -> Settings,
    ) -> Result<Guest, String> {
        let module = osr_ir::text::parse(text).map_err(|error| error.to_string())?;
        let settings = Settings {
            tiers: Tiers::Optimized,
            mechanism: trial.mechanism,
            checked: false,
            value_stack_bytes: STACK_BYTES,
            ..Settings::default()
        };
        Guest::of(module, change(settings), observer)
    }

    /// The module, with those settings.
    fn of(module: Module, settings: Settings, observer: Option<Arc<dyn Observer>>) -> Result<Guest, String> {
        let probe: Arc<Mutex<Probe>> = Arc::new(Mutex::new(Box::new(|_| Ok(()))));
        let mut imports = Imports::new();
        let shared = Arc::clone(&probe);
        imports.function("env", "probe", Signature::default(), move |call, _, _| {
            (shared.lock().unwrap_or_else(PoisonError::into_inner))(call)
        });
        let delegates = Delegates { observer, policy: None };
        let instance = Instance::with_delegates(settings, delegates, module, &imports);
        let instance = instance.map_err(|error| error.to_string())?;
        let thread = Thread::new(&instance).map_err(|error| error.to_string())?;
        Ok(Guest { thread, probe })
    }

    /// What the probe does from now on.
    pub(super) fn on_probe(
        &self,
        probe: impl FnMut(&HostCall<'_>) -> Result<(), HostError> + Send + 'static,
    ) {
        *self.probe.lock().unwrap_or_else(PoisonError::into_inner) = Box::new(probe);
    }

    /// Calls the export `name`.
    pub(super) fn call(&self, name: &str, argument: i64) -> Result<i64, String> {
        let words = self.thread.invoke(name, &[Value::I64(argument)]).map_err(|error| error.to_string())?;
        words.first().map(|&word| word as i64).ok_or_else(|| "it returns nothing".to_owned())
    }
}

/// A transition that the engine refuses, as the host reports it.
pub(super) fn refused(error: impl fmt::Display) -> HostError {
    HostError::Failed(error.to_string())
}

/// A recursion: `run(n)` is n + 1 frames deep when it calls the probe. Each frame calls `work` on the way back.
pub(super) const DESCENT: &str = r#"
import probe () = "env" "probe"
export "run" function descend
export "work" function work
function descend (r0: i64) -> (i64) {
  r1: i64, r2: i64, r3: i32
b0:
  r3 = i64.eqz r0
  branch r3, b1, b2
b1:
  call probe ()
  r2 = call work (r0)
  return r2
b2:
  r1 = i64.const 1
  r2 = i64.sub r0, r1
  r2 = call descend (r2)
  r1 = call work (r0)
  r2 = i64.add r2, r1
  return r2
}
function work (r0: i64) -> (i64) {
b0:
  return r0
}
"#;

/// A function, `callee`, which calls the probe if its argument is not 0, with `sites` call sites in functions of a hundred
/// that nothing calls.
pub(super) fn call_sites(sites: u64) -> String {
    let mut text = "import probe () = \"env\" \"probe\"\nexport \"callee\" function callee\n\
        function callee (r0: i64) -> (i64) {\n  r1: i64, r2: i32\nb0:\n  r2 = i64.eqz r0\n  branch r2, b2, b1\n\
        b1:\n  call probe ()\n  jump b2\nb2:\n  r1 = i64.const 3\n  return r1\n}\n"
        .to_owned();
    let mut left = sites;
    for number in 0.. {
        let here = left.min(100);
        if here == 0 {
            break;
        }
        left -= here;
        text += &format!("function caller{number} (r0: i64) -> (i64) {{\nb0:\n");
        text += &"  r0 = call callee (r0)\n".repeat(here as usize);
        text += "  return r0\n}\n";
    }
    text
}

/// `run(n)` calls the probe and loops n times, with a poll in each iteration and no calls. `wait(n)` calls it and waits.
pub(super) const SPIN: &str = r#"
import probe () = "env" "probe"
export "run" function spin
export "wait" function wait
function wait (r0: i64) -> (i64) {
  r1: i64
b0:
  r1 = call spin (r0)
  r1 = i64.add r1, r0
  return r1
}
function spin (r0: i64) -> (i64) {
  r1: i64, r2: i64, r3: i32
b0:
  call probe ()
  r1 = i64.const 0
  jump b1
b1:
  r2 = i64.const 31
  r1 = i64.mul r1, r2
  r1 = i64.add r1, r0
  r2 = i64.const 1
  r0 = i64.sub r0, r2
  r3 = i64.eqz r0
  branch r3, b2, b1
b2:
  return r1
}
"#;
