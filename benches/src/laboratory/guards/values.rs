//! What the guards of programs keep: the table of D'Elia and Demetrescu, "On-Stack Replacement, Distilled" (PLDI 2018), for
//! exits.
//!
//! Each bundled program is executed with speculation, so that there are guards; then its code is looked at. A value is
//! kept *for the exit alone* if it is live where the guard exits to and not where execution continues while it holds: the
//! code would not have it otherwise. Of these some are *recomputable*: instructions of the guard's block make them from what
//! is live where execution continues, so that an exit could make them again instead.

use std::collections::HashSet;

use osr_engine::{CodeVersion, Instance, Location, Settings, SpeculationKind, Thread, Tiers};
use osr_ir::liveness::RegisterSet;
use osr_ir::{Block, Instruction, Liveness, Register};
use serde::Serialize;

use crate::error::Error;
use crate::guest::compiled::stand_ins;
use crate::guest::entry;
use crate::guest::suite;
use crate::laboratory::early_end;
use crate::number::read_arguments;

/// The values at the guards of a program.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Values {
    pub(super) program: String,
    /// Versions that have guards.
    pub(super) versions: u64,
    /// Guards with an exit.
    pub(super) guards: u64,
    /// Values that are live where they exit to.
    pub(super) live: u64,
    /// Of those: constants, which nothing keeps.
    pub(super) constants: u64,
    /// Of those: kept for the exit alone.
    pub(super) for_exit: u64,
    /// Of those: recomputable.
    pub(super) recomputable: u64,
    /// Bytes that the exits store, where they are taken.
    pub(super) stored_bytes: u64,
    /// Bytes of the versions' code, and of all their frame maps.
    pub(super) code_bytes: u64,
    pub(super) map_bytes: u64,
}

/// Those of all bundled programs; after an interrupt, of no more.
pub(super) fn of_programs() -> Result<Vec<Values>, Error> {
    suite::all().iter().take_while(|_| !early_end::is_wanted()).map(of_program).collect()
}

fn of_program(recorded: &suite::Recorded) -> Result<Values, Error> {
    let program = recorded.load()?;
    let settings = Settings {
        tiers: Tiers::Auto,
        threshold: Some(2),
        optimize_threshold: Some(200),
        speculate: [SpeculationKind::Branch].into(),
        checked: false,
        ..Settings::default()
    };
    let imports = stand_ins(&program.module);
    let refused = |source| Error::Instantiate { path: program.path.clone(), source };
    let instance = Instance::new(settings, program.module.clone(), &imports).map_err(refused)?;
    let thread = Thread::new(&instance)?;
    let (name, function) = entry::find(&program, Some(&recorded.invoke))?;
    let texts: Vec<String> = recorded.small.iter().map(i64::to_string).collect();
    let arguments = read_arguments(name, program.module.signature_of(function), &texts)?;
    for _ in 0..CALLS {
        thread.invoke(name, &arguments).map_err(|error| Error::Guards { message: error.to_string() })?;
    }
    let mut values = Values { program: recorded.name.clone(), ..Values::default() };
    instance.versions().iter().for_each(|version| values.add(&instance, version));
    Ok(values)
}

/// Calls of each program: from the second on, what is hot is optimized.
const CALLS: usize = 3;

impl Values {
    fn add(&mut self, instance: &Instance, version: &CodeVersion) {
        let exits: Vec<_> = version.guards().filter_map(|(guard, _)| Some((guard, guard.site?))).collect();
        let Some(body) = instance.module().function(version.function).body() else { return };
        if exits.is_empty() || version.inlined().next().is_some() {
            return;
        }
        self.versions += 1;
        self.code_bytes += u64::from(version.code_bytes);
        self.map_bytes += version.frame_map_bytes();
        let points = instance.points(version.function);
        let liveness = Liveness::of(body, points);
        for (guard, site) in exits {
            let exit = points.guard_block(guard.point);
            let continues = other_successor(body, guard.at.block, exit);
            let maps = &version.frame_maps;
            let mut counted = HashSet::new();
            self.guards += 1;
            for entry in maps.entries(&maps.site(site)) {
                if !counted.insert(entry.register) {
                    continue;
                }
                self.live += 1;
                match entry.location {
                    Location::Constant(_) => self.constants += 1,
                    _ => {
                        let live = continues.map(|next| liveness.live_in(next));
                        let is_needed = live.is_some_and(|live| live.contains(entry.register));
                        let can_be_made = |live| {
                            let instructions = &body.block(guard.at.block).instructions;
                            can_be_made(instructions, instructions.len(), (entry.register, live), DEPTH)
                        };
                        self.for_exit += u64::from(!is_needed);
                        self.recomputable += u64::from(!is_needed && live.is_some_and(can_be_made));
                        self.stored_bytes += 8;
                    }
                }
            }
        }
    }

