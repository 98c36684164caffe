//! Runners: something that calls one function again and again, and takes the time.

use std::time::Duration;

use osr_ir::{FunctionIndex, Signature, Type, Value};

use super::clock::Clock;
use super::job::Subject;
use crate::guest::entry;
use crate::guest::load::Program;
use crate::number::read_arguments;

/// The time of some calls, one after the other, and what they gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Sample {
    /// Of all calls together.
    pub(crate) nanoseconds: u64,
    /// The words of the results of each call; those of 32 bits with nothing above.
    pub(crate) words: Vec<u64>,
}

/// Something that calls the function.
pub(crate) trait Runner {
    /// Calls it `calls` times, at least once. The error says why that failed.
    fn sample(&mut self, calls: u32, clock: Clock) -> Result<Sample, String>;

    /// Bytes of the code that it has compiled, where that is known.
    fn code_bytes(&self) -> Option<u64> {
        None
    }
}

/// The function to call, with its arguments.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    /// Its export name.
    #[cfg(feature = "peers")]
    pub(crate) name: String,
    /// Its index.
    pub(crate) function: FunctionIndex,
    /// Its type.
    pub(crate) signature: Signature,
    /// Its arguments.
    pub(crate) arguments: Vec<Value>,
}

impl Call {
    /// The call that `subject` asks for, of `program`.
    pub(crate) fn of(subject: &Subject, program: &Program) -> Result<Call, String> {
        Call::located(subject, program).map_err(|error| error.to_string())
    }

    /// The same with the error that says what to do.
    pub(crate) fn located(subject: &Subject, program: &Program) -> Result<Call, crate::error::Error> {
        let (name, function) = entry::find(program, subject.invoke.as_deref())?;
        let signature = program.module.signature_of(function).clone();
        let arguments = read_arguments(name, &signature, &subject.arguments)?;
        Ok(Call {
            #[cfg(feature = "peers")]
            name: name.to_owned(),
            function,
            signature,
            arguments,
        })
    }
}

/// Times `calls` calls, all of which must return the same.
pub(crate) fn timed(
    calls: u32,
    clock: Clock,
    types: &[Type],
    mut call: impl FnMut() -> Result<Vec<u64>, String>,
) -> Result<Sample, String> {
    let begin = clock.now();
    let mut agreement = Agreement::new(call()?);
    for _ in 1..calls {
        agreement.note(call()?);
    }
    let nanoseconds = (clock.now() - begin).as_nanos() as u64;
    agreement.sample(nanoseconds, types)
}

/// The same, each call by itself: what is done `before` each is not timed.
pub(crate) fn timed_apart(
    calls: u32,
    clock: Clock,
    types: &[Type],
    mut before: impl FnMut() -> Result<(), String>,
    mut call: impl FnMut() -> Result<Vec<u64>, String>,
) -> Result<Sample, String> {
    let mut time = Duration::ZERO;
    let mut one = || {
        before()?;
        let begin = clock.now();
        let words = call();
        time += clock.now() - begin;
        words
    };
    let mut agreement = Agreement::new(one()?);
    for _ in 1..calls {
        agreement.note(one()?);
    }
    agreement.sample(time.as_nanos() as u64, types)
}

/// What calls return, which must be the same.
struct Agreement {
    first: Vec<u64>,
    changed: Option<Vec<u64>>,
}

impl Agreement {
    fn new(first: Vec<u64>) -> Agreement {
        Agreement { first, changed: None }
    }

    fn note(&mut self, words: Vec<u64>) {
        if words != self.first {
            self.changed = Some(words);
        }
    }

    /// The sample that took so many `nanoseconds`.
    fn sample(self, nanoseconds: u64, types: &[Type]) -> Result<Sample, String> {
        let Agreement { first, changed } = self;
        // NaNs may differ in their bits: what is shown decides.
        let show = |words: &[u64]| crate::number::show_all(types, words);
        match changed {
            Some(words) if show(&words) != show(&first) => {
                Err(format!("its calls give {} and {}", show(&first).join(" "), show(&words).join(" ")))
            }
            _ => Ok(Sample { nanoseconds, words: first }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Clock, timed, timed_apart};
    use osr_ir::Type;

    #[test]
    fn what_is_done_before_calls_is_done_before_each_and_takes_no_time() {
        let (mut prepared, mut called) = (0, 0);
        let before = || {
            prepared += 1;
            std::thread::sleep(std::time::Duration::from_millis(10));
            Ok(())
        };
        let call = || {
            called += 1;
            Ok(vec![called.min(1)])
        };
        let sample = timed_apart(3, Clock::Wall, &[Type::I32], before, call).unwrap();
        assert_eq!((prepared, called, &*sample.words), (3, 3, &[1][..]));
        assert!(sample.nanoseconds < 10_000_000, "{sample:?}");
    }

    #[test]
    fn all_calls_are_made_and_must_agree() {
        let mut count = 0;
        let sample = timed(5, Clock::Wall, &[Type::I32], || {
            count += 1;
            Ok(vec![7])
        });
        assert_eq!((sample.unwrap().words, count), (vec![7], 5));
        let mut next = 0;
        let differing = timed(3, Clock::Wall, &[Type::I32], || {
            next += 1;
            Ok(vec![next])
        });
        assert_eq!(differing.unwrap_err(), "its calls give 1 and 3");
        let mut bits = f64::NAN.to_bits();
        let payloads = timed(2, Clock::Wall, &[Type::F64], || {
            bits += 1;
            Ok(vec![bits])
        });
        assert!(payloads.is_ok(), "payloads of NaNs are not results");
    }
}
