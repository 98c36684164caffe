//! Explanations as text.

use std::fmt::{Display, Formatter, Result};

use osr_ir::Shown;

use super::{
    DeoptimizationLoop, ExplainedFunction, ExplainedVersion, Explanation, FailedGuard, FramesGone, Gone,
    Order, Outstanding,
};
use crate::event::Estimate;
use crate::settings::Tier;

/// Versions of a function that are shown one by one.
const SHOWN: usize = 12;

impl Display for Explanation {
    fn fmt(&self, out: &mut Formatter<'_>) -> Result {
        self.redefinitions.iter().try_for_each(|redefinition| write!(out, "{redefinition}"))?;
        if self.functions.is_empty() {
            return writeln!(out, "nothing was compiled");
        }
        for function in &self.functions {
            write!(out, "{function}")?;
        }
        for of in &self.deoptimization_loops {
            write!(out, "{of}")?;
        }
        writeln!(
            out,
            "entries that the runtime sees are counted; calls from compiled code to compiled code are not"
        )
    }
}

impl Display for ExplainedFunction {
    fn fmt(&self, out: &mut Formatter<'_>) -> Result {
        writeln!(
            out,
            "{} (function {}): {} version{}",
            Shown(&self.function),
            self.index,
            self.versions.len(),
            if self.versions.len() == 1 { "" } else { "s" }
        )?;
        for refusal in &self.refused {
            writeln!(out, "  the compiler refused: {refusal}")?;
        }
        for fallback in &self.fallbacks {
            writeln!(out, "  made otherwise: {fallback}")?;
        }
        for outstanding in &self.outstanding {
            write!(out, "{outstanding}")?;
        }
        let arrivals = self.baseline_arrivals.iter().filter(|(_, count)| *count > 0);
        let arrivals: Vec<String> = arrivals.map(|(point, count)| format!("{point} {count}")).collect();
        if !arrivals.is_empty() {
            writeln!(out, "  arrivals at loop headers in baseline code: {}", arrivals.join(", "))?;
        }
        for version in self.versions.iter().take(SHOWN) {
            write!(out, "{version}")?;
        }
        match self.versions.len().saturating_sub(SHOWN) {
            0 => Ok(()),
            more => writeln!(out, "  and {more} more versions (the JSON form has them all)"),
        }
    }
}

impl Display for ExplainedVersion {
    fn fmt(&self, out: &mut Formatter<'_>) -> Result {
        let (tier, entry) = (Tier::from(self.tier).name(), entry(&self.entry));
        let (bytes, recording) = (self.code_bytes, self.recording.name());
        writeln!(out, "  v{} {tier}, entered at {entry}, {bytes} bytes, frame states: {recording}", self.id)?;
        let (at, took) = (microseconds(self.made.ns), microseconds(self.compile_ns));
        writeln!(out, "     made at {at} in {took}: {}", self.cause)?;
        if let Some(order) = self.ordered {
            writeln!(out, "     {order}")?;
        }
        if !self.inlined.is_empty() {
            let inlined: Vec<String> = self.inlined.iter().map(|name| Shown(name).to_string()).collect();
            writeln!(out, "     inlined: {}", inlined.join(", "))?;
        }
        let entered = self.entered;
        writeln!(
            out,
            "     entered by {} calls and {} frames from the interpreter, {} landings",
            entered.calls, entered.tier_ups, entered.landings
        )?;
        if self.guards > 0 {
            writeln!(out, "     {} guards{}", self.guards, failed(&self.failed_guards))?;
        }
        if self.hijacked > 0 {
            let frames: Vec<String> = self.frames.iter().map(ToString::to_string).collect();
            writeln!(out, "     {} frames hijacked: {}", self.hijacked, frames.join(", "))?;
        }
        if let Some(retired) = self.retired {
            writeln!(out, "     retired at {}: {}", microseconds(retired.at.ns), retired.cause)?;
            match self.released {
                Some(released) => writeln!(
                    out,
                    "     memory freed {} and {} safepoints later, with {} frames to land",
                    microseconds(released.after_ns),
                    released.after_safepoints,
                    released.pending_frames
                )?,
                None => writeln!(out, "     its memory is not freed")?,
            }
        }
        Ok(())
    }
}

impl Display for Order {
    fn fmt(&self, out: &mut Formatter<'_>) -> Result {
        let Estimate { instructions, cost_ns, saving_ns } = self.estimate;
        let [at, cost, saving] = [self.at.ns, cost_ns, saving_ns].map(microseconds);
        write!(
            out,
            "ordered at {at}: {instructions} instructions\n     \
             to cost {cost}, to save {saving} in as long a run again"
        )
    }
}

impl Display for Outstanding {
    fn fmt(&self, out: &mut Formatter<'_>) -> Result {
        let (tier, entry) = (Tier::from(self.tier).name(), entry(&self.entry));
        let why = match self.discarded {
            true => "discarded: code of the function was retired meanwhile",
            false => "has not arrived",
        };
        writeln!(out, "  {tier}, entered at {entry}: {why}")?;
        writeln!(out, "     {}", self.order)
    }
}

/// What is said of guards that failed.
fn failed(guards: &[FailedGuard]) -> String {
    let one = |guard: &FailedGuard| {
        let FailedGuard { reason, function, at, source, point, failed, forced, linked_to } = guard;
        let forced = if *forced > 0 { format!(", and was made to {forced}") } else { String::new() };
        let linked = linked_to.map_or(String::new(), |to| format!(", then its exit was linked to v{to}"));
        let function = Shown(function);
        let source = source.as_ref().map_or(String::new(), |source| format!(" ({source})"));
        format!(
            "{} at {at} of {function}{source}, exit p{point}, failed {failed}{forced}{linked}",
            reason.name()
        )
    };
    let all: Vec<String> = guards.iter().map(one).collect();
    if all.is_empty() { String::new() } else { format!(": {}", all.join("; ")) }
}

impl Display for FramesGone {
    fn fmt(&self, out: &mut Formatter<'_>) -> Result {
        let to = match self.to {
            Gone::Landed(tier) => tier.name(),
            Gone::Dropped => "dropped by a trap",
            Gone::Restored => "restored",
        };
        let source = self.source.as_ref().map_or(String::new(), |source| format!(" ({source})"));
        write!(out, "{}{source} {to} {}", self.point, self.count)
    }
}

impl Display for DeoptimizationLoop {
    fn fmt(&self, out: &mut Formatter<'_>) -> Result {
        let (tier, entry) = (Tier::from(self.tier).name(), entry(&self.entry));
        let time = microseconds(self.compile_ns);
        writeln!(
            out,
            "deoptimization loop: {} in {tier} code entered at {entry}: made {} times in {time}, retired {} times{}",
            Shown(&self.function),
            self.made,
            self.retired,
            failed(&self.failed_guards)
        )
    }
}

fn entry(entry: &str) -> &str {
    if entry == "function" { "its entry" } else { entry }
}

pub(super) fn microseconds(ns: u64) -> String {
    format!("{}.{:03} us", ns / 1_000, ns % 1_000)
}
