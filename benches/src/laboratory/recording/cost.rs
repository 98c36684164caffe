//! What a function's code takes.

use std::time::Duration;

use osr_engine::CodeVersion;
use serde::Serialize;

use super::instructions::Instructions;

/// What the code of a function takes, with one state recording or by another compiler; or that of all functions of a program.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(super) struct Cost {
    /// Bytes of machine code, pads included.
    pub(super) code: u64,
    /// Of that, pads.
    pub(super) pads: u64,
    /// Bytes of frame maps.
    pub(super) maps: u64,
    /// Instructions that copy one register to another.
    pub(super) moves: u64,
    /// Instructions that copy between a register and the frame.
    pub(super) spills: u64,
    /// Bytes of the frame; of a program, of the largest.
    pub(super) frame_bytes: u64,
    /// Processor time that the compilation took.
    pub(super) compile_nanoseconds: u64,
}

impl Cost {
    /// That of `version`, whose compilation took `time`.
    pub(super) fn of(version: &CodeVersion, time: Duration) -> Cost {
        let code = version.code().expect("a version that nothing enters is not released");
        Cost { pads: version.pad_bytes(), maps: version.frame_map_bytes(), ..Cost::of_code(&code, time) }
    }

    /// That of `code`, of which no more is known.
    pub(super) fn of_code(code: &[u8], time: Duration) -> Cost {
        let Instructions { moves, spills, frame_bytes } = Instructions::of(code);
        let compile_nanoseconds = time.as_nanos() as u64;
        Cost { code: code.len() as u64, moves, spills, frame_bytes, compile_nanoseconds, ..Cost::default() }
    }

    /// Adds what another function takes.
    pub(super) fn add(&mut self, other: &Cost) {
        let Cost { code, pads, maps, moves, spills, frame_bytes, compile_nanoseconds } = other;
        self.code += code;
        self.pads += pads;
        self.maps += maps;
        self.moves += moves;
        self.spills += spills;
        self.frame_bytes = self.frame_bytes.max(*frame_bytes);
        self.compile_nanoseconds += compile_nanoseconds;
    }
}
