//! Following: the machine does what the execution does, event by event, and each is compared.

use std::sync::Arc;

use osr_ir::{
    FunctionIndex, GlobalIndex, MemoryIndex, Point, PointKind, Register, TableIndex, TrapKind, Type,
};

use super::Compared;
use super::difference::{Difference, Disagreement, Transition};
use super::machine::{Counterpart, Machine, Stop, Watched};
use crate::error::{Exception, Trap};
use crate::event::statistics::Place;
use crate::event::{Continuation, Event, FrameState};
use crate::instance::Instance;
use crate::interpreter::evaluate;
use crate::settings::{CompiledTier, Tier};

/// Bytes of memory that each transition pays for.
const BYTES_PER_TRANSITION: u64 = 4096;

/// A machine that follows an execution.
#[derive(Debug)]
pub(super) struct Follower {
    machine: Machine,
    /// Where the machine was seen last.
    seen: Option<(FunctionIndex, Point)>,
    transition: Option<Transition>,
    /// Nothing was executed since a frame landed in the interpreter.
    has_just_landed: bool,
    compared: Compared,
    /// Bytes of memory that were paid for and not compared.
    paid: u64,
}

type Followed = Result<(), Disagreement>;

/// Whether the execution has exhausted its stack: the machine's own has no end.
pub(super) fn exhausts_stack(event: &Event<'_>) -> bool {
    matches!(event, Event::Finished { outcome: Err(trap) } if trap.kind == TrapKind::StackExhausted)
}

impl Follower {
    /// A follower that executes `instance`.
    pub(super) fn new(instance: Arc<Instance>) -> Follower {
        let machine = Machine::new(instance);
        Follower {
            machine,
            seen: None,
            transition: None,
            has_just_landed: false,
            compared: Compared::default(),
            paid: 0,
        }
    }

    /// What was compared so far.
    pub(super) fn compared(&self) -> Compared {
        self.compared
    }

    /// In `execution`, `event` has happened.
    pub(super) fn follow(&mut self, execution: &Instance, event: &Event<'_>) -> Result<(), Box<Difference>> {
        let followed = match *event {
            Event::Invoked { function, arguments } => {
                self.adopt_memories(execution);
                self.machine.invoke(function, arguments.to_vec());
                Ok(())
            }
            Event::Reached { function, point, frame, tier } => self.reached(function, point, (tier, frame)),
            Event::HostCalled { function, arguments } => self.host_called(execution, function, arguments),
            Event::HostReturned { function, outcome } => self.host_returned(execution, function, outcome),
            Event::TieredUp { place, to, state } => {
                let FrameState { function, point, .. } = state;
                let (from, to) = (Tier::Interpreter, to.tier.into());
                let transition = Transition { function, point, place, from, from_version: None, to };
                self.transition(execution, transition, None, &state)
            }
            Event::Landed { place, version, frame, further, to, state, .. } => {
                let FrameState { function, point, .. } = state;
                let (from, from_version) = (version.tier.into(), Some(version.id));
                let to = to.map_or(Tier::Interpreter, |to| to.tier.into());
                let transition = Transition { function, point, place, from, from_version, to };
                let followed = self.transition(execution, transition, Some(frame), &state);
                if further > 0 {
                    // It is called from the runtime: its frame is not where that was.
                    self.note(Counterpart::new(to, None));
                }
                self.has_just_landed = true;
                followed
            }
            Event::Continued { place, version, from, frame, to, state } => {
                let FrameState { function, point, .. } = state;
                let (from, from_version) = (from.into(), Some(version));
                let to = to.map_or(Tier::Interpreter, |to| to.tier.into());
                let transition = Transition { function, point, place, from, from_version, to };
                let followed = self.transition(execution, transition, Some(frame), &state);
                self.note(Counterpart::new(to, None));
                self.has_just_landed = true;
                followed
            }
            Event::Redefined { function, to, .. } => {
                self.machine.instance().add_bodies_of(execution);
                self.machine.instance().bodies().enter(function, to);
                Ok(())
            }
            Event::Carried { from, state, to } => self.carried(execution, &from, &state, to),
            Event::Deoptimized { from, state, to, .. } => self.deoptimized(execution, &from, &state, to),
            Event::Finished { outcome } => self.finished(execution, outcome),
            // What happens to code and to waiting frames changes no state.
            _ => Ok(()),
        };
        followed.map_err(|disagreement| Box::new(self.difference(disagreement)))
    }

