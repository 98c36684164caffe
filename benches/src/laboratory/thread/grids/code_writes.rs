//! The table of W^X.

use osr_engine::{Mechanism, Placement};

use super::{Grid, Results};
use crate::laboratory::results::Record;

/// A row for each mechanism and number of call sites.
pub(super) fn grid(records: &[Record]) -> Option<Grid> {
    let found = Results::of(records, "code-writes");
    let memories: Vec<&str> = osr_engine::CodeMemory::ALL.iter().map(|memory| memory.name()).collect();
    let mut sizes: Vec<Option<u64>> = found.rows().into_iter().map(|(_, size)| size).collect();
    sizes.sort_unstable();
    sizes.dedup();
    let mut rows = Vec::new();
    for (mechanism, name) in found.mechanisms() {
        let Mechanism { binding, placement, .. } = mechanism;
        let name = match placement {
            Placement::Elsewhere if mechanism == (Mechanism { binding, ..Mechanism::DEFAULT }) => {
                format!("binding={}", binding.name())
            }
            Placement::SameAddress => format!("placement={}", placement.name()),
            Placement::Elsewhere => name.to_owned(),
        };
        for &size in &sizes {
            let figures = ["unbind", "bind"].iter().flat_map(|metric| {
                let figure = |memory: &&str| found.time(&mechanism, (*memory, size), metric);
                memories.iter().map(figure).collect::<Vec<_>>()
            });
            let size = size.map_or(String::new(), |size| size.to_string());
            rows.push((format!("{name}, {size} call sites"), figures.collect()));
        }
    }
    let header = ["unbind", "bind"].iter().flat_map(|metric| {
        memories.iter().map(move |memory| format!("{metric}, {memory}")).collect::<Vec<_>>()
    });
    Some(Grid {
        title: "What it costs that no page is writable and executable at once",
        caption: "The same update with code memory that is mapped twice (arena), and with pages whose protection changes, for \
                  each version that is written to (jit-module: as cranelift-jit does it). Unbinding is the invalidation, \
                  binding the installation of the next version, without its compilation.",
        corner: "mechanism",
        header: header.collect(),
        rows,
        notes: found.notes(),
        command: found.command()?,
    })
}
