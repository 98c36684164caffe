//! Reading a script.

use std::fmt;

use osr_ir::wasm::{self, ImportError};
use osr_ir::{TrapKind, Type, Value};
use wast::core::{AbstractHeapType, HeapType, NanPattern, V128Pattern, WastArgCore, WastRetCore};
use wast::lexer::Lexer;
use wast::parser::{self, ParseBuffer};
use wast::token::Id;
use wast::{QuoteWat, Wast, WastArg, WastDirective, WastExecute, WastInvoke, WastRet, Wat};

use super::{Deed, Directive, Missing, Parsed, Pattern, Refusal, Script, Step};

/// A text is not a script.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseError {
    /// Line, from 1.
    pub line: usize,
    /// Column, from 1, in bytes.
    pub column: usize,
    /// What is wrong.
    pub message: String,
}

impl fmt::Display for ParseError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}: {}", self.line, self.column, self.message)
    }
}

impl std::error::Error for ParseError {}

impl Script {
    /// Reads `text`.
    ///
    /// # Errors
    /// If it is not a script. Modules in it that are malformed are no error here: a step may say that they are.
    pub fn parse(text: &str) -> Result<Script, ParseError> {
        let mut lexer = Lexer::new(text);
        lexer.allow_confusing_unicode(true);
        let describe = |error: wast::Error| {
            let (line, column) = error.span().linecol_in(text);
            ParseError { line: line + 1, column: column + 1, message: error.message() }
        };
        let buffer = ParseBuffer::new_with_lexer(lexer).map_err(describe)?;
        let script: Wast<'_> = parser::parse(&buffer).map_err(describe)?;
        let step = |directive: WastDirective<'_>| Step {
            line: directive.span().linecol_in(text).0 + 1,
            directive: convert(directive),
        };
        Ok(Script { steps: script.directives.into_iter().map(step).collect() })
    }
}

fn convert(directive: WastDirective<'_>) -> Directive {
    use WastDirective as W;
    match directive {
        W::Module(mut module) => Directive::Module { name: own(module.name()), module: import(&mut module) },
        W::ModuleDefinition(mut module) => {
            Directive::Definition { name: own(module.name()), module: import(&mut module) }
        }
        W::ModuleInstance { instance, module, .. } => {
            Directive::Instance { name: own(instance), definition: own(module) }
        }
        W::Register { name, module, .. } => {
            Directive::Register { name: name.to_owned(), instance: own(module) }
        }
        W::Invoke(invoke) => Directive::Perform(call(invoke)),
        W::AssertReturn { exec, results, .. } => {
            Directive::Return { deed: deed(exec), expected: results.into_iter().map(pattern).collect() }
        }
        W::AssertTrap { exec, message, .. } => {
            Directive::Trap { deed: deed(exec), message: message.to_owned() }
        }
        W::AssertExhaustion { call: invoke, message, .. } => {
            Directive::Trap { deed: call(invoke), message: message.to_owned() }
        }
        W::AssertUnlinkable { module, message, .. } => {
            Directive::Unlinkable { module: import(&mut QuoteWat::Wat(module)), message: message.to_owned() }
        }
        W::AssertMalformed { mut module, .. } | W::AssertInvalid { mut module, .. } => {
            Directive::Refused { module: import(&mut module) }
        }
        W::AssertException { exec, .. } => {
            Directive::Trap { deed: deed(exec), message: TrapKind::UncaughtException.name().to_owned() }
        }
        W::AssertSuspension { .. } => Directive::Unsupported(wasm::Feature::StackSwitching.name()),
        W::Thread(_) | W::Wait { .. } => Directive::Unsupported("several threads"),
        W::AssertMalformedCustom { .. } | W::AssertInvalidCustom { .. } => {
            Directive::Unsupported("checks of custom sections")
        }
    }
}

fn own(id: Option<Id<'_>>) -> Option<String> {
    id.map(|id| id.name().to_owned())
}

fn import(module: &mut QuoteWat<'_>) -> Parsed {
    let bytes = module.encode().map_err(|error| Refusal::Invalid(error.to_string()))?;
    wasm::import(&bytes).map_err(|error| match error {
        ImportError::Unsupported { feature, .. } => Refusal::Unsupported(feature.name()),
        error => Refusal::Invalid(error.to_string()),
    })
}

fn deed(execute: WastExecute<'_>) -> Deed {
    match execute {
        WastExecute::Invoke(invoke) => call(invoke),
        WastExecute::Wat(module @ Wat::Module(_)) => {
            Deed::Instantiate(Box::new(import(&mut QuoteWat::Wat(module))))
        }
        WastExecute::Wat(Wat::Component(_)) => {
            Deed::Instantiate(Box::new(Err(Refusal::Unsupported(wasm::Feature::ComponentModel.name()))))
        }
        WastExecute::Get { module, global, .. } => {
            Deed::Get { instance: own(module), global: global.to_owned() }
        }
    }
}

fn call(invoke: WastInvoke<'_>) -> Deed {
    Deed::Call {
        instance: own(invoke.module),
        function: invoke.name.to_owned(),
        arguments: invoke.args.into_iter().map(value).collect(),
    }
}

