//! The axes of a mechanism with all their values: what each means, and in how many combinations it works.

use std::collections::HashMap;

use osr_engine::Mechanism;
use serde::Serialize;

/// An axis.
#[derive(Debug, Serialize)]
pub(super) struct Axis {
    /// Its name.
    pub(super) name: &'static str,
    /// In the order of declaration.
    pub(super) values: Vec<Value>,
}

/// A value of an axis.
#[derive(Debug, Serialize)]
pub(super) struct Value {
    /// Its name.
    pub(super) name: &'static str,
    /// Valid combinations with other axes' values; 0: none, it is refused with anything.
    pub(super) combinations: usize,
    /// What it means.
    pub(super) meaning: &'static str,
}

/// All axes.
pub(super) fn all() -> Vec<Axis> {
    let mut counts: HashMap<(usize, &str), usize> = HashMap::new();
    for mechanism in Mechanism::all().filter(|mechanism| mechanism.check().is_ok()) {
        mechanism.values().into_iter().enumerate().for_each(|value| *counts.entry(value).or_default() += 1);
    }
    let value = |axis: usize, (name, meaning): (&'static str, &'static str)| {
        let combinations = counts.get(&(axis, name)).copied().unwrap_or(0);
        Value { name, combinations, meaning }
    };
    let axes = Mechanism::axes().into_iter().enumerate();
    let axis = |(axis, osr_engine::Axis { name, values })| Axis {
        name,
        values: values.into_iter().map(|named| value(axis, named)).collect(),
    };
    axes.map(axis).collect()
}

#[cfg(test)]
mod tests {
    use osr_engine::Mechanism;

    use super::all;

    #[test]
    fn values_that_work_with_others_add_up_to_all_valid_combinations() {
        let valid = Mechanism::all().filter(|mechanism| mechanism.check().is_ok()).count();
        for axis in all() {
            let sum: usize = axis.values.iter().map(|value| value.combinations).sum();
            assert_eq!(sum, valid, "{}", axis.name);
            assert!(axis.values.iter().all(|value| !value.meaning.is_empty()), "{}", axis.name);
        }
    }
}
