//! The figures beside their targets.

use smarttasks_benches::millis;
use std::fmt;
use std::time::Duration;

/// All that was measured.
pub(crate) struct Report {
    pub(crate) first_start: Duration,
    pub(crate) later_start: Duration,
    pub(crate) syncs: f64,
    pub(crate) road: Leg,
    pub(crate) delivery: Leg,
    pub(crate) peak_memory: u64,
}

/// What was measured of one way through the product.
pub(crate) struct Leg {
    /// Processor time of the product for each event.
    pub(crate) cpu: Duration,
    /// That of client and receiver.
    pub(crate) own_cpu: Duration,
    /// Answers 201 a second, while clients sent as fast as they could.
    pub(crate) accepted: f64,
    /// Webhooks received a second, until the last.
    pub(crate) sustained: f64,
    pub(crate) calm: String,
    pub(crate) busy: String,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (road, delivery) = (&self.road, &self.delivery);
        row(f, "", "measured", "target")?;
        row(f, "---", "---", "---")?;
        row(
            f,
            "start to first answer, fresh data directory",
            &format!("{} ms", millis(self.first_start)),
            "200 ms",
        )?;
        row(
            f,
            "start to first answer, again",
            &format!("{} ms", millis(self.later_start)),
            "200 ms",
        )?;
        road.rows(f, "task → rule → webhook", &Targets::ROAD)?;
        delivery.rows(f, "event → webhook", &Targets::DELIVERY)?;
        let megabytes = self.peak_memory / 1_000_000;
        row(f, "memory at most", &format!("{megabytes} MB"), "60 MB")?;
        row(
            f,
            "the disk alone: syncs",
            &format!("{:.0}/s", self.syncs),
            "",
        )
    }
}

/// What is to be reached; empty where nothing was promised.
struct Targets {
    sustained: &'static str,
    calm: &'static str,
    busy: &'static str,
    cpu: &'static str,
}

impl Targets {
    const ROAD: Self = Self {
        sustained: "3,000/s",
        calm: "3 / 8 ms",
        busy: "– / 25 ms",
        cpu: "",
    };
    const DELIVERY: Self = Self {
        sustained: "2,400/s",
        calm: "",
        busy: "",
        cpu: "0.35 ms",
    };
}

impl Leg {
    fn rows(&self, f: &mut fmt::Formatter<'_>, name: &str, targets: &Targets) -> fmt::Result {
        let figures = [
            (
                "sustained",
                format!("{:.0}/s", self.sustained),
                targets.sustained,
            ),
            ("accepted meanwhile", format!("{:.0}/s", self.accepted), ""),
            ("p50 / p99 at 50/s", self.calm.clone(), targets.calm),
            ("p50 / p99 at 80 %", self.busy.clone(), targets.busy),
            (
                "CPU per event",
                format!("{} ms", millis(self.cpu)),
                targets.cpu,
            ),
            (
                "CPU per event of client and receiver",
                format!("{} ms", millis(self.own_cpu)),
                "",
            ),
        ];
        for (figure, measured, target) in figures {
            row(f, &format!("{name}: {figure}"), &measured, target)?;
        }
        Ok(())
    }
}

fn row(f: &mut fmt::Formatter<'_>, name: &str, measured: &str, target: &str) -> fmt::Result {
    writeln!(f, "| {name:60} | {measured:20} | {target:10} |")
}