    /// An activation whose frame, if it is one of compiled code, is at `base` continues with `state`.
    fn transition(
        &mut self,
        execution: &Instance,
        transition: Transition,
        base: Option<u64>,
        state: &FrameState<'_>,
    ) -> Followed {
        self.transition = Some(transition);
        self.compared.transitions += 1;
        self.moved(execution, (transition.from, base), state)?;
        if transition.place == Place::Guard && transition.to != Tier::Interpreter {
            self.machine.pass_arrival();
        }
        self.note(Counterpart::new(transition.to, base));
        Ok(())
    }

    /// The innermost frame, which is interpreted and has the state `from`, becomes something else, in the code `to`. Returns
    /// the tier of that.
    fn leaves_interpreter(
        &mut self,
        execution: &Instance,
        from: &FrameState<'_>,
        to: Option<Continuation>,
    ) -> Tier {
        let FrameState { function, point, .. } = *from;
        let (place, tier) = (execution.analysis(function).points.kind(point).into(), Tier::Interpreter);
        let to = to.map_or(tier, |to| to.tier.into());
        self.transition = Some(Transition { function, point, place, from: tier, from_version: None, to });
        self.compared.transitions += 1;
        to
    }

    /// The innermost frame, which is interpreted, is carried into another body.
    fn carried(
        &mut self,
        execution: &Instance,
        from: &FrameState<'_>,
        state: &FrameState<'_>,
        to: Option<Continuation>,
    ) -> Followed {
        let destination = self.leaves_interpreter(execution, from, to);
        if self.has_just_landed && self.is_at(from) {
            self.compare_state(execution, from)?;
        } else {
            self.moved(execution, (Tier::Interpreter, None), from)?;
        }
        let map = execution
            .bodies()
            .carried(from.function)
            .expect("what carries is there until the next safepoint");
        let entry = map.at(from.point).expect("it carries at that point");
        let frame = self.machine.innermost().expect("it was compared");
        let mut registers = vec![0; execution.body(state.function).registers.len()];
        for (register, expression) in &entry.values {
            registers[register.index()] = evaluate(expression, &frame.registers);
        }
        self.machine.carry(state.function, state.point, registers);
        self.seen = Some((state.function, state.point));
        self.has_just_landed = to.is_none();
        self.compare_registers(state)?;
        self.note(Counterpart::new(destination, None));
        Ok(())
    }

    /// The innermost frame, which is interpreted, has become others.
    fn deoptimized(
        &mut self,
        execution: &Instance,
        from: &FrameState<'_>,
        state: &FrameState<'_>,
        to: Option<Continuation>,
    ) -> Followed {
        let destination = self.leaves_interpreter(execution, from, to);
        match self.run() {
            Stop::Deoptimized(_) if self.is_at(state) => {}
            stop => return Err(self.elsewhere(rebuilt(state), &stop)),
        }
        self.compare_state(execution, state)?;
        if to.is_some() {
            self.machine.pass_arrival();
        }
        self.has_just_landed = to.is_none();
        self.note(Counterpart::new(destination, None));
        Ok(())
    }

    fn difference(&self, disagreement: Disagreement) -> Difference {
        let (function, point) = self.seen.unzip();
        let module = self.machine.instance().module();
        let name = function.map(|function| module.function(function).name.clone());
        Difference {
            function,
            function_name: name.unwrap_or_default(),
            point,
            transition: self.transition,
            ordinal: self.compared.transitions,
            disagreement,
        }
    }

    /// Runs to the next stop that the execution tells of, too.
    fn run(&mut self) -> Stop {
        loop {
            match self.step() {
                Stop::CameBack(_) => {}
                Stop::EnteredLoop(_) if self.is_optimized() => {}
                stop => return stop,
            }
        }
    }