fn value(argument: WastArg<'_>) -> Result<Value, Missing> {
    let WastArg::Core(argument) = argument else { return Err(wasm::Feature::ComponentModel.name()) };
    match argument {
        WastArgCore::I32(value) => Ok(Value::I32(value)),
        WastArgCore::I64(value) => Ok(Value::I64(value)),
        WastArgCore::F32(value) => Ok(Value::F32(value.bits)),
        WastArgCore::F64(value) => Ok(Value::F64(value.bits)),
        WastArgCore::V128(value) => Ok(Value::of_bytes(value.to_le_bytes())),
        WastArgCore::RefNull(ty) => null(ty),
        WastArgCore::RefExtern(number) => Ok(external(number)),
        WastArgCore::RefHost(_) => Err(wasm::Feature::GarbageCollection.name()),
    }
}

fn pattern(result: WastRet<'_>) -> Result<Pattern, Missing> {
    match result {
        WastRet::Core(result) => core_pattern(result),
        _ => Err(wasm::Feature::ComponentModel.name()),
    }
}

fn core_pattern(result: WastRetCore<'_>) -> Result<Pattern, Missing> {
    match result {
        WastRetCore::I32(value) => Ok(Pattern::exactly(Value::I32(value))),
        WastRetCore::I64(value) => Ok(Pattern::exactly(Value::I64(value))),
        WastRetCore::F32(pattern) => Ok(float(Type::F32, pattern, |value| Value::F32(value.bits))),
        WastRetCore::F64(pattern) => Ok(float(Type::F64, pattern, |value| Value::F64(value.bits))),
        WastRetCore::V128(pattern) => Ok(vector(pattern)),
        WastRetCore::RefNull(None) => Ok(Pattern::Either(
            [Value::NullFuncref, Value::Externref(0), Value::NullExnref].map(Pattern::exactly).into(),
        )),
        WastRetCore::RefNull(Some(ty)) => null(ty).map(Pattern::exactly),
        WastRetCore::RefFunc(_) => Ok(Pattern::Function),
        WastRetCore::RefExtern(Some(number)) => Ok(Pattern::exactly(external(number))),
        WastRetCore::RefExtern(None) => Ok(Pattern::External),
        WastRetCore::RefHost(_) => Err(wasm::Feature::GarbageCollection.name()),
        WastRetCore::RefAny
        | WastRetCore::RefEq
        | WastRetCore::RefArray
        | WastRetCore::RefStruct
        | WastRetCore::RefI31
        | WastRetCore::RefI31Shared => Err(wasm::Feature::GarbageCollection.name()),
        WastRetCore::Either(results) => {
            results.into_iter().map(core_pattern).collect::<Result<_, _>>().map(Pattern::Either)
        }
    }
}

/// A result that is a vector.
fn vector(pattern: V128Pattern) -> Pattern {
    let bytes =
        |bytes: Vec<u8>| Pattern::exactly(Value::of_bytes(bytes.try_into().expect("16 bytes are a vector")));
    match pattern {
        V128Pattern::I8x16(lanes) => bytes(lanes.iter().flat_map(|lane| lane.to_le_bytes()).collect()),
        V128Pattern::I16x8(lanes) => bytes(lanes.iter().flat_map(|lane| lane.to_le_bytes()).collect()),
        V128Pattern::I32x4(lanes) => bytes(lanes.iter().flat_map(|lane| lane.to_le_bytes()).collect()),
        V128Pattern::I64x2(lanes) => bytes(lanes.iter().flat_map(|lane| lane.to_le_bytes()).collect()),
        V128Pattern::F32x4(lanes) => {
            Pattern::Lanes(lanes.map(|lane| float(Type::F32, lane, |value| Value::F32(value.bits))).into())
        }
        V128Pattern::F64x2(lanes) => {
            Pattern::Lanes(lanes.map(|lane| float(Type::F64, lane, |value| Value::F64(value.bits))).into())
        }
    }
}

/// A result of type `ty`.
fn float<T>(ty: Type, pattern: NanPattern<T>, value: impl Fn(T) -> Value) -> Pattern {
    match pattern {
        NanPattern::Value(exact) => Pattern::exactly(value(exact)),
        NanPattern::CanonicalNan => Pattern::CanonicalNan(ty),
        NanPattern::ArithmeticNan => Pattern::ArithmeticNan(ty),
    }
}

/// The host's reference of that number, which may be 0.
fn external(number: u32) -> Value {
    Value::Externref(u64::from(number) + 1)
}

/// The null of type `ty`.
fn null(ty: HeapType<'_>) -> Result<Value, Missing> {
    match ty {
        HeapType::Concrete(_) => Ok(Value::NullFuncref),
        HeapType::Abstract { shared: false, ty: AbstractHeapType::Func } => Ok(Value::NullFuncref),
        HeapType::Abstract { shared: false, ty: AbstractHeapType::Extern } => Ok(Value::Externref(0)),
        HeapType::Abstract { shared: false, ty: AbstractHeapType::Exn } => Ok(Value::NullExnref),
        _ => Err(wasm::Feature::GarbageCollection.name()),
    }
}
