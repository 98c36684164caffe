//! Variants: modules whose functions have a second body, which does the same with other registers, blocks and points.

use osr_ir::{
    Addition, Alternative, BasicBlock, Body, Change, Function, FunctionIndex, FunctionKind, Instruction,
    Module, OldActivations, Redefinition, Register, Terminator, Type, Value,
};

/// `module`, with an alternative for each function that it defines.
///
/// # Panics
/// If the module is not valid.
pub fn with_variants(mut module: Module) -> Module {
    let defined: Vec<FunctionIndex> =
        module.function_indices().filter(|&function| module.function(function).is_defined()).collect();
    for of in defined {
        let Function { name, signature, .. } = module.function(of).clone();
        let body = variant_of(&module, of);
        let alternative = FunctionIndex::new(module.functions.len());
        let kind = FunctionKind::Defined(body.into());
        module.functions.push(Function { name: format!("{name} (variant)"), signature, kind });
        module.alternatives.push(Alternative { body: alternative, of });
    }
    osr_ir::verifier::verify(&module).expect("a variant of a valid module is valid");
    module
}

fn variant_of(module: &Module, of: FunctionIndex) -> Body {
    let parameters = module.signature_of(of).parameters.len();
    variant(module.function(of).body().expect("it is defined").clone(), parameters)
}

/// A variant for each function that `module` defines, to be added to it, and all of them changed to that.
pub fn added_variants(module: &Module, round: usize, activations: OldActivations) -> Addition {
    let mut addition = Addition::to(module);
    let mut changes = Vec::new();
    for function in module.function_indices().filter(|&function| module.function(function).is_defined()) {
        let name = format!("{} (variant {round})", module.function(function).name);
        let body = addition.body(module, &name, function, variant_of(module, function));
        changes.push(Change { function, body });
    }
    addition.set_redefinition(Redefinition { changes, activations });
    addition
}

/// All functions of `module` that have a variant, changed to it, or back to their own bodies.
pub fn change_all(module: &Module, to_variants: bool, activations: OldActivations) -> Redefinition {
    let change = |alternative: &Alternative| Change {
        function: alternative.of,
        body: if to_variants { alternative.body } else { alternative.of },
    };
    Redefinition { changes: module.alternatives.iter().map(change).collect(), activations }
}

/// A body that does what `body` does, whose first registers are the `parameters`: the others are in reverse order, blocks
/// are split, and it begins with an instruction whose result nothing reads.
pub fn variant(mut body: Body, parameters: usize) -> Body {
    let count = body.registers.len();
    let renamed = |register: Register| match register.index() {
        index if index < parameters => register,
        index => Register::new(parameters + count - 1 - index),
    };
    body.rename_registers(renamed);
    body.registers[parameters..].reverse();
    let dead = Register::new(count);
    body.registers.push(Type::I32);
    body.blocks[Body::ENTRY].instructions.insert(0, Instruction::Const { dst: dead, value: Value::I32(7) });
    for block in 0..body.blocks.len() {
        let length = body.blocks[block].instructions.len();
        if length < 2 {
            continue;
        }
        let instructions = body.blocks[block].instructions.split_off(length / 2);
        let jump = Terminator::Jump { target: osr_ir::Block::new(body.blocks.len()) };
        let terminator = std::mem::replace(&mut body.blocks[block].terminator, jump);
        body.blocks.push(BasicBlock { instructions, terminator });
    }
    body
}
