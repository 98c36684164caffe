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
    fixed("counts 50/500", &["--threshold", "50", "--optimize-threshold", "500"]),
    fixed("counts 500/5k", &["--threshold", "500", "--optimize-threshold", "5000"]),
    fixed("counts 5k/50k", &["--threshold", "5000", "--optimize-threshold", "50000"]),
    fixed("counts 500/0", &["--threshold", "500", "--optimize-threshold", "0"]),
    policy("auto", &[]),
    policy("background", &["--compile", "background"]),
    policy("measured", &["--costs", "measured"]),
    policy("both", &["--compile", "background", "--costs", "measured"]),
];
