//! Planted defects: the engine is made wrong on purpose, to try out the tools that find and shrink defects.
//! Applied when code is compiled, so that it costs nothing anywhere else.

use osr_compiler::frame_map::Site;
use osr_compiler::{CompiledBody, EntryPoint, listed};
use osr_ir::{PointKind, Register};
use serde::{Deserialize, Serialize};

/// The frame maps of a function are wrong about one register.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlantedDefect {
    /// The name of the function.
    pub function: String,
    /// The number of the register that is misplaced.
    pub register: u32,
    /// In which maps.
    #[serde(default)]
    pub place: DefectPlace,
}

listed! {
    /// Which frame maps are wrong.
    pub enum DefectPlace {
        /// All of continuations.
        #[default]
        Continuations = "continuations",
        /// Those of guards that leave.
        Guards = "guards",
        /// Those of frames that stand for several activations.
        Chains = "chains",
    }
}

impl PlantedDefect {
    /// Makes the maps of `body` wrong, if it is code of `function`, entered at `entry`, that is to be wrong.
    pub(crate) fn apply(&self, function: &str, entry: EntryPoint, body: &mut CompiledBody) {
        if function != self.function {
            return;
        }
        let chains = body.virtual_frames.as_deref();
        let is_wrong = |number: u32, site: &Site| match self.place {
            DefectPlace::Continuations => entry != EntryPoint::Function,
            DefectPlace::Guards => site.kind == PointKind::Guard,
            DefectPlace::Chains => chains.is_some_and(|frames| frames.has_chain(number)),
        };
        body.frame_maps.misplace(Register::new(self.register as usize), 0x0bad_0bad, is_wrong);
    }
}
