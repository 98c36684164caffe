//! The textual form of modules, `.ir` files: reading and printing.
//!
//! ```text
//! source ──lexer──> tokens ──parser──> Module ──printer──> source
//! ```
//!
//! A file is a list of items. Blanks and line ends only separate tokens; a comment runs from `;` to
//! the end of its line.
//!
//! ```text
//! signature s0 (i32) -> (i32)         ; optional: fixes the order of the module's signatures
//! memory 1 16                         ; pages: minimum, maximum; or: memory import "env" "mem" 1
//! memory m1: 1                        ; a further memory: i32.load m1, r0
//! global g0: i32 = 1024               ; a constant, `null`, an earlier global, a function, or (g0 8 i32.add)
//! global g1: mut f64 = import "env" "x"
//! global g2: mut i64 = 0
//! global g3: mut i32 = 0
//! global g4: funcref to s0 = fib      ; what references are to, which tells types apart; `nonnull`: and never null
//! table t0: 10 20                     ; or: table t0: import "env" "table" 10
//! tag x0: (g2)                        ; the values of its exceptions; or: tag x0: import "env" "tag" (g2)
//! caught g3                           ; where it is said which tag was caught
//! data d0 at g0 "bytes\00"            ; or: data d0 passive "one string" "and one more"
//! element e0 t0 at 0 [fib, null]      ; or: element e0 passive [..], element e0 declared [..]
//! import print (i32) = "env" "print_i32"
//! export "run" function fib           ; or: memory, global g0, table t0
//! start main
//! function main () {
//!   r0: i32
//! b0:
//!   r0 = i32.const 20
//!   r0 = call fib (r0)
//!   call print (r0)
//!   return
//! }
//! function fib (r0: i32) -> (i32) {
//!   r1: i32, r2: i32                  ; the registers that are not parameters
//! b0:
//!   r1 = i32.const 2
//!   r2 = i32.lt_s r0, r1
//!   branch r2, b1, b2
//! b1:
//!   return r0
//! b2:
//!   r2 = i32.sub r0, r1
//!   r2 = call fib (r2)
//!   i32.store r1 + 8, r2
//!   return r2
//! }
//! ```
//!
//! The grammar, with `x,*` for any number of `x` with commas between:
//!
//! ```text
//! module      = item*
//! item        = "signature" sN types
//!             | "memory" (mN ":")? origin? "shared"? "i64"? size
//!             | "global" gN ":" "mut"? type referent "=" (origin | constant)
//!             | "table" tN ":" ("externref" | "exnref")? referent origin? "i64"? size ("=" constant)?
//!             | "tag" xN ":" origin? "(" gN,* ")" | "caught" gN
//!             | "data" dN (mN? "at" constant | "passive") string+
//!             | "element" eN (tN "at" constant | "passive" | "declared") ("externref" | "exnref")? "[" constant,* "]"
//!             | "import" name types "=" string string
//!             | "export" string ("function" name | "global" gN | "table" tN | "memory" | "tag" xN)
//!             | "start" name
//!             | "function" name definition
//!             | "body" name "of" name definition
//!             | "map" name "to" name "{" entry* "}"
//!             | "at" number ("invalidate" ("of" name,+)? | "redefine" change,* activations)
//! definition  = "(" (register referent),* ")" results? "{" register,* block* "}"
//! entry       = pN "to" pN (":" value,*)?
//! frame       = name pN (":" value,*)?
//! value       = rN "=" (part | "(" part+ ")")
//! part        = rN | T ".const" number | "ref.null" | "extern.null" | "exn.null" | unary | binary
//! change      = name "to" name
//! activations = "run_out" | "invalidate" | "carry" | "carry_all"
//! referent    = "nonnull"? ("to" (sN | "nothing"))?
//! types       = "(" (type referent),* ")" results?
//! results     = "->" "(" (type referent),* ")"
//! register    = rN ":" type
//! origin      = "import" string string
//! size        = number number?
//! constant    = number | "null" | gN | name | "(" step+ ")"
//! step        = number | gN | ("i32" | "i64") "." ("add" | "sub" | "mul")
//! block       = bN ":" instruction* terminator
//! terminator  = "jump" bN | "branch" rN "," bN "," bN | "return" rN,* | "unreachable"
//!             | "switch" rN "," "[" bN,* "]" "," bN | "guard" rN "," bN "else" bN
//!             | "return_call" name "(" rN,* ")" | "return_call_indirect" tN types "[" rN "]" "(" rN,* ")"
//!             | "deoptimize" "{" frame+ "}"
//! instruction = (rN,* "=")? operation
//! operation   = T ".const" number | "ref.null" | "extern.null" | "exn.null" | "ref.func" name | "copy" rN
//!             | "select" rN "," rN "," rN
//!             | vector (number ",")? rN,+ | "i8x16.shuffle" number "," rN "," rN
//!             | unary rN | binary rN "," rN | load rN ("+" number)? | store rN ("+" number)? "," rN
//!             | "global.get" gN | "global.set" gN "," rN
//!             | "memory.size" | "memory.grow" rN | "memory.fill" rN "," rN "," rN
//!             | "memory.copy" rN "," rN "," rN | "memory.init" dN "," rN "," rN "," rN | "data.drop" dN
//!             | "table.get" tN "," rN | "table.set" tN "," rN "," rN | "table.size" tN
//!             | "table.refers" tN "," rN "," name
//!             | "table.grow" tN "," rN "," rN | "table.fill" tN "," rN "," rN "," rN
//!             | "table.copy" tN "," tN "," rN "," rN "," rN
//!             | "table.init" tN "," eN "," rN "," rN "," rN | "elem.drop" eN
//!             | "throw" xN | "throw_ref" rN | "caught_ref" | "interpret"
//!             | "call" name "(" rN,* ")"
//!             | "call_indirect" tN types "[" rN "]" "(" rN,* ")"
//! ```
//!
//! - Names of unary, binary, load and store operations are WebAssembly's; so is the order of operands
//!   (table and segment first).
//! - Everything that is numbered is defined in the order of the numbers, and may be used before.
//!   Functions have names instead: a word (a letter, `_` or `$`, then also digits and dots), or a
//!   string. `null`, `import` and `g0` must be quoted to name functions.
//! - A `v128` constant is one number of 128 bits, lane 0 lowest, and so are the lanes of a shuffle, a byte each.
//! - Tables and element segments are of function references unless they say `externref` or `exnref`; a constant of the first of these
//!   types is `null`, or the number that a host uses; of the second there is `null` only.
//! - `return_call` follows `interpret` ([`Terminator::TailCall`](crate::Terminator::TailCall)).
//! - A signature may mention those before it only, in what its references are to.
//! - `deoptimize` says what the activation becomes, innermost frame first: a body, a point of it, and what is live there
//!   ([`Terminator::Deoptimize`](crate::Terminator::Deoptimize)). It follows `interpret`, which need not be written.
//! - `throw` and what `caught` is are explained at [`Tag`](crate::Tag).
//! - Numbers are decimal or `0x` hexadecimal. Integers may be written signed or unsigned. Floats are
//!   decimal, `inf`, `nan`, or `nan:0x` and the bits of the payload. What is printed for a float reads
//!   back as the same bits.
//! - A `body` is a further body of a function, with its signature. `map` says how activations of one body continue in
//!   another ([`StateMap`](crate::StateMap)); `at 7 redefine` what happens when a function of the module is called the
//!   seventh time ([`Step`](crate::Step)). `at 7 invalidate` invalidates all code, `at 7 invalidate of fib` that of the functions that are
//!   named.
//! - A text of bodies that are added to a module later ([`parse_addition`]) consists of items `body` and `map`, and may have one
//!   `"redefine" change,* activations`: what is done when they are there.
//! - In a string, a backslash and two hexadecimal digits are a byte; `\n \r \t \" \\` as in C.
//! - The parser resolves names and numbers. Whether the module is well formed is the
//!   [verifier's](crate::verifier) business: types, for instance, are not checked here.
//!
//! For every verified module, `parse(&print(&module))` is an equal module.

