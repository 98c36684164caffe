//! Stress: transitions that are forced, to find out whether they change anything.
//!
//! Each `--stress KIND=VALUE` is one item. Items are read one by one and put together afterwards, so that
//! a new kind is one more variant here.

use std::str::FromStr;

use osr_engine::{Land, Periodic, Stress, Tier};

use crate::error::Error;

/// One `--stress`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StressItem {
    /// Every that many safepoints, what is active is invalidated.
    Invalidate(u64),
    /// Every that many safepoints, what is active is hijacked, and its code stays.
    Hijack(u64),
    /// Every that many guards, one fails that may hold.
    Guard(u64),
    /// Where frames land.
    Land(Land),
    /// Anything at any safepoint, as the seed has it.
    Random(u64),
}

impl StressItem {
    fn kind(self) -> &'static str {
        match self {
            StressItem::Invalidate(_) => "invalidate",
            StressItem::Hijack(_) => "hijack",
            StressItem::Guard(_) => "guard",
            StressItem::Land(_) => "land",
            StressItem::Random(_) => "random",
        }
    }
}

impl FromStr for StressItem {
    type Err = String;

    fn from_str(text: &str) -> Result<StressItem, String> {
        let (kind, value) = text.split_once('=').unwrap_or((text, ""));
        match kind {
            "invalidate" => period(kind, value).map(StressItem::Invalidate),
            "hijack" => period(kind, value).map(StressItem::Hijack),
            "guard" => period(kind, value).map(StressItem::Guard),
            "land" => land(value).map(StressItem::Land),
            "random" => seed(value).map(StressItem::Random),
            _ => Err(format!(
                "there is no stress `{kind}`; write invalidate=N, hijack=N, guard=N, land=.. or random=SEED"
            )),
        }
    }
}

fn period(kind: &str, value: &str) -> Result<u64, String> {
    let number = value.parse().ok().filter(|&number| number > 0);
    number.ok_or_else(|| format!("write {kind}=N with a number N from 1 up: every Nth safepoint or guard"))
}

fn seed(value: &str) -> Result<u64, String> {
    value.parse().map_err(|_| "a seed is a number from 0 up".to_owned())
}

fn land(value: &str) -> Result<Land, String> {
    if let Some(tier) = Tier::ALL.into_iter().find(|tier| tier.name() == value) {
        return Ok(Land::In(tier));
    }
    match value.split_once(':') {
        Some(("random", value)) => seed(value).map(Land::Random),
        _ => Err("write land=interpreter, land=baseline, land=optimized or land=random:SEED".to_owned()),
    }
}

/// Puts `items` together, if they agree.
pub(crate) fn combine(items: &[StressItem]) -> Result<Stress, Error> {
    let mut periodic = Periodic::default();
    let mut random = None;
    for &item in items {
        let repeated = match item {
            StressItem::Invalidate(every) => periodic.invalidate.replace(every).is_some(),
            StressItem::Hijack(every) => periodic.hijack.replace(every).is_some(),
            StressItem::Guard(every) => periodic.guard.replace(every).is_some(),
            StressItem::Land(land) => periodic.land.replace(land).is_some(),
            StressItem::Random(seed) => random.replace(seed).is_some(),
        };
        if repeated {
            return Err(Error::RepeatedStress { kind: item.kind() });
        }
    }
    match random {
        Some(_) if items.len() > 1 => Err(Error::RandomStressWithMore),
        Some(seed) => Ok(Stress::Random(seed)),
        None if items.is_empty() => Ok(Stress::None),
        None => Ok(Stress::Periodic(periodic)),
    }
}

#[cfg(test)]
mod tests {
    use osr_engine::{Land, Periodic, Stress, Tier};

    use super::{StressItem, combine};

    #[test]
    fn items_are_read() {
        assert_eq!("invalidate=7".parse(), Ok(StressItem::Invalidate(7)));
        assert_eq!("hijack=1".parse(), Ok(StressItem::Hijack(1)));
        assert_eq!("land=baseline".parse(), Ok(StressItem::Land(Land::In(Tier::Baseline))));
        assert_eq!("land=random:3".parse(), Ok(StressItem::Land(Land::Random(3))));
        assert_eq!("random=0".parse(), Ok(StressItem::Random(0)));
        let wrong = [
            "",
            "invalidate",
            "redirect=1",
            "invalidate=",
            "invalidate=0",
            "invalidate=-1",
            "invalidate=x",
            "land=3",
            "=3",
            "random=x",
        ];
        for text in wrong.into_iter().chain(["land=random", "land=random:", "land=random:x", "random"]) {
            assert!(text.parse::<StressItem>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_kind_is_given_once() {
        assert!(matches!(combine(&[]), Ok(Stress::None)));
        let both = combine(&[StressItem::Invalidate(7), StressItem::Land(Land::Random(1))]);
        let expected = Periodic { invalidate: Some(7), land: Some(Land::Random(1)), ..Periodic::default() };
        assert!(matches!(both, Ok(Stress::Periodic(periodic)) if periodic == expected));
        assert!(combine(&[StressItem::Invalidate(7), StressItem::Invalidate(7)]).is_err());
        assert!(combine(&[StressItem::Invalidate(7), StressItem::Random(7)]).is_err());
    }
}
