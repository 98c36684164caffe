//! What the guards of programs keep: the table of D'Elia and Demetrescu, "On-Stack Replacement, Distilled" (PLDI 2018), for
//! exits.
//!
//! Each bundled program is executed with speculation, so that there are guards; then its code is looked at. A value is
//! kept *for the exit alone* if it is live where the guard exits to and not where execution continues while it holds: the
//! code would not have it otherwise.

use std::collections::HashSet;

use osr_engine::{CodeVersion, Instance, Location, Settings, SpeculationKind, Thread, Tiers};
use osr_ir::{Block, Liveness};
use serde::Serialize;

use crate::error::Error;
use crate::guest::compiled::stand_ins;
use crate::guest::entry;
use crate::guest::suite;
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
    /// Bytes that the exits store, where they are taken.
    pub(super) stored_bytes: u64,
    /// Bytes of the versions' code, and of all their frame maps.
    pub(super) code_bytes: u64,
    pub(super) map_bytes: u64,
}

/// Those of all bundled programs.
pub(super) fn of_programs() -> Result<Vec<Values>, Error> {
    suite::all().iter().map(of_program).collect()
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
                        let is_needed =
                            continues.is_some_and(|next| liveness.live_in(next).contains(entry.register));
                        self.for_exit += u64::from(!is_needed);
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
