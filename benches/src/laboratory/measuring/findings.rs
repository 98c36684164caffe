//! From replies to ratios: one variant against another, with intervals over processes.

use serde::Serialize;

use super::job::{Measured, Reply};
use crate::laboratory::statistics::{self, Interval, Steadiness, Steady, median, steadiness};

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
        /// Bytes of its compiled code, where that is known.
        code_bytes: Option<u64>,
        /// The logarithm of each process's ratio.
        #[serde(skip)]
        logarithms: Vec<f64>,
    },
    /// It cannot be executed so.
    Failed(String),
    /// The results are wrong.
    Differs(String),
}

impl Compared {
    /// Bytes of its compiled code, where that is known.
    pub(crate) fn code_bytes(&self) -> Option<f64> {
        match self {
            Compared::Measured { code_bytes, .. } => code_bytes.map(|bytes| bytes as f64),
            _ => None,
        }
    }
}

/// A geometric mean over programs.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Mean {
    /// Over how many programs.
    pub(crate) programs: usize,
    /// The time relative to the base.
    pub(crate) relative: Interval,
    /// Whether the interval is too wide to rely on.
    pub(crate) noisy: bool,
    /// Whether the interval excludes 1.
    pub(crate) differs_from_base: bool,
}

/// Compares the variant at `position` with that at `base`. An interval whose half width is more than
/// `noise` of the ratio is noisy.
pub(crate) fn compare(replies: &[Reply], position: usize, base: usize, noise: f64) -> Compared {
    let mut processes = Vec::new();
    let mut code_bytes = None;
    for reply in replies {
        match (&reply.measured[position], &reply.measured[base]) {
            (
                Measured::Times { nanoseconds: times, code_bytes: bytes },
                Measured::Times { nanoseconds: base, .. },
            ) => {
                code_bytes = *bytes;
                processes.push(Process::of(times, base));
            }
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
        code_bytes,
        logarithms,
    }
}

/// One variant in one process.
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

/// The geometric mean over the programs that could be measured; none if none could.
pub(crate) fn mean<'c>(programs: impl Iterator<Item = &'c Compared>, noise: f64) -> Option<Mean> {
    let measured = programs.filter_map(|compared| match compared {
        Compared::Measured { logarithms, .. } => Some(logarithms.clone()),
        _ => None,
    });
    let programs: Vec<Vec<f64>> = measured.collect();
    let relative = statistics::geometric_mean(&programs)?;
    let is_base = programs.iter().flatten().all(|logarithm| *logarithm == 0.0);
    Some(Mean {
        programs: programs.len(),
        relative,
        noisy: !is_base && relative.relative_half_width() > noise,
        differs_from_base: relative.excludes_one(),
    })
}

#[cfg(test)]
mod tests {
    use super::{Compared, Measured, Reply, compare, mean};

    fn reply(base: f64, other: f64, drift: f64) -> Reply {
        let times = |level: f64| Measured::Times {
            nanoseconds: (0..20).map(|round| level * (1.0 + drift * f64::from(round))).collect(),
            code_bytes: None,
        };
        Reply { measured: vec![times(base), times(other)] }
    }

    #[test]
    fn what_slows_both_down_leaves_the_ratio() {
        let replies = [reply(100.0, 150.0, 0.0), reply(200.0, 300.0, 0.1), reply(50.0, 75.0, 0.02)];
        let compared = compare(&replies, 1, 0, 0.01);
        let Compared::Measured { relative, noisy, .. } = &compared else { panic!() };
        assert!((relative.ratio - 1.5).abs() < 1e-9 && !noisy, "{relative:?}");
        let mean = mean([&compared, &compared].into_iter(), 0.01).unwrap();
        assert!((mean.relative.ratio - 1.5).abs() < 1e-9 && mean.programs == 2, "{mean:?}");
    }

    #[test]
    fn processes_that_disagree_are_noise() {
        let replies = [reply(100.0, 110.0, 0.0), reply(100.0, 90.0, 0.0)];
        let noisy = |position| match compare(&replies, position, 0, 0.01) {
            Compared::Measured { noisy, .. } => noisy,
            other => panic!("{other:?}"),
        };
        assert!(noisy(1) && !noisy(0));
    }

    #[test]
    fn a_variant_that_fails_takes_nothing_else_along() {
        let mut replies = [reply(100.0, 110.0, 0.0), reply(100.0, 90.0, 0.0)];
        replies[1].measured[1] = Measured::Failed("no stack".to_owned());
        let (base, failed) = (compare(&replies, 0, 0, 0.01), compare(&replies, 1, 0, 0.01));
        assert!(matches!(&failed, Compared::Failed(message) if message == "no stack"));
        assert!(matches!(base, Compared::Measured { .. }));
        assert!(mean([&failed].into_iter(), 0.01).is_none());
        assert_eq!(mean([&failed, &base].into_iter(), 0.01).unwrap().programs, 1);
    }
}
