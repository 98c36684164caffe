//! What a mechanism needs memory for: code, frame maps, unwind rows; a frame, what a replacement keeps for each, and what
//! updates leave behind.

use std::fs;
use std::sync::{Arc, Mutex, PoisonError};

use osr_engine::{Instance, Settings, Tiers, TransitionError};

use super::Trial;
use super::guest::{DESCENT, Guest, STACK_BYTES, refused};
use crate::guest::host;
use crate::laboratory::results::Finding;
use crate::laboratory::subjects::Line;

const PAGE: u64 = 4096;

/// Fewer frames are not seen in whole pages.
const ENOUGH: u64 = 10_000;

/// Measures the programs, and the sizes of frames.
pub(super) fn run(trial: &Trial) -> Result<Vec<Finding>, String> {
    let mut findings = Vec::new();
    for name in &trial.sizes.programs {
        findings.extend(at_rest(trial, name)?);
    }
    findings.push(frame(trial)?);
    let most = trial.sizes.frames.iter().copied().max().unwrap_or(0);
    for &frames in trial.sizes.frames.iter().filter(|&&frames| frames > 0 && frames >= most.min(ENOUGH)) {
        findings.push(replaced(trial, frames)?);
    }
    findings.push(kept(trial)?);
    Ok(findings)
}

/// Of a program, all of whose functions are compiled.
fn at_rest(trial: &Trial, name: &str) -> Result<[Finding; 3], String> {
    let line = Line::read(name).map_err(|error| error.to_string())?;
    let (module, name) = (line.load().map_err(|error| error.to_string())?.module, &*line.name());
    let settings = Settings {
        tiers: Tiers::Optimized,
        mechanism: trial.mechanism,
        placement: Some(trial.seed),
        checked: false,
        value_stack_bytes: STACK_BYTES,
        ..Settings::default()
    };
    let instance =
        Instance::new(settings, module, &host::env::imports(true)).map_err(|error| error.to_string())?;
    let code: u64 = instance.versions().iter().map(|version| u64::from(version.code_bytes)).sum();
    let statistics = instance.code_statistics();
    let bytes = |metric, count: u64| Finding::new(name, metric, "bytes", vec![count as f64]);
    Ok([
        bytes("code", code),
        bytes("frame maps", statistics.frame_map_bytes),
        bytes("unwind rows", statistics.unwind_bytes),
    ])
}

/// What a frame of the recursion takes on the stack, replaced or not.
fn frame(trial: &Trial) -> Result<Finding, String> {
    let guest = Guest::new(DESCENT, trial, None, |settings| settings)?;
    let slots = Arc::new(Mutex::new(Ok(Vec::new())));
    let shared = Arc::clone(&slots);
    guest.on_probe(move |call| {
        let frames = call.thread().compiled_frames();
        let listed =
            frames.map(|frames| frames.iter().map(|frame| frame.frame.return_slot.address()).collect());
        *shared.lock().unwrap_or_else(PoisonError::into_inner) =
            listed.map_err(|error: TransitionError| error.to_string());
        Ok(())
    });
    guest.call("run", 3)?;
    let slots: Vec<u64> = slots.lock().unwrap_or_else(PoisonError::into_inner).clone()?;
    let [inner, outer] = slots[1..3] else { return Err("the recursion has four frames".to_owned()) };
    Ok(Finding::new("frames", "a frame", "bytes", vec![(outer - inner) as f64]))
}

/// What each update leaves in code memory when its frames have ended.
fn kept(trial: &Trial) -> Result<Finding, String> {
    let guest = Guest::new(DESCENT, trial, None, |settings| settings)?;
    let updates = trial.sizes.updates as u64;
    let live = |guest: &Guest| guest.thread.instance().code_statistics().live_bytes;
    guest.on_probe(|call| call.thread().invalidate_all().map(drop).map_err(refused));
    // Some is released when a later call begins.
    let update = |guest: &Guest| guest.call("run", 1);
    update(&guest)?;
    let before = live(&guest);
    for _ in 0..updates {
        update(&guest)?;
    }
    let grown = live(&guest) as f64 - before as f64;
    Ok(Finding::new("versions", "kept by an update", "bytes", vec![grown / updates.max(1) as f64]))
}

/// What the process grows by when `frames` frames are replaced, by frame: records, and what a release costs or saves.
/// The system counts whole pages: of few frames nothing is seen.
fn replaced(trial: &Trial, frames: u64) -> Result<Finding, String> {
    let guest = Guest::new(DESCENT, trial, None, |settings| settings)?;
    guest.call("run", frames as i64)?;
    let grown = Arc::new(Mutex::new(Ok(0.0)));
    let shared = Arc::clone(&grown);
    guest.on_probe(move |call| {
        let before = resident();
        let result = call.thread().invalidate_active().map(|_| resident() as f64 - before as f64);
        *shared.lock().unwrap_or_else(PoisonError::into_inner) = result.map_err(|error| error.to_string());
        Ok(())
    });
    guest.call("run", frames as i64)?;
    let bytes = grown.lock().unwrap_or_else(PoisonError::into_inner).clone()?;
    Ok(Finding::new("frames", "records", "bytes", vec![bytes / frames as f64]).at(frames))
}

/// Bytes of this process's memory that are resident.
fn resident() -> u64 {
    let text = fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages = text.split(' ').nth(1).and_then(|pages| pages.parse::<u64>().ok());
    pages.unwrap_or(0) * PAGE
}
