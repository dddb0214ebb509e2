//! The machine that measures.

use std::fs;
use std::thread;

use anyhow::Result;
use serde::{Deserialize, Serialize};

/// Its hardware and system, without names of the machine or of users.
#[derive(Debug, Clone, Serialize, Deserialize, PartialEq)]
pub struct Host {
    pub architecture: String,
    pub system: String,
    pub kernel: String,
    pub processor: String,
    pub cores: usize,
    pub memory_bytes: u64,
}

impl Host {
    pub fn here() -> Result<Host> {
        let system = rustix::system::uname();
        Ok(Host {
            architecture: std::env::consts::ARCH.to_owned(),
            system: system.sysname().to_string_lossy().into_owned(),
            kernel: version(&system.release().to_string_lossy()).to_owned(),
            processor: proc_value("/proc/cpuinfo", "model name").unwrap_or_else(|| "unknown".into()),
            cores: thread::available_parallelism()?.get(),
            memory_bytes: memory_bytes(),
        })
    }
}

/// A kernel's version without its build, which may name the machine.
fn version(release: &str) -> &str {
    release.split('-').next().unwrap_or(release)
}

/// The value of the first line of a file of /proc with such a name; none on systems without it.
fn proc_value(path: &str, name: &str) -> Option<String> {
    let text = fs::read_to_string(path).ok()?;
    let line = text.lines().find(|line| line.starts_with(name))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

fn memory_bytes() -> u64 {
    let value = proc_value("/proc/meminfo", "MemTotal").unwrap_or_default();
    let kibibytes: u64 = value.trim_end_matches(" kB").parse().unwrap_or(0);
    kibibytes << 10
}

/// Processor time that the machine has spent since its start, with the time stolen by its host; none where the system
/// has no such counter.
pub fn busy_seconds() -> Option<f64> {
    const TICKS_A_SECOND: f64 = 100.0;
    let text = fs::read_to_string("/proc/stat").ok()?;
    let ticks = text.lines().next()?.split_whitespace().skip(1);
    let ticks: Vec<f64> = ticks.map_while(|word| word.parse().ok()).collect();
    let [
        user,
        nice,
        system,
        _idle,
        _waiting,
        interrupts,
        soft_interrupts,
        stolen,
        ..,
    ] = ticks[..]
    else {
        return None;
    };
    Some((user + nice + system + interrupts + soft_interrupts + stolen) / TICKS_A_SECOND)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kernel_is_its_version() {
        assert_eq!(version("6.1.0-18-cloud-amd64"), "6.1.0");
        assert_eq!(version("6.1.0"), "6.1.0");
    }
}
