//! WASI for one program.

use std::path::Path;

use osr_ir::Module;
use osr_wasi::wasi_common::WasiCtx;
use osr_wasi::{Context, ContextError, MODULES};

use super::Output;
use crate::cli::{Directory, HostOptions, Variable};
use crate::error::Error;

/// What a program is given by WASI.
#[derive(Clone, Debug)]
pub(crate) struct Wasi {
    /// What it is called.
    name: String,
    /// Its arguments.
    pub(super) arguments: Vec<String>,
    directories: Vec<Directory>,
    variables: Vec<Variable>,
}

/// Whether `module` imports from WASI.
pub(crate) fn is_imported(module: &Module) -> bool {
    module.imports().any(|(name, _)| MODULES.contains(&&*name.module))
}

impl Wasi {
    /// What `options` give to the program at `path`; no arguments.
    pub(super) fn of(options: &HostOptions, path: &Path) -> Wasi {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        // As in a shell, the last value of a variable counts.
        let last = |(position, variable): &(usize, &Variable)| {
            !options.env[position + 1..].iter().any(|later| later.name == variable.name)
        };
        let variables = options.env.iter().enumerate().filter(last).map(|(_, variable)| variable.clone());
        let (directories, variables) = (options.dir.clone(), variables.collect());
        Wasi { name, arguments: Vec::new(), directories, variables }
    }

    /// A context for one run.
    pub(super) fn context(&self, output: Output) -> Result<WasiCtx, Error> {
        self.fill(output).map_err(Error::Wasi)
    }

    fn fill(&self, output: Output) -> Result<WasiCtx, ContextError> {
        let mut context = Context::new();
        context.arguments([&self.name])?.arguments(&self.arguments)?;
        for Variable { name, value } in &self.variables {
            context.variable(name, value)?;
        }
        for Directory { host, guest } in &self.directories {
            context.directory(host, guest)?;
        }
        context.inherit_input();
        if output == Output::Shown {
            context.inherit_outputs();
        }
        Ok(context.build())
    }
}
