//! The ways to run a program that are tried.

/// A way to run a program.
#[derive(Clone, Copy, Debug)]
pub(super) struct Way {
    /// What it is called.
    pub(super) name: &'static str,
    /// Whether it decides as it goes; otherwise it is a fixed choice.
    pub(super) is_policy: bool,
    /// The options of `osr-bench run`.
    pub(super) options: &'static [&'static str],
}

const fn fixed(name: &'static str, options: &'static [&'static str]) -> Way {
    Way { name, is_policy: false, options }
}

const fn policy(name: &'static str, options: &'static [&'static str]) -> Way {
    Way { name, is_policy: true, options }
}

/// All.
pub(super) const WAYS: &[Way] = &[
    fixed("interpreter", &["--tier", "interpreter"]),
    fixed("baseline", &["--tier", "baseline"]),
    fixed("optimized", &["--tier", "optimized"]),
    fixed("counts 1/1k", &["--threshold", "1", "--optimize-threshold", "1000"]),
    fixed("counts 1/20k", &["--threshold", "1", "--optimize-threshold", "20000"]),
    fixed("counts 1/400k", &["--threshold", "1", "--optimize-threshold", "400000"]),
    fixed("counts 500/20k", &["--threshold", "500", "--optimize-threshold", "20000"]),
    policy("auto", &[]),
    policy("background", &["--compile", "background"]),
    policy("measured", &["--costs", "measured"]),
    policy("both", &["--compile", "background", "--costs", "measured"]),
];
