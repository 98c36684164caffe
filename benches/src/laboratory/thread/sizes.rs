//! How much an experiment does.

use serde::{Deserialize, Deserializer, Serialize, de};

/// The most frames that the stacks of all guests have room for.
const MOST_FRAMES: u64 = 1_000_000;

/// How much an experiment does in one process: sizes of what it measures, and how often. Each trial is repeated in several
/// processes, since what one of them measures says little of the next.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Sizes {
    /// Programs of the steady state: names of bundled ones, or what follows `osr-bench run`.
    pub(crate) programs: Vec<String>,
    /// Call sites of the function that is updated.
    #[serde(deserialize_with = "all_within::<_, 1, 1_000_000>")]
    pub(crate) sites: Vec<u64>,
    /// Frames on the stack at an update.
    #[serde(deserialize_with = "all_within::<_, 0, MOST_FRAMES>")]
    pub(crate) frames: Vec<u64>,
    /// Frames on the stack at sparse hijacks.
    #[serde(deserialize_with = "all_within::<_, 1, MOST_FRAMES>")]
    pub(crate) depths: Vec<u64>,
    /// Times that an update is measured.
    #[serde(deserialize_with = "within::<_, _, 1, 1_000_000>")]
    pub(crate) updates: usize,
    /// Replacements whose latency is measured.
    #[serde(deserialize_with = "within::<_, _, 1, 1_000_000>")]
    pub(crate) replacements: usize,
    /// Frames on the stack at those.
    #[serde(deserialize_with = "within::<_, _, 0, MOST_FRAMES>")]
    pub(crate) depth: u64,
    /// Iterations of the loop that does not end by itself, in thousands.
    #[serde(deserialize_with = "within::<_, _, 1, 1_000_000_000>")]
    pub(crate) loop_thousands: u64,
    /// Rounds of a steady state.
    #[serde(deserialize_with = "within::<_, _, 1, 100_000>")]
    pub(crate) rounds: u32,
    /// Milliseconds that they take.
    #[serde(deserialize_with = "within::<_, _, 1, 3_600_000>")]
    pub(crate) milliseconds: u32,
}

impl Sizes {
    /// For tests: everything is gone through, nothing can be concluded.
    pub(crate) fn tiny() -> Sizes {
        Sizes {
            programs: vec!["fib".into()],
            sites: vec![1, 100],
            frames: vec![1, 20],
            depths: vec![10, 100],
            updates: 2,
            replacements: 3,
            depth: 5,
            loop_thousands: 200,
            rounds: 3,
            milliseconds: 1,
        }
    }

    /// An answer within three minutes.
    pub(crate) fn quick() -> Sizes {
        Sizes {
            programs: ["fib", "richards", "spectral-norm", "fannkuch"].map(String::from).into(),
            sites: vec![1, 100, 10_000],
            frames: vec![1, 100, 10_000],
            depths: vec![10, 1_000, 100_000],
            updates: 15,
            replacements: 100,
            depth: 100,
            loop_thousands: 500,
            rounds: 20,
            milliseconds: 100,
        }
    }

    /// The data of a report.
    pub(crate) fn full() -> Sizes {
        Sizes {
            programs: crate::guest::suite::all().into_iter().map(|program| program.name).collect(),
            sites: vec![1, 10, 100, 1_000, 10_000, 100_000],
            frames: vec![0, 1, 10, 100, 1_000, 10_000, 100_000, 1_000_000],
            depths: vec![10, 100, 1_000, 10_000, 100_000, 1_000_000],
            updates: 25,
            replacements: 300,
            depth: 100,
            loop_thousands: 2_000,
            rounds: 40,
            milliseconds: 200,
        }
    }
}

/// A number that is not less than `LEAST`, and not more than `MOST`.
struct Within<const LEAST: u64, const MOST: u64>(u64);

impl<'de, const LEAST: u64, const MOST: u64> Deserialize<'de> for Within<LEAST, MOST> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let number = i64::deserialize(deserializer)?;
        match u64::try_from(number).ok().filter(|number| (LEAST..=MOST).contains(number)) {
            Some(number) => Ok(Within(number)),
            None => Err(de::Error::custom(format!("{number} is not from {LEAST} to {MOST}"))),
        }
    }
}

/// A number within bounds.
pub(crate) fn within<'de, D, T, const LEAST: u64, const MOST: u64>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: TryFrom<u64>,
{
    let Within::<LEAST, MOST>(number) = Within::deserialize(deserializer)?;
    T::try_from(number).map_err(|_| de::Error::custom(format!("{number} is too large")))
}

/// Numbers within bounds.
fn all_within<'de, D, const LEAST: u64, const MOST: u64>(deserializer: D) -> Result<Vec<u64>, D::Error>
where
    D: Deserializer<'de>,
{
    let numbers = Vec::<Within<LEAST, MOST>>::deserialize(deserializer)?;
    Ok(numbers.into_iter().map(|Within(number)| number).collect())
}

impl Default for Sizes {
    fn default() -> Sizes {
        Sizes::quick()
    }
}
