//! Verification of a run: the interpreter alone does the same.
//!
//! Compared are results, trap and place, memory, and globals. Exempt is where the stack is exhausted, and, since
//! results are compared as they are printed, the payloads of NaNs that are returned.
//!
//! Host functions are called once. The interpreter is given what they did, and has to call them as they were called.

use osr_engine::{Settings, Stress, Tiers, Trap};
use osr_ir::{TrapKind, Type};
use osr_wasi::Exit;

use crate::error::Error;
use crate::guest::call::Call;
use crate::guest::host::Host;
use crate::guest::host::record::Record;
use crate::guest::session::{Outcome, Session};
use crate::number::show_all;

/// Runs `call` in the interpreter alone, and compares with `outcome`. Host functions do what is in `record`.
pub(crate) fn verify(call: &Call, outcome: &Outcome, record: Record) -> Result<(), Error> {
    let settings =
        Settings { tiers: Tiers::Interpreter, stress: Stress::None, record: false, ..call.settings.clone() };
    let (imports, replayer) = Host::repeat(&call.program, record);
    let expected = Session { hash_memory: true, ..call.session(&settings, imports) }.run()?;
    if is_exhausted(outcome) || is_exhausted(&expected) {
        return Ok(());
    }
    if let Some(how) = replayer.divergence() {
        return Err(Error::HostCallsDiffer { how });
    }
    let types = &call.signature().results;
    let same = |what, given: String, expected: String| {
        if given == expected { Ok(()) } else { Err(Error::Differs { what, given, expected }) }
    };
    same("the result is", show(outcome, types), show(&expected, types))?;
    let hash =
        |outcome: &Outcome| outcome.memory_hash.map_or("none".to_owned(), |hash| format!("{hash:016x}"));
    same("the memory's hash is", hash(outcome), hash(&expected))?;
    same("the globals are", format!("{:x?}", outcome.globals), format!("{:x?}", expected.globals))
}

fn is_exhausted(outcome: &Outcome) -> bool {
    matches!(&outcome.result, Err(Trap { kind: TrapKind::StackExhausted, .. }))
}

fn show(outcome: &Outcome, types: &[Type]) -> String {
    match &outcome.result {
        Ok(words) => format!("({})", show_all(types, words).join(", ")),
        Err(trap) => match Exit::of(trap) {
            Some(exit) => exit.to_string(),
            None => trap.to_string(),
        },
    }
}
