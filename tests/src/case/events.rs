//! The events of a call, as text.

use std::sync::Arc;

use osr_engine::Delegates;
use osr_ir::Module;

use super::parse::Events;
use crate::configuration::start_with;
use crate::event_log::EventLog;

/// One line per event of the call, in a fresh instance.
pub(super) fn events(module: &Module, events: &Events) -> String {
    let log = Arc::new(EventLog::default());
    let (_instance, thread) = start_with(module, &events.settings, Delegates::observer(log.clone()));
    // How the call ends is the last event.
    let _ = thread.invoke(&events.call.function, &events.call.arguments);
    log.lines().join("\n")
}
