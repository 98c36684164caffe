//! Memories, tables and globals that are imported become the module's own. A program runs alone: what it imports
//! of these nobody else has, so that it makes no difference who made it.

use osr_ir::module::GlobalInitial;
use osr_ir::{ConstantExpression, Module, Value};

/// Makes imported memories and tables the module's own: of the least size that it asks for.
pub(crate) fn adopt_memories_and_tables(module: &mut Module) {
    if let Some(memory) = &mut module.memory {
        memory.import = None;
    }
    for table in &mut module.tables {
        table.import = None;
    }
}

/// Makes imported globals the module's own: zero.
pub(crate) fn adopt_globals(module: &mut Module) {
    for global in &mut module.globals {
        if let GlobalInitial::Import(_) = global.initial {
            global.initial = GlobalInitial::Expression(ConstantExpression::Value(Value::zero(global.ty)));
        }
    }
}
