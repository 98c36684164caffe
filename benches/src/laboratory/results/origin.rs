//! Where results are from: what they must have in common to be of one quantity.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::{Record, Series};
use crate::laboratory::measuring::Machine;

/// Where a result is from.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Origin {
    machine: String,
    version: String,
    /// Each size, as JSON.
    sizes: BTreeMap<String, String>,
}

impl Origin {
    /// Of `record`.
    pub(crate) fn of(record: &Record) -> Origin {
        Origin::new(&record.machine, &record.versions, &record.sizes)
    }

    /// Of what is measured there, by that, with these sizes.
    pub(crate) fn new(machine: &Machine, versions: &super::Versions, sizes: &Value) -> Origin {
        let sizes = sizes.as_object().into_iter().flatten();
        let sizes = sizes.map(|(name, size)| (name.clone(), size.to_string())).collect();
        Origin { machine: machine.name(), version: versions.name(), sizes }
    }

    /// What is not as in `other`, in words; nothing if all is.
    pub(crate) fn differences(&self, other: &Origin) -> Vec<String> {
        let mut differences = self.elsewhere(other);
        if self.sizes.is_empty() && !other.sizes.is_empty() {
            differences.push("sizes that are not known".to_owned());
        } else if self.sizes != other.sizes {
            differences.push(format!("other sizes ({})", self.other_sizes(other)));
        }
        differences
    }

    /// What is not as in `other` whatever is measured, in words.
    pub(crate) fn elsewhere(&self, other: &Origin) -> Vec<String> {
        let mut differences = Vec::new();
        if self.machine != other.machine {
            differences.push(format!("another machine ({})", self.machine));
        }
        if self.version != other.version {
            differences.push(format!("another version ({})", self.version));
        }
        differences
    }

    /// `updates 15, not 25; sites`
    fn other_sizes(&self, other: &Origin) -> String {
        /// Longer ones are named only.
        const LONGEST: usize = 20;
        let names: BTreeSet<&String> = self.sizes.keys().chain(other.sizes.keys()).collect();
        let difference = |name: &String| {
            let [mine, theirs] =
                [self, other].map(|origin| origin.sizes.get(name).map_or("missing", String::as_str));
            match (mine == theirs, mine.len().max(theirs.len()) <= LONGEST) {
                (true, _) => None,
                (_, true) => Some(format!("{name} {mine}, not {theirs}")),
                _ => Some(name.clone()),
            }
        };
        names.into_iter().filter_map(difference).collect::<Vec<_>>().join("; ")
    }
}

/// What in `records` is of more than one machine, of more than one version, or of several sizes in one experiment, in words: who
/// reads figures beside one another should know.
pub(crate) fn mixtures(records: &[Record]) -> Vec<String> {
    let found: Vec<(&Record, Origin)> = records
        .iter()
        .filter(|record| !record.finding.samples.is_empty())
        .map(|record| (record, Origin::of(record)))
        .collect();
    let machines = mixture(&found, "machines", |origin| origin.machine.clone());
    let versions = mixture(&found, "versions", |origin| origin.version.clone());
    machines.into_iter().chain(versions).chain(mixed_sizes(&found)).collect()
}

/// Whether what `aspect` finds is not the same everywhere, and how many series are pooled of it.
fn mixture(found: &[(&Record, Origin)], what: &str, aspect: fn(&Origin) -> String) -> Option<String> {
    let all: BTreeSet<String> = found.iter().map(|(_, origin)| aspect(origin)).collect();
    if all.len() < 2 {
        return None;
    }
    let mut series: BTreeMap<Series, BTreeSet<String>> = BTreeMap::new();
    for (record, origin) in found {
        series.entry(record.series()).or_default().insert(aspect(origin));
    }
    let pooled: Vec<&Series> =
        series.iter().filter(|(_, aspects)| aspects.len() > 1).map(|(series, _)| series).collect();
    let names: Vec<String> = all.into_iter().collect();
    let mechanisms: BTreeSet<&str> = pooled.iter().map(|series| &*series.mechanism).collect();
    let mechanisms = mechanisms.into_iter().collect::<Vec<_>>().join(", ");
    let pooled = match pooled.len() {
        0 => "no figure is of more than one".to_owned(),
        count => format!("{count} of {} figures pool them, of {mechanisms}", series.len()),
    };
    Some(format!("results of {} {what} ({}); {pooled}", names.len(), names.join("; and ")))
}

/// The experiments that were made with several sizes.
fn mixed_sizes(found: &[(&Record, Origin)]) -> Option<String> {
    let mut experiments: BTreeMap<&str, BTreeSet<&BTreeMap<String, String>>> = BTreeMap::new();
    for (record, origin) in found {
        experiments.entry(&record.experiment).or_default().insert(&origin.sizes);
    }
    let mixed: Vec<&str> =
        experiments.into_iter().filter(|(_, sizes)| sizes.len() > 1).map(|(name, _)| name).collect();
    (!mixed.is_empty()).then(|| format!("results of several sizes of {}", mixed.join(", ")))
}

/// The machines and versions that `records` are of, each in a line with the time and the load there was.
pub(crate) fn origins(records: &[Record]) -> Vec<String> {
    let mut all: Vec<(String, Vec<&Record>)> = Vec::new();
    for record in records {
        let name = format!("{}; {}", record.machine.name(), record.versions.name());
        match all.iter_mut().find(|(known, _)| *known == name) {
            Some((_, mine)) => mine.push(record),
            None => all.push((name, vec![record])),
        }
    }
    let line = |(name, mine): (String, Vec<&Record>)| {
        let times = ends(mine.iter().filter_map(|record| record.time.clone()));
        let times = times.map_or("; when is not known".to_owned(), |(first, last)| match first == last {
            true => format!("; {first}"),
            false => format!("; {first} to {last}"),
        });
        let loads = ends(mine.iter().filter_map(|record| record.machine.load()));
        let loads = loads.map_or(String::new(), |(least, most)| {
            /// What a core is busy with besides.
            const QUIET: f64 = 0.5;
            let warning = if most > QUIET { " (not quiet: expect wide intervals)" } else { "" };
            match least == most {
                true => format!("; load {least:.1} at the start{warning}"),
                false => format!("; loads {least:.1} to {most:.1} at starts{warning}"),
            }
        });
        format!("{name}{times}{loads}")
    };
    all.into_iter().map(line).collect()
}

/// The least and the greatest.
fn ends<T: Clone + PartialOrd>(items: impl Iterator<Item = T>) -> Option<(T, T)> {
    items.fold(None, |ends, item| match ends {
        None => Some((item.clone(), item)),
        Some((least, most)) if item < least => Some((item, most)),
        Some((least, most)) if item > most => Some((least, item)),
        ends => ends,
    })
}
