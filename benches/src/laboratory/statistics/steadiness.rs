//! Whether, and from where on, the samples of a process are steady: detected, not assumed.
//!
//! After Barrett, Bolz-Tereick, Killick, Mount, Tratt, "Virtual Machine Warmup Blows Hot and Cold", OOPSLA
//! 2017: changepoints cut the samples into segments; the process is steady from the first segment on after
//! which all are like the last. What comes before says what kind of process it was.
//!
//! ```text
//!   flat      ____________         warm-up   --..________         slowdown  ____......----
//!   none      __--__----__--       (the last level holds for less than a quarter of the samples)
//! ```

use serde::{Deserialize, Serialize};

use super::changes::segments;
use super::interval::median;

/// What kind of process it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Steadiness {
    /// Steady from the first sample on.
    Flat,
    /// Slower at first.
    Warmup,
    /// Faster at first.
    Slowdown,
    /// No steady state was reached.
    None,
    /// Too few samples to say.
    Unknown,
}

/// The kind, and the first steady sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Steady {
    /// The kind.
    pub(crate) kind: Steadiness,
    /// Samples from here on are taken; where there is no steady state, the second half.
    pub(crate) from: usize,
}

/// With fewer samples nothing is said.
const FEWEST: usize = 10;

/// Levels that differ by less are the same.
const SAME: f64 = 0.01;

/// The least part of the samples for which the last level must hold.
const STEADY_PART: f64 = 0.25;

/// Looks for the steady state in `samples`, times in the order of measurement.
pub(crate) fn steadiness(samples: &[f64]) -> Steady {
    if samples.len() < FEWEST {
        return Steady { kind: Steadiness::Unknown, from: samples.len() / 2 };
    }
    let logarithms: Vec<f64> = samples.iter().map(|time| time.max(f64::MIN_POSITIVE).ln()).collect();
    let levels: Vec<Level> = levels(&without_outliers(&logarithms));
    let last = levels[levels.len() - 1];
    let steady = levels.iter().rposition(|level| !level.is_like(&last)).map_or(0, |before| before + 1);
    let from = levels[steady].start;
    if ((samples.len() - from) as f64) < STEADY_PART * samples.len() as f64 {
        return Steady { kind: Steadiness::None, from: samples.len() / 2 };
    }
    let before = levels[..steady].iter().filter(|level| !level.is_like(&last));
    let kind = match before.map(|level| level.mean > last.mean).reduce(|all, slower| all && slower) {
        None => Steadiness::Flat,
        Some(true) => Steadiness::Warmup,
        Some(false) => Steadiness::Slowdown,
    };
    Steady { kind, from }
}

#[derive(Clone, Copy, Debug)]
struct Level {
    start: usize,
    mean: f64,
    deviation: f64,
}

impl Level {
    fn is_like(&self, other: &Level) -> bool {
        (self.mean - other.mean).abs() <= SAME.max(self.deviation).max(other.deviation)
    }
}

fn levels(sequence: &[f64]) -> Vec<Level> {
    let level = |range: std::ops::Range<usize>| {
        let (start, numbers) = (range.start, &sequence[range]);
        let length = numbers.len() as f64;
        let mean = numbers.iter().sum::<f64>() / length;
        let variance = numbers.iter().map(|number| (number - mean).powi(2)).sum::<f64>() / length;
        Level { start, mean, deviation: variance.sqrt() }
    };
    segments(sequence).into_iter().map(level).collect()
}

/// Replaces what is far from its neighbours by their median: an interrupt is no change of level.
fn without_outliers(sequence: &[f64]) -> Vec<f64> {
    /// Neighbours on each side.
    const NEIGHBOURS: usize = 4;
    /// Deviations that make an outlier.
    const FAR: f64 = 5.0;
    /// From the median absolute deviation to the standard deviation, for the normal distribution.
    const TO_STANDARD: f64 = 1.4826;
    let clean = |(position, &number): (usize, &f64)| {
        let window = position.saturating_sub(NEIGHBOURS)..sequence.len().min(position + NEIGHBOURS + 1);
        let neighbours = &sequence[window];
        let middle = median(neighbours);
        let distances: Vec<f64> = neighbours.iter().map(|other| (other - middle).abs()).collect();
        let deviation = (TO_STANDARD * median(&distances)).max(SAME / 2.0);
        if (number - middle).abs() > FAR * deviation { middle } else { number }
    };
    sequence.iter().enumerate().map(clean).collect()
}

#[cfg(test)]
mod tests {
    use super::{Steadiness, Steady, steadiness};

    fn noise(level: f64, length: usize) -> Vec<f64> {
        let mut random = fastrand::Rng::with_seed(7);
        (0..length).map(|_| level * (1.0 + 0.01 * (random.f64() - 0.5))).collect()
    }

    #[test]
    fn every_kind_is_told() {
        let cases = [
            (vec![noise(100.0, 30)], Steadiness::Flat, 0),
            (vec![noise(300.0, 6), noise(100.0, 24)], Steadiness::Warmup, 6),
            (vec![noise(300.0, 6), noise(150.0, 6), noise(100.0, 20)], Steadiness::Warmup, 12),
            (vec![noise(100.0, 8), noise(130.0, 24)], Steadiness::Slowdown, 8),
            (vec![noise(100.0, 26), noise(150.0, 4)], Steadiness::None, 15),
            (vec![noise(100.0, 9)], Steadiness::Unknown, 4),
        ];
        for (parts, kind, from) in cases {
            assert_eq!(steadiness(&parts.concat()), Steady { kind, from });
        }
    }

    #[test]
    fn an_interrupt_is_no_change() {
        let mut samples = noise(100.0, 30);
        samples[12] = 900.0;
        samples[27] = 500.0;
        assert_eq!(steadiness(&samples), Steady { kind: Steadiness::Flat, from: 0 });
    }

    #[test]
    fn levels_within_a_percent_are_one() {
        let samples = [noise(100.0, 15), noise(100.6, 15)].concat();
        assert_eq!(steadiness(&samples).kind, Steadiness::Flat);
    }
}
