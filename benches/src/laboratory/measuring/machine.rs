//! The machine that figures are from.

use std::fs;

use serde::{Deserialize, Serialize};

/// What a reader of figures should know of the machine.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Machine {
    /// The processor, as the system calls it.
    processor: Option<String>,
    /// Threads that can run at once.
    cores: usize,
    /// The release of the operating system's kernel.
    kernel: Option<String>,
    /// Processes that wanted to run in the last minute, on average, when it began.
    load: Option<f64>,
}

impl Machine {
    /// This one, now.
    pub(crate) fn current() -> Machine {
        let processors = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let model = processors.lines().find(|line| line.starts_with("model name"));
        let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
        Machine {
            processor: model.and_then(|line| Some(line.split_once(':')?.1.trim().to_owned())),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            kernel: fs::read_to_string("/proc/sys/kernel/osrelease").ok().map(|text| text.trim().to_owned()),
            load: load.split(' ').next().and_then(|text| text.parse().ok()),
        }
    }

    /// What it is called, whatever it does at the time.
    pub(crate) fn name(&self) -> String {
        let name = self.processor.as_deref().unwrap_or("unknown processor");
        let kernel = self.kernel.as_deref().unwrap_or("unknown");
        format!("{name}, {} cores, kernel {kernel}", self.cores)
    }

    /// How many processes wanted to run when it began.
    pub(crate) fn load(&self) -> Option<f64> {
        self.load
    }

    /// In one line, with a warning if others kept it busy.
    pub(crate) fn line(&self) -> String {
        let name = self.processor.as_deref().unwrap_or("unknown processor");
        let load = self.load.map_or(String::new(), |load| format!(", load {load:.1} at the start"));
        let busy = self.load.is_some_and(|load| load > 0.5);
        let warning = if busy { " (not quiet: expect wide intervals)" } else { "" };
        format!("{name}, {} cores{load}{warning}", self.cores)
    }
}
