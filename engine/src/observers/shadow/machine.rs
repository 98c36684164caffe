//! The machine: executes bodies instruction by instruction, as they are written, and stops wherever
//! something can be observed.
//!
//! It shares with the interpreter the functions on numbers and the operations of the runtime; not its
//! decoder, its fused operations, its frames, its calls. The module's state is an [`Instance`] of its
//! own, which no thread executes. Its stack is a list, which is never exhausted.

use std::sync::Arc;

use osr_ir::{
    BasicBlock, Block, Body, FunctionIndex, Instruction, Point, PointKind, Points, Position, Register,
    ResumedFrame, Terminator, TrapKind, WordLayout,
};

use super::instruction::{self, execute};
use crate::error::{Callers, Trap};
use crate::instance::Instance;
use crate::interpreter::evaluate;
use crate::settings::{CompiledTier, Tier};

/// Where the machine stopped, and what happened there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    /// At the entry of the innermost frame, or, by a back-edge, at one of its loop headers.
    Arrived(Point),
    /// At a loop header of the innermost frame, from outside the loop.
    EnteredLoop(Point),
    /// After a call of the innermost frame, whose results are in their registers.
    CameBack(Point),
    /// Where the innermost frame enters the [watched](Machine::watch) block, which the point stands for.
    EnteredBlock(Point),
    /// The innermost frame has become others, of which the innermost is at this point.
    Deoptimized(Point),
    /// A function of the host is called: the machine waits for its results.
    HostCalled {
        /// The imported function.
        function: FunctionIndex,
        /// One word per parameter.
        arguments: Vec<u64>,
    },
    /// The innermost invocation has ended.
    Finished(Result<Vec<u64>, Trap>),
}

/// A frame of a function.
#[derive(Debug)]
pub(crate) struct Frame {
    /// The function.
    pub(crate) function: FunctionIndex,
    block: Block,
    index: usize,
    /// One word per register.
    pub(crate) registers: Vec<u64>,
    /// Where the execution has it.
    pub(crate) counterpart: Counterpart,
}

/// Where the execution has the frame of an activation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Counterpart {
    /// It is being entered, in a tier that is about to be told.
    Entering,
    /// In the interpreter.
    Interpreter,
    /// In compiled code.
    Compiled {
        /// Of this tier.
        tier: CompiledTier,
        /// The base of its frame; none for one that entered it from the interpreter, until it is told.
        base: Option<u64>,
    },
}

impl Counterpart {
    /// In `tier`, at that frame base.
    pub(crate) fn new(tier: Tier, base: Option<u64>) -> Counterpart {
        match CompiledTier::try_from(tier) {
            Ok(tier) => Counterpart::Compiled { tier, base },
            Err(()) => Counterpart::Interpreter,
        }
    }

    /// Whether it may be the activation that is in `tier`, at that frame base.
    pub(crate) fn may_be(self, tier: Tier, base: Option<u64>) -> bool {
        match self {
            Counterpart::Entering => true,
            Counterpart::Interpreter => tier == Tier::Interpreter,
            Counterpart::Compiled { tier: own, base: known } => {
                Tier::from(own) == tier && known.is_none_or(|known| Some(known) == base)
            }
        }
    }
}

/// A call from outside.
#[derive(Debug)]
struct Invocation {
    /// Frames that were there before it.
    base: usize,
    /// The function of the host that it waits for.
    host: Option<FunctionIndex>,
}

/// A module with its state and its stack.
#[derive(Debug)]
pub(crate) struct Machine {
    instance: Arc<Instance>,
    frames: Vec<Frame>,
    invocations: Vec<Invocation>,
    stop: Option<Stop>,
    /// The stop after that.
    next_stop: Option<Stop>,
    /// A place that is stopped at.
    watched: Option<Watched>,
    /// Whether the innermost frame has stopped there, and not moved since.
    is_passed: bool,
}

/// Where a machine stops besides.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Watched {
    /// The function whose body it is in.
    pub(crate) function: FunctionIndex,
    /// Before that instruction.
    pub(crate) at: Position,
    /// Whether that begins a block, which is stopped at before it is arrived at.
    pub(crate) is_block: bool,
    /// The point that it is.
    pub(crate) point: Point,
}