    /// Adds those of another program.
    pub(super) fn sum(all: &[Values]) -> Values {
        let sum = |of: fn(&Values) -> u64| all.iter().map(of).sum();
        Values {
            program: "all".to_owned(),
            versions: sum(|it| it.versions),
            guards: sum(|it| it.guards),
            live: sum(|it| it.live),
            constants: sum(|it| it.constants),
            for_exit: sum(|it| it.for_exit),
            recomputable: sum(|it| it.recomputable),
            stored_bytes: sum(|it| it.stored_bytes),
            code_bytes: sum(|it| it.code_bytes),
            map_bytes: sum(|it| it.map_bytes),
        }
    }
}

/// The block that execution goes to from the end of `block` if not to `exit`.
fn other_successor(body: &osr_ir::Body, block: Block, exit: Option<Block>) -> Option<Block> {
    let mut other = None;
    body.block(block).terminator.each_successor(|successor| {
        if Some(successor) != exit {
            other = Some(successor);
        }
    });
    other
}

/// How many instructions one behind the other make a value again, at most.
const DEPTH: u32 = 8;

/// Whether the value that `register` has before instruction `before` of a block can be made, behind all of `instructions`, from
/// what is `live` there: by so many instructions one behind the other.
fn can_be_made(
    instructions: &[Instruction],
    before: usize,
    (register, live): (Register, &RegisterSet),
    depth: u32,
) -> bool {
    let (earlier, later) = instructions.split_at(before);
    let defines = |instruction: &Instruction| instruction.definitions().contains(&register);
    if live.contains(register) && !later.iter().any(defines) {
        return true;
    }
    let Some(at) = earlier.iter().rposition(defines) else { return false };
    let mut is_made = depth > 0 && computes(&earlier[at]);
    earlier[at].each_use(|used| is_made = is_made && can_be_made(instructions, at, (used, live), depth - 1));
    is_made
}

/// Whether `instruction` gives the same whenever it is executed with the same values, and does nothing else.
fn computes(instruction: &Instruction) -> bool {
    use Instruction as I;
    let is_of_values = matches!(
        instruction,
        I::Const { .. }
            | I::Copy { .. }
            | I::Unary { .. }
            | I::Binary { .. }
            | I::Vector { .. }
            | I::Shuffle { .. }
            | I::Select { .. }
            | I::RefFunc { .. }
    );
    is_of_values && !instruction.may_trap()
}

#[cfg(test)]
mod tests {
    use osr_ir::{FunctionIndex, text};

    use super::*;

    /// Whether each of the registers, from r0 on, can be made at the end of the only block with `instructions`, where `live` are.
    fn made(instructions: &str, live: &[usize]) -> Vec<bool> {
        let text =
            format!("function f (r0: i32) {{\n r1: i32, r2: i32, r3: i32\nb0:\n{instructions}\n return\n}}");
        let module = text::parse(&text).expect("a module");
        let body = module.function(FunctionIndex::new(0)).body().expect("a body");
        let mut set = RegisterSet::new(4);
        live.iter().for_each(|&register| set.insert(Register::new(register)));
        let instructions = &body.block(Block::new(0)).instructions;
        (0..4)
            .map(|register| {
                can_be_made(instructions, instructions.len(), (Register::new(register), &set), DEPTH)
            })
            .collect()
    }

    #[test]
    fn what_is_computed_from_live_values_can_be_made_again() {
        let sum = "r1 = i32.const 4\n r2 = i32.add r0, r1\n r3 = i32.mul r2, r2";
        assert_eq!(made(sum, &[0]), [true; 4]);
        assert_eq!(made(sum, &[2]), [false, true, true, true], "r0 is not there");
    }

    #[test]
    fn what_was_overwritten_loaded_or_might_trap_cannot() {
        assert_eq!(made("r1 = i32.eqz r0\n r0 = i32.const 1", &[]), [true, false, false, false]);
        let changed = "r1 = i32.eqz r0\n r0 = i32.eqz r0";
        assert_eq!(made(changed, &[0]), [true, false, false, false], "r0 is another value now");
        assert!(!made("r1 = i32.div_s r0, r0", &[0])[1]);
    }
}
