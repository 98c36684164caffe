//! The clocks that samples are timed with.

use std::time::Duration;

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

/// A clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Clock {
    /// Time that passes.
    Wall,
    /// Time that the measuring thread executes: what others do meanwhile does not count, but it still
    /// takes caches away. For machines that are not quiet.
    Cpu,
}

impl Clock {
    /// Whose time it is.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Clock::Wall => "wall",
            Clock::Cpu => "processor",
        }
    }

    /// Its time now, from a point that does not change.
    pub(crate) fn now(self) -> Duration {
        let id = match self {
            Clock::Wall => libc::CLOCK_MONOTONIC,
            Clock::Cpu => libc::CLOCK_THREAD_CPUTIME_ID,
        };
        let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        // SAFETY: the structure is ours to be filled.
        let status = unsafe { libc::clock_gettime(id, &raw mut time) };
        assert_eq!(status, 0, "every Linux has these clocks");
        Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
    }
}

#[cfg(test)]
mod tests {
    use super::Clock;

    #[test]
    fn sleeping_takes_no_processor_time() {
        let (wall, cpu) = (Clock::Wall.now(), Clock::Cpu.now());
        std::thread::sleep(std::time::Duration::from_millis(20));
        let (wall, cpu) = (Clock::Wall.now() - wall, Clock::Cpu.now() - cpu);
        assert!(cpu < wall, "{cpu:?} of {wall:?}");
    }
}
