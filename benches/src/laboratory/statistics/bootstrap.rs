//! The median of samples, and how well it is known: resampled, since times have no distribution that could be assumed.
//!
//! ```text
//!   processes   [ a a a ] [ b b b ] [ c c c ]       as many processes are drawn from all, with repetition,
//!   a resample  [ b b' b'] [ a a' a''] [ b b b''] ──> and then as many samples from each: its median
//! ```
//!
//! Samples of one process tell nothing of the next one, so a resample of samples alone has intervals that are far too narrow:
//! the spread between processes has to be in it. See Efron, "Bootstrap Methods: Another Look at the Jackknife", Annals of
//! Statistics 1979; for the two levels Kalibera and Jones, "Rigorous Benchmarking in Reasonable Time", ISMM 2013.

use serde::Serialize;
use statrs::distribution::{ContinuousCDF, Normal, StudentsT};

use super::processes::Processes;

/// Resamples. The ends of the interval are the 25th from each end.
const RESAMPLES: usize = 1_000;

/// With fewer processes the ends of intervals are moved outwards: resamples spread less than what they are drawn from, and of
/// three processes the median of a quarter of all resamples is the lowest one's. From five on the resampled median needs no
/// correction (see the tests: two sets from the same distribution differ in about one of twenty cases).
const ENOUGH: usize = 5;

/// A median with its interval (95%, percentiles of the medians of resamples).
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct Estimate {
    /// The median.
    pub(crate) median: f64,
    /// The lower end.
    pub(crate) low: f64,
    /// The upper end.
    pub(crate) high: f64,
    /// Samples.
    pub(crate) samples: usize,
    /// Processes that they are from. Of a single one the interval is that of its samples, and says nothing of others.
    pub(crate) processes: usize,
    /// Of all processes of all series, how many reached no steady state.
    pub(crate) unsteady: usize,
}

impl Estimate {
    /// Half the width of the interval, relative to the median.
    pub(crate) fn relative_half_width(&self) -> f64 {
        (self.high - self.low) / (2.0 * self.median.abs())
    }
}

/// The median of the samples of all `processes`; none if there are none. Equal samples lead to equal intervals: the resampling
/// has its own seed.
pub(crate) fn estimate(processes: &Processes) -> Option<Estimate> {
    estimate_of(&[processes], |medians| medians[0])
}

/// The ratio of the medians of `processes` and `base`.
pub(crate) fn ratio_of_medians(processes: &Processes, base: &Processes) -> Option<Estimate> {
    estimate_of(&[processes, base], |medians| medians[0] / medians[1])
}

/// The geometric mean of the medians of several series; none if there is none.
pub(crate) fn geometric_mean_of_medians(series: &[&Processes]) -> Option<Estimate> {
    if series.is_empty() {
        return None;
    }
    let mean = |medians: &[f64]| {
        (medians.iter().map(|median| median.ln()).sum::<f64>() / medians.len() as f64).exp()
    };
    estimate_of(series, mean)
}

/// A function of the medians of several series, which are resampled apart; none if one of them is empty.
pub(crate) fn estimate_of(series: &[&Processes], of: impl Fn(&[f64]) -> f64) -> Option<Estimate> {
    let medians: Vec<f64> = series.iter().map(|processes| processes.median()).collect::<Option<_>>()?;
    let mut random = fastrand::Rng::with_seed(0);
    let mut drawn = Vec::new();
    let mut resampled: Vec<f64> = (0..RESAMPLES)
        .map(|_| {
            let mut resample = |processes: &&Processes| resample(processes, &mut random, &mut drawn);
            of(&series.iter().map(&mut resample).collect::<Vec<f64>>())
        })
        .collect();
    resampled.sort_by(f64::total_cmp);
    let tail = RESAMPLES / 40;
    let median = of(&medians);
    let ends = [resampled[tail], resampled[RESAMPLES - 1 - tail]];
    let [low, high] = match correction(series) {
        Some(factor) => ends.map(|end| moved(median, end, factor)),
        None => ends,
    };
    let samples = |processes: &&Processes| processes.samples().iter().map(Vec::len).sum::<usize>();
    Some(Estimate {
        median,
        low,
        high,
        samples: series.iter().map(samples).min()?,
        processes: series.iter().map(|processes| processes.count()).min()?,
        unsteady: series.iter().map(|processes| processes.unsteady()).sum(),
    })
}