impl Machine {
    /// A machine that executes `instance`, which no thread must execute meanwhile.
    pub(crate) fn new(instance: Arc<Instance>) -> Machine {
        let (frames, invocations) = (Vec::new(), Vec::new());
        Machine {
            instance,
            frames,
            invocations,
            stop: None,
            next_stop: None,
            watched: None,
            is_passed: false,
        }
    }

    /// From here on the machine stops there, too; or not.
    pub(crate) fn watch(&mut self, watched: Option<Watched>) {
        (self.watched, self.is_passed) = (watched, false);
    }

    /// The module with its state.
    pub(crate) fn instance(&self) -> &Instance {
        &self.instance
    }

    /// The innermost frame, of any invocation.
    pub(crate) fn innermost(&self) -> Option<&Frame> {
        self.frames.last()
    }

    /// The same, to note where the execution has it.
    pub(crate) fn innermost_mut(&mut self) -> Option<&mut Frame> {
        self.frames.last_mut()
    }

    /// How many frames there are.
    pub(crate) fn depth(&self) -> usize {
        self.frames.len()
    }

    /// Whether there are frames further in than the one at `depth`, and it is not known of any where the execution has it.
    pub(crate) fn are_entering(&self, depth: usize) -> bool {
        let inner = &self.frames[depth..];
        !inner.is_empty() && inner.iter().all(|frame| frame.counterpart == Counterpart::Entering)
    }

    /// How many frames there are up to the one of compiled code with that base, inclusive.
    pub(crate) fn depth_of(&self, base: u64) -> Option<usize> {
        let has_base = |frame: &Frame| matches!(frame.counterpart, Counterpart::Compiled { base: Some(known), .. } if known == base);
        self.frames.iter().rposition(has_base).map(|index| index + 1)
    }

    /// The function of the host that the innermost invocation waits for.
    pub(crate) fn host(&self) -> Option<FunctionIndex> {
        self.invocations.last()?.host
    }

    /// Calls `function` from outside.
    pub(crate) fn invoke(&mut self, function: FunctionIndex, arguments: Vec<u64>) {
        self.invocations.push(Invocation { base: self.frames.len(), host: None });
        self.call(function, arguments);
    }

    /// The innermost frame continues at `point` of another body, whose registers hold these words.
    pub(crate) fn carry(&mut self, function: FunctionIndex, point: Point, registers: Vec<u64>) {
        let Position { block, index } = self.resumed(function, point);
        let frame = self.frame();
        *frame = Frame { function, block, index, registers, counterpart: frame.counterpart };
    }

    /// Where execution resumes at `point`.
    fn resumed(&self, function: FunctionIndex, point: Point) -> Position {
        let points = &self.instance.analysis(function).points;
        let position = points.position(point);
        let is_behind = points.kind(point) == PointKind::AfterCall;
        Position { index: position.index + usize::from(is_behind), ..position }
    }

    /// The innermost frame becomes `frames`. All but the innermost of these stand at their calls.
    fn deoptimize(&mut self, frames: &[ResumedFrame]) {
        let before = self.frames.pop().expect("something is being executed").registers;
        for (number, ResumedFrame { body: function, point, values }) in frames.iter().enumerate().rev() {
            let mut registers = vec![0; self.instance.frame_words(*function)];
            for (register, expression) in values {
                registers[register.index()] = evaluate(expression, &before);
            }
            let Position { block, index } = match number {
                0 => self.resumed(*function, *point),
                _ => self.instance.analysis(*function).points.position(*point),
            };
            let counterpart = Counterpart::Interpreter;
            self.frames.push(Frame { function: *function, block, index, registers, counterpart });
        }
        let ResumedFrame { body, point, .. } = frames[0];
        let points = &self.instance.analysis(body).points;
        // Where a guard exits to the beginning of a loop, that is entered.
        let header = points.guard_block(point).and_then(|block| points.header(block));
        (self.stop, self.next_stop) = (Some(Stop::Deoptimized(point)), header.map(Stop::EnteredLoop));
    }

    /// The function of the host that is waited for has returned `results`.
    pub(crate) fn host_returned(&mut self, results: &[u64]) {
        self.invocation().host = None;
        self.give(results);
    }

