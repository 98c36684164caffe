//! What a swapped return costs beside a plain one, alone and in chains: each is predicted wrongly, since the predictor
//! expects the PC that the call has pushed. In long chains departures tell it otherwise.
//!
//! With a return barrier that is all: each return is noticed, and continues in the old code. Elsewhere each frame lands, too.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use osr_engine::{ActiveFrames, Bookkeeping, CodeRelease, CompiledTier, Destination, Mechanism, Settings};

use super::Trial;
use super::guest::{DESCENT, Guest, refused};
use crate::laboratory::results::Finding;

/// Swapped frames in a row. The return stacks of processors hold 16 to 64.
const CHAINS: [u64; 9] = [1, 2, 4, 8, 16, 32, 64, 256, 1024];

/// Returns that are only noticed, and landings, with each way to know where they led.
pub(super) fn mechanisms() -> Vec<Mechanism> {
    let release = CodeRelease::FrameCount;
    let noticed = Mechanism { frames: ActiveFrames::ReturnBarrier, release, ..Mechanism::DEFAULT };
    let landing = Bookkeeping::ALL.iter().flat_map(|&bookkeeping| {
        let of = |&release: &CodeRelease| Mechanism { bookkeeping, release, ..Mechanism::DEFAULT };
        CodeRelease::ALL.iter().map(of).find(|mechanism| mechanism.check().is_ok())
    });
    [noticed].into_iter().chain(landing).collect()
}

/// Returns through chains of frames, swapped and not, in turn. Frames that land do so in continuations that are there.
pub(super) fn run(trial: &Trial) -> Result<Vec<Finding>, String> {
    let frames = trial.mechanism.frames;
    if !trial.mechanism.hijacks() && frames != ActiveFrames::ReturnBarrier {
        return Ok(vec![Finding::nothing("it swaps no return PCs")]);
    }
    let landing = Destination::Compiled(CompiledTier::Optimized);
    let guest = Guest::new(DESCENT, trial, None, |settings| Settings { landing, ..settings })?;
    let mut findings = Vec::new();
    for chain in CHAINS {
        let (mut plain, mut swapped) = (Vec::new(), Vec::new());
        returns(&guest, chain, Some(frames))?;
        for _ in 0..trial.sizes.replacements {
            plain.push(returns(&guest, chain, None)?);
            swapped.push(returns(&guest, chain, Some(frames))?);
        }
        let finding = |metric, samples| Finding::new("chain", metric, "ns", samples).at(chain).steady();
        findings.extend([finding("plain", plain), finding("swapped", swapped)]);
    }
    Ok(findings)
}

/// The nanoseconds from the bottom back through the innermost frame and `chain` more, by frame. What is `swapped` leads to
/// what such frames do.
fn returns(guest: &Guest, chain: u64, swapped: Option<ActiveFrames>) -> Result<f64, String> {
    let left = Arc::new(Mutex::new(None));
    let shared = Arc::clone(&left);
    let descend = guest.thread.instance().exported_function("run").ok_or("the guest exports it")?;
    guest.on_probe(move |call| {
        match swapped {
            // What is called on the way back stays as it is.
            Some(ActiveFrames::ReturnBarrier) => {
                call.thread().invalidate_function(descend).map_err(refused)?;
            }
            Some(_) => {
                call.thread().hijack(|_| true).map_err(refused)?;
            }
            None => {}
        }
        *shared.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
        Ok(())
    });
    guest.call("run", chain as i64)?;
    let back =
        left.lock().unwrap_or_else(PoisonError::into_inner).ok_or("the probe was not called")?.elapsed();
    Ok(back.as_nanos() as f64 / (chain + 1) as f64)
}
