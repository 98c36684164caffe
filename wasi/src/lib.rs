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
