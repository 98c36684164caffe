//! Memories, tables, tags and globals that are imported become the module's own. A program runs alone: what it imports
//! of these nobody else has, so that it makes no difference who made it.

use osr_ir::module::{GlobalInitial, PAGE_BYTES};
use osr_ir::{ConstantExpression, Module, Type, Value};

use crate::cli::Variable;
use crate::error::Error;
use crate::number::read_global;

/// Makes imported memories, tables and tags the module's own; the first two of the least size that it asks for. A tag that is
/// imported under two names stays one that is imported: it is one.
pub(crate) fn adopt_all_but_globals(module: &mut Module) {
    for memory in &mut module.memories {
        memory.import = None;
    }
    for table in &mut module.tables {
        table.import = None;
    }
    let names: Vec<_> = module.tags.iter().map(|tag| tag.import.clone()).collect();
    for tag in &mut module.tags {
        if names.iter().filter(|name| **name == tag.import).count() == 1 {
            tag.import = None;
        }
    }
}

/// Makes imported globals the module's own: those that are `given`, and, if `all` are to be, the others, too.
pub(crate) fn adopt_globals(module: &mut Module, given: &[Variable], all: bool) -> Result<(), Error> {
    let mut used = vec![false; given.len()];
    let end = module.memories.first().map_or(0, |memory| u64::from(memory.minimum) * PAGE_BYTES);
    for global in &mut module.globals {
        let GlobalInitial::Import(name) = &global.initial else { continue };
        let is_it = |variable: &Variable| {
            variable.name.strip_prefix(&name.module).and_then(|rest| rest.strip_prefix('.'))
                == Some(&name.name)
        };
        let value = match given.iter().position(is_it) {
            Some(position) => {
                used[position] = true;
                read_global(&given[position], global.ty)?
            }
            None if !all => continue,
            // It grows towards lower addresses. Half a page is left for what is above a stack pointer.
            None if name.name == "__stack_pointer" && global.ty == Type::I32 => {
                Value::I32(end.saturating_sub(PAGE_BYTES / 2) as i32)
            }
            None => Value::zero(global.ty),
        };
        global.initial = GlobalInitial::Expression(ConstantExpression::Value(value));
    }
    match used.iter().position(|used| !used) {
        Some(position) => Err(Error::NoSuchGlobal { name: given[position].name.clone() }),
        None => Ok(()),
    }
}
