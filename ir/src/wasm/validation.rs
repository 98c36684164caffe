//! Validation on several threads: everything but the bodies first, in order, then the bodies, which do not depend on one
//! another.
//!
//! Nothing of a module may execute before all of it is known to be valid, so this is what a program of several megabytes
//! waits for before its first instruction. What validation knows of a body beside that bounds its registers
//! ([`SourceModule`](super::source::SourceModule)), so that nothing has to be translated to know that there is room for it.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

use wasmparser::{
    FuncToValidate, FuncValidator, FuncValidatorAllocations, FunctionBody, Parser, ValidPayload, Validator,
    ValidatorResources, WasmFeatures,
};

type Error = wasmparser::Error;
type Function<'a> = (FuncToValidate<ValidatorResources>, FunctionBody<'a>);

/// A thread takes bodies of so many bytes at a time, and so many bytes are worth a thread.
const BATCH_BYTES: u64 = 64 << 10;

/// Threads that validate, at most.
const MOST_THREADS: usize = 8;

/// Checks that `bytes` are a valid module that uses no other features than `features`. Returns for each body how high its
/// operand stack is at most, after whatever operator.
///
/// # Errors
/// The first thing that is wrong: of everything but bodies, else of the first body that is not valid.
pub(super) fn check(bytes: &[u8], features: WasmFeatures) -> Result<Vec<u32>, Error> {
    let mut validator = Validator::new_with_features(features);
    let mut functions = Vec::new();
    let mut parser = Parser::new(0);
    parser.set_features(features);
    for payload in parser.parse_all(bytes) {
        if let ValidPayload::Func(function, body) = validator.payload(&payload?)? {
            functions.push((function, body));
        }
    }
    check_bodies(functions)
}

/// Bodies that a thread takes at once.
#[derive(Default)]
struct Batch<'a> {
    functions: Vec<Function<'a>>,
    /// Of their operand stacks, once they are validated.
    heights: Vec<u32>,
}

impl Batch<'_> {
    /// Validates all, up to the first that is not valid, of which it returns the number.
    fn check(&mut self, allocations: &mut FuncValidatorAllocations) -> Result<(), (u32, Error)> {
        for (function, body) in std::mem::take(&mut self.functions) {
            let number = function.index;
            let mut validator = function.into_validator(std::mem::take(allocations));
            self.heights.push(check_body(&mut validator, &body).map_err(|error| (number, error))?);
            *allocations = validator.into_allocations();
        }
        Ok(())
    }
}

fn check_body(
    validator: &mut FuncValidator<ValidatorResources>,
    body: &FunctionBody<'_>,
) -> Result<u32, Error> {
    let mut reader = body.get_binary_reader();
    validator.read_locals(&mut reader)?;
    reader.set_features(*validator.features());
    let mut highest = 0;
    while !reader.eof() {
        reader.visit_operator(&mut validator.visitor(reader.original_position()))??;
        highest = highest.max(validator.operand_stack_height());
    }
    reader.finish_expression(&validator.visitor(reader.original_position()))?;
    Ok(highest)
}

fn check_bodies(functions: Vec<Function<'_>>) -> Result<Vec<u32>, Error> {
    let batches = batches(functions);
    let processors = thread::available_parallelism().map_or(1, usize::from);
    let threads = processors.min(MOST_THREADS).min(batches.len());
    let next = AtomicUsize::new(0);
    let work = || -> Result<(), (u32, Error)> {
        let mut allocations = FuncValidatorAllocations::default();
        // Batches are taken in order, and a thread ends at the first body that is not valid: so does the one that meets the
        // first of all.
        while let Some(batch) = batches.get(next.fetch_add(1, Ordering::Relaxed)) {
            batch.lock().unwrap_or_else(PoisonError::into_inner).check(&mut allocations)?;
        }
        Ok(())
    };
    let failures = thread::scope(|scope| {
        let others: Vec<_> = (1..threads).map(|_| scope.spawn(work)).collect();
        let mut failures: Vec<(u32, Error)> = work().err().into_iter().collect();
        failures.extend(others.into_iter().filter_map(|other| match other.join() {
            Ok(result) => result.err(),
            Err(panic) => std::panic::resume_unwind(panic),
        }));
        failures
    });
    if let Some((_, error)) = failures.into_iter().min_by_key(|&(number, _)| number) {
        return Err(error);
    }
    let heights =
        |batch: Mutex<Batch<'_>>| batch.into_inner().unwrap_or_else(PoisonError::into_inner).heights;
    Ok(batches.into_iter().flat_map(heights).collect())
}

/// `functions` in their order, in batches that are taken one by one.
fn batches(functions: Vec<Function<'_>>) -> Vec<Mutex<Batch<'_>>> {
    let mut batches = Vec::new();
    let (mut batch, mut bytes) = (Batch::default(), 0);
    for function in functions {
        let range = function.1.range();
        bytes += range.end - range.start;
        batch.functions.push(function);
        if bytes >= BATCH_BYTES {
            batches.push(Mutex::new(std::mem::take(&mut batch)));
            bytes = 0;
        }
    }
    if !batch.functions.is_empty() {
        batches.push(Mutex::new(batch));
    }
    batches
}

#[cfg(test)]
mod tests {
    use wasmparser::WasmFeatures;

    use super::{BATCH_BYTES, check};

    /// A module of functions that return what is given, each of some hundred bytes.
    fn module(results: impl Iterator<Item = &'static str>) -> Vec<u8> {
        let body = "i32.const 1 drop ".repeat(100);
        let functions =
            results.map(|result| format!("(func (result i32) {body} {result})")).collect::<String>();
        wat::parse_str(format!("(module {functions})")).expect("it is well formed, if not valid")
    }

    #[test]
    fn whatever_thread_meets_it_the_first_invalid_body_is_reported() {
        let good = module((0..2_000).map(|_| "i32.const 1"));
        assert!(good.len() as u64 > 4 * BATCH_BYTES, "several threads have work");
        assert!(check(&good, WasmFeatures::default()).is_ok());
        let bad = |number| [1_990, 777, 1_200].contains(&number);
        let text = |number| if bad(number) { "f32.const 1" } else { "i32.const 1" };
        let several = module((0..2_000).map(text));
        let error = check(&several, WasmFeatures::default()).expect_err("three of them return floats");
        let alone =
            module((0..2_000).map(|number| if number == 777 { "f32.const 1" } else { "i32.const 1" }));
        let expected = check(&alone, WasmFeatures::default()).expect_err("one of them returns a float");
        assert_eq!((error.offset(), error.message()), (expected.offset(), expected.message()));
    }

    #[test]
    fn the_height_of_each_operand_stack_is_known() {
        let high =
            |values: usize| format!("(func {}{})", "i32.const 1 ".repeat(values), "drop ".repeat(values));
        let functions: String = (0..4_000).map(|number| high(number % 50)).collect();
        let bytes = wat::parse_str(format!("(module {functions})")).expect("it is well formed");
        let heights = check(&bytes, WasmFeatures::default()).expect("it is valid");
        assert!(heights.len() == 4_000 && heights.iter().zip(0u32..).all(|(height, n)| *height == n % 50));
    }

    #[test]
    fn sections_come_before_bodies() {
        let bytes = wat::parse_str(r#"(module (func (result i32)) (export "f" (func 7)))"#)
            .expect("it is well formed");
        let error = check(&bytes, WasmFeatures::default()).expect_err("there is no function 7");
        assert!(error.message().contains("unknown function"), "{error}");
    }
}
