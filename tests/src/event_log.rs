//! A log of what was observed, for comparing runs: all that two runs of one schedule have in common.
//!
//! Times, addresses and register values that may be addresses are left out; a hijacked slot is named by
//! the number of its hijack.

use std::collections::HashMap;
use std::fmt::Write;
use std::sync::Mutex;

use osr_engine::{CodeVersion, Event, Observer, Thread};

/// Writes down every event.
#[derive(Debug, Default)]
pub struct EventLog(Mutex<Log>);

#[derive(Debug, Default)]
struct Log {
    lines: Vec<String>,
    /// By address, the numbers of the slots that are hijacked.
    slots: HashMap<u64, u64>,
    hijacks: u64,
}

impl EventLog {
    /// One line per event so far.
    ///
    /// # Panics
    /// If an observed thread has panicked while it wrote.
    pub fn lines(&self) -> Vec<String> {
        self.0.lock().expect("no writer has panicked").lines.clone()
    }
}

impl Observer for EventLog {
    fn observe(&self, thread: &Thread, event: &Event<'_>) {
        let mut log = self.0.lock().expect("no writer has panicked");
        let mut line = describe(&mut log, event);
        write!(line, " @{}", thread.transitions().safepoints).expect("strings take everything");
        log.lines.push(line);
    }
}

fn describe(log: &mut Log, event: &Event<'_>) -> String {
    let name = |version: &CodeVersion| format!("{} {:?}", version.id, version.function);
    match event {
        Event::Compiled { version, cause, .. } => {
            format!("compiled {} {:?} {:?}: {cause:?}", name(version), version.tier, version.entry)
        }
        Event::Entered { function, .. } => format!("entered {function:?}"),
        Event::Moved { place, from, from_version, to, slot, state, .. } => {
            let slot = slot.map(|slot| log.slots.remove(&slot).expect("hijacked before it lands"));
            let from_version = from_version.map(name);
            let values = state.values().map(|(register, _)| register.to_string()).collect::<Vec<_>>();
            format!(
                "moved {from:?} {from_version:?} to {to:?} {place:?} {} slot {slot:?} {values:?}",
                state.point
            )
        }
        Event::Hijacked { version, point, slot, cause } => {
            log.hijacks += 1;
            let before = log.slots.insert(*slot, log.hijacks);
            assert_eq!(before, None, "a slot is hijacked once");
            format!("hijacked {} {point}: {cause:?}", name(version))
        }
        Event::Dropped { version, point, slot } => {
            format!("dropped {} {point} {:?}", name(version), log.slots.remove(slot))
        }
        Event::Restored { version, point, slot } => {
            format!("restored {} {point} {:?}", name(version), log.slots.remove(slot))
        }
        Event::Retired { version, cause } => format!("retired {}: {cause:?}", name(version)),
        Event::Drained { version, cause, .. } => format!("drained {}: {cause:?}", name(version)),
        Event::Released { version, cause } => format!("released {}: {cause:?}", name(version)),
        Event::Refused { function, tier, entry, cause, .. } => {
            format!("refused {function:?} {tier:?} {entry:?}: {cause:?}")
        }
        Event::ReplacementBegan { replacement, cause } => format!("began {replacement:?}: {cause:?}"),
        Event::ReplacementEnded => "ended".to_owned(),
        Event::Invoked { function, .. } => format!("invoked {function:?}"),
        Event::Finished { outcome } => format!("finished {}", outcome.is_ok()),
        Event::HostReturned { function, outcome } => format!("host {function:?} {}", outcome.is_ok()),
        _ => "another event".to_owned(),
    }
}
