//! The options of `maps` and `events`: those of `osr-bench run`, in the same words.

use osr_engine::{Inlining, InliningError, Land, Periodic, Settings, Stress};
use serde::Deserialize;
use serde::de::IntoDeserializer;
use serde::de::value::Error as NoVariant;

use super::error::Problem;

/// What is left of a line.
pub(super) type Words<'w, 'i> = &'i mut dyn Iterator<Item = &'w str>;

/// The settings that the options in `words` ask for, checked.
pub(super) fn settings(words: Words<'_, '_>) -> Result<Settings, Problem> {
    let mut settings = Settings { checked: true, ..Settings::default() };
    while let Some(option) = words.next() {
        if !option.starts_with("--") {
            return Err(Problem::UnknownOption(option.to_owned()));
        }
        let value = words.next().unwrap_or_default();
        let wrong =
            |message| Problem::OptionValue { option: option.to_owned(), value: value.to_owned(), message };
        match option {
            "--tier" => settings.tiers = named(value).map_err(wrong)?,
            "--state-recording" => settings.mechanism.recording = named(value).map_err(wrong)?,
            "--threshold" => settings.threshold = Some(number(value).map_err(wrong)?),
            "--optimize-threshold" => settings.optimize_threshold = Some(number(value).map_err(wrong)?),
            "--inline" => settings.inlining = inlining(value).map_err(wrong)?,
            "--unrolling" => settings.unrolling = number(value).map_err(wrong)?,
            "--speculate" => {
                settings.speculate = value.split(',').map(named).collect::<Result<_, _>>().map_err(wrong)?
            }
            "--speculation-threshold" => settings.speculation_threshold = number(value).map_err(wrong)?,
            "--guard-failures" => settings.guard_failures = number(value).map_err(wrong)?,
            "--stress" => settings.stress = stress(settings.stress, value).map_err(wrong)?,
            _ => return Err(Problem::UnknownOption(option.to_owned())),
        }
    }
    Ok(settings)
}

/// The variant of `T` that `text` names.
fn named<'t, T: Deserialize<'t>>(text: &'t str) -> Result<T, String> {
    T::deserialize(text.into_deserializer()).map_err(|error: NoVariant| error.to_string())
}

fn inlining(text: &str) -> Result<Option<Inlining>, String> {
    match text {
        "off" => Ok(None),
        "on" => Ok(Some(Inlining::default())),
        _ => text.parse().map(Some).map_err(|error: InliningError| error.to_string()),
    }
}

fn number<N: TryFrom<u64>>(text: &str) -> Result<N, String> {
    let number = text.parse().ok().and_then(|number: u64| N::try_from(number).ok());
    number.ok_or_else(|| "a number that fits is needed".to_owned())
}

fn period(text: &str) -> Result<u64, String> {
    number(text).ok().filter(|&number| number > 0).ok_or_else(|| "a period is a number from 1 up".to_owned())
}

/// `stress`, and what `text` adds to it.
fn stress(stress: Stress, text: &str) -> Result<Stress, String> {
    let (kind, value) = text.split_once('=').unwrap_or((text, ""));
    let mut periodic = match stress {
        Stress::None => Periodic::default(),
        Stress::Periodic(periodic) => periodic,
        _ => return Err("random stress decides everything".to_owned()),
    };
    match kind {
        "invalidate" => periodic.invalidate = Some(period(value)?),
        "hijack" => periodic.hijack = Some(period(value)?),
        "guard" => periodic.guard = Some(period(value)?),
        "land" => periodic.land = Some(land(value)?),
        "random" if periodic == Periodic::default() => return Ok(Stress::Random(number(value)?)),
        _ => {
            let kinds = "invalidate=N, hijack=N, guard=N, land=TIER, land=random:SEED or random=SEED";
            return Err(format!("write {kinds}"));
        }
    }
    Ok(Stress::Periodic(periodic))
}

fn land(text: &str) -> Result<Land, String> {
    match text.strip_prefix("random:") {
        Some(seed) => number(seed).map(Land::Random),
        None => named(text).map(Land::In),
    }
}
