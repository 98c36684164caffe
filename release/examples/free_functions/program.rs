//! The program: three functions that call one another through cells, each in a module of its own.

use std::cell::Cell;

use cranelift_codegen::ir::{AbiParam, InstBuilder, MemFlagsData, Signature, Value, types};
use cranelift_codegen::isa::CallConv;
use cranelift_codegen::settings::{self, Configurable};
use cranelift_frontend::{FunctionBuilder, FunctionBuilderContext};
use cranelift_jit::{JITBuilder, JITModule};
use cranelift_module::{Linkage, Module, default_libcall_names};
use osr_release::{CodeRange, Strategy};

use crate::stack::{left, pause};

/// ```text
/// even(n) = if n == 0 { pause() } else { odd(n - 1) + half(n) }
/// odd(n)  = even(n - 1) * 1.5
/// half(x) = x * 0.5
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Which {
    Even,
    Odd,
    Half,
}

impl Which {
    pub(crate) const ALL: [Which; 3] = [Which::Even, Which::Odd, Which::Half];

    /// What it is called with.
    fn parameter(self) -> types::Type {
        if self == Which::Half { types::F64 } else { types::I64 }
    }
}

/// The way in: by function, the code that calls enter. One store, and nothing new enters the old code.
#[derive(Debug, Default)]
pub(crate) struct Cells([Cell<u64>; 3]);

impl Cells {
    pub(crate) fn bind(&self, function: &Function) {
        self.0[function.which as usize].set(function.range.start());
    }

    fn address(&self, which: Which) -> u64 {
        self.0[which as usize].as_ptr() as u64
    }

    /// Calls `even`, as compiled code does.
    pub(crate) fn call_even(&self, n: u64) -> f64 {
        let code = std::ptr::with_exposed_provenance::<u8>(self.0[Which::Even as usize].get() as usize);
        // SAFETY: the cell holds the code of the current `even`, which has this signature.
        let even = unsafe { std::mem::transmute::<*const u8, extern "C" fn(u64) -> f64>(code) };
        even(n)
    }
}

/// A compiled function. Dropping it would leak its code: it is [freed](Self::free).
pub(crate) struct Function {
    pub(crate) which: Which,
    pub(crate) generation: u64,
    pub(crate) range: CodeRange,
    /// What its code and the host share: with [`Strategy::Residence`], how many activations it has; with
    /// [`Strategy::Count`], whether their ends are to be told of.
    pub(crate) word: Box<Cell<u64>>,
    module: JITModule,
}

impl Function {
    pub(crate) fn compile(which: Which, generation: u64, strategy: Strategy, cells: &Cells) -> Function {
        let mut flags = settings::builder();
        // The walk goes by these. Where code has none, a `DwarfWalker` walks by unwind tables.
        flags.set("preserve_frame_pointers", "true").expect("a flag");
        let isa = cranelift_native::builder().expect("this machine").finish(settings::Flags::new(flags));
        let module = JITBuilder::with_isa(isa.expect("flags that fit"), default_libcall_names());
        let mut module = JITModule::new(module);
        let mut context = module.make_context();
        context.func.signature.params.push(AbiParam::new(which.parameter()));
        context.func.signature.returns.push(AbiParam::new(types::F64));
        let id = module.declare_function("code", Linkage::Export, &context.func.signature);
        let id = id.expect("declared once");
        let word = Box::new(Cell::new(0));
        let mut shared = FunctionBuilderContext::new();
        let builder = FunctionBuilder::new(&mut context.func, &mut shared);
        let body = Body { builder, cells, word: word.as_ptr() as u64, strategy };
        body.translate(which).finalize(module.target_config());
        module.define_function(id, &mut context).expect("it compiles");
        let bytes = context.compiled_code().expect("compiled").code_buffer().len() as u64;
        module.clear_context(&mut context);
        module.finalize_definitions().expect("memory");
        let range = CodeRange::new(module.get_finalized_function(id).expose_provenance() as u64, bytes);
        Function { which, generation, range, word, module }
    }

    /// # Safety
    /// No frame is in its code, and no cell holds it.
    pub(crate) unsafe fn free(self) {
        // SAFETY: so the caller says.
        unsafe { self.module.free_memory() };
    }
}

/// The body of a function, as it is built.
struct Body<'f> {
    builder: FunctionBuilder<'f>,
    cells: &'f Cells,
    /// The address of the function's word.
    word: u64,
    strategy: Strategy,
}

