//! Where a sequence changes its level: optimal partitioning.
//!
//! The sequence is cut into segments so that the sum of their costs, and of a penalty for each, is least.
//! The cost of a segment is twice the negative logarithm of the likelihood of a normal distribution with
//! the segment's own mean and variance. See Killick, Fearnhead, Eckley, "Optimal Detection of Changepoints
//! with a Linear Computational Cost", JASA 2012; sequences here are so short that its pruning is not
//! needed. Barrett et al. (see `steadiness.rs`) use it for warm-up.

use std::ops::Range;

/// Segments have at least that many numbers: a mean and a variance must be seen in them.
const SHORTEST: usize = 3;

/// The penalty of a segment by the logarithm of the sequence's length: that of the Bayesian criterion for
/// the three numbers that describe a segment (its start, mean and variance), doubled, since successive
/// timings are not independent.
const PENALTY: f64 = 6.0;

/// Standard deviations below this are taken for it, so that a few numbers that happen to be close to one
/// another make no level of their own.
const LEAST_DEVIATION: f64 = 5e-3;

/// The segments of `sequence`, in order; none of an empty one.
pub(super) fn segments(sequence: &[f64]) -> Vec<Range<usize>> {
    let length = sequence.len();
    if length < 2 * SHORTEST {
        return if length == 0 { Vec::new() } else { std::iter::once(0..length).collect() };
    }
    let sums = Sums::of(sequence);
    let penalty = PENALTY * (length as f64).ln();
    // Per end: the least cost of the sequence up to there, and where its last segment begins.
    let mut best = vec![(f64::INFINITY, 0); length + 1];
    best[0] = (-penalty, 0);
    for end in SHORTEST..=length {
        for start in 0..=end - SHORTEST {
            let cost = best[start].0 + sums.cost(start..end) + penalty;
            if cost < best[end].0 {
                best[end] = (cost, start);
            }
        }
    }
    let mut segments = Vec::new();
    let mut end = length;
    while end > 0 {
        segments.push(best[end].1..end);
        end = best[end].1;
    }
    segments.reverse();
    segments
}

/// Sums of the numbers and of their squares up to each position.
struct Sums(Vec<(f64, f64)>);

impl Sums {
    fn of(sequence: &[f64]) -> Sums {
        let mut sums = vec![(0.0, 0.0)];
        for number in sequence {
            let (sum, squares) = sums[sums.len() - 1];
            sums.push((sum + number, squares + number * number));
        }
        Sums(sums)
    }

    fn cost(&self, range: Range<usize>) -> f64 {
        let ((sum_before, squares_before), (sum, squares)) = (self.0[range.start], self.0[range.end]);
        let length = range.len() as f64;
        let mean = (sum - sum_before) / length;
        let variance = (squares - squares_before) / length - mean * mean;
        length * (variance.max(LEAST_DEVIATION * LEAST_DEVIATION).ln() + 1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::segments;

    /// A level with a deviation of about 1%, the same each time.
    fn noise(level: f64, length: usize, seed: u64) -> Vec<f64> {
        let mut random = fastrand::Rng::with_seed(seed);
        (0..length).map(|_| level + 0.02 * (random.f64() - 0.5)).collect()
    }

    fn whole(sequence: &[f64]) -> bool {
        segments(sequence).iter().eq(std::iter::once(&(0..sequence.len())))
    }

    #[test]
    fn a_level_has_no_changes() {
        for seed in 0..50 {
            assert!(whole(&noise(1.0, 40, seed)), "seed {seed}");
        }
        assert!(whole(&[2.0; 30]));
    }

    #[test]
    fn a_step_is_found_where_it_is() {
        for seed in 0..50 {
            let sequence = [noise(1.5, 8, seed), noise(1.0, 22, seed + 100)].concat();
            assert_eq!(segments(&sequence), [0..8, 8..30], "seed {seed}");
        }
    }

    #[test]
    fn two_steps_are_two() {
        let sequence = [noise(3.0, 5, 1), noise(2.0, 10, 2), noise(1.0, 15, 3)].concat();
        assert_eq!(segments(&sequence), [0..5, 5..15, 15..30]);
    }

    #[test]
    fn short_sequences_are_one_segment() {
        assert!(segments(&[]).is_empty());
        assert!(whole(&[1.0, 9.0, 1.0, 9.0, 1.0]));
    }
}
