//! `osr-bench ir`: prints the IR of a program, with what other outputs name: points, blocks, registers.

use std::cell::RefCell;
use std::fmt;
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
    let module = &program.module;
    // A locator keeps what it has found out of a function.
    let located = RefCell::new((FunctionIndex::new(0), Locator::default()));
    let note = |function: FunctionIndex, position: Position| {
        let mut located = located.borrow_mut();
        if located.0 != function {
            *located = (function, Locator::default());
        }
        Some(located.1.place_at(module, function, position)?.to_string())
    };
    if let Some(name) = options.function.as_deref() {
        let function = function_named(&program, name)?;
        return output::to_stdout(&text::print_function_annotated(module, function, &note));
    }
    let mut written = Written { text: String::new(), failure: None };
    let outcome = text::write_annotated(&mut written, module, &note);
    debug_assert_eq!(outcome.is_err(), written.failure.is_some(), "nothing else fails");
    written.failure.map_or_else(|| output::to_stdout(&written.text), Err)
}

/// Text that goes to standard output part by part: that of a large module is large.
struct Written {
    text: String,
    failure: Option<Error>,
}

impl Written {
    const PART: usize = 64 << 10;
}

impl fmt::Write for Written {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.text.push_str(text);
        if self.text.len() > Written::PART {
            self.failure = output::to_stdout(&self.text).err();
            self.text.clear();
        }
        if self.failure.is_some() { Err(fmt::Error) } else { Ok(()) }
    }
}
