//! Smaller programs: fewer functions, blocks, instructions, and less around them.

use osr_ir::{Body, Module, Terminator};

use super::Shrinker;
use super::edit;

impl Shrinker<'_> {
    /// Makes the module smaller, from the large to the small.
    pub(super) fn smaller_program(&mut self) {
        self.fewer_exports();
        self.fewer_redefinitions();
        self.fewer_bodies();
        self.attempt_module(edit::drop_functions);
        for function in 0..self.best.module.functions.len() {
            if self.best.module.functions[function].is_defined() {
                self.smaller_body(function);
            }
        }
        self.attempt_module(edit::drop_functions);
        self.less_state();
    }

    fn fewer_exports(&mut self) {
        let all = self.best.module.exports.clone();
        self.leave_out(all.len(), |shrinker, kept| {
            let exports = kept.iter().map(|&n| all[n].clone()).collect();
            shrinker.attempt_module(|module| module.exports = exports)
        });
        self.attempt_module(|module| module.start = None);
    }

    /// Fewer steps of the script, and fewer maps and bodies for them.
    fn fewer_redefinitions(&mut self) {
        let all = self.best.module.script.clone();
        self.leave_out(all.len(), |shrinker, kept| {
            let script = kept.iter().map(|&n| all[n].clone()).collect();
            shrinker.attempt_module(|module| module.script = script)
        });
        let all = self.best.module.state_maps.clone();
        self.leave_out(all.len(), |shrinker, kept| {
            let state_maps = kept.iter().map(|&n| all[n].clone()).collect();
            shrinker.attempt_module(|module| module.state_maps = state_maps)
        });
        for map in 0..self.best.module.state_maps.len() {
            let all = self.best.module.state_maps[map].entries.clone();
            self.leave_out(all.len(), |shrinker, kept| {
                let entries = kept.iter().map(|&n| all[n].clone()).collect();
                shrinker.attempt_module(|module| module.state_maps[map].entries = entries)
            });
        }
        let all = self.best.module.alternatives.clone();
        self.leave_out(all.len(), |shrinker, kept| {
            let alternatives = kept.iter().map(|&n| all[n]).collect();
            shrinker.attempt_module(|module| module.alternatives = alternatives)
        });
    }

    /// Functions that only return zeros.
    fn fewer_bodies(&mut self) {
        let all = self.best.module.functions.clone();
        self.leave_out(all.len(), |shrinker, kept| {
            shrinker.attempt_module(|module| {
                let mut kept = kept.iter().peekable();
                for number in 0..all.len() {
                    let signature = module.signatures[module.functions[number].signature.index()].clone();
                    let is_kept = kept.next_if_eq(&&number).is_some();
                    if let Some(body) = edit::body_mut(&mut module.functions[number]).filter(|_| !is_kept) {
                        *body = edit::trivial_body(&signature);
                    }
                }
            })
        });
    }

    fn smaller_body(&mut self, function: usize) {
        self.simpler_terminators(function);
        self.attempt_body(function, edit::tidy_blocks);
        for edit in [edit::keep_instructions, edit::zero_instructions, edit::keep_instructions] {
            let original = self.body(function).clone();
            let count = original.blocks.iter().map(|block| block.instructions.len()).sum();
            self.leave_out(count, |shrinker, kept| {
                let mut edited = original.clone();
                edit(&mut edited, kept);
                // What is left out may have been a zero before.
                edited == *shrinker.body(function) || shrinker.attempt_body(function, |body| *body = edited)
            });
        }
        let parameters = self.best.module.signature_of(osr_ir::FunctionIndex::new(function)).parameters.len();
        self.attempt_body(function, |body| edit::drop_registers(body, parameters));
    }

    fn body(&self, function: usize) -> &Body {
        self.best.module.functions[function].body().expect("it is defined")
    }

    fn attempt_body(&mut self, function: usize, edit: impl FnOnce(&mut Body)) -> bool {
        self.attempt_module(|module| {
            edit(edit::body_mut(&mut module.functions[function]).expect("it is defined"));
        })
    }

    fn simpler_terminators(&mut self, function: usize) {
        let signature = self.best.module.signature_of(osr_ir::FunctionIndex::new(function)).clone();
        let mut block = 0;
        while block < self.body(function).blocks.len() {
            let terminator = &self.body(function).blocks[block].terminator;
            // Nothing is simpler than trapping: returning zeros in its place would never end.
            let ends = matches!(terminator, Terminator::Return { .. } | Terminator::Unreachable);
            let simpler = edit::simpler_terminators(terminator);
            let done = !ends
                && self.attempt_body(function, |body| {
                    edit::return_zeros(body, block, &signature);
                    edit::tidy_blocks(body);
                });
            let _ = done
                || simpler.into_iter().any(|terminator| {
                    self.attempt_body(function, |body| {
                        body.blocks[block].terminator = terminator;
                        edit::tidy_blocks(body);
                    })
                });
            block += 1;
        }
    }

    /// Less memory, tables, globals, segments.
    fn less_state(&mut self) {
        let edits: [fn(&mut Module); 4] = [
            |module| module.data.clear(),
            |module| module.elements.clear(),
            |module| module.memories.clear(),
            |module| module.tables.clear(),
        ];
        for edit in edits {
            self.attempt_module(edit);
        }
        for segment in 0..self.best.module.data.len() {
            self.attempt_module(|module| module.data[segment].bytes.clear());
        }
        for segment in 0..self.best.module.elements.len() {
            self.attempt_module(|module| module.elements[segment].items.clear());
        }
        while self.attempt_module(|module| drop(module.globals.pop())) {}
    }
}
