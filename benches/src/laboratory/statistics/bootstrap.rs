//! The median of samples, and how well it is known: resampled, since times have no distribution that could be assumed.
//!
//! See Efron, "Bootstrap Methods: Another Look at the Jackknife", Annals of Statistics 1979.

use serde::Serialize;

use super::interval::median;

/// Resamples. The ends of the interval are the 25th from each end.
const RESAMPLES: usize = 1_000;

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
}

impl Estimate {
    /// Half the width of the interval, relative to the median.
    pub(crate) fn relative_half_width(&self) -> f64 {
        (self.high - self.low) / (2.0 * self.median.abs())
    }
}

/// The median of `samples`; none if there are none. Equal samples lead to equal intervals: the resampling has its own
/// seed.
pub(crate) fn estimate(samples: &[f64]) -> Option<Estimate> {
    estimate_of(&[samples], |medians| medians[0])
}

/// The ratio of the medians of `samples` and `base`.
pub(crate) fn ratio_of_medians(samples: &[f64], base: &[f64]) -> Option<Estimate> {
    estimate_of(&[samples, base], |medians| medians[0] / medians[1])
}

/// A function of the medians of several series, which are resampled apart; none if one of them is empty.
pub(crate) fn estimate_of(series: &[&[f64]], of: impl Fn(&[f64]) -> f64) -> Option<Estimate> {
    let fewest = series.iter().map(|samples| samples.len()).min().filter(|&fewest| fewest > 0)?;
    let mut random = fastrand::Rng::with_seed(0);
    let medians: Vec<f64> = series.iter().map(|samples| median(samples)).collect();
    let mut resampled: Vec<f64> = (0..RESAMPLES)
        .map(|_| {
            let medians: Vec<f64> = series.iter().map(|samples| resample(samples, &mut random)).collect();
            of(&medians)
        })
        .collect();
    resampled.sort_by(f64::total_cmp);
    let tail = RESAMPLES / 40;
    let (low, high) = (resampled[tail], resampled[RESAMPLES - 1 - tail]);
    Some(Estimate { median: of(&medians), low, high, samples: fewest })
}

/// The median of as many of `samples`, each drawn from all.
fn resample(samples: &[f64], random: &mut fastrand::Rng) -> f64 {
    let drawn: Vec<f64> = samples.iter().map(|_| samples[random.usize(..samples.len())]).collect();
    median(&drawn)
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
    use super::{estimate, percentile, ratio_of_medians};

    #[test]
    fn equal_samples_leave_no_doubt() {
        let estimate = estimate(&[5.0; 9]).unwrap();
        assert_eq!((estimate.median, estimate.low, estimate.high, estimate.samples), (5.0, 5.0, 5.0, 9));
    }

    #[test]
    fn the_median_is_in_its_interval_and_outliers_do_not_move_it() {
        let samples: Vec<f64> = (0..100).map(|n| if n == 50 { 1e9 } else { f64::from(n) }).collect();
        let found = estimate(&samples).unwrap();
        assert!(found.low < found.median && found.median < found.high, "{found:?}");
        assert!((30.0..70.0).contains(&found.low) && (30.0..70.0).contains(&found.high), "{found:?}");
        assert_eq!(estimate(&samples), Some(found), "it is a function of the samples");
        assert_eq!(estimate(&[]), None);
    }

    #[test]
    fn a_change_is_seen_and_none_is_not() {
        let base: Vec<f64> = (0..40).map(|n| 100.0 + f64::from(n % 5)).collect();
        let slower: Vec<f64> = base.iter().map(|time| time * 1.5).collect();
        assert!(ratio_of_medians(&slower, &base).unwrap().low > 1.3);
        let same = ratio_of_medians(&base, &base).unwrap();
        assert!(same.low <= 1.0 && 1.0 <= same.high, "{same:?}");
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
