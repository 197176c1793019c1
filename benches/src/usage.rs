//! What a process uses, by what Linux says of it; and what the disk gives.

use std::fs::File;
use std::io::{self, ErrorKind, Write};
use std::path::Path;
use std::time::{Duration, Instant};

/// Length of the ticks of `/proc/<pid>/stat` (`USER_HZ` is 100 on every architecture that we run on).
const TICK: Duration = Duration::from_millis(10);

/// What a process has used so far.
#[derive(Clone, Copy, Debug)]
pub struct Usage {
    /// Time on a processor, in user and kernel mode.
    pub cpu: Duration,
    /// The most memory that it ever had at one time, in bytes (`VmHWM`).
    pub peak_memory: u64,
}

impl Usage {
    /// That of the process `id`.
    ///
    /// # Errors
    /// There is no such process.
    pub fn of(id: u32) -> io::Result<Self> {
        let stat = std::fs::read_to_string(format!("/proc/{id}/stat"))?;
        let status = std::fs::read_to_string(format!("/proc/{id}/status"))?;
        Ok(Self {
            cpu: cpu(&stat).ok_or(ErrorKind::InvalidData)?,
            peak_memory: peak_memory(&status).ok_or(ErrorKind::InvalidData)?,
        })
    }

    /// That of this process.
    ///
    /// # Errors
    /// Linux does not say.
    pub fn own() -> io::Result<Self> {
        Self::of(std::process::id())
    }
}

/// `utime` and `stime`, the fields 14 and 15 of proc(5). The second field is the name in
/// parentheses, which may hold anything.
fn cpu(stat: &str) -> Option<Duration> {
    let (_, rest) = stat.rsplit_once(") ")?;
    let mut fields = rest.split(' ').skip(11);
    let user: u32 = fields.next()?.parse().ok()?;
    let system: u32 = fields.next()?.parse().ok()?;
    Some(TICK * (user + system))
}

fn peak_memory(status: &str) -> Option<u64> {
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kilobytes: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kilobytes * 1024)
}

/// How often a second the disk below `directory` takes 4 KiB and says that it has them: no store
/// that keeps its word commits more often.
///
/// # Errors
/// The directory cannot be written.
pub fn syncs_per_second(directory: &Path) -> io::Result<f64> {
    const LENGTH: Duration = Duration::from_secs(1);
    let path = directory.join("sync");
    let mut file = File::create(&path)?;
    let (started, mut syncs) = (Instant::now(), 0);
    while started.elapsed() < LENGTH {
        file.write_all(&[0; 4096])?;
        file.sync_data()?;
        syncs += 1;
    }
    let rate = f64::from(syncs) / started.elapsed().as_secs_f64();
    std::fs::remove_file(&path)?;
    Ok(rate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_a_process_may_hold_anything() {
        let stat = "7 (a) b) S 1 7 7 0 -1 4194560 100 0 0 0 150 50 0 0 20 0 1 0 1 1 1";
        assert_eq!(cpu(stat), Some(Duration::from_secs(2)));
    }

    #[test]
    fn this_process_uses_memory() {
        assert!(Usage::own().unwrap().peak_memory > 4096);
    }
}