    /// The function of the host that is waited for has failed.
    pub(crate) fn host_failed(&mut self, trap: Trap) {
        self.invocation().host = None;
        self.unwind(trap);
    }

    /// The stop at the loop header that was entered with the last stop, if there is one, is none.
    /// Code that is entered where a loop begins does not tell of it.
    pub(crate) fn pass_arrival(&mut self) {
        self.next_stop = None;
    }

    /// Executes up to the next stop.
    pub(crate) fn run(&mut self) -> Stop {
        let instance = Arc::clone(&self.instance);
        loop {
            if let Some(stop) = self.stop.take().or_else(|| self.next_stop.take()) {
                return stop;
            }
            self.step(&instance);
        }
    }

    fn invocation(&mut self) -> &mut Invocation {
        self.invocations.last_mut().expect("something is being called")
    }

    fn frame(&mut self) -> &mut Frame {
        self.frames.last_mut().expect("something is being executed")
    }

    fn call(&mut self, function: FunctionIndex, arguments: Vec<u64>) {
        let function = self.instance.entered_body(function);
        if !self.instance.module().function(function).is_defined() {
            self.invocation().host = Some(function);
            self.stop = Some(Stop::HostCalled { function, arguments });
            return;
        }
        let mut registers = arguments;
        registers.resize(self.instance.frame_words(function), 0);
        let (block, counterpart) = (Block::new(Body::ENTRY), Counterpart::Entering);
        self.frames.push(Frame { function, block, index: 0, registers, counterpart });
        self.stop = Some(Stop::Arrived(Points::entry()));
    }

    /// The point where the innermost frame is to stop before it moves.
    fn comes_to_watched(&mut self) -> Option<Point> {
        let frame = self.innermost()?;
        let here = (frame.function, Position { block: frame.block, index: frame.index });
        let watched =
            self.watched.filter(|watched| !watched.is_block && (watched.function, watched.at) == here);
        let stops = watched.filter(|_| !self.is_passed);
        self.is_passed = stops.is_some();
        stops.map(|watched| watched.point)
    }

    fn step(&mut self, instance: &Instance) {
        if let Some(point) = self.comes_to_watched() {
            self.stop = Some(Stop::EnteredBlock(point));
            return;
        }
        let frame = self.frame();
        let block = instance.body(frame.function).block(frame.block);
        let words = &instance.analysis(frame.function).words;
        match block.instructions.get(frame.index) {
            Some(Instruction::Call { function, arguments, .. }) => {
                let arguments = frame.gather(words, arguments);
                self.call(*function, arguments);
            }
            Some(Instruction::CallIndirect { table, signature, index, arguments, .. }) => {
                let index = frame.registers[words.first(index.index())] as u32;
                let arguments = frame.gather(words, arguments);
                match instruction::callee(instance, *table, *signature, index) {
                    Ok(function) => self.call(function, arguments),
                    Err(kind) => self.trap(kind),
                }
            }
            Some(instruction) => match execute(instance, instruction, words, &mut frame.registers) {
                Ok(()) if instruction.is_call() => self.come_back(),
                Ok(()) => frame.index += 1,
                Err(kind) => self.trap(kind),
            },
            None => self.terminate(instance, block),
        }
    }