impl<'f> Body<'f> {
    fn translate(mut self, which: Which) -> FunctionBuilder<'f> {
        let entry = self.builder.create_block();
        self.builder.append_block_params_for_function_params(entry);
        self.builder.switch_to_block(entry);
        let parameter = self.builder.block_params(entry)[0];
        if self.strategy == Strategy::Residence {
            self.count(1);
        }
        match which {
            Which::Even => self.even(parameter),
            Which::Odd => {
                let n = self.less_one(parameter);
                let even = self.call(Which::Even, n);
                let factor = self.builder.ins().f64const(1.5);
                let product = self.builder.ins().fmul(even, factor);
                self.end(product);
            }
            Which::Half => {
                let factor = self.builder.ins().f64const(0.5);
                let product = self.builder.ins().fmul(parameter, factor);
                self.end(product);
            }
        }
        self.builder.seal_all_blocks();
        self.builder
    }

    fn even(&mut self, n: Value) {
        let (more, bottom) = (self.builder.create_block(), self.builder.create_block());
        self.builder.ins().brif(n, more, &[], bottom, &[]);
        self.builder.switch_to_block(bottom);
        let paused = self.call_host(pause as *const () as u64, Some(types::F64));
        self.end(paused.expect("it returns a float"));
        self.builder.switch_to_block(more);
        let next = self.less_one(n);
        let odd = self.call(Which::Odd, next);
        let x = self.builder.ins().fcvt_from_uint(types::F64, n);
        let half = self.call(Which::Half, x);
        let sum = self.builder.ins().fadd(odd, half);
        self.end(sum);
    }

    fn less_one(&mut self, n: Value) -> Value {
        let one = self.builder.ins().iconst(types::I64, 1);
        self.builder.ins().isub(n, one)
    }

    /// Calls what the cell holds now. The load must not be marked as one that always yields the same (`readonly`): then it
    /// might be done once for all calls.
    fn call(&mut self, callee: Which, argument: Value) -> Value {
        let cell = self.builder.ins().iconst(types::I64, self.cells.address(callee) as i64);
        let code = self.builder.ins().load(types::I64, MemFlagsData::trusted(), cell, 0);
        let mut signature = Signature::new(CallConv::SystemV);
        signature.params.push(AbiParam::new(callee.parameter()));
        signature.returns.push(AbiParam::new(types::F64));
        let signature = self.builder.import_signature(signature);
        let call = self.builder.ins().call_indirect(signature, code, &[argument]);
        self.builder.inst_results(call)[0]
    }

    fn call_host(&mut self, address: u64, result: Option<types::Type>) -> Option<Value> {
        let mut signature = Signature::new(CallConv::SystemV);
        signature.returns.extend(result.map(AbiParam::new));
        let signature = self.builder.import_signature(signature);
        let address = self.builder.ins().iconst(types::I64, address as i64);
        let call = self.builder.ins().call_indirect(signature, address, &[]);
        self.builder.inst_results(call).first().copied()
    }

    /// Returns `result`. What is done before is the price of the strategy; most have none.
    fn end(&mut self, result: Value) {
        match self.strategy {
            Strategy::Residence => self.count(-1),
            Strategy::Count => {
                let address = self.builder.ins().iconst(types::I64, self.word as i64);
                let is_retired = self.builder.ins().load(types::I64, MemFlagsData::trusted(), address, 0);
                let (tell, told) = (self.builder.create_block(), self.builder.create_block());
                self.builder.set_cold_block(tell);
                self.builder.ins().brif(is_retired, tell, &[], told, &[]);
                self.builder.switch_to_block(tell);
                self.call_host(left as *const () as u64, None);
                self.builder.ins().jump(told, &[]);
                self.builder.switch_to_block(told);
            }
            Strategy::Scan | Strategy::Barrier | Strategy::Epoch => {}
        }
        self.builder.ins().return_(&[result]);
    }

    /// Adds `difference` to the word.
    fn count(&mut self, difference: i64) {
        let address = self.builder.ins().iconst(types::I64, self.word as i64);
        let count = self.builder.ins().load(types::I64, MemFlagsData::trusted(), address, 0);
        let difference = self.builder.ins().iconst(types::I64, difference);
        let count = self.builder.ins().iadd(count, difference);
        self.builder.ins().store(MemFlagsData::trusted(), count, address, 0);
    }
}
