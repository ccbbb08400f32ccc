//! The process as Prometheus's own libraries measure it: the names are theirs.

use std::fs;

use keyward_core::clock::{Clock, SystemClock};
use keyward_core::metrics::{Metric, counter, gauge};
use metrics::Gauge;
use rustix::process::{Resource, getrlimit};
use rustix::time::{ClockId, clock_gettime};

const START: Metric = gauge(
    "process_start_time_seconds",
    &[],
    "When the process started, in seconds since 1970.",
);
const CPU: Metric = counter(
    "process_cpu_seconds_total",
    &[],
    "Processor time of the process, in whole seconds.",
);
const RESIDENT: Metric = gauge(
    "process_resident_memory_bytes",
    &[],
    "Memory that the process has of the machine (Linux).",
);
const OPEN: Metric = gauge(
    "process_open_fds",
    &[],
    "Open files and connections (Linux).",
);
const MOST: Metric = gauge(
    "process_max_fds",
    &[],
    "How many files and connections may be open.",
);

/// What is measured of the process.
pub(super) const METRICS: &[&Metric] = &[&START, &CPU, &RESIDENT, &OPEN, &MOST];

/// The handles of these metrics.
#[derive(Clone)]
pub(super) struct Process {
    cpu: metrics::Counter,
    resident: Gauge,
    open: Gauge,
    most: Gauge,
}

impl Process {
    /// Notes the present as the start of the process.
    pub(super) fn started() -> Self {
        let now = SystemClock::new().now();
        START.gauge([]).set(now.micros() as f64 / 1e6);
        Self {
            cpu: CPU.counter([]),
            resident: RESIDENT.gauge([]),
            open: OPEN.gauge([]),
            most: MOST.gauge([]),
        }
    }

    /// Reads them. Takes milliseconds where thousands of files are open.
    pub(super) fn collect(&self) {
        let cpu = clock_gettime(ClockId::ProcessCPUTime);
        self.cpu.absolute(cpu.tv_sec.unsigned_abs());
        if let Some(bytes) = resident() {
            self.resident.set(bytes as f64);
        }
        if let Ok(open) = fs::read_dir("/proc/self/fd") {
            // One of them is that of the folder itself.
            self.open.set(open.count().saturating_sub(1) as f64);
        }
        if let Some(most) = getrlimit(Resource::Nofile).current {
            self.most.set(most as f64);
        }
    }
}

fn resident() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kib << 10)
}
