//! `osr-bench ir`: prints the IR of a program, with what other outputs name: points, blocks, registers.

use std::path::PathBuf;

use clap::Args;
use osr_ir::{FunctionIndex, Locator, Position, text};

use crate::error::Error;
use crate::guest::compiled::function_named;
use crate::guest::load::load;
use crate::output;

const IR_EXAMPLES: &str = "\
At each instruction stands its position, as in `b7:0`: the block, and the number of the instruction in it. Of a WebAssembly \
module the offset in the binary module follows, and, if that has DWARF sections, the line of the source. Then the point, if \
the instruction has one: `p2` of a frame map, a trap or an explanation, with the registers that are live there. The text can be \
run: it is a program in the textual form.

Examples:
  osr-bench ir fib.wasm
  osr-bench ir richards.wasm --function schedule
  osr-bench ir sort.wasm > sort.ir && osr-bench run sort.ir";

/// Options of `ir`.
#[derive(Debug, Args)]
#[command(after_help = IR_EXAMPLES)]
pub(crate) struct IrOptions {
    /// The program: a .wasm, .wat or .ir file.
    program: PathBuf,
    /// Only this function, by its name, its export name, or its index.
    #[arg(long, value_name = "NAME")]
    function: Option<String>,
}

/// Prints what `options` ask for.
pub(crate) fn run(options: &IrOptions) -> Result<(), Error> {
    let program = load(&options.program)?;
    let (module, locator) = (&program.module, Locator::default());
    let note = |function: FunctionIndex, position: Position| {
        Some(locator.place_at(module, function, position)?.to_string())
    };
    let text = match options.function.as_deref() {
        Some(name) => text::print_function_annotated(module, function_named(&program, name)?, &note),
        None => text::print_annotated(module, &note),
    };
    output::to_stdout(&text)
}
