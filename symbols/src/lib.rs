//! Names and lines of compiled code for the tools that look at it from outside: debuggers and profilers.
//!
//! ```text
//!   Compiled, Released ──> Gdb      an ELF image of each version, by GDB's JIT interface     gdb, lldb
//!   (events)           ──> PerfMap  a line for each version in /tmp/perf-PID.map             perf, samply, bcc
//!                      ──> JitDump  a record for each version, with its code and the time    perf inject --jit
//! ```
//!
//! Each is an [`Observer`](osr_engine::Observer): code that nobody has to be told of costs nothing. A version is called as
//! its function, with its tier and, for continuations, where it is entered: `fib[optimized]`, `fib[baseline,p2]`.
//!
//! ```
//! use std::sync::Arc;
//! use osr_engine::{Delegates, Imports, Instance, Settings, Thread};
//!
//! let module = osr_ir::wasm::import_text(r#"(module (func (export "answer") (result i32) (i32.const 42)))"#)?;
//! let delegates = Delegates::observer(Arc::new(osr_symbols::Gdb::new()));
//! let instance = Instance::with_delegates(Settings::default(), delegates, module, &Imports::new())?;
//! assert_eq!(Thread::new(&instance)?.invoke("answer", &[])?, [42]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod debug_sections;
mod gdb;
mod image;
mod jit_dump;
mod jit_interface;
mod lines;
mod name;
mod origins;
mod perf_map;
mod unwind_rows;

pub use gdb::Gdb;
pub use jit_dump::JitDump;
pub use perf_map::PerfMap;