mod error;
mod lexer;
mod literal;
mod parser;
mod printer;
mod source;

pub use error::{ParseError, ParseErrorKind};
pub use printer::{
    Note, print, print_annotated, print_body, print_function, print_function_annotated, print_state_map,
    print_with_points, write_annotated,
};

use std::sync::Arc;

use crate::addition::Addition;
use crate::module::Module;
use crate::origin::Origin;
use source::{Offsets, SourceText};

/// Reads a module from its textual form.
///
/// # Errors
/// If the text is not one; the error says where.
pub fn parse(source: &str) -> Result<Module, ParseError> {
    Ok(read(source)?.0)
}

/// The same of a file called `name`, in which the [origin](crate::Origin) of the module finds its code.
///
/// # Errors
/// As [`parse`].
pub fn parse_file(name: &str, source: &str) -> Result<Module, ParseError> {
    let (mut module, offsets) = read(source)?;
    module.origin = Origin::of(Arc::new(SourceText::new(name, source, 0, offsets)));
    Ok(module)
}

/// Reads bodies that are to be [added](Module::add_bodies) to `module` from a file called `name`: items `body`, `map`, and at
/// most one `redefine change,* activations`.
///
/// # Errors
/// If the text is not that; the error says where.
pub fn parse_addition(module: &Module, name: &str, source: &str) -> Result<Addition, ParseError> {
    let read = parser::Parser::adding_to(module, source).and_then(|parser| parser.addition(module));
    let (mut addition, offsets) = read.map_err(|failure| ParseError::new(failure, source))?;
    let first = module.next_body().index();
    addition.origin = Origin::of(Arc::new(SourceText::new(name, source, first, offsets)));
    Ok(addition)
}

fn read(source: &str) -> Result<(Module, Vec<Option<Offsets>>), ParseError> {
    parser::Parser::new(source)
        .and_then(parser::Parser::module)
        .map_err(|failure| ParseError::new(failure, source))
}
