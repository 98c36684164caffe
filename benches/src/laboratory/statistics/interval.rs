//! Ratios of times, and how well they are known.

use serde::Serialize;
use statrs::distribution::{ContinuousCDF, StudentsT};

/// Confidence of all intervals.
const CONFIDENCE: f64 = 0.95;

/// A ratio with its confidence interval (95%, Student's t over the logarithms).
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct Interval {
    /// The estimate.
    pub(crate) ratio: f64,
    /// The lower end; null where a single process says nothing about spread.
    pub(crate) low: Option<f64>,
    /// The upper end.
    pub(crate) high: Option<f64>,
}

impl Interval {
    /// Half the width of the interval relative to the estimate; infinite where there is no interval.
    pub(crate) fn relative_half_width(&self) -> f64 {
        match (self.low, self.high) {
            (Some(low), Some(high)) => (high - low) / (2.0 * self.ratio),
            _ => f64::INFINITY,
        }
    }

    /// Whether 1 lies outside: the two differ.
    pub(crate) fn excludes_one(&self) -> bool {
        self.low.is_some_and(|low| low > 1.0) || self.high.is_some_and(|high| high < 1.0)
    }
}

/// The ratio that independent processes measured, each as a logarithm.
pub(crate) fn ratio(logarithms: &[f64]) -> Interval {
    let mean = logarithms.iter().sum::<f64>() / logarithms.len() as f64;
    let half = half_width(logarithms, mean);
    Interval {
        ratio: mean.exp(),
        low: half.map(|half| (mean - half).exp()),
        high: half.map(|half| (mean + half).exp()),
    }
}

/// The geometric mean over programs of the ratio of each, measured by the same number of processes. The
/// interval is that of the measurement: the programs are what they are, not a sample of others.
///
/// Any process of one program is independent of any of another, so they may be taken together in any
/// order: the means over programs are as many independent numbers as there are processes.
pub(crate) fn geometric_mean(programs: &[Vec<f64>]) -> Option<Interval> {
    let processes = programs.iter().map(Vec::len).min().filter(|&processes| processes > 0)?;
    let mean =
        |process: usize| programs.iter().map(|program| program[process]).sum::<f64>() / programs.len() as f64;
    Some(ratio(&(0..processes).map(mean).collect::<Vec<_>>()))
}

fn half_width(numbers: &[f64], mean: f64) -> Option<f64> {
    let freedom = numbers.len() as f64 - 1.0;
    if freedom < 1.0 {
        return None;
    }
    let variance = numbers.iter().map(|number| (number - mean).powi(2)).sum::<f64>() / freedom;
    let student = StudentsT::new(0.0, 1.0, freedom).expect("at least one degree of freedom");
    let quantile = student.inverse_cdf(0.5 + CONFIDENCE / 2.0);
    Some(quantile * (variance / numbers.len() as f64).sqrt())
}

/// The middle one; of an even number, the mean of the two in the middle.
///
/// # Panics
/// If there is none.
pub(crate) fn median(numbers: &[f64]) -> f64 {
    let mut sorted = numbers.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    if sorted.len() % 2 == 1 { sorted[middle] } else { (sorted[middle - 1] + sorted[middle]) / 2.0 }
}

#[cfg(test)]
mod tests {
    use super::{geometric_mean, median, ratio};

    fn close(found: f64, expected: f64) {
        assert!((found / expected - 1.0).abs() < 1e-6, "{found} is not {expected}");
    }

    #[test]
    fn intervals_are_those_of_the_tables() {
        // Mean 3, standard deviation 1.581139; t of 4 degrees, 97.5%: 2.776445; half width 1.963243.
        let interval = ratio(&[1.0, 2.0, 3.0, 4.0, 5.0]);
        close(interval.ratio, 3.0_f64.exp());
        close(interval.low.unwrap(), (3.0_f64 - 1.963_243).exp());
        close(interval.high.unwrap(), (3.0_f64 + 1.963_243).exp());
        // t of 1 degree, 97.5%: 12.706205.
        let interval = ratio(&[0.0, 0.2]);
        close(interval.high.unwrap().ln(), 0.1 + 12.706_205 * 0.1);
    }

    #[test]
    fn one_process_knows_nothing_of_spread() {
        let interval = ratio(&[2.0_f64.ln()]);
        close(interval.ratio, 2.0);
        assert_eq!((interval.low, interval.high), (None, None));
        assert_eq!(interval.relative_half_width(), f64::INFINITY);
        assert!(!interval.excludes_one());
    }

    #[test]
    fn equal_processes_leave_no_doubt() {
        let interval = ratio(&[0.5; 4]);
        assert_eq!(interval.relative_half_width(), 0.0);
        assert!(interval.excludes_one());
        assert!(!ratio(&[-0.1, 0.1, 0.0]).excludes_one());
    }

    #[test]
    fn the_geometric_mean_of_opposite_ratios_is_one() {
        let halves = vec![0.5_f64.ln(); 3];
        let doubles = vec![2.0_f64.ln(); 3];
        close(geometric_mean(&[halves.clone(), doubles]).unwrap().ratio, 1.0);
        close(geometric_mean(&[halves.clone(), halves]).unwrap().ratio, 0.5);
        assert_eq!(geometric_mean(&[]), None);
        assert_eq!(geometric_mean(&[vec![]]), None);
    }

    #[test]
    fn spread_between_programs_is_not_spread_of_the_measurement() {
        let interval = geometric_mean(&[vec![0.0; 3], vec![1.0; 3]]).unwrap();
        assert_eq!(interval.relative_half_width(), 0.0);
        close(interval.ratio, 0.5_f64.exp());
    }

    #[test]
    fn medians() {
        assert_eq!(median(&[3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&[4.0, 1.0, 3.0, 2.0]), 2.5);
        assert_eq!(median(&[7.0]), 7.0);
    }
}