    /// Whether the innermost frame is one of optimized code, which does not tell that it enters loops.
    fn is_optimized(&self) -> bool {
        let tier = CompiledTier::Optimized;
        self.machine.innermost().is_some_and(
            |frame| matches!(frame.counterpart, Counterpart::Compiled { tier: known, .. } if known == tier),
        )
    }

    /// Runs to the next stop.
    fn step(&mut self) -> Stop {
        let stop = self.machine.run();
        self.has_just_landed = false;
        if let Stop::Arrived(point)
        | Stop::EnteredLoop(point)
        | Stop::CameBack(point)
        | Stop::EnteredBlock(point)
        | Stop::Deoptimized(point) = stop
        {
            self.seen = self.machine.innermost().map(|frame| (frame.function, point));
        }
        stop
    }

    /// Notes where the execution has the innermost frame.
    fn note(&mut self, counterpart: Counterpart) {
        if let Some(frame) = self.machine.innermost_mut() {
            frame.counterpart = counterpart;
        }
    }

    fn reached(
        &mut self,
        function: FunctionIndex,
        point: Point,
        (tier, base): (Tier, Option<u64>),
    ) -> Followed {
        self.compared.points += 1;
        let stop = loop {
            match self.step() {
                Stop::CameBack(_) => {}
                Stop::EnteredLoop(_) if self.is_optimized() => {}
                Stop::Arrived(_) | Stop::EnteredLoop(_)
                    if self.seen == Some((function, point)) && self.may_be(tier, base) =>
                {
                    break None;
                }
                stop => break Some(stop),
            }
        };
        match stop {
            None => {
                self.note(Counterpart::new(tier, base));
                Ok(())
            }
            Some(stop) => {
                Err(self.elsewhere(format!("is at {point} of {function} ({})", tier.name()), &stop))
            }
        }
    }

    fn host_called(&mut self, execution: &Instance, function: FunctionIndex, arguments: &[u64]) -> Followed {
        let types = &execution.layout_of(function).parameter_types;
        match self.run() {
            Stop::HostCalled { function: called, arguments: given }
                if called == function && are_equal(types, arguments, &given) => {}
            stop => return Err(self.elsewhere(format!("calls {function} with {arguments:x?}"), &stop)),
        }
        self.compare_memories(execution)
    }

    fn host_returned(
        &mut self,
        execution: &Instance,
        function: FunctionIndex,
        outcome: Result<&[u64], &Trap>,
    ) -> Followed {
        if self.machine.host() != Some(function) {
            let shadow = "does not wait for it".to_owned();
            return Err(Disagreement::Path { execution: format!("is back from {function}"), shadow });
        }
        self.adopt_memories(execution);
        match outcome {
            Ok(results) => self.machine.host_returned(results),
            Err(trap) => self.machine.host_failed(self.counterpart(execution, trap)),
        }
        Ok(())
    }

    /// `trap`, where an exception has the tag of the machine's own instance that has the number of the execution's. One that
    /// has no number has its own tag there, too.
    fn counterpart(&self, execution: &Instance, trap: &Trap) -> Trap {
        let of = |exception: &Arc<Exception>| {
            let tag = execution.tag_number(exception.tag())?;
            let tag = self.machine.instance().tag(tag);
            Some(Arc::new(Exception::new(tag, exception.words())))
        };
        let exception =
            trap.exception.as_ref().map(|exception| of(exception).unwrap_or(Arc::clone(exception)));
        Trap { exception, ..trap.clone() }
    }

    /// A frame, of compiled code if it has a base, continues with `state`.
    fn moved(&mut self, execution: &Instance, from: (Tier, Option<u64>), state: &FrameState<'_>) -> Followed {
        let points = &execution.analysis(state.function).points;
        match points.kind(state.point) {
            PointKind::AfterCall => return self.arrives(execution, from, state),
            PointKind::Guard => {
                let &FrameState { function, point, .. } = state;
                let (at, is_block) = (points.position(point), points.guard_block(point).is_some());
                self.machine.watch(Some(Watched { function, at, is_block, point }));
                let followed = self.arrives(execution, from, state);
                self.machine.watch(None);
                return followed;
            }
            _ => {}
        }
        if !self.is_at(state) {
            return Err(self.not_at(state));
        }
        self.compare_state(execution, state)
    }

