//! Edits of modules: each makes one smaller, whatever it computes then.

use osr_ir::module::GlobalInitial;
use osr_ir::{
    Alternative, BasicBlock, Block, Body, Change, ConstantExpression, ExportItem, Function, FunctionIndex,
    FunctionKind, Instruction, Module, Register, Signature, StateMap, StepAction, Terminator, Value, point,
};

/// The body of `function`, if it is defined.
pub(super) fn body_mut(function: &mut Function) -> Option<&mut Body> {
    match &mut function.kind {
        FunctionKind::Defined(body) => Some(body),
        FunctionKind::Import(_) => None,
    }
}

/// A body that returns zeros.
pub(super) fn trivial_body(signature: &Signature) -> Body {
    let parameters = signature.parameters.len();
    let registers = [&signature.parameters[..], &signature.results].concat();
    let values: Vec<Register> = (parameters..registers.len()).map(Register::new).collect();
    let zero = |dst: &Register| Instruction::Const { dst: *dst, value: Value::zero(registers[dst.index()]) };
    let instructions = values.iter().map(zero).collect();
    let blocks = vec![BasicBlock { instructions, terminator: Terminator::Return { values } }];
    Body { registers, blocks }
}

/// What may take the place of a terminator: going to one of its successors only, returning zeros, trapping.
pub(super) fn simpler_terminators(terminator: &Terminator) -> Vec<Terminator> {
    let mut successors = Vec::new();
    terminator.each_successor(|target| successors.push(target));
    successors.dedup();
    let jumps = successors.into_iter().map(|target| Terminator::Jump { target });
    let all = std::iter::once(Terminator::Unreachable).chain(jumps);
    all.filter(|simpler| simpler != terminator).collect()
}

/// Ends `block` by returning zeros.
pub(super) fn return_zeros(body: &mut Body, block: usize, signature: &Signature) {
    let values: Vec<Register> = signature
        .results
        .iter()
        .map(|&ty| {
            body.registers.push(ty);
            let dst = Register::new(body.registers.len() - 1);
            let zero = Instruction::Const { dst, value: Value::zero(ty) };
            body.blocks[block].instructions.push(zero);
            dst
        })
        .collect();
    body.blocks[block].terminator = Terminator::Return { values };
}

/// Of all instructions, keeps those whose numbers are in `kept` (ascending).
pub(super) fn keep_instructions(body: &mut Body, kept: &[usize]) {
    let (mut number, mut kept) = (0, kept.iter().peekable());
    for block in &mut body.blocks {
        block.instructions.retain(|_| {
            let keep = kept.next_if_eq(&&number).is_some();
            number += 1;
            keep
        });
    }
}

/// Of all instructions, those whose numbers are not in `kept` (ascending) become zeros in the registers that
/// they define.
pub(super) fn zero_instructions(body: &mut Body, kept: &[usize]) {
    let Body { registers, blocks } = body;
    let (mut number, mut kept) = (0, kept.iter().peekable());
    for block in blocks {
        let instructions = std::mem::take(&mut block.instructions);
        for instruction in instructions {
            if kept.next_if_eq(&&number).is_some() {
                block.instructions.push(instruction);
            } else {
                let zero =
                    |&dst: &Register| Instruction::Const { dst, value: Value::zero(registers[dst.index()]) };
                block.instructions.extend(instruction.definitions().iter().map(zero));
            }
            number += 1;
        }
    }
}

/// Merges each block into the one that jumps to it, if that is the only way there, and drops blocks that
/// nothing goes to.
pub(super) fn tidy_blocks(body: &mut Body) {
    while let Some((from, to)) = chain(body) {
        let BasicBlock { instructions, terminator } = body.blocks[to].clone();
        body.blocks[from].instructions.extend(instructions);
        body.blocks[from].terminator = terminator;
        drop_unreachable(body);
    }
    drop_unreachable(body);
}

/// A block that jumps to one that has no other predecessor.
fn chain(body: &Body) -> Option<(usize, usize)> {
    let mut predecessors = vec![0; body.blocks.len()];
    for block in &body.blocks {
        block.terminator.each_successor(|target| predecessors[target.index()] += 1);
    }
    body.blocks.iter().enumerate().find_map(|(from, block)| match block.terminator {
        Terminator::Jump { target } if predecessors[target.index()] == 1 && target.index() != from => {
            Some((from, target.index()))
        }
        _ => None,
    })
}

