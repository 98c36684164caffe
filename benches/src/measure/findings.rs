//! From replies to ratios: each way against a base, with intervals over processes.

use serde::Serialize;

use super::job::{Measured, Reply};
use crate::statistics::{self, Interval, Steadiness, Steady, median, steadiness};

/// One way of one program against the base.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Comparison {
    /// The way.
    pub(crate) way: String,
    /// What was found.
    #[serde(flatten)]
    pub(crate) compared: Compared,
}

/// How a comparison came out.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Compared {
    /// It was measured.
    Measured {
        /// The median time of a call in the steady state: of processes, of rounds.
        nanoseconds: f64,
        /// Its time relative to the base.
        relative: Interval,
        /// Whether the interval is too wide to rely on.
        noisy: bool,
        /// Whether the interval excludes 1.
        differs_from_base: bool,
        /// How each process went.
        steadiness: Vec<Steadiness>,
        /// The first steady round of each process.
        steady_from: Vec<usize>,
        /// Rounds of each process.
        rounds: Vec<usize>,
        /// The logarithm of each process's ratio.
        #[serde(skip)]
        logarithms: Vec<f64>,
    },
    /// It cannot be executed this way.
    Failed(String),
    /// The results are wrong.
    Differs(String),
}

/// The geometric mean of a way over programs.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Mean {
    /// The way.
    pub(crate) way: String,
    /// Over how many programs.
    pub(crate) programs: usize,
    /// Its time relative to the base.
    pub(crate) relative: Interval,
    /// Whether the interval is too wide to rely on.
    pub(crate) noisy: bool,
}

/// Compares all ways (`names`) of a program with that at position `base`. Intervals whose half width is
/// more than `noise` of the ratio are noisy.
pub(crate) fn compare(replies: &[Reply], names: &[String], base: usize, noise: f64) -> Vec<Comparison> {
    let compare = |(position, way): (usize, &String)| {
        let compared = one(replies, position, base, noise);
        Comparison { way: way.clone(), compared }
    };
    names.iter().enumerate().map(compare).collect()
}

fn one(replies: &[Reply], position: usize, base: usize, noise: f64) -> Compared {
    let mut processes = Vec::new();
    for reply in replies {
        match (&reply.measured[position], &reply.measured[base]) {
            (Measured::Times(times), Measured::Times(base)) => processes.push(Process::of(times, base)),
            (Measured::Differs(message), _) => return Compared::Differs(message.clone()),
            (Measured::Failed(message), _) => return Compared::Failed(message.clone()),
            (_, _) => return Compared::Failed("there is no base to compare with".to_owned()),
        }
    }
    let logarithms: Vec<f64> = processes.iter().map(|process| process.logarithm).collect();
    let relative = statistics::ratio(&logarithms);
    let times: Vec<f64> = processes.iter().map(|process| process.nanoseconds).collect();
    Compared::Measured {
        nanoseconds: median(&times),
        relative,
        noisy: position != base && relative.relative_half_width() > noise,
        differs_from_base: relative.excludes_one(),
        steadiness: processes.iter().map(|process| process.steady.kind).collect(),
        steady_from: processes.iter().map(|process| process.steady.from).collect(),
        rounds: processes.iter().map(|process| process.rounds).collect(),
        logarithms,
    }
}

/// One way in one process.
struct Process {
    nanoseconds: f64,
    /// Of the ratio to the base: the median over the rounds in which both were steady.
    logarithm: f64,
    steady: Steady,
    rounds: usize,
}

impl Process {
    fn of(times: &[f64], base: &[f64]) -> Process {
        let steady = steadiness(times);
        let both = steady.from.max(steadiness(base).from);
        let ratios: Vec<f64> = times[both..].iter().zip(&base[both..]).map(|(a, b)| (a / b).ln()).collect();
        let nanoseconds = median(&times[steady.from..]);
        Process { nanoseconds, logarithm: median(&ratios), steady, rounds: times.len() }
    }
}

/// The geometric means over the programs (`comparisons`) where a way could be measured; none for ways that
/// never could.
pub(crate) fn means(comparisons: &[Vec<Comparison>], noise: f64) -> Vec<Mean> {
    let ways = comparisons.first().map_or(0, Vec::len);
    let mean = |position: usize| {
        let measured = comparisons.iter().filter_map(|program| match &program[position].compared {
            Compared::Measured { logarithms, .. } => Some(logarithms.clone()),
            _ => None,
        });
        let programs: Vec<Vec<f64>> = measured.collect();
        let relative = statistics::geometric_mean(&programs)?;
        let is_base = programs.iter().flatten().all(|logarithm| *logarithm == 0.0);
        Some(Mean {
            way: comparisons[0][position].way.clone(),
            programs: programs.len(),
            relative,
            noisy: !is_base && relative.relative_half_width() > noise,
        })
    };
    (0..ways).filter_map(mean).collect()
}

#[cfg(test)]
mod tests {
    use super::{Compared, Measured, Reply, compare, means};

    fn reply(base: f64, other: f64, drift: f64) -> Reply {
        let times = |level: f64| (0..20).map(|round| level * (1.0 + drift * f64::from(round))).collect();
        Reply { measured: vec![Measured::Times(times(base)), Measured::Times(times(other))] }
    }

    fn names() -> Vec<String> {
        vec!["base".to_owned(), "other".to_owned()]
    }

    #[test]
    fn what_slows_both_down_leaves_the_ratio() {
        let replies = [reply(100.0, 150.0, 0.0), reply(200.0, 300.0, 0.1), reply(50.0, 75.0, 0.02)];
        let comparison = compare(&replies, &names(), 0, 0.01);
        let Compared::Measured { relative, noisy, .. } = &comparison[1].compared else { panic!() };
        assert!((relative.ratio - 1.5).abs() < 1e-9 && !noisy, "{relative:?}");
        let means = means(&[comparison.clone(), comparison], 0.01);
        assert!((means[1].relative.ratio - 1.5).abs() < 1e-9);
        assert_eq!(means[1].programs, 2);
    }

    #[test]
    fn processes_that_disagree_are_noise() {
        let replies = [reply(100.0, 110.0, 0.0), reply(100.0, 90.0, 0.0)];
        let comparison = compare(&replies, &names(), 0, 0.01);
        assert!(matches!(comparison[1].compared, Compared::Measured { noisy: true, .. }));
        assert!(matches!(comparison[0].compared, Compared::Measured { noisy: false, .. }));
    }

    #[test]
    fn a_way_that_fails_takes_nothing_else_along() {
        let mut replies = [reply(100.0, 110.0, 0.0), reply(100.0, 90.0, 0.0)];
        replies[1].measured[1] = Measured::Failed("no stack".to_owned());
        let comparison = compare(&replies, &names(), 0, 0.01);
        assert!(matches!(&comparison[1].compared, Compared::Failed(message) if message == "no stack"));
        assert!(matches!(comparison[0].compared, Compared::Measured { .. }));
        assert_eq!(means(&[comparison], 0.01).len(), 1);
    }
}
