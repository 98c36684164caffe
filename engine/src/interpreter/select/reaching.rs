//! Which instruction of the same block an operand comes from.

use osr_ir::{BasicBlock, Instruction, LoadOp, MemoryIndex, Register, Value};

use super::Selector;

/// How far apart two instructions may be to become one operation. Bounds the time to look between them.
const MOST_DISTANT: usize = 12;

/// Operands that are looked at; only calls have more.
const OPERANDS: usize = 4;

/// Not defined in the block.
const OUTSIDE: u32 = u32::MAX;

/// For each operand of the instructions of a block (the terminator counts as the last), the
/// instruction of the block that defined it.
pub(super) struct Reaching {
    definitions: Vec<[u32; OPERANDS]>,
    /// Per register, block number and place of its last definition.
    last: Vec<(u32, u32)>,
    /// The number of the block: counts calls of [`Reaching::enter`].
    number: u32,
}

impl Reaching {
    /// For bodies of that many registers.
    pub(super) fn new(registers: usize) -> Reaching {
        Reaching { definitions: Vec::new(), last: vec![(0, 0); registers], number: 0 }
    }

    /// Looks at `block` from now on.
    pub(super) fn enter(&mut self, block: &BasicBlock) {
        self.number += 1;
        self.definitions.clear();
        for (index, instruction) in block.instructions.iter().enumerate() {
            self.record(|visit| instruction.each_use(visit));
            for definition in instruction.definitions() {
                self.last[definition.index()] = (self.number, index as u32);
            }
        }
        self.record(|visit| block.terminator.each_use(visit));
    }

    fn record(&mut self, each_use: impl FnOnce(&mut dyn FnMut(Register))) {
        let mut found = [OUTSIDE; OPERANDS];
        let mut operands = found.iter_mut();
        each_use(&mut |register| {
            let (number, index) = self.last[register.index()];
            if let Some(operand) = operands.next()
                && number == self.number
            {
                *operand = index;
            }
        });
        self.definitions.push(found);
    }

    /// The instruction that defines operand number `operand` of the instruction at `index`.
    fn definition(&self, index: usize, operand: usize) -> Option<usize> {
        let found = self.definitions[index][operand];
        (found != OUTSIDE).then_some(found as usize)
    }
}

impl<'a> Selector<'a> {
    fn block_instructions(&self) -> &'a [Instruction] {
        &self.body.block(self.block).instructions
    }

    /// The instruction of this block that defines operand number `operand` of the one at `index`.
    pub(super) fn definition(&self, index: usize, operand: usize) -> Option<(usize, &'a Instruction)> {
        let at = self.reaching.definition(index, operand)?;
        Some((at, &self.block_instructions()[at]))
    }

    /// The value of operand number `operand` of the instruction at `index`, if it is known.
    pub(super) fn constant(&self, index: usize, operand: usize) -> Option<Value> {
        match self.definition(index, operand)?.1 {
            Instruction::Const { value, .. } => Some(*value),
            _ => None,
        }
    }

    /// The instruction that defines operand number `operand` of the one at `index`, if the operation
    /// for the instruction at `user` can compute it just as well, and nothing else uses it.
    /// (`index` is `user`, or itself absorbed by it.)
    ///
    /// The definitions of `user` must have been taken out of `needed`, its uses not yet put in.
    pub(super) fn absorb(
        &self,
        index: usize,
        operand: usize,
        user: usize,
    ) -> Option<(usize, &'a Instruction)> {
        let (at, inner) = self.definition(index, operand)?;
        let is_movable = inner.only_defines() && self.is_wanted_once(at, inner, index, user);
        is_movable.then_some((at, inner))
    }

    /// The same for a load that defines operand number `operand` of the instruction at `user`: where it
    /// is, the operation, the address and the offset. Nothing that may trap, or change memory, lies between.
    pub(super) fn absorb_load(&self, user: usize, operand: usize) -> Option<(usize, LoadOp, Register, u32)> {
        let (at, inner) = self.definition(user, operand)?;
        let &Instruction::Load { memory: MemoryIndex::FIRST, op, address, offset, .. } = inner else {
            return None;
        };
        let between = &self.block_instructions()[at + 1..user];
        let is_movable =
            self.is_wanted_once(at, inner, user, user) && between.iter().all(Instruction::only_defines);
        is_movable.then_some((at, op, address, offset))
    }

    /// Whether only the instruction at `index` wants what `inner`, at `at`, computes, and that can be
    /// computed as late as `user`.
    fn is_wanted_once(&self, at: usize, inner: &Instruction, index: usize, user: usize) -> bool {
        let defined = inner.definitions()[0];
        user - at <= MOST_DISTANT
            && !self.needed.contains(defined)
            && self.uses(index, defined) == 1
            && (index == user || self.uses(user, defined) == 0)
            && self.is_movable(at, inner, index, user)
    }

    /// Whether nothing between `at` and `user` changes the operands of `inner`, calls, or uses its
    /// result, except the instruction at `index`.
    fn is_movable(&self, at: usize, inner: &Instruction, index: usize, user: usize) -> bool {
        let defined = inner.definitions()[0];
        (at + 1..user).all(|place| {
            let between = &self.block_instructions()[place];
            let changes = between.definitions().iter().any(|register| reads(inner, *register) > 0);
            !changes && !between.is_call() && (place == index || reads(between, defined) == 0)
        })
    }

    /// Whether the result of the instruction at `at` is what the terminator branches on, and nothing else
    /// wants it.
    pub(super) fn is_used_by_branch_only(&self, at: usize) -> bool {
        let instructions = self.block_instructions();
        let defined = instructions[at].definitions()[0];
        let is_used = |between: &Instruction| reads(between, defined) > 0 || between.is_call();
        !self.needed.contains(defined)
            && instructions.len() - at <= MOST_DISTANT
            && !instructions[at + 1..].iter().any(is_used)
    }

    /// How often the instruction or terminator at `index` reads `register`.
    fn uses(&self, index: usize, register: Register) -> usize {
        match self.block_instructions().get(index) {
            Some(instruction) => reads(instruction, register),
            None => {
                let mut count = 0;
                let terminator = &self.body.block(self.block).terminator;
                terminator.each_use(|used| count += usize::from(used == register));
                count
            }
        }
    }

    /// Whether the register that the instruction at `at` defines, and the one that it reads, are left
    /// alone until the end of the block, except by the instruction at `except`: then defining it can
    /// wait until then.
    pub(super) fn can_wait(&self, at: usize, defined: Register, read: Register, except: usize) -> bool {
        let instructions = self.block_instructions();
        instructions.len() - at <= MOST_DISTANT
            && (at + 1..instructions.len()).filter(|&place| place != except).all(|place| {
                let between = &instructions[place];
                let changes = between.definitions().iter().any(|&other| other == defined || other == read);
                !changes && !between.is_call() && reads(between, defined) == 0
            })
    }
}

fn reads(instruction: &Instruction, register: Register) -> usize {
    let mut count = 0;
    instruction.each_use(|used| count += usize::from(used == register));
    count
}
