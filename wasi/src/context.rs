//! What a program on a command line is given: arguments, environment, streams, directories.

use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;
use wasi_common::sync::{Dir, WasiCtxBuilder, ambient_authority};
use wasi_common::{StringArrayError, WasiCtx};

/// What a program is given. Without more it has no arguments, environment or directories, reads nothing, and
/// what it writes is dropped; clocks and randomness are the system's.
pub struct Context(WasiCtxBuilder);

/// Something cannot be given to a program.
#[derive(Debug, Error)]
pub enum ContextError {
    /// A directory cannot be opened.
    #[error("cannot open the directory {}: {source}", path.display())]
    Directory {
        /// Its path.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Arguments or environment are larger than the guest can address.
    #[error("arguments or environment do not fit: {0}")]
    TooLarge(#[from] StringArrayError),
    /// A string contains what ends strings in the guest.
    #[error("`{}` contains a zero byte", .0.escape_debug())]
    ZeroByte(String),
}

impl std::fmt::Debug for Context {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Context").finish_non_exhaustive()
    }
}

impl Default for Context {
    fn default() -> Context {
        Context::new()
    }
}

impl Context {
    /// Gives nothing.
    pub fn new() -> Context {
        Context(WasiCtxBuilder::new())
    }

    /// Adds arguments. The first one of all is the program's name.
    ///
    /// # Errors
    /// If one contains a zero byte, or they are too large together.
    pub fn arguments<S: AsRef<str>>(
        &mut self,
        arguments: impl IntoIterator<Item = S>,
    ) -> Result<&mut Context, ContextError> {
        for argument in arguments {
            self.0.arg(checked(argument.as_ref())?)?;
        }
        Ok(self)
    }

    /// Adds a variable to the environment.
    ///
    /// # Errors
    /// If name or value contain a zero byte, or the environment becomes too large.
    pub fn variable(&mut self, name: &str, value: &str) -> Result<&mut Context, ContextError> {
        self.0.env(checked(name)?, checked(value)?)?;
        Ok(self)
    }

    /// Lets the program reach everything in the directory `host`, to read and to write, as `guest`.
    ///
    /// # Errors
    /// If it cannot be opened.
    pub fn directory(&mut self, host: &Path, guest: &str) -> Result<&mut Context, ContextError> {
        let failed = |source| ContextError::Directory { path: host.to_owned(), source };
        let directory = Dir::open_ambient_dir(host, ambient_authority()).map_err(failed)?;
        let opened = self.0.preopened_dir(directory, checked(guest)?);
        opened.map_err(|error| failed(io::Error::other(error.to_string())))?;
        Ok(self)
    }

    /// The program reads the process's standard input.
    pub fn inherit_input(&mut self) -> &mut Context {
        self.0.inherit_stdin();
        self
    }

    /// The program writes to the process's standard output and error.
    pub fn inherit_outputs(&mut self) -> &mut Context {
        self.0.inherit_stdout().inherit_stderr();
        self
    }

    /// The context, for [`provide`](crate::provide).
    pub fn build(mut self) -> WasiCtx {
        self.0.build()
    }
}

fn checked(text: &str) -> Result<&str, ContextError> {
    if text.contains('\0') { Err(ContextError::ZeroByte(text.to_owned())) } else { Ok(text) }
}
