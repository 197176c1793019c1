//! The figures beside their targets.

use crate::product::{Part, Setting};
use smarttasks_benches::millis;
use std::fmt;
use std::time::Duration;

/// All that was measured in one setting.
pub(crate) struct Report {
    pub(crate) setting: Setting,
    pub(crate) first_start: Duration,
    pub(crate) later_start: Duration,
    pub(crate) syncs: f64,
    pub(crate) road: Leg,
    pub(crate) delivery: Leg,
    /// At the end.
    pub(crate) parts: Vec<Part>,
}

/// What was measured of one way through the product.
pub(crate) struct Leg {
    /// Processor time for each event, of all processes of the product together.
    pub(crate) cpu: Duration,
    /// That of each process and server, when there are several.
    pub(crate) cpu_of: Vec<(&'static str, Duration)>,
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
        let targets = Targets::of(self.setting);
        writeln!(f, "\n{}\n", self.setting.name())?;
        row(f, "", "measured", "target")?;
        row(f, "---", "---", "---")?;
        row(
            f,
            "start to ready, nothing there yet",
            &format!("{} ms", millis(self.first_start)),
            targets.start,
        )?;
        row(
            f,
            "start to ready, again",
            &format!("{} ms", millis(self.later_start)),
            targets.start,
        )?;
        self.road.rows(f, "task → rule → webhook", &targets.road)?;
        self.delivery
            .rows(f, "event → webhook", &targets.delivery)?;
        for part in &self.parts {
            let (figure, target) = match part.own {
                true => ("memory at most", targets.memory),
                false => ("memory at the end", ""),
            };
            let megabytes = format!("{} MB", part.memory / 1_000_000);
            row(f, &format!("{figure}: {}", part.name), &megabytes, target)?;
        }
        let syncs = format!("{:.0}/s", self.syncs);
        row(f, "the disk alone: syncs", &syncs, "")
    }
}

/// What is to be reached; empty where nothing was promised.
#[derive(Default)]
struct Targets {
    start: &'static str,
    memory: &'static str,
    road: LegTargets,
    delivery: LegTargets,
}

#[derive(Default)]
struct LegTargets {
    sustained: &'static str,
    calm: &'static str,
    busy: &'static str,
    cpu: &'static str,
}

impl Targets {
    fn of(setting: Setting) -> Self {
        match setting {
            Setting::Embedded => Self {
                start: "200 ms",
                memory: "60 MB",
                road: LegTargets {
                    sustained: "3,000/s",
                    calm: "3 / 8 ms",
                    busy: "– / 25 ms",
                    cpu: "",
                },
                delivery: LegTargets {
                    sustained: "2,400/s",
                    cpu: "0.35 ms",
                    ..LegTargets::default()
                },
            },
            Setting::OneProcess | Setting::FourProcesses => Self {
                road: LegTargets {
                    sustained: "1,200/s",
                    calm: "6 / 20 ms",
                    ..LegTargets::default()
                },
                ..Self::default()
            },
        }
    }
}

impl Leg {
    fn rows(&self, f: &mut fmt::Formatter<'_>, name: &str, targets: &LegTargets) -> fmt::Result {
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
        for (part, cpu) in &self.cpu_of {
            let figure = format!("{name}: CPU per event of {part}");
            row(f, &figure, &format!("{} ms", millis(*cpu)), "")?;
        }
        Ok(())
    }
}

fn row(f: &mut fmt::Formatter<'_>, name: &str, measured: &str, target: &str) -> fmt::Result {
    writeln!(f, "| {name:60} | {measured:20} | {target:10} |")
}
