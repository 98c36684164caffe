//! WASI preview 1 for programs that osr-engine executes: their arguments, environment, files and streams.
//!
//! ```text
//!   guest ──call──> host function ──> wasi-common ──> the system, as far as the context allows
//!                   (functions.rs)        └── reads and writes the memory that it is lent
//! ```
//!
//! What the functions do is wasi-common's, with its sandbox: a program reaches the directories that the
//! [`Context`] opens for it, and no others, and what it was handed as streams. This crate stands on the
//! public interface of hosts alone; so an embedder can do what it does.
//!
//! ```
//! use osr_engine::{Imports, Instance, Settings, Thread};
//! use osr_wasi::{Context, exit_code};
//!
//! let module = osr_ir::wasm::import_text(r#"(module
//!     (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
//!     (memory (export "memory") 1)
//!     (func (export "_start") (call $exit (i32.const 7))))"#)?;
//! let mut context = Context::new();
//! context.arguments(["program", "--fast"])?;
//! let mut imports = Imports::new();
//! osr_wasi::provide(context.build(), &mut imports);
//! let thread = Thread::new(&Instance::new(Settings::default(), module, &imports)?)?;
//! let ended = thread.invoke("_start", &[]).unwrap_err();
//! assert_eq!(exit_code(&ended), Some(7));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! What it reads and writes can be the embedder's own: streams are files of wasi-common.
//!
//! ```
//! use osr_engine::{Imports, Instance, Settings, Thread};
//! use osr_wasi::Context;
//! use osr_wasi::wasi_common::pipe::{ReadPipe, WritePipe};
//!
//! // Reads up to four bytes, and writes them.
//! let module = osr_ir::wasm::import_text(r#"(module
//!     (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
//!     (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
//!     (memory (export "memory") 1)
//!     (data (i32.const 0) "\10\00\00\00\04\00\00\00")
//!     (func (export "_start")
//!         (drop (call $read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 4)))
//!         (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))))"#)?;
//! let output = WritePipe::new_in_memory();
//! let context = Context::new().build();
//! context.set_stdin(Box::new(ReadPipe::from("echo")));
//! context.set_stdout(Box::new(output.clone()));
//! let mut imports = Imports::new();
//! osr_wasi::provide(context, &mut imports);
//! let thread = Thread::new(&Instance::new(Settings::default(), module, &imports)?)?;
//! thread.invoke("_start", &[])?;
//! // Whoever else has the pipe must be gone.
//! drop((thread, imports));
//! let written = output.try_into_inner().map_err(|_| "the pipe is in use")?;
//! assert_eq!(written.into_inner(), b"echo");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod context;
mod exit;
mod functions;
mod written;

pub use context::{Context, ContextError};
pub use exit::{Exit, exit_code};
pub use functions::provide;
/// For contexts of the embedder's own: [`Context`] makes those that programs on a command line have.
pub use wasi_common;
pub use written::written;

/// The names of the modules that programs import these functions from: preview 1, and what it was called before.
pub const MODULES: [&str; 2] = ["wasi_snapshot_preview1", "wasi_unstable"];
