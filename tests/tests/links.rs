//! The code of linked exits: unwinders find the way from each of its instructions.

use std::ops::Range;
use std::pin::Pin;
use std::sync::{Arc, Mutex};

use osr_engine::{
    Delegates, Event, FailingGuards, Imports, Instance, Observation, Observer, Observers, Settings, Thread,
    Tiers,
};
use osr_ir::Value;
use osr_stackwalk::{CfiRows, DwarfWalker, ExitRecord, NativeModules, NoHijacks, ReturnSlot};
use osr_symbols::{Gdb, PerfMap};
use osr_tests::guest::{acting, parse};
use osr_tests::{debugger, stepping};

/// The guard of `failing` always fails. Values live across the calls are in registers that are saved.
const GUEST: &str = "import act () = \"env\" \"act\"
    export \"run\" function run
    function run (r0: i32) -> (i32) {
      r1: i32, r2: i32
    b0:
      r1 = i32.const 3
      r1 = i32.mul r0, r1
      r2 = i32.add r0, r1
      call act ()
      r0 = call failing (r0, r1)
      r0 = i32.add r0, r1
      r0 = i32.add r0, r2
      return r0
    }
    function failing (r0: i32, r1: i32) -> (i32) {
      r2: i32, r3: i32
    b0:
      r2 = i32.mul r0, r1
      r3 = call nothing ()
      guard r3, b1 else b2
    b1:
      return r1
    b2:
      r2 = i32.add r2, r1
      r2 = i32.add r2, r0
      return r2
    }
    function nothing () -> (i32) {
      r0: i32
    b0:
      r0 = i32.const 0
      return r0
    }";

/// What `run` returns for 5: 75 + 15 + 5 of `failing`, and 15 + 20.
const RESULT: [u64; 1] = [130];

/// Keeps what unwinders are told of the exit that was linked last, and the rows of what may be on the stack with it.
#[derive(Debug, Default)]
struct Watch(Mutex<Linked>);

#[derive(Clone, Debug, Default)]
struct Linked {
    code: Range<u64>,
    rows: Vec<u8>,
    /// Of the versions, without the terminator.
    others: Vec<u8>,
    starts: Vec<u64>,
}

impl Observer for Watch {
    fn observe(&self, at: &Observation<'_>, event: &Event<'_>) {
        let instance = at.instance();
        let mut linked = self.0.lock().expect("unpoisoned");
        match event {
            Event::ExitLinked { link, .. } => {
                linked.code = link.start()..link.start() + link.code().len() as u64;
                linked.rows = instance.unwind_section_of_link(link).expect("rows");
            }
            Event::Compiled { version, .. } => {
                let rows = instance.unwind_section(version, version.start).expect("rows");
                linked.others.extend(&rows[..rows.len() - 4]);
                linked.starts.push(version.start);
            }
            _ => {}
        }
    }
}

fn start(observers: Vec<Arc<dyn Observer>>, imports: &Imports) -> (Arc<Instance>, Pin<Box<Thread>>) {
    let settings = Settings {
        tiers: Tiers::Optimized,
        threshold: Some(0),
        guard_failures: 2,
        failing_guards: FailingGuards::Link,
        checked: true,
        ..Settings::default()
    };
    let delegates = Delegates { observer: Observers::join(observers), policy: None };
    let instance = Instance::with_delegates(settings, delegates, parse(GUEST), imports).expect("an instance");
    let thread = Thread::new(&instance).expect("a thread");
    (instance, thread)
}

/// Calls `run` until its exit is linked, and once more, when `act` is done.
#[inline(never)]
fn function_of_the_test(
    more: Vec<Arc<dyn Observer>>,
    act: impl Fn(&Linked) + Send + Sync + 'static,
) -> Linked {
    let (watch, is_linked) = (Arc::new(Watch::default()), Arc::new(Mutex::new(false)));
    let (seen, go) = (Arc::clone(&watch), Arc::clone(&is_linked));
    let imports = acting(move |_| {
        if *go.lock().expect("unpoisoned") {
            act(&seen.0.lock().expect("unpoisoned").clone());
        }
    });
    let observers = more.into_iter().chain([Arc::clone(&watch) as Arc<dyn Observer>]).collect();
    let (instance, thread) = start(observers, &imports);
    let run = || assert_eq!(thread.invoke("run", &[Value::I32(5)]).expect("it returns"), RESULT);
    (0..4).for_each(|_| run());
    assert_eq!(instance.linked_exits(), 2, "the second failure has the exit linked");
    *is_linked.lock().expect("unpoisoned") = true;
    run();
    assert_eq!(instance.linked_exits(), 3);
    Linked::clone(&watch.0.lock().expect("unpoisoned"))
}