fn drop_unreachable(body: &mut Body) {
    let mut reached = point::reverse_postorder(body);
    reached.sort();
    let new = |block: &mut Block| *block = Block::new(reached.binary_search(block).expect("it is reached"));
    let mut blocks: Vec<BasicBlock> = reached.iter().map(|block| body.block(*block).clone()).collect();
    for block in &mut blocks {
        match &mut block.terminator {
            Terminator::Jump { target } => new(target),
            Terminator::Branch { if_true, if_false, .. } => {
                new(if_true);
                new(if_false);
            }
            Terminator::Guard { next, exit, .. } => {
                new(next);
                new(exit);
            }
            Terminator::Switch { targets, default, .. } => {
                targets.iter_mut().for_each(new);
                new(default);
            }
            Terminator::Return { .. }
            | Terminator::Unreachable
            | Terminator::TailCall { .. }
            | Terminator::TailCallIndirect { .. }
            | Terminator::Deoptimize { .. } => {}
        }
    }
    body.blocks = blocks;
}

/// Drops the last registers, as long as nothing names them.
pub(super) fn drop_registers(body: &mut Body, parameters: usize) {
    let mut used = parameters;
    let mut note = |register: Register| used = used.max(register.index() + 1);
    for block in &body.blocks {
        for instruction in &block.instructions {
            instruction.each_use(&mut note);
            instruction.definitions().iter().for_each(|&register| note(register));
        }
        block.terminator.each_use(&mut note);
    }
    body.registers.truncate(used);
}

/// Drops functions that nothing names.
pub(super) fn drop_functions(module: &mut Module) {
    let mut used = vec![false; module.functions.len()];
    each_function_mut(module, &mut |function| used[function.index()] = true);
    let kept: Vec<usize> = (0..used.len()).filter(|&function| used[function]).collect();
    let mut functions = std::mem::take(&mut module.functions).into_iter().enumerate();
    module.functions = functions.by_ref().filter(|(n, _)| used[*n]).map(|(_, function)| function).collect();
    let new = |function: &mut FunctionIndex| {
        *function = FunctionIndex::new(kept.binary_search(&function.index()).expect("it is used"));
    };
    each_function_mut(module, &mut { new });
}

/// Calls `visit` for each place that names a function.
fn each_function_mut(module: &mut Module, visit: &mut impl FnMut(&mut FunctionIndex)) {
    for export in &mut module.exports {
        if let ExportItem::Function(function) = &mut export.item {
            visit(function);
        }
    }
    module.start.iter_mut().for_each(&mut *visit);
    let globals = module.globals.iter_mut().filter_map(|global| match &mut global.initial {
        GlobalInitial::Expression(expression) => Some(expression),
        GlobalInitial::Import(_) => None,
    });
    let items = module.elements.iter_mut().flat_map(|segment| &mut segment.items);
    for expression in globals.chain(items) {
        if let ConstantExpression::Function(function) = expression {
            visit(function);
        }
    }
    for block in module.functions.iter_mut().filter_map(body_mut).flat_map(|body| &mut body.blocks) {
        for instruction in &mut block.instructions {
            if let Instruction::Call { function, .. } | Instruction::RefFunc { function, .. } = instruction {
                visit(function);
            }
        }
        match &mut block.terminator {
            Terminator::TailCall { function, .. } => visit(function),
            Terminator::Deoptimize { frames } => frames.iter_mut().for_each(|frame| visit(&mut frame.body)),
            _ => {}
        }
    }
    for Alternative { body, of } in &mut module.alternatives {
        [body, of].into_iter().for_each(&mut *visit);
    }
    for StateMap { from, to, .. } in &mut module.state_maps {
        [from, to].into_iter().for_each(&mut *visit);
    }
    for step in &mut module.script {
        if let StepAction::InvalidateFunctions(functions) = &mut step.action {
            functions.iter_mut().for_each(&mut *visit);
        }
        if let StepAction::Redefine(redefinition) = &mut step.action {
            for Change { function, body } in &mut redefinition.changes {
                [function, body].into_iter().for_each(&mut *visit);
            }
        }
    }
}
