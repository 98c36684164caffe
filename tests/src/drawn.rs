//! What is drawn at random for a module, besides its settings: guards in the place of branches, the frame states that these lead
//! to, and redefinitions.

use fastrand::Rng;
use osr_ir::{
    Alternative, BasicBlock, Block, Body, Expression, Function, FunctionIndex, FunctionKind, Instruction,
    Liveness, Module, OldActivations, Points, ResumedFrame, Step, StepAction, Terminator, Type,
};

use crate::variant::{change_all, with_variants};

/// `module`, in which some branches are guards. It does the same: a guard that fails is a branch.
///
/// # Panics
/// If the module is not valid.
pub fn with_guards(mut module: Module, random: &mut Rng) -> Module {
    for function in &mut module.functions {
        let FunctionKind::Defined(body) = &mut function.kind else { continue };
        for block in &mut body.blocks {
            if let Terminator::Branch { condition, if_true, if_false } = block.terminator
                && random.u8(0..4) == 0
            {
                block.terminator = Terminator::Guard { condition, next: if_true, exit: if_false };
            }
        }
    }
    osr_ir::verifier::verify(&module).expect("guards are branches");
    module
}

/// `module`, in which guards lead to frame states: of another body of the function, as it was before, at the point where the
/// guard exits. It does the same.
///
/// # Panics
/// If the module is not valid.
pub fn with_frame_states(mut module: Module) -> Module {
    for of in module.function_indices().collect::<Vec<_>>() {
        let Some(body) = module.function(of).body() else { continue };
        let is_guard = |block: &BasicBlock| matches!(block.terminator, Terminator::Guard { .. });
        let has_guards = body.blocks.iter().any(is_guard);
        if !has_guards || body.registers.contains(&Type::V128) || module.has_alternatives(of) {
            continue;
        }
        let (before, alternative) = (body.clone(), FunctionIndex::new(module.functions.len()));
        let Function { name, signature, .. } = module.function(of).clone();
        module.functions[of.index()].kind = FunctionKind::Defined(stated(&before, alternative).into());
        let kind = FunctionKind::Defined(before.into());
        module.functions.push(Function { name: format!("{name} (unstated)"), signature, kind });
        module.alternatives.push(Alternative { body: alternative, of });
    }
    osr_ir::verifier::verify(&module).expect("the states are those of the guards");
    module
}

/// `body`, whose guards exit to blocks that continue in the body `other`, which is the same as it was.
fn stated(body: &Body, other: FunctionIndex) -> Body {
    let points = Points::of(body);
    let liveness = Liveness::of(body, &points);
    let mut stated = body.clone();
    for block in 0..body.blocks.len() {
        let next = Block::new(stated.blocks.len());
        let Terminator::Guard { exit, .. } = &mut stated.blocks[block].terminator else { continue };
        let point = points.guard(std::mem::replace(exit, next)).expect("guards exit to points");
        let live = liveness.at(point).iter();
        let values = live.map(|&register| (register, Expression::register(register))).collect();
        let terminator = Terminator::Deoptimize { frames: vec![ResumedFrame { body: other, point, values }] };
        stated.blocks.push(BasicBlock { instructions: vec![Instruction::Interpret], terminator });
    }
    stated
}

/// `module`, whose functions have variants, with a script that redefines them a few times: to the variants, and back.
///
/// # Panics
/// If the module is not valid.
pub fn with_redefinitions(module: Module, random: &mut Rng) -> Module {
    let mut module = with_variants(module);
    let mut call = 0;
    for number in 0..random.u64(1..8) {
        call += random.u64(1..20);
        let activations = OldActivations::ALL[random.usize(0..OldActivations::ALL.len())];
        let redefinition = change_all(&module, number % 2 == 0, activations);
        module.script.push(Step { call, action: StepAction::Redefine(redefinition) });
    }
    module
}
