//! State maps: how an activation of one body of a function continues in another.
//!
//! ```text
//!   map sort to heap {
//!     p1 to p3: r0 = r0, r2 = i32.const 0, r4 = (r1 i32.const 4 i32.mul r0 i32.add)
//!     ^    ^    ^         ^                 ^ compensation: postfix, over registers of `sort`
//!     |    |    register of `heap`          computed from the state that `sort` has at p1
//!     |    where the activation continues in `heap`
//!     where an activation of `sort` is carried
//!   }
//! ```
//!
//! All expressions of an entry are evaluated on the old state before any new register is written. They read registers
//! that are live at the old point, since a compiled frame has no others, and contain no operation that may trap: so
//! carrying an activation either happens as a whole, or its frame finds no room. An activation that is at a point
//! without an entry continues in its own body until it is at one that has.
//!
//! [`ResumedFrame`]s say the same of one point, in the code: what an activation becomes there, which may be several.
//!
//! The idea of compensation code at a pair of points is OSRKit's; that a program writes down the pairs, sourir's.

use smallvec::SmallVec;

use crate::index::{FunctionIndex, Register};
use crate::operation::{BinaryOp, UnaryOp};
use crate::point::Point;
use crate::value::Value;

/// How activations of one body continue in another.
#[derive(Clone, Debug, PartialEq)]
pub struct StateMap {
    /// The old body.
    pub from: FunctionIndex,
    /// The new body.
    pub to: FunctionIndex,
    /// Where activations are carried, each point of the old body at most once.
    pub entries: Vec<MapEntry>,
}

impl StateMap {
    /// What becomes of an activation that is at `point` of the old body.
    pub fn at(&self, point: Point) -> Option<&MapEntry> {
        self.entries.iter().find(|entry| entry.from == point)
    }
}

/// A pair of points, and the state at the second.
#[derive(Clone, Debug, PartialEq)]
pub struct MapEntry {
    /// The point of the old body.
    pub from: Point,
    /// The point of the new body.
    pub to: Point,
    /// What the registers of the new body hold: at least those that are live.
    pub values: Vec<(Register, Expression)>,
}

/// An activation that another one becomes ([`Terminator::Deoptimize`](crate::Terminator::Deoptimize)): where it continues,
/// and the state there.
///
/// ```text
///   deoptimize {
///     square p0: r0 = (r4 i32.const 1 i32.add)      ; innermost first: a callee that was inlined by hand
///     sum p2: r0 = r0, r1 = r1                      ; its caller, after the call; the result comes from the callee
///   }
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct ResumedFrame {
    /// The body: a function, or a further body of one.
    pub body: FunctionIndex,
    /// Where it continues; of one that waits for another, the point after its call.
    pub point: Point,
    /// What its registers hold: at least those that are live, without those that the call it waits for is to assign.
    /// Expressions are over the registers of the body that deoptimizes.
    pub values: Vec<(Register, Expression)>,
}

/// A value that is computed from registers of the old body.
#[derive(Clone, Debug, PartialEq)]
pub struct Expression(
    /// Evaluated in order, on a stack that is empty before and holds the value behind.
    pub Box<[ExpressionStep]>,
);

impl Expression {
    /// The value of `register`.
    pub fn register(register: Register) -> Expression {
        Expression([ExpressionStep::Register(register)].into())
    }

    /// A constant.
    pub fn constant(value: Value) -> Expression {
        Expression([ExpressionStep::Constant(value)].into())
    }

    /// The registers that are read, each as often as it is.
    pub fn registers(&self) -> impl Iterator<Item = Register> + '_ {
        self.0.iter().filter_map(|step| match step {
            ExpressionStep::Register(register) => Some(*register),
            _ => None,
        })
    }

    /// The word of the value, where `read` reads registers, and operations that do not trap are computed by `unary` and
    /// `binary`.
    ///
    /// # Panics
    /// If the operands of an operation are missing, which the verifier rules out.
    pub fn evaluate(
        &self,
        read: impl Fn(Register) -> u64,
        unary: impl Fn(UnaryOp, u64) -> u64,
        binary: impl Fn(BinaryOp, u64, u64) -> u64,
    ) -> u64 {
        let mut stack = SmallVec::<[u64; 8]>::new();
        let pop = |stack: &mut SmallVec<[u64; 8]>| stack.pop().expect("the verifier has counted operands");
        for step in &self.0 {
            let word = match *step {
                ExpressionStep::Register(register) => read(register),
                ExpressionStep::Constant(value) => value.to_bits(),
                ExpressionStep::Unary(op) => unary(op, pop(&mut stack)),
                ExpressionStep::Binary(op) => {
                    let rhs = pop(&mut stack);
                    binary(op, pop(&mut stack), rhs)
                }
            };
            stack.push(word);
        }
        pop(&mut stack)
    }
}

/// A step of an [`Expression`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ExpressionStep {
    /// The value of a register of the old body.
    Register(Register),
    /// A constant.
    Constant(Value),
    /// An operation on the last value.
    Unary(UnaryOp),
    /// An operation on the last two values, the second of which is the last.
    Binary(BinaryOp),
}