    /// A call of a frame has returned, or a guard of it has failed: it continues with `state`. Runs up to there.
    fn arrives(
        &mut self,
        execution: &Instance,
        (tier, base): (Tier, Option<u64>),
        state: &FrameState<'_>,
    ) -> Followed {
        let depth = base.and_then(|base| self.machine.depth_of(base));
        let is_guard = execution.analysis(state.function).points.kind(state.point) == PointKind::Guard;
        let mut first = None;
        loop {
            match self.step() {
                Stop::CameBack(_) | Stop::EnteredBlock(_) if self.is_at(state) && self.may_be(tier, base) => {
                    match self.compare_state(execution, state) {
                        // Of several that it may be, it is the first that is equal. A block may be entered more than once
                        // without being told of.
                        Err(disagreement) if depth.is_none() || is_guard => {
                            first = first.or(Some(disagreement));
                        }
                        compared => return compared,
                    }
                }
                Stop::CameBack(_) | Stop::EnteredBlock(_) => {}
                Stop::EnteredLoop(_) if self.is_optimized() => {}
                stop => return Err(first.unwrap_or_else(|| self.elsewhere(rebuilt(state), &stop))),
            }
        }
    }

    /// Whether the innermost frame may be the one that the execution has in `tier`, at the frame base `base`:
    /// where a frame with that base is known, no other is, but one that was inlined into that, with all in between.
    fn may_be(&self, tier: Tier, base: Option<u64>) -> bool {
        let Some(innermost) = self.machine.innermost() else { return false };
        let depth = base.and_then(|base| self.machine.depth_of(base));
        let is_inlined = |depth| self.machine.are_entering(depth);
        depth.is_none_or(|depth| depth == self.machine.depth() || is_inlined(depth))
            && innermost.counterpart.may_be(tier, base)
    }

    fn is_at(&self, state: &FrameState<'_>) -> bool {
        self.seen == Some((state.function, state.point))
    }

    /// Compares the frame state, and the module's.
    fn compare_state(&mut self, execution: &Instance, state: &FrameState<'_>) -> Followed {
        self.compare_registers(state)?;
        self.compare_globals(execution)?;
        self.paid += BYTES_PER_TRANSITION;
        if execution.memories().map(|memory| memory.bytes()).sum::<u64>() <= self.paid {
            self.compare_memories(execution)?;
        }
        Ok(())
    }

    fn compare_registers(&mut self, state: &FrameState<'_>) -> Followed {
        let Some(frame) = self.machine.innermost() else { return Err(self.not_at(state)) };
        let types = &self.machine.instance().body(state.function).registers;
        let differs = |&(register, word, value): &(Register, usize, u64)| {
            self.compared.registers += 1;
            !is_equal(types[register.index()], value, frame.registers[word])
        };
        match state.words().find(differs) {
            None => Ok(()),
            Some((register, word, execution)) => {
                let shadow = frame.registers[word];
                Err(Disagreement::Register { register, execution, shadow })
            }
        }
    }

    fn finished(&mut self, execution: &Instance, outcome: Result<&[u64], &Trap>) -> Followed {
        let stop = self.run();
        let agrees = match (&stop, outcome) {
            (Stop::Finished(Ok(ours)), Ok(words)) => ours == words,
            (Stop::Finished(Err(ours)), Err(trap)) => is_same_trap(ours, trap),
            _ => false,
        };
        if !agrees {
            let what = match outcome {
                Ok(words) => format!("returns {words:x?}"),
                Err(trap) => format!("ends in a {trap}"),
            };
            return Err(self.elsewhere(what, &stop));
        }
        self.compare_memories(execution)?;
        self.compare_globals(execution)?;
        self.compare_tables(execution)
    }

    /// Control comes from outside, where memory may have been written to. It was compared when control
    /// went there.
    fn adopt_memories(&self, execution: &Instance) {
        for (memory, ours) in execution.memories().zip(self.machine.instance().memories()) {
            if ours.pages() != memory.pages() || ours.first_difference(memory).is_some() {
                ours.copy_from(memory);
            }
        }
    }

