//! A module as an instance executes it: with the numbers that linking gave to its functions and signatures.

use std::ops::Range;

use osr_ir::module::GlobalInitial;
use osr_ir::{Body, FunctionIndex, GlobalIndex, Module, SignatureIndex, WordLayout};

use crate::calling_convention::CallLayout;

/// The immutable part of an instance.
#[derive(Debug)]
pub struct LinkedModule {
    module: Module,
    /// The number of the first function in the store.
    first_number: u32,
    /// Per signature of the module, its number in the store.
    signature_numbers: Box<[u32]>,
    /// Per function, the reference to it.
    references: Box<[u64]>,
    layouts: Box<[CallLayout]>,
    globals: WordLayout,
}

impl LinkedModule {
    /// `module`, whose functions have numbers from `first_number` on in their store. Per signature its number in the
    /// store, per function the word that refers to it.
    pub fn new(
        module: Module,
        first_number: u32,
        signature_numbers: Box<[u32]>,
        references: Box<[u64]>,
    ) -> LinkedModule {
        let layouts = module.signatures.iter().map(CallLayout::of).collect();
        let globals = WordLayout::of(module.globals.iter().map(|global| global.ty));
        LinkedModule { globals, module, first_number, signature_numbers, references, layouts }
    }

    /// The module.
    #[inline(always)]
    pub fn module(&self) -> &Module {
        &self.module
    }

    /// The body of a defined function.
    ///
    /// # Panics
    /// If the function is imported.
    #[inline(always)]
    pub fn body(&self, function: FunctionIndex) -> &Body {
        self.module.function(function).body().expect("a defined function")
    }

    /// The numbers of the functions in the store, and of bodies that are added later.
    pub fn numbers(&self) -> Range<u32> {
        self.first_number..self.first_number + self.module.body_count() as u32
    }

    /// The number of `function` in the store.
    #[inline(always)]
    pub fn number(&self, function: FunctionIndex) -> u32 {
        self.first_number + function.as_u32()
    }

    /// The function that has that number in the store, if it is one of this module.
    #[inline(always)]
    pub fn own_function(&self, number: u32) -> Option<FunctionIndex> {
        let index = number.wrapping_sub(self.first_number) as usize;
        (index < self.module.body_count()).then(|| FunctionIndex::new(index))
    }

    /// The number of `signature` in the store.
    #[inline(always)]
    pub fn signature_number(&self, signature: SignatureIndex) -> u32 {
        self.signature_numbers[signature.index()]
    }

    /// Per signature of the module, its number in the store.
    pub fn signature_numbers(&self) -> &[u32] {
        &self.signature_numbers
    }

    /// The word that refers to `function`.
    #[inline(always)]
    pub fn reference(&self, function: FunctionIndex) -> u64 {
        self.references[function.index()]
    }

    /// How calls of a signature use the machine.
    #[inline(always)]
    pub fn layout(&self, signature: SignatureIndex) -> &CallLayout {
        &self.layouts[signature.index()]
    }

    /// How calls of a function use the machine.
    #[inline(always)]
    pub fn layout_of(&self, function: FunctionIndex) -> &CallLayout {
        self.layout(self.module.function(function).signature)
    }

    /// The number of the first word of `global` among those of all globals.
    #[inline(always)]
    pub fn global_word(&self, global: GlobalIndex) -> usize {
        self.globals.first(global.index())
    }

    /// Whether the word of a global belongs to the instance that it is imported from: then the instance's own word is
    /// the address of that one, which others follow if there are more.
    pub fn is_elsewhere(&self, global: GlobalIndex) -> bool {
        is_elsewhere(&self.module, global)
    }
}

/// As [`LinkedModule::is_elsewhere`], while `module` is being linked.
pub fn is_elsewhere(module: &Module, global: GlobalIndex) -> bool {
    let global = &module.globals[global.index()];
    global.mutable && matches!(global.initial, GlobalInitial::Import(_))
}