    fn terminate(&mut self, instance: &Instance, block: &BasicBlock) {
        let frame = self.frame();
        let words = &instance.analysis(frame.function).words;
        let get = |register: Register| frame.registers[words.first(register.index())];
        let target = match &block.terminator {
            Terminator::Jump { target } => *target,
            Terminator::Branch { condition, if_true, if_false }
            | Terminator::Guard { condition, next: if_true, exit: if_false } => {
                if get(*condition) as u32 != 0 { *if_true } else { *if_false }
            }
            Terminator::Switch { index, targets, default } => {
                *targets.get(get(*index) as u32 as usize).unwrap_or(default)
            }
            Terminator::Return { values } => {
                let results = frame.gather(words, values);
                self.frames.pop();
                return self.give(&results);
            }
            Terminator::Unreachable => return self.trap(TrapKind::Unreachable),
            Terminator::TailCall { function, arguments } => {
                let arguments = frame.gather(words, arguments);
                self.frames.pop();
                return self.call(*function, arguments);
            }
            Terminator::Deoptimize { frames } => return self.deoptimize(frames),
            Terminator::TailCallIndirect { table, signature, index, arguments } => {
                let index = get(*index) as u32;
                let arguments = frame.gather(words, arguments);
                match instruction::callee(instance, *table, *signature, index) {
                    Ok(function) => {
                        self.frames.pop();
                        return self.call(function, arguments);
                    }
                    Err(kind) => {
                        // The point is that of the instruction before.
                        self.frame().index -= 1;
                        return self.trap(kind);
                    }
                }
            }
        };
        let points = &instance.analysis(frame.function).points;
        let goes_back = points.goes_back(frame.block, target);
        (frame.block, frame.index) = (target, 0);
        let function = frame.function;
        let arrived = if goes_back { Stop::Arrived } else { Stop::EnteredLoop };
        let arrival = points.header(target).map(arrived);
        match self.watched {
            Some(watched)
                if watched.is_block && (watched.function, watched.at.block) == (function, target) =>
            {
                (self.stop, self.next_stop) = (Some(Stop::EnteredBlock(watched.point)), arrival);
            }
            _ => self.stop = arrival,
        }
    }

    /// Returns `results` to the caller of the innermost one.
    fn give(&mut self, results: &[u64]) {
        if self.frames.len() == self.invocation().base {
            return self.finish(Ok(results.to_vec()));
        }
        let frame = self.frames.last_mut().expect("something is being executed");
        let instruction = &self.instance.body(frame.function).block(frame.block).instructions[frame.index];
        let words = &self.instance.analysis(frame.function).words;
        let defined = instruction.definitions().iter().flat_map(|register| words.range(register.index()));
        defined.zip(results).for_each(|(word, &value)| frame.registers[word] = value);
        self.come_back();
    }

    /// The call at which the innermost frame stands has ended.
    fn come_back(&mut self) {
        let point = self.point();
        self.frame().index += 1;
        self.stop = Some(Stop::CameBack(point));
    }

    /// The innermost frame traps where it stands.
    fn trap(&mut self, kind: TrapKind) {
        let (function, point) = (self.frame().function, self.point());
        let function_name = self.instance.module().function(function).name.clone();
        let is_exception = kind == TrapKind::UncaughtException;
        let exception = is_exception.then(|| self.instance.take_thrown()).flatten();
        let (message, cause, callers) = (None, None, Callers::default());
        self.unwind(Trap { kind, function, function_name, point, message, cause, exception, callers });
    }

    /// The innermost frame is left by `trap` where it stands: an exception goes to the innermost frame of the invocation
    /// that catches.
    fn unwind(&mut self, trap: Trap) {
        let base = self.invocation().base;
        while let Some(exception) = &trap.exception
            && self.frames.len() > base
        {
            let (function, point) = (self.frame().function, self.point());
            if self.instance.catches(function, point) {
                self.instance.catch(exception);
                let words: Vec<usize> = self.instance.result_words(function, point).collect();
                words.into_iter().for_each(|word| self.frame().registers[word] = 0);
                return self.come_back();
            }
            self.frames.pop();
        }
        self.finish(Err(trap));
    }

    /// The point of the instruction at which the innermost frame stands.
    fn point(&self) -> Point {
        let frame = self.innermost().expect("something is being executed");
        let points = &self.instance.analysis(frame.function).points;
        let point = points.at(frame.block, frame.index).expect("calls and traps have points");
        debug_assert!(matches!(points.kind(point), PointKind::AfterCall | PointKind::Trap));
        point
    }

    /// The innermost invocation has ended.
    fn finish(&mut self, outcome: Result<Vec<u64>, Trap>) {
        let invocation = self.invocations.pop().expect("something is being called");
        self.frames.truncate(invocation.base);
        self.stop = Some(Stop::Finished(outcome));
    }
}

impl Frame {
    fn gather(&self, words: &WordLayout, registers: &[Register]) -> Vec<u64> {
        let words = registers.iter().flat_map(|register| words.range(register.index()));
        words.map(|word| self.registers[word]).collect()
    }
}
