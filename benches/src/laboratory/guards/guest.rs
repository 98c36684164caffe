//! The programs of the experiment, in textual IR.

use std::fmt::Write;
use std::pin::Pin;

use osr_engine::{Imports, Instance, Settings, Thread};
use osr_ir::Value;

/// A program that is called with a number of iterations and a number that says when its guard fails.
pub(super) struct Guest {
    thread: Pin<Box<Thread>>,
}

impl Guest {
    /// `text`, a module in textual IR.
    pub(super) fn new(text: &str, settings: Settings) -> Result<Guest, String> {
        let module = osr_ir::text::parse(text).map_err(|error| error.to_string())?;
        let instance = Instance::new(settings, module, &Imports::new());
        let instance = instance.map_err(|error| error.to_string())?;
        Ok(Guest { thread: Thread::new(&instance).map_err(|error| error.to_string())? })
    }

    /// Calls `run`.
    pub(super) fn run(&self, iterations: i64, failing: i64) -> Result<u64, String> {
        let arguments = [Value::I64(iterations), Value::I64(failing)];
        let words = self.thread.invoke("run", &arguments).map_err(|error| error.to_string())?;
        words.first().copied().ok_or_else(|| "it returns nothing".to_owned())
    }

    /// How often guards failed so far: through the runtime, and by linked exits.
    pub(super) fn failures(&self) -> [u64; 2] {
        [self.thread.transitions().failed_guards, self.thread.instance().linked_exits()]
    }
}

/// How a block ends that goes to one block nearly always.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Check {
    /// With a guard.
    Guard,
    /// With a branch.
    Branch,
    /// Without looking.
    Nothing,
}

impl Check {
    /// `program`, in which CHECK says where the check is: of the last register, whether to go to b1 or b2.
    fn put_into(self, program: &str) -> String {
        let terminator = match self {
            Check::Guard => "guard r9, b1 else b2",
            Check::Branch => "branch r9, b1, b2",
            Check::Nothing => "jump b1",
        };
        program.replace("CHECK", terminator)
    }
}

/// `run(n, holds)` makes n calls of the function in the table.
const CALLS: &str = r#"
table t0: 1
element e0 t0 at 0 [called0]
export "run" function run
function run (r0: i64, r1: i64) -> (i64) {
  r2: i64, r3: i64, r4: i32
b0:
  r2 = i64.const 0
  jump b1
b1:
  r4 = i32.const 0
  r3 = call_indirect t0 (i64, i64) -> (i64) [r4] (r0, r1)
  r2 = i64.add r2, r3
  r3 = i64.const 1
  r0 = i64.sub r0, r3
  r4 = i64.eqz r0
  branch r4, b2, b1
b2:
  return r2
}
"#;

/// Eight registers are live at the check: the first and r2 to r8.
const GUARDED: &str = r#" (r0: i64, r1: i64) -> (i64) {
  r2: i64, r3: i64, r4: i64, r5: i64, r6: i64, r7: i64, r8: i64, r9: i32
b0:
  r2 = i64.const 3
  r2 = i64.mul r2, r0
  r3 = i64.xor r2, r0
  r4 = i64.mul r3, r2
  r5 = i64.xor r4, r0
  r6 = i64.mul r5, r3
  r7 = i64.xor r6, r0
  r8 = i64.mul r7, r4
  r9 = i64.eqz r1
  r9 = i32.eqz r9
  CHECK
b1:
  USES
  return r2
b2:
  USES
  MORE
  return r2
}
"#;

/// Instructions that use the eight registers.
pub(super) const USES: usize = 7;

/// `run(n, holds)` makes n calls of a function with a check at which eight registers are live. Where it fails, the
/// [instructions that use them](USES), so many `more`, and a return are executed. There are so many functions `further`
/// between, each of which calls the next.
pub(super) fn exits(check: Check, more: usize, further: usize) -> String {
    let uses: Vec<String> =
        [0, 3, 4, 5, 6, 7, 8].iter().map(|register| format!("r2 = i64.xor r2, r{register}")).collect();
    let mut text = CALLS.to_owned();
    for number in 0..further {
        let next = number + 1;
        _ = write!(
            text,
            "function called{number} (r0: i64, r1: i64) -> (i64) {{\n  r2: i64\nb0:\n  r2 = call called{next} (r0, r1)\n  \
             r2 = i64.add r2, r0\n  return r2\n}}\n"
        );
    }
    let more = "r2 = i64.mul r2, r3\n  ".repeat(more);
    let guarded = GUARDED.replace("USES", &uses.join("\n  ")).replace("MORE", &more);
    text + &format!("function called{further}") + &check.put_into(&guarded)
}

/// `run(n, rate)` makes n calls of a function whose check fails `rate` times of 2^32, at random.
const RATES: &str = r#"
export "run" function run
function run (r0: i64, r1: i64) -> (i64) {
  r2: i64, r3: i64, r4: i64, r5: i32
b0:
  r2 = i64.const 0
  r3 = i64.const 88172645463325252
  jump b1
b1:
  r4 = i64.const 6364136223846793005
  r3 = i64.mul r3, r4
  r4 = i64.const 1442695040888963407
  r3 = i64.add r3, r4
  r4 = i64.const 32
  r4 = i64.shr_u r3, r4
  r5 = i64.ge_u r4, r1
  r2 = call step (r2, r0, r5)
  r4 = i64.const 1
  r0 = i64.sub r0, r4
  r5 = i64.eqz r0
  branch r5, b2, b1
b2:
  return r2
}
function step (r0: i64, r1: i64, r2: i32) -> (i64) {
  r3: i64, r4: i64, r5: i64, r6: i64, r7: i64, r8: i64, r9: i32
b0:
  r9 = copy r2
  r3 = i64.xor r0, r1
  CHECK
b1:
  r4 = i64.const 3
  r3 = i64.mul r3, r4
  r3 = i64.add r3, r1
  return r3
b2:
  r4 = i64.const 5
  r3 = i64.mul r3, r4
  r3 = i64.sub r3, r1
  r4 = i64.const 7
  r3 = i64.xor r3, r4
  return r3
}
"#;

/// See [`RATES`].
pub(super) fn rates(check: Check) -> String {
    check.put_into(RATES)
}

/// `run(n, period)`: n iterations in one activation. The check holds for a period, then fails for one, and so on.
const PHASES: &str = r#"
export "run" function run
function run (r0: i64, r1: i64) -> (i64) {
  r2: i64, r3: i64, r4: i64, r5: i64, r6: i64, r7: i32, r8: i32, r9: i32
b0:
  r2 = i64.const 0
  r3 = copy r1
  r5 = i64.const 1
  r9 = i32.const 1
  jump b3
b1:
  r4 = i64.const 3
  r2 = i64.mul r2, r4
  r2 = i64.add r2, r0
  jump b6
b2:
  r4 = i64.const 5
  r2 = i64.mul r2, r4
  r2 = i64.xor r2, r0
  jump b6
b3:
  r0 = i64.sub r0, r5
  r3 = i64.sub r3, r5
  r7 = i64.eqz r3
  branch r7, b4, b5
b4:
  r3 = copy r1
  r9 = i32.eqz r9
  jump b5
b5:
  CHECK
b6:
  r8 = i64.eqz r0
  branch r8, b7, b3
b7:
  return r2
}
"#;

/// See [`PHASES`].
pub(super) fn phases(check: Check) -> String {
    check.put_into(PHASES)
}