#[test]
fn each_instruction_can_be_unwound_from() {
    let gdb: Vec<Arc<dyn Observer>> = vec![Arc::new(Gdb::new())];
    let linked = function_of_the_test(gdb, |linked| stepping::begin(linked.code.clone()));
    let seen = stepping::seen();
    let (behind, steps) = seen.split_last().expect("it was stepped through");
    assert!(steps.len() > 15, "{}", steps.len());
    assert_eq!(steps[0].pc, linked.code.start);
    assert!(linked.starts.contains(&behind.pc), "the continuation is entered next");
    let rows = CfiRows::parse(&linked.rows).expect("rows");
    assert_eq!(u64::from(rows.length()), linked.code.end - linked.code.start);
    let bytes = [&linked.others[..], &linked.rows].concat();
    let lowest = linked.starts.iter().copied().chain([linked.code.start]).min().expect("code") & !0xfff;
    let mut walker = DwarfWalker::new(NativeModules::default(), lowest..lowest + (1 << 20));
    walker.refresh_arena(1, || Ok(bytes.clone())).expect("sound rows");
    for step in steps {
        // The caller's registers, as the continuation finds them, which saves them itself.
        let row = rows.at((step.pc - linked.code.start) as u32).expect("a row");
        let memory = |address: u64| step.word(address);
        let popped = row.pop(&memory, step.stack_pointer, &step.registers).expect("a frame");
        assert_eq!(popped.registers, behind.registers, "{:#x}", step.pc);
        assert_eq!(popped.return_slot.address(), behind.stack_pointer, "{:#x}", step.pc);
        // framehop, which the walker holds against the rows. It is told of a PC as of one that is returned to, in a word
        // below the stack: the instruction before that is meant.
        let slot = step.stack_pointer - 8;
        let memory = |address: u64| if address == slot { Some(step.pc + 1) } else { step.word(address) };
        let start = ExitRecord { return_slot: ReturnSlot::new(slot), frame_base: step.registers.rbp };
        let mut walk = walker.walk(memory, NoHijacks { boundary: None }, start);
        let frames = [(); 2].map(|()| walk.next_frame().expect("a frame").expect("a frame"));
        let caller = behind.word(behind.stack_pointer).expect("a return PC");
        assert_eq!(frames[1].pc.address(), caller, "{:#x}", step.pc);
        assert_eq!(frames[1].frame_base, behind.registers.rbp, "{:#x}", step.pc);
        // The system's unwinder, which was told by `Gdb`.
        let trace = step.backtrace.to_string();
        assert!(trace.contains("function_of_the_test"), "{:#x}: {trace}", step.pc);
    }
}

/// Where the debugger finds the code. It cannot be told otherwise.
static mut LINK_FOR_DEBUGGER: u64 = 0;

#[test]
fn a_debugger_names_the_frame_at_each_instruction() {
    const STEPS: usize = 18;
    if debugger::is_watching() {
        let gdb: Vec<Arc<dyn Observer>> = vec![Arc::new(Gdb::new())];
        function_of_the_test(gdb, |linked| {
            // SAFETY: nothing else accesses it.
            unsafe { (&raw mut LINK_FOR_DEBUGGER).write_volatile(linked.code.start) };
            debugger::stop();
        });
        return;
    }
    let mut commands = vec!["thbreak *links::LINK_FOR_DEBUGGER", "continue"];
    commands.extend(["backtrace", "stepi"].repeat(STEPS));
    let test = "a_debugger_names_the_frame_at_each_instruction";
    let Some(trace) = debugger::backtrace(test, &commands) else { return };
    let traces: Vec<&str> = trace.split("#0 ").skip(2).collect();
    let in_link = traces.iter().filter(|trace| trace.contains("failing[optimized,link]"));
    let is_whole = |trace: &&&str| trace.contains("run[optimized]") && trace.contains("function_of_the_test");
    assert!(in_link.clone().count() >= STEPS - 1, "{trace}");
    assert!(in_link.clone().all(|trace| is_whole(&trace)), "{trace}");
}

#[test]
fn a_perf_map_has_a_line_for_each_link() {
    let map: Vec<Arc<dyn Observer>> = vec![Arc::new(PerfMap::create().expect("a file"))];
    let linked = function_of_the_test(map, |_| ());
    let map = std::fs::read_to_string(PerfMap::path()).expect("the file is there");
    let line =
        format!("{:x} {:x} failing[optimized,link]", linked.code.start, linked.code.end - linked.code.start);
    assert!(map.lines().any(|known| known == line), "{line}: {map}");
    std::fs::remove_file(PerfMap::path()).expect("it is there");
}
