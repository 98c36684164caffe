//! What a hijacked return costs beside a plain one, alone and in chains: each is predicted wrongly, since the predictor
//! expects the PC that the call has pushed. In long chains departures tell it otherwise.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use osr_engine::{CompiledTier, Destination, Settings};

use super::Trial;
use super::guest::{DESCENT, Guest, refused};
use crate::laboratory::results::Finding;

/// Hijacked frames in a row. The return stacks of processors hold 16 to 64.
const CHAINS: [u64; 9] = [1, 2, 4, 8, 16, 32, 64, 256, 1024];

/// Returns through chains of frames, hijacked and not, in turn. Hijacked frames land in continuations that are there.
pub(super) fn run(trial: &Trial) -> Result<Vec<Finding>, String> {
    if !trial.mechanism.hijacks() {
        return Ok(vec![Finding::nothing("it hijacks no frames")]);
    }
    let landing = Destination::Compiled(CompiledTier::Optimized);
    let guest = Guest::new(DESCENT, trial, None, |settings| Settings { landing, ..settings })?;
    let mut findings = Vec::new();
    for chain in CHAINS {
        let (mut plain, mut hijacked) = (Vec::new(), Vec::new());
        returns(&guest, chain, true)?;
        for _ in 0..trial.sizes.replacements {
            plain.push(returns(&guest, chain, false)?);
            hijacked.push(returns(&guest, chain, true)?);
        }
        let finding = |metric, samples| Finding::new("chain", metric, "ns", samples).at(chain).steady();
        findings.extend([finding("plain", plain), finding("hijacked", hijacked)]);
    }
    Ok(findings)
}

/// The nanoseconds from the bottom back through the innermost frame and `chain` more, by frame.
fn returns(guest: &Guest, chain: u64, hijack: bool) -> Result<f64, String> {
    let left = Arc::new(Mutex::new(None));
    let shared = Arc::clone(&left);
    guest.on_probe(move |call| {
        if hijack {
            call.thread().hijack(|_| true).map_err(refused)?;
        }
        *shared.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
        Ok(())
    });
    guest.call("run", chain as i64)?;
    let back =
        left.lock().unwrap_or_else(PoisonError::into_inner).ok_or("the probe was not called")?.elapsed();
    Ok(back.as_nanos() as f64 / (chain + 1) as f64)
}
