//! Profiles: what baseline code counts while it runs.
//!
//! The counters are words that the code increments in place. A profile lives as long as its instance,
//! and so longer than all code that refers to it, which may therefore have its address.

use std::ops::Range;
use std::sync::atomic::{AtomicU32, Ordering};

use osr_ir::{Block, Body, FunctionIndex, Instruction, Point, Points, Terminator, Type};

/// The counters of a function.
#[derive(Debug)]
pub struct Profile {
    layout: Layout,
    /// The countdown, then what the layout says.
    words: Box<[AtomicU32]>,
}

/// Which word counts what. Each number is a word's position.
#[derive(Debug, Default)]
struct Layout {
    headers: Vec<(Point, u32)>,
    branches: Vec<(Block, u32)>,
    indirect_calls: Vec<(Point, u32)>,
    /// Integer parameters, if arguments are told apart.
    parameters: Vec<(usize, u32)>,
    counts: Counts,
}

/// What is counted, but for the countdown.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counts {
    /// Arrivals at loop headers.
    pub arrivals: bool,
    /// Which way branches go.
    pub branches: bool,
    /// Indirect calls.
    pub calls: bool,
    /// The targets of indirect calls, if these are counted.
    pub targets: bool,
    /// The values of arguments.
    pub arguments: bool,
}

impl Counts {
    /// Whether anything is counted.
    pub fn any(self) -> bool {
        self.arrivals || self.branches || self.calls || self.arguments
    }
}

/// The words of a parameter, in this order.
#[derive(Clone, Copy, Debug)]
pub enum ParameterWord {
    /// Times that it was passed.
    Passed,
    /// Times that its value was another one than the last time; at first than 0.
    Changed,
    /// The value: two words, of which the second is 0 if that has 32 bits.
    Value,
}

/// How many words a parameter has.
const WORDS_OF_PARAMETER: u32 = ParameterWord::Value as u32 + 2;

/// The words of an indirect call, in this order.
#[derive(Clone, Copy, Debug)]
pub enum IndirectCallWord {
    /// Times that it was executed.
    Calls,
    /// Times that it called what it had called the last time.
    Repeated,
    /// What it called the last time: the function's number in the store plus one.
    Last,
    /// If targets are counted: pairs of words, a target, as above, and how often it was called. There are
    /// [`IndirectCalls::MOST_TARGETS`], in the order in which they were seen, and one more of all other targets, whose
    /// first word means nothing.
    Targets,
}

/// The words of an indirect call whose targets are counted.
const WORDS_WITH_TARGETS: u32 =
    IndirectCallWord::Targets as u32 + 2 * (IndirectCalls::MOST_TARGETS as u32 + 1);

/// What was counted, for those who ask.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Profiled {
    /// Per loop header, how often it was reached.
    pub loop_headers: Vec<(Point, u32)>,
    /// Per block that ends in a branch, how often the branch was taken, and how often not.
    pub branches: Vec<(Block, [u32; 2])>,
    /// Per indirect call, what was called.
    pub indirect_calls: Vec<(Point, IndirectCalls)>,
    /// Per integer parameter, by its number, what was passed, if that is counted.
    pub arguments: Vec<(usize, Arguments)>,
}

/// What was passed to a parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arguments {
    /// Times that something was.
    pub passed: u32,
    /// Times that it was something else than the last time; at first than 0.
    pub changed: u32,
    /// What was passed last.
    pub last: u64,
}

/// What an indirect call called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IndirectCalls {
    /// Times that it was executed.
    pub calls: u32,
    /// Times that it called the same function as the time before: all but one if it has a single target.
    pub repeated: u32,
    /// The function that it called last; `None` if that is another instance's.
    pub last: Option<FunctionIndex>,
    /// The first targets that were seen, and how often each was called, if targets are counted: at most
    /// [`Self::MOST_TARGETS`], without those that are another instance's.
    pub targets: Vec<(FunctionIndex, u32)>,
}

impl IndirectCalls {
    /// How many targets are told apart.
    pub const MOST_TARGETS: usize = 3;
}

impl Profile {
    /// The position of the countdown: entries and back-edges that are left until the policy is asked.
    pub const COUNTDOWN: u32 = 0;

