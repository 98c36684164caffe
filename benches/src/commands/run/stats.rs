//! Statistics of a run, as JSON. A file is replaced as a whole or not at all.

use osr_engine::{CodeStatistics, CodeTimes, Transitions, Trap};
use osr_ir::Module;
use osr_wasi::Exit;
use serde::Serialize;

use crate::guest::call::Call;
use crate::guest::refused::Refused;
use crate::guest::session::Outcome;
use crate::guest::trapped::{ShownFrame, backtrace};
use crate::json;
use crate::number::show_all;

/// What is written.
#[derive(Debug, Serialize)]
pub(crate) struct Stats {
    /// As they are printed: text, since JSON numbers lose 64-bit integers and have no infinities.
    results: Vec<String>,
    /// Only if the program has exited by itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    exit_code: Option<i32>,
    /// Only if the program trapped.
    #[serde(skip_serializing_if = "Option::is_none")]
    trap: Option<TrapStats>,
    wall_ns: u64,
    /// 16 hexadecimal digits; null without a memory.
    memory_hash: Option<String>,
    transitions: Transitions,
    linked_exits: u64,
    code: CodeStatistics,
    code_times: CodeTimes,
    refused: Refused,
    stack: StackStats,
}

#[derive(Debug, Serialize)]
struct TrapStats {
    kind: &'static str,
    function: String,
    point: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<String>,
    /// The activation that trapped, and those that waited for it.
    backtrace: Vec<ShownFrame>,
    /// How many there were further out.
    further_activations: usize,
}

#[derive(Debug, Serialize)]
struct StackStats {
    /// The sum of the two others, whose peaks need not be at the same time.
    peak_bytes: u64,
    native_peak_bytes: u64,
    value_peak_bytes: u64,
}

impl Stats {
    /// The statistics of `outcome`, which is that of `call`.
    pub(crate) fn of(outcome: &Outcome, call: &Call) -> Stats {
        let types = &call.signature().results;
        let trap = outcome.result.as_ref().err().filter(|trap| Exit::of(trap).is_none());
        let (native, value) = (outcome.native_stack_bytes, outcome.value_stack_bytes);
        let exit = outcome.result.as_ref().err().and_then(Exit::of);
        Stats {
            results: outcome.result.as_ref().map(|words| show_all(types, words)).unwrap_or_default(),
            exit_code: exit.map(|exit| exit.code),
            trap: trap.map(|trap| TrapStats::of(&call.program.module, trap)),
            wall_ns: outcome.wall.as_nanos() as u64,
            memory_hash: outcome.memory_hash.map(|hash| format!("{hash:016x}")),
            transitions: outcome.transitions,
            linked_exits: outcome.linked_exits,
            code: outcome.code,
            code_times: outcome.code_times,
            refused: outcome.refused.clone(),
            stack: StackStats {
                peak_bytes: native + value,
                native_peak_bytes: native,
                value_peak_bytes: value,
            },
        }
    }
}

impl Stats {
    /// As JSON.
    pub(crate) fn text(&self) -> String {
        json::pretty(self) + "\n"
    }
}

impl TrapStats {
    fn of(module: &Module, trap: &Trap) -> TrapStats {
        TrapStats {
            kind: trap.kind.name(),
            function: trap.function_name.clone(),
            point: trap.point.to_string(),
            message: trap.message.clone(),
            backtrace: backtrace(module, trap),
            further_activations: trap.callers.further(),
        }
    }
}
