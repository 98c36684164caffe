//! What code pays for its mechanism while nothing is replaced: kernels and programs against the bare code, which
//! replaces nothing, in the same process in random order.

use indicatif::ProgressBar;
use osr_engine::{Mechanism, Settings};

use super::Trial;
use crate::laboratory::measuring::{self, Clock, Code, Compared, Effort, Origin, Subject, Variant};
use crate::laboratory::results::Finding;
use crate::laboratory::statistics::Steadiness;
use crate::laboratory::subjects::Line;

/// A kernel whose time is told by call, or by iteration.
pub(super) struct Kernel {
    name: &'static str,
    argument: &'static str,
    expected: &'static str,
    steps: f64,
    step: &'static str,
}

/// A recursion that does little else than call.
pub(super) const CALLS: Kernel =
    Kernel { name: "calls", argument: "20", expected: "6765", steps: 21_891.0, step: "call" };

const KERNELS: [Kernel; 3] = [
    CALLS,
    Kernel { name: "loop", argument: "100000", expected: "100000", steps: 100_000.0, step: "iteration" },
    Kernel { name: "dot", argument: "4096", expected: "1333248", steps: 4_096.0, step: "iteration" },
];

impl Kernel {
    /// Measures it with the second mechanism against the first. Not unrolled: there is a poll in each iteration.
    fn measure(&self, trial: &Trial, pair: [Mechanism; 2]) -> Result<Measured, String> {
        let (origin, arguments) = (Origin::Kernel(self.name.to_owned()), vec![self.argument.to_owned()]);
        let expected = self.expected.to_owned();
        measure(&Subject { origin, invoke: None, arguments, expected, rewind: false }, trial, pair, 1)
    }

    /// What each step costs more than with the first mechanism, in nanoseconds.
    fn by_step(&self, measured: &Measured) -> Finding {
        let by_step = measured.differences.iter().map(|nanoseconds| nanoseconds / self.steps).collect();
        let finding = Finding::new(self.name, &format!("per {}", self.step), "ns", by_step);
        Finding { steadiness: Some(measured.steadiness), ..finding }
    }

    /// The same, which is measured.
    pub(super) fn measure_by_step(&self, trial: &Trial, pair: [Mechanism; 2]) -> Result<Finding, String> {
        Ok(self.by_step(&self.measure(trial, pair)?))
    }
}

/// Measures kernels, and the programs of the trial.
pub(super) fn run(trial: &Trial) -> Result<Vec<Finding>, String> {
    let pair = [Mechanism::BARE, trial.mechanism];
    let mut findings = Vec::new();
    for kernel in KERNELS {
        let measured = kernel.measure(trial, pair)?;
        findings.extend(measured.findings(kernel.name));
        findings.push(kernel.by_step(&measured));
    }
    findings.extend(programs(trial, pair)?);
    Ok(findings)
}

/// Measures the programs of the trial with the second mechanism against the first.
pub(super) fn programs(trial: &Trial, pair: [Mechanism; 2]) -> Result<Vec<Finding>, String> {
    let mut findings = Vec::new();
    for subject in subjects(trial)? {
        let measured = measure(&subject, trial, pair, Settings::DEFAULT_UNROLLING)?;
        findings.extend(measured.findings(&subject.name()));
    }
    Ok(findings)
}

/// The programs of the trial.
pub(super) fn subjects(trial: &Trial) -> Result<Vec<Subject>, String> {
    let subject = |line: &String| Line::read(line).and_then(|line| line.subject());
    trial.sizes.programs.iter().map(|line| subject(line).map_err(|error| error.to_string())).collect()
}

/// What a mechanism costs a program against another, in one process.
pub(super) struct Measured {
    /// Its time relative to the other's: one number, the median of ratios in rounds in which both were steady.
    pub(super) ratios: Vec<f64>,
    /// What is added to the other's, in nanoseconds.
    differences: Vec<f64>,
    /// Its bytes of code relative to the other's.
    pub(super) code: Option<f64>,
    /// How the process went.
    pub(super) steadiness: Steadiness,
}

impl Measured {
    fn findings(&self, program: &str) -> impl Iterator<Item = Finding> {
        let time = Finding::new(program, "time", "ratio", self.ratios.clone());
        let time = Finding { steadiness: Some(self.steadiness), ..time };
        let code = self.code.map(|ratio| Finding::new(program, "code", "ratio", vec![ratio]));
        [time].into_iter().chain(code)
    }
}

/// What the second mechanism costs `subject` against the first, with loops unrolled so often. The spread is that over repetitions of
/// the trial, each of which has a process of its own for it.
pub(super) fn measure(
    subject: &Subject,
    trial: &Trial,
    pair: [Mechanism; 2],
    unrolling: u8,
) -> Result<Measured, String> {
    let sizes = &trial.sizes;
    let effort = Effort {
        processes: 1,
        rounds: sizes.rounds,
        budget: 1 + sizes.milliseconds / 1_000,
        sample: (1_000 * sizes.milliseconds / (2 * sizes.rounds).max(1)).clamp(1, 2_000),
        clock: Clock::Wall,
        seed: Some(trial.seed),
    };
    let variants = pair.map(|mechanism| Variant::Code(Code { mechanism, unrolling }));
    let measured =
        measuring::measure(std::slice::from_ref(subject), &variants, &effort, &ProgressBar::hidden());
    let replies = measured.map_err(|error| error.to_string())?.replies;
    let compared = |position| measuring::compare(&replies[0], position, 0, f64::INFINITY);
    match (compared(0), compared(1)) {
        (
            Compared::Measured { nanoseconds: bare, code_bytes: bare_bytes, .. },
            Compared::Measured { logarithms, code_bytes, steadiness, .. },
        ) => {
            let ratios: Vec<f64> = logarithms.iter().map(|logarithm| logarithm.exp()).collect();
            Ok(Measured {
                differences: ratios.iter().map(|ratio| (ratio - 1.0) * bare).collect(),
                code: code_bytes.zip(bare_bytes).map(|(bytes, bare)| bytes as f64 / bare as f64),
                steadiness: steadiness.first().copied().unwrap_or(Steadiness::Unknown),
                ratios,
            })
        }
        (Compared::Failed(why) | Compared::Differs(why), _)
        | (_, Compared::Failed(why) | Compared::Differs(why)) => Err(format!("{}: {why}", subject.name())),
    }
}
