//! The host: owns the functions, replaces them while they run, and frees them.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use osr_release::{Census, CodeRange, Drained, Reclaimer, Strategy};
use osr_stackwalk::{ExitRecord, ReturnPc, ReturnSlot};

use crate::program::{Cells, Function, Which};
use crate::stack::{barrier_pc, census};

/// One for each thread.
pub(crate) struct Host {
    cells: Cells,
    /// What the cells hold.
    current: RefCell<Vec<Function>>,
    reclaimer: RefCell<Reclaimer<Function>>,
    /// Where compiled code has called the host, outermost first.
    exits: RefCell<Vec<ExitRecord>>,
    generation: Cell<u64>,
    /// How often the program is to be replaced by others.
    replacements: Cell<u64>,
    /// What was freed, in that order: `half #0`.
    freed: RefCell<Vec<String>>,
}

thread_local! {
    static HOST: RefCell<Option<Rc<Host>>> = const { RefCell::new(None) };
}

/// The host of this thread.
fn host() -> Rc<Host> {
    HOST.with_borrow(|host| Rc::clone(host.as_ref().expect("`run` makes one")))
}

/// Runs `even(n)`, which is replaced so often at the bottom of its recursion. Returns what it computes, and what was freed
/// before it returned and in all.
pub(crate) fn run(strategy: Strategy, n: u64, replacements: u64) -> (f64, [Vec<String>; 2]) {
    let reclaimer = match strategy {
        // SAFETY: censuses are of this thread's frames and their slots, by a walk; the stub asks, and continues as it is
        // told with all registers that a return leaves.
        Strategy::Barrier => unsafe { Reclaimer::with_stub(barrier_pc()) },
        _ => Reclaimer::new(strategy),
    };
    let host = Rc::new(Host {
        cells: Cells::default(),
        current: RefCell::default(),
        reclaimer: RefCell::new(reclaimer),
        exits: RefCell::default(),
        generation: Cell::new(0),
        replacements: Cell::new(replacements),
        freed: RefCell::default(),
    });
    HOST.set(Some(Rc::clone(&host)));
    host.install();
    let result = host.call(n);
    let during = host.freed.borrow().clone();
    host.retire_current("at last");
    HOST.set(None);
    assert!(!host.reclaimer.borrow().has_waiting(), "{strategy:?}: all code is freed");
    (result, [during, host.freed.take()])
}

/// Compiled code pauses, at the bottom of its recursion: all of it is replaced, under its own frames, and the new code
/// called. Then the old code continues.
pub(crate) fn pause(exit: ExitRecord) -> f64 {
    let host = host();
    host.exits.borrow_mut().push(exit);
    if let Some(left) = host.replacements.get().checked_sub(1) {
        host.replacements.set(left);
        host.retire_current("at once");
        host.install();
        host.call(2);
    }
    host.exits.borrow_mut().pop();
    1.0
}

/// A frame of retired code, which has called from `pc`, will do nothing more but return.
pub(crate) fn frame_ended(pc: ReturnPc) {
    let host = host();
    // What had ended before has returned since: this is another frame, which itself has not.
    host.free_drained("the end of another frame");
    host.reclaimer.borrow_mut().frame_ended(pc);
}

/// A frame has returned through `slot`, and its code is on no barrier's account any more. Where to continue.
pub(crate) fn returned(slot: ReturnSlot) -> ReturnPc {
    let host = host();
    let original = host.reclaimer.borrow_mut().returned(slot);
    host.free_drained("a return");
    original.expect("barriers are met innermost first")
}

impl Host {
    pub(crate) fn exits(&self) -> Vec<ExitRecord> {
        self.exits.borrow().clone()
    }

    /// Where all code is that is not freed.
    pub(crate) fn all_code(&self) -> Vec<CodeRange> {
        let current = self.current.borrow();
        let waiting = self.reclaimer.borrow().waiting();
        waiting.into_iter().chain(current.iter().map(|function| function.range)).collect()
    }

    /// What `slot` held before a barrier was put there.
    pub(crate) fn original(&self, slot: ReturnSlot) -> Option<ReturnPc> {
        self.reclaimer.borrow().original(slot)
    }

    /// Compiles the program anew, and has calls enter that.
    fn install(&self) {
        let (strategy, generation) = (self.strategy(), self.generation.get());
        self.generation.set(generation + 1);
        let compile = |which| Function::compile(which, generation, strategy, &self.cells);
        let functions: Vec<Function> = Which::ALL.map(compile).into();
        functions.iter().for_each(|function| self.cells.bind(function));
        self.current.replace(functions);
    }

    /// Nothing enters the current functions any more; those that follow are not there yet, but nothing calls meanwhile.
    fn retire_current(&self, when: &str) {
        let ranges: Vec<CodeRange> = self.current.borrow().iter().map(|function| function.range).collect();
        let strategy = self.strategy();
        let census = match strategy {
            // Frames do not matter.
            Strategy::Epoch | Strategy::Residence => Census::default(),
            Strategy::Scan | Strategy::Count | Strategy::Barrier => census(self, &ranges),
        };
        let functions = self.current.take();
        if strategy == Strategy::Count {
            // From now on the ends of its frames are told of.
            functions.iter().for_each(|function| function.word.set(1));
        }
        let retired = functions.into_iter().map(|function| (function.range, function));
        self.reclaimer.borrow_mut().retire(retired, &census);
        self.look(when);
    }

    /// Calls the program. The outermost call is what epochs go by.
    fn call(&self, n: u64) -> f64 {
        let is_outermost = self.exits.borrow().is_empty();
        let counts = is_outermost && self.strategy() == Strategy::Epoch;
        let began = counts.then(|| self.reclaimer.borrow_mut().call_began());
        let result = self.cells.call_even(n);
        if let Some(began) = began {
            self.reclaimer.borrow_mut().call_ended(began);
        }
        self.look("a look after a call");
        result
    }

    fn strategy(&self) -> Strategy {
        self.reclaimer.borrow().strategy()
    }

    /// Frees what has drained; first looks for it, where the strategy leaves that to its owner. Not to be called where
    /// retired code has told of its end, and is yet to return.
    fn look(&self, when: &str) {
        match self.strategy() {
            Strategy::Scan => {
                let waiting = self.reclaimer.borrow().waiting();
                let census = census(self, &waiting);
                self.reclaimer.borrow_mut().scan(&census);
            }
            Strategy::Residence => {
                self.reclaimer.borrow_mut().look(|function| function.word.get() == 0);
            }
            Strategy::Count | Strategy::Barrier | Strategy::Epoch => {}
        }
        self.free_drained(when);
    }

    fn free_drained(&self, when: &str) {
        let drained: Vec<Drained<Function>> = self.reclaimer.borrow_mut().take_drained().collect();
        for Drained { code: function, latency, .. } in drained {
            let name = format!("{:?} #{}", function.which, function.generation).to_lowercase();
            println!("  {when}: nobody is inside {name} any more, after {latency:.1?}");
            // SAFETY: so the reclaimer says, and the cells hold others.
            unsafe { function.free() };
            self.freed.borrow_mut().push(name);
        }
    }
}
