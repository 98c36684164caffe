//! The samples of one quantity, by the process that they are from.

use super::interval::median;

/// What some processes have measured of the same quantity. Those of one process have its addresses, its memory and its luck in
/// common; processes are independent.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Processes {
    /// By process; each has some.
    samples: Vec<Vec<f64>>,
    unsteady: usize,
}

impl Processes {
    /// A single one, which was steady, with these samples.
    pub(crate) fn one(samples: &[f64]) -> Processes {
        Processes::of([samples])
    }

    /// Processes with these samples, all of which were steady.
    pub(crate) fn of<'s>(processes: impl IntoIterator<Item = &'s [f64]>) -> Processes {
        let mut all = Processes::default();
        processes.into_iter().for_each(|samples| all.add(samples, false));
        all
    }

    /// Adds what one process has measured, if that is anything; `is_unsteady`: it reached no steady state.
    pub(crate) fn add(&mut self, samples: &[f64], is_unsteady: bool) {
        if !samples.is_empty() {
            self.samples.push(samples.to_vec());
            self.unsteady += usize::from(is_unsteady);
        }
    }

    /// Whether nothing was measured.
    pub(crate) fn is_empty(&self) -> bool {
        self.samples.is_empty()
    }

    /// Processes.
    pub(crate) fn count(&self) -> usize {
        self.samples.len()
    }

    /// Those of them that reached no steady state.
    pub(crate) fn unsteady(&self) -> usize {
        self.unsteady
    }

    /// By process.
    pub(super) fn samples(&self) -> &[Vec<f64>] {
        &self.samples
    }

    /// Of all processes.
    pub(crate) fn all(&self) -> Vec<f64> {
        self.samples.concat()
    }

    /// The median of all samples; none if there are none.
    pub(crate) fn median(&self) -> Option<f64> {
        (!self.is_empty()).then(|| median(&self.all()))
    }
}
