//! What is drawn at random for a module, besides its settings: guards in the place of branches, and redefinitions.

use fastrand::Rng;
use osr_ir::{FunctionKind, Module, OldActivations, Step, StepAction, Terminator};

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