/// By how much the ends are farther from the median than those of resamples; none where they are not: where there are enough
/// processes, and where nothing is known of other processes than the one.
fn correction(series: &[&Processes]) -> Option<f64> {
    let fewest = series.iter().map(|processes| processes.count()).min()?;
    if !(2..ENOUGH).contains(&fewest) {
        return None;
    }
    let freedom: usize = series.iter().map(|processes| processes.count() - 1).sum();
    let quantile = |distribution: &dyn ContinuousCDF<f64, f64>| distribution.inverse_cdf(0.975);
    let student = StudentsT::new(0.0, 1.0, freedom as f64).ok()?;
    let widening = quantile(&student) / quantile(&Normal::standard());
    Some(widening * (fewest as f64 / (fewest as f64 - 1.0)).sqrt())
}

/// `end`, `factor` times as far from `middle`: by ratio if both are positive, so that no time has a negative end.
fn moved(middle: f64, end: f64, factor: f64) -> f64 {
    if middle > 0.0 && end > 0.0 {
        middle * (end / middle).powf(factor)
    } else {
        middle + (end - middle) * factor
    }
}

/// The median of a resample, for which `drawn` has room.
fn resample(processes: &Processes, random: &mut fastrand::Rng, drawn: &mut Vec<f64>) -> f64 {
    drawn.clear();
    for _ in 0..processes.count() {
        let process = &processes.samples()[random.usize(..processes.count())];
        drawn.extend(process.iter().map(|_| process[random.usize(..process.len())]));
    }
    let middle = drawn.len() / 2;
    let is_even = drawn.len().is_multiple_of(2);
    let (below, &mut upper, _) = drawn.select_nth_unstable_by(middle, f64::total_cmp);
    let lower = below.iter().copied().max_by(f64::total_cmp).filter(|_| is_even);
    lower.map_or(upper, |lower| (lower + upper) / 2.0)
}

/// The sample below which `percent` of all are.
pub(crate) fn percentile(samples: &[f64], percent: f64) -> Option<f64> {
    let mut sorted = samples.to_vec();
    sorted.sort_by(f64::total_cmp);
    let rank = (percent / 100.0 * sorted.len() as f64).ceil() as usize;
    sorted.get(rank.saturating_sub(1)).copied()
}

#[cfg(test)]
mod tests {
    use super::{Estimate, Processes, estimate, geometric_mean_of_medians, percentile, ratio_of_medians};

    /// Normally distributed, by the sum of twelve uniform numbers.
    fn normal(random: &mut fastrand::Rng) -> f64 {
        (0..12).map(|_| random.f64()).sum::<f64>() - 6.0
    }

    /// `count` processes at `level` with so many samples each; processes differ by 8 % (standard deviation), the samples of
    /// one by 1 %.
    fn measured(random: &mut fastrand::Rng, level: f64, count: usize) -> Processes {
        let mut all = Processes::default();
        for _ in 0..count {
            let process = level * (0.08 * normal(random)).exp();
            all.add(&(0..4).map(|_| process * (0.01 * normal(random)).exp()).collect::<Vec<_>>(), false);
        }
        all
    }

    /// In how many of a hundred pairs of sets the second of which is `factor` times as slow, the interval of the ratio excludes 1.
    fn found(factor: f64, processes: usize) -> f64 {
        const PAIRS: usize = 150;
        let mut random = fastrand::Rng::with_seed(1);
        let excludes_one = |_: &usize| {
            let base = measured(&mut random, 100.0, processes);
            let Estimate { low, high, .. } =
                ratio_of_medians(&measured(&mut random, 100.0 * factor, processes), &base).unwrap();
            low > 1.0 || high < 1.0
        };
        (0..PAIRS).filter(excludes_one).count() as f64 * 100.0 / PAIRS as f64
    }

