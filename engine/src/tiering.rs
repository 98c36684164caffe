//! Tiering: when the interpreter hands over to compiled code.

use std::sync::atomic::Ordering;

use osr_ir::{FunctionIndex, Point};

use crate::compiler::{CompileError, EntryPoint};
use crate::settings::Tier;
use crate::thread::Thread;

/// A function is entered in the interpreter often enough. Gives its compiled code, if it is to be
/// entered.
#[cold]
pub(crate) fn entry(thread: &Thread, function: FunctionIndex) -> Option<*const u8> {
    let state = thread.instance().function(function);
    let compiled = state.compiled.load(Ordering::Acquire);
    let code = if compiled.is_null() { compile_function(thread, function)? } else { compiled.cast_const() };
    thread.count(|transitions| transitions.tier_up += 1);
    Some(code)
}

/// A loop header is reached in the interpreter often enough. Gives the continuation to enter.
#[cold]
pub(crate) fn loop_header(thread: &Thread, function: FunctionIndex, point: Point) -> Option<*const u8> {
    let state = thread.instance().function(function);
    let code = match state.continuation(point) {
        Some(code) => code,
        None => compile_continuation(thread, function, point)?,
    };
    thread.count(|transitions| transitions.tier_up += 1);
    Some(code)
}

fn compile_function(thread: &Thread, function: FunctionIndex) -> Option<*const u8> {
    let code = compile(thread, function, EntryPoint::Function)?;
    let state = thread.instance().function(function);
    state.compiled.store(code.cast_mut(), Ordering::Release);
    thread.instance().cells()[function.index()].store(code.cast_mut(), Ordering::Release);
    Some(code)
}

fn compile_continuation(thread: &Thread, function: FunctionIndex, point: Point) -> Option<*const u8> {
    let code = compile(thread, function, EntryPoint::Continuation(point))?;
    thread.instance().function(function).add_continuation(point, code);
    Some(code)
}

fn compile(thread: &Thread, function: FunctionIndex, entry: EntryPoint) -> Option<*const u8> {
    let instance = thread.instance();
    let state = instance.function(function);
    if instance.settings().tier == Tier::Interpreter || state.never_compile.load(Ordering::Relaxed) {
        // Do not ask again at once.
        state.counter.store(0, Ordering::Relaxed);
        return None;
    }
    match instance.registry().compile(instance, function, entry) {
        Ok(version) => {
            instance.observe_compiled(version);
            Some(version.start as *const u8)
        }
        Err(CompileError::NoCodeMemory) => None,
        Err(error) => {
            tracing::warn!(function = %instance.module().function(function).name, %error, "stays interpreted");
            state.never_compile.store(true, Ordering::Relaxed);
            None
        }
    }
}