    /// A profile of `body`, which has so many parameters, with nothing counted; what `counts` says will be.
    pub fn new(body: &Body, parameters: usize, points: &Points, countdown: u32, counts: Counts) -> Profile {
        let mut layout = Layout { counts, ..Layout::default() };
        let words_of_call =
            if counts.targets { WORDS_WITH_TARGETS } else { IndirectCallWord::Targets as u32 };
        let mut next = Profile::COUNTDOWN + 1;
        let mut take = |words: u32| {
            next += words;
            next - words
        };
        let is_integer = |&parameter: &usize| matches!(body.registers[parameter], Type::I32 | Type::I64);
        let integers = (0..parameters).filter(|parameter| counts.arguments && is_integer(parameter));
        layout.parameters = integers.map(|parameter| (parameter, take(WORDS_OF_PARAMETER))).collect();
        for block in body.block_indices() {
            if let Some(header) = points.header(block).filter(|_| counts.arrivals) {
                layout.headers.push((header, take(1)));
            }
            let basic_block = body.block(block);
            for (index, instruction) in basic_block.instructions.iter().enumerate() {
                if let Instruction::CallIndirect { .. } = instruction
                    && counts.calls
                {
                    let point = points.at(block, index).expect("calls have points");
                    layout.indirect_calls.push((point, take(words_of_call)));
                }
            }
            if let Terminator::Branch { .. } | Terminator::Guard { .. } = basic_block.terminator
                && counts.branches
            {
                layout.branches.push((block, take(2)));
            }
        }
        let words: Box<[AtomicU32]> = (0..next).map(|_| AtomicU32::new(0)).collect();
        words[Profile::COUNTDOWN as usize].store(countdown, Ordering::Relaxed);
        Profile { layout, words }
    }

    /// The address of the first word, for compiled code.
    pub fn address(&self) -> u64 {
        self.words.as_ptr() as u64
    }

    /// The addresses of all its words.
    pub fn addresses(&self) -> Range<u64> {
        self.address()..self.address() + size_of_val(&*self.words) as u64
    }

    /// Whether the countdown has ended.
    pub fn is_due(&self) -> bool {
        self.word(Profile::COUNTDOWN) == 0
    }

    /// Restarts the countdown.
    pub fn reset_countdown(&self, countdown: u32) {
        self.words[Profile::COUNTDOWN as usize].store(countdown, Ordering::Relaxed);
    }

    /// The word that counts arrivals at the loop header `point`, if they are counted.
    pub fn header(&self, point: Point) -> Option<u32> {
        find(&self.layout.headers, point)
    }

    /// The first of two words for the branch that ends `block`, if branches are counted: taken, not taken.
    pub fn branch(&self, block: Block) -> Option<u32> {
        find(&self.layout.branches, block)
    }

    /// The first of the words of the indirect call before `point`, if indirect calls are counted.
    pub fn indirect_call(&self, point: Point) -> Option<u32> {
        find(&self.layout.indirect_calls, point)
    }

    /// What is counted.
    pub fn counts(&self) -> Counts {
        self.layout.counts
    }

    /// The parameters whose values are counted, by their numbers, each with the first of its words.
    pub fn parameters(&self) -> &[(usize, u32)] {
        &self.layout.parameters
    }

    /// What was counted so far; `own` says which function that a number stands for.
    pub fn read(&self, own: impl Fn(u32) -> Option<FunctionIndex>) -> Profiled {
        let function = |position: u32| self.word(position).checked_sub(1).and_then(&own);
        let targets = |first: u32| {
            let pairs = (0..IndirectCalls::MOST_TARGETS as u32).map(|pair| first + 2 * pair);
            pairs.filter_map(|pair| Some((function(pair)?, self.word(pair + 1)))).collect()
        };
        let calls = |first: u32| IndirectCalls {
            calls: self.word(first + IndirectCallWord::Calls as u32),
            repeated: self.word(first + IndirectCallWord::Repeated as u32),
            last: function(first + IndirectCallWord::Last as u32),
            targets: match self.layout.counts.targets {
                true => targets(first + IndirectCallWord::Targets as u32),
                false => Vec::new(),
            },
        };
        let arguments = |first: u32| {
            let [low, high] = [0, 1].map(|half| self.word(first + ParameterWord::Value as u32 + half));
            Arguments {
                passed: self.word(first + ParameterWord::Passed as u32),
                changed: self.word(first + ParameterWord::Changed as u32),
                last: u64::from(high) << 32 | u64::from(low),
            }
        };
        let Layout { headers, branches, indirect_calls, parameters, .. } = &self.layout;
        Profiled {
            loop_headers: headers.iter().map(|&(point, word)| (point, self.word(word))).collect(),
            branches: branches
                .iter()
                .map(|&(block, word)| (block, [self.word(word), self.word(word + 1)]))
                .collect(),
            indirect_calls: indirect_calls.iter().map(|&(point, word)| (point, calls(word))).collect(),
            arguments: parameters.iter().map(|&(parameter, word)| (parameter, arguments(word))).collect(),
        }
    }

    fn word(&self, position: u32) -> u32 {
        self.words[position as usize].load(Ordering::Relaxed)
    }
}

/// Lists are made in order of their keys.
fn find<K: Ord + Copy>(sorted: &[(K, u32)], key: K) -> Option<u32> {
    let found = sorted.binary_search_by_key(&key, |(known, _)| *known).ok()?;
    Some(sorted[found].1)
}