    #[test]
    fn sets_from_the_same_distribution_differ_in_one_of_twenty_cases() {
        for processes in [3, 5, 8] {
            let wrong = found(1.0, processes);
            assert!((1.0..=9.0).contains(&wrong), "{wrong} of 100 with {processes} processes");
        }
    }

    #[test]
    fn a_planted_change_is_found() {
        for (processes, least) in [(3, 60.0), (5, 90.0), (8, 98.0)] {
            let right = found(1.3, processes);
            assert!(right > least, "{right} of 100 with {processes} processes");
        }
    }

    #[test]
    fn one_process_is_said_to_be_one_and_two_know_little() {
        let estimated = estimate(&Processes::one(&[1.0, 2.0, 3.0])).unwrap();
        assert_eq!((estimated.samples, estimated.processes), (3, 1));
        let two = Processes::of([&[100.0; 5][..], &[101.0; 5]]);
        let estimated = estimate(&two).unwrap();
        assert_eq!((estimated.samples, estimated.processes), (10, 2));
        assert!(estimated.low < 97.0 && estimated.high > 104.0, "{estimated:?}");
    }

    #[test]
    fn unsteady_processes_are_counted() {
        let mut processes = Processes::one(&[1.0]);
        processes.add(&[2.0], true);
        processes.add(&[], true);
        assert_eq!(estimate(&processes).unwrap().unsteady, 1);
        assert_eq!(ratio_of_medians(&processes, &processes).unwrap().unsteady, 2);
    }

    #[test]
    fn equal_samples_leave_no_doubt() {
        let estimate = estimate(&Processes::one(&[5.0; 9])).unwrap();
        assert_eq!((estimate.median, estimate.low, estimate.high, estimate.samples), (5.0, 5.0, 5.0, 9));
    }

    #[test]
    fn the_median_is_in_its_interval_and_outliers_do_not_move_it() {
        let samples: Vec<f64> = (0..100).map(|n| if n == 50 { 1e9 } else { f64::from(n) }).collect();
        let found = estimate(&Processes::one(&samples)).unwrap();
        assert!(found.low < found.median && found.median < found.high, "{found:?}");
        assert!((30.0..70.0).contains(&found.low) && (30.0..70.0).contains(&found.high), "{found:?}");
        assert_eq!(estimate(&Processes::one(&samples)), Some(found), "it is a function of the samples");
        assert_eq!(estimate(&Processes::default()), None);
    }

    #[test]
    fn a_change_is_seen_and_none_is_not() {
        let base: Vec<f64> = (0..40).map(|n| 100.0 + f64::from(n % 5)).collect();
        let slower: Vec<f64> = base.iter().map(|time| time * 1.5).collect();
        assert!(ratio_of_medians(&Processes::one(&slower), &Processes::one(&base)).unwrap().low > 1.3);
        let same = ratio_of_medians(&Processes::one(&base), &Processes::one(&base)).unwrap();
        assert!(same.low <= 1.0 && 1.0 <= same.high, "{same:?}");
    }

    #[test]
    fn the_geometric_mean_of_opposite_ratios_is_one() {
        let [half, double] = [Processes::one(&[0.5; 3]), Processes::one(&[2.0; 3])];
        let mean = geometric_mean_of_medians(&[&half, &double]).unwrap();
        assert!((mean.median - 1.0).abs() < 1e-9, "{mean:?}");
        assert_eq!(geometric_mean_of_medians(&[]), None);
        assert_eq!(geometric_mean_of_medians(&[&half, &Processes::default()]), None);
    }

    #[test]
    fn percentiles_are_samples() {
        let samples: Vec<f64> = (1..=100).rev().map(f64::from).collect();
        let at = |percent| percentile(&samples, percent);
        assert_eq!(
            (at(50.0), at(95.0), at(99.0), at(100.0)),
            (Some(50.0), Some(95.0), Some(99.0), Some(100.0))
        );
        assert_eq!(percentile(&[], 50.0), None);
        assert_eq!(percentile(&[3.0], 99.0), Some(3.0));
    }
}
