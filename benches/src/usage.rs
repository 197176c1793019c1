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

/// What a process and all that it began have used so far: a server that has a process for each
/// connection.
#[derive(Clone, Copy, Debug)]
pub struct FamilyUsage {
    /// Time on a processor, also of those that have ended.
    pub cpu: Duration,
    /// The memory that they have now, in bytes; what they share counts once (`Pss`).
    pub memory: u64,
}

impl FamilyUsage {
    /// That of the process `root` and its descendants.
    ///
    /// # Errors
    /// There is no such process, or Linux does not tell us about it.
    pub fn of(root: u32) -> io::Result<Self> {
        let mut usage = Self {
            cpu: Duration::ZERO,
            memory: 0,
        };
        for id in family(root)? {
            match (stat(id), smaps(id)) {
                (Ok(stat), Ok(smaps)) => {
                    usage.cpu +=
                        cpu(&stat, Of::ItAndThoseItWaitedFor).ok_or(ErrorKind::InvalidData)?;
                    usage.memory += kilobytes(&smaps, "Pss:").unwrap_or_default() * 1024;
                }
                // One that ends while we look; its parent has its time from now on.
                _ if id != root => {}
                (Err(error), _) | (_, Err(error)) => return Err(error),
            }
        }
        Ok(usage)
    }
}

/// A process and all that descend from it.
fn family(root: u32) -> io::Result<Vec<u32>> {
    let mut parents = Vec::new();
    for entry in std::fs::read_dir("/proc")? {
        let name = entry?.file_name();
        let id: Option<u32> = name.to_str().and_then(|name| name.parse().ok());
        // What has ended meanwhile is of no interest.
        let known = id.and_then(|id| Some((id, parent(&stat(id).ok()?)?)));
        parents.extend(known);
    }
    let mut found = vec![root];
    let mut next = 0;
    while let Some(&id) = found.get(next) {
        let children = parents.iter().filter(|(_, parent)| *parent == id);
        found.extend(children.map(|(child, _)| *child));
        next += 1;
    }
    Ok(found)
}

fn stat(id: u32) -> io::Result<String> {
    std::fs::read_to_string(format!("/proc/{id}/stat"))
}

fn smaps(id: u32) -> io::Result<String> {
    std::fs::read_to_string(format!("/proc/{id}/smaps_rollup"))
}

impl Usage {
    /// That of the process `id`.
    ///
    /// # Errors
    /// There is no such process.
    pub fn of(id: u32) -> io::Result<Self> {
        let status = std::fs::read_to_string(format!("/proc/{id}/status"))?;
        let peak = kilobytes(&status, "VmHWM:").ok_or(ErrorKind::InvalidData)?;
        Ok(Self {
            cpu: cpu(&stat(id)?, Of::ItAlone).ok_or(ErrorKind::InvalidData)?,
            peak_memory: peak * 1024,
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

/// How long this thread has been on a processor, give or take what the kernel counts by, a few
/// milliseconds.
///
/// # Errors
/// Linux does not say.
pub fn thread_time() -> io::Result<Duration> {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat")?;
    let nanos = stat.split(' ').next().and_then(|nanos| nanos.parse().ok());
    Ok(Duration::from_nanos(nanos.ok_or(ErrorKind::InvalidData)?))
}

/// Whose time.
#[derive(Clone, Copy)]
enum Of {
    ItAlone,
    ItAndThoseItWaitedFor,
}

/// `utime` and `stime`, the fields 14 and 15 of proc(5), and those of the children that have ended,
/// 16 and 17.
fn cpu(stat: &str, of: Of) -> Option<Duration> {
    let wanted = match of {
        Of::ItAlone => 2,
        Of::ItAndThoseItWaitedFor => 4,
    };
    let fields = after_name(stat)?.skip(11).take(wanted);
    let ticks: Vec<u32> = fields.map(str::parse).collect::<Result<_, _>>().ok()?;
    (ticks.len() == wanted).then(|| TICK * ticks.iter().sum())
}

fn parent(stat: &str) -> Option<u32> {
    after_name(stat)?.nth(1)?.parse().ok()
}

/// The fields from the third on. The second is the name in parentheses, which may hold anything.
fn after_name(stat: &str) -> Option<impl Iterator<Item = &str>> {
    Some(stat.rsplit_once(") ")?.1.split(' '))
}

fn kilobytes(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.trim().strip_suffix(" kB")?.parse().ok()
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
    use std::process::Command;

    #[test]
    fn the_name_of_a_process_may_hold_anything() {
        let stat = "7 (a) b) S 1 7 7 0 -1 4194560 100 0 0 0 150 50 70 30 20 0 1 0 1 1 1";
        assert_eq!(cpu(stat, Of::ItAlone), Some(Duration::from_secs(2)));
        let all = cpu(stat, Of::ItAndThoseItWaitedFor);
        assert_eq!(all, Some(Duration::from_secs(3)));
        assert_eq!(parent(stat), Some(1));
    }

    #[test]
    fn this_process_uses_memory() {
        assert!(Usage::own().unwrap().peak_memory > 4096);
    }

    #[test]
    fn a_family_uses_what_its_children_use() {
        let mut child = Command::new("sleep").arg("60").spawn().unwrap();
        let family = family(std::process::id());
        let usage = FamilyUsage::of(child.id());
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(family.unwrap().contains(&child.id()));
        assert!(usage.unwrap().memory > 4096);
    }
}
