//! Planted defects: the engine is made wrong on purpose, to try out the tools that find and shrink defects.
//! Applied when code is compiled, so that it costs nothing anywhere else.

use osr_compiler::EntryPoint;
use osr_compiler::frame_map::FrameMaps;
use osr_ir::Register;
use serde::{Deserialize, Serialize};

/// The frame maps of a function's continuations are wrong about one register.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlantedDefect {
    /// The name of the function.
    pub function: String,
    /// The number of the register that its continuations misplace.
    pub register: u32,
}

impl PlantedDefect {
    /// Makes `maps` wrong, if they are those of code of `function`, entered at `entry`, that is to be wrong.
    pub(crate) fn apply(&self, function: &str, entry: EntryPoint, maps: &mut FrameMaps) {
        if function == self.function && entry != EntryPoint::Function {
            maps.misplace(Register::new(self.register as usize), 0x0bad_0bad);
        }
    }
}
