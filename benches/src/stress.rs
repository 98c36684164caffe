//! Stress: transitions that are forced, to find out whether they change anything.
//!
//! Each `--stress KIND=VALUE` is one item. Items are read one by one and put together afterwards, so that
//! a new kind is one more variant here and one more field of [`Stress`].

use std::str::FromStr;

use crate::error::Error;

/// One `--stress`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StressItem {
    /// Every that many safepoints, what is active is invalidated.
    Hijack(u64),
}

impl StressItem {
    fn kind(self) -> &'static str {
        match self {
            StressItem::Hijack(_) => "hijack",
        }
    }
}

impl FromStr for StressItem {
    type Err = String;

    fn from_str(text: &str) -> Result<StressItem, String> {
        let (kind, value) = text.split_once('=').unwrap_or((text, ""));
        match kind {
            "hijack" => period(kind, value).map(StressItem::Hijack),
            _ => Err(format!("there is no stress `{kind}`; write hijack=N")),
        }
    }
}

fn period(kind: &str, value: &str) -> Result<u64, String> {
    let number = value.parse().ok().filter(|&number| number > 0);
    number.ok_or_else(|| format!("write {kind}=N with a number N from 1 up: every Nth safepoint"))
}

/// All stress of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Stress {
    /// Every that many safepoints, what is active is invalidated.
    pub(crate) hijack: Option<u64>,
}

impl Stress {
    /// Puts `items` together, if they agree.
    pub(crate) fn of(items: &[StressItem]) -> Result<Stress, Error> {
        let mut stress = Stress::default();
        for &item in items {
            let earlier = match item {
                StressItem::Hijack(every) => stress.hijack.replace(every),
            };
            if earlier.is_some() {
                return Err(Error::RepeatedStress { kind: item.kind() });
            }
        }
        Ok(stress)
    }
}

#[cfg(test)]
mod tests {
    use super::{Stress, StressItem};

    #[test]
    fn items_are_read() {
        assert_eq!("hijack=7".parse(), Ok(StressItem::Hijack(7)));
        for text in ["", "hijack", "hijack=", "hijack=0", "hijack=-1", "hijack=x", "land=3", "=3"] {
            assert!(text.parse::<StressItem>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_kind_is_given_once() {
        assert_eq!(Stress::of(&[]).unwrap(), Stress::default());
        assert_eq!(Stress::of(&[StressItem::Hijack(7)]).unwrap().hijack, Some(7));
        assert!(Stress::of(&[StressItem::Hijack(7), StressItem::Hijack(7)]).is_err());
    }
}