    fn compare_memories(&mut self, execution: &Instance) -> Followed {
        self.paid = 0;
        let pairs = execution.memories().zip(self.machine.instance().memories());
        for (number, (theirs, ours)) in pairs.enumerate() {
            let memory = MemoryIndex::new(number);
            self.compared.memories += 1;
            if theirs.pages() != ours.pages() {
                let (execution, shadow) = (theirs.pages(), ours.pages());
                return Err(Disagreement::MemorySize { memory, execution, shadow });
            }
            if let Some(address) = theirs.first_difference(ours) {
                let byte = |memory: &crate::LinearMemory| memory.read(address, 1).expect("in bounds")[0];
                let (execution, shadow) = (byte(theirs), byte(ours));
                return Err(Disagreement::Memory { memory, address, execution, shadow });
            }
        }
        Ok(())
    }

    fn compare_globals(&self, execution: &Instance) -> Followed {
        let ours = self.machine.instance();
        let types = ours.module().globals.iter().map(|global| global.ty);
        for (number, ty) in types.enumerate() {
            let global = GlobalIndex::new(number);
            for (execution, shadow) in
                execution.global_value(global).into_iter().zip(ours.global_value(global))
            {
                if !is_equal(ty, execution, shadow) {
                    return Err(Disagreement::Global { global, execution, shadow });
                }
            }
        }
        Ok(())
    }

    fn compare_tables(&self, execution: &Instance) -> Followed {
        let ours = self.machine.instance();
        for table in (0..ours.module().tables.len()).map(TableIndex::new) {
            let entries = execution.table_size(table).max(ours.table_size(table));
            let differs = |&entry: &u32| execution.table_get(table, entry) != ours.table_get(table, entry);
            if let Some(entry) = (0..entries).find(differs) {
                return Err(Disagreement::Table { table, entry });
            }
        }
        Ok(())
    }

    fn not_at(&self, state: &FrameState<'_>) -> Disagreement {
        let shadow = match self.seen {
            Some((function, point)) => format!("is at {point} of {function}"),
            None => "executes nothing".to_owned(),
        };
        Disagreement::Path { execution: rebuilt(state), shadow }
    }

    /// The execution does something, but the machine stopped at `stop`.
    fn elsewhere(&self, execution: String, stop: &Stop) -> Disagreement {
        let shadow = match stop {
            Stop::Arrived(_)
            | Stop::EnteredLoop(_)
            | Stop::CameBack(_)
            | Stop::EnteredBlock(_)
            | Stop::Deoptimized(_) => {
                let (function, point) = self.seen.expect("seen at the stop");
                format!("is at {point} of {function}")
            }
            Stop::HostCalled { function, arguments } => format!("calls {function} with {arguments:x?}"),
            Stop::Finished(Ok(words)) => format!("returns {words:x?}"),
            Stop::Finished(Err(trap)) => format!("ends in a {trap}"),
        };
        Disagreement::Path { execution, shadow }
    }
}

fn rebuilt(state: &FrameState<'_>) -> String {
    format!("rebuilds a frame at {} of {}", state.point, state.function)
}

fn is_same_trap(ours: &Trap, trap: &Trap) -> bool {
    (ours.kind, ours.function, ours.point) == (trap.kind, trap.function, trap.point)
}

fn are_equal(types: &[Type], words: &[u64], others: &[u64]) -> bool {
    types.iter().zip(words.iter().zip(others)).all(|(&ty, (&word, &other))| is_equal(ty, word, other))
}

/// Whether two words of type `ty` are the same value; NaNs are.
fn is_equal(ty: Type, word: u64, other: u64) -> bool {
    let is_nan = |word: u64| match ty {
        Type::F32 => f32::from_bits(word as u32).is_nan(),
        Type::F64 => f64::from_bits(word).is_nan(),
        Type::I32 | Type::I64 | Type::V128 | Type::Funcref | Type::Externref | Type::Exnref => false,
    };
    word == other || (is_nan(word) && is_nan(other))
}
