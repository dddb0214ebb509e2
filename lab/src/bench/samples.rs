//! Files of samples, one JSON object a line: a header with host and modules, then the measurements.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::Path;

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

use super::host::Host;
use super::workloads::{Case, Runner};
use xtask::error::usage;

/// History of the format: 1, the first.
pub const FORMAT_VERSION: u32 = 1;

#[derive(Debug, Clone, Serialize, Deserialize, PartialEq)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Line {
    Header(Header),
    Sample(Sample),
    /// A case that its runner can't do, and why.
    Unable {
        case: Case,
        reason: String,
    },
    Quality(Quality),
    GuestProfile(GuestProfile),
}

/// What all samples of a file have in common: other samples are not added to it.
#[derive(Debug, Clone, Serialize, Deserialize, PartialEq)]
pub struct Header {
    pub format_version: u32,
    pub quick: bool,
    pub host: Host,
    pub modules: BTreeMap<String, ModuleSizes>,
    pub workloads_sha256: String,
    pub inputs_sha256: BTreeMap<String, String>,
    /// Versions of the runners that are not modules.
    pub runners: BTreeMap<String, String>,
}

#[derive(Debug, Clone, Serialize, Deserialize, PartialEq)]
pub struct ModuleSizes {
    pub sha256: String,
    pub size_bytes: u64,
    pub gzip_bytes: u64,
    pub brotli_bytes: u64,
}

#[derive(Debug, Clone, Serialize, Deserialize, PartialEq)]
pub struct Sample {
    #[serde(flatten)]
    pub case: Case,
    pub round: u32,
    pub measured: Measured,
    pub output: Option<OutputFile>,
}

/// The measurements of one process that did nothing else.
#[derive(Debug, Clone, Default, Serialize, Deserialize, PartialEq)]
pub struct Measured {
    /// The work itself: of a module, making its sandbox and running it; of a program, its process from start to end.
    pub wall_seconds: f64,
    /// Processor time of the same.
    pub cpu_seconds: f64,
    /// The most memory that the process had: of a module with the runtime and the compiled code, as far as they were
    /// used.
    pub memory_peak_bytes: u64,
    /// Compiling a module, without a cache.
    pub compile_seconds: Option<f64>,
    /// Making a module ready that was compiled before.
    pub load_seconds: Option<f64>,
    pub instantiate_seconds: Option<f64>,
    /// The most memory that the program in the sandbox had.
    pub guest_memory_peak_bytes: Option<u64>,
    /// Processor time that other processes had meanwhile, where the system counts it.
    pub others_cpu_seconds: Option<f64>,
}

#[derive(Debug, Clone, Serialize, Deserialize, PartialEq)]
pub struct OutputFile {
    pub size_bytes: u64,
    pub sha256: String,
}

/// The quality of an output in relation to its source.
#[derive(Debug, Clone, Serialize, Deserialize, PartialEq)]
pub struct Quality {
    pub output_sha256: String,
    pub psnr_db: f64,
    pub ssim: f64,
    /// Older samples have none.
    pub vmaf: Option<f64>,
}

/// In which functions a module spends its time.
#[derive(Debug, Clone, Serialize, Deserialize, PartialEq)]
pub struct GuestProfile {
    pub workload: String,
    pub encoding: Option<String>,
    pub runner: Runner,
    /// The largest first.
    pub functions: Vec<FunctionShare>,
}

#[derive(Debug, Clone, Serialize, Deserialize, PartialEq)]
pub struct FunctionShare {
    pub name: String,
    pub share: f64,
}

impl Header {
    fn extend(&mut self, other: Header) {
        self.modules.extend(other.modules);
        self.inputs_sha256.extend(other.inputs_sha256);
        self.runners.extend(other.runners);
    }
}

/// A whole file of samples.
#[derive(Debug, Clone)]
pub struct Run {
    pub header: Header,
    pub samples: Vec<Sample>,
    pub unable: BTreeMap<Case, String>,
    /// By the output's digest.
    pub quality: BTreeMap<String, Quality>,
    pub guest_profiles: Vec<GuestProfile>,
}

impl Run {
    pub fn load(path: &Path) -> Result<Run> {
        let text = fs::read_to_string(path)
            .map_err(|error| usage(format!("cannot read the samples {}: {error}", path.display())))?;
        Run::parse(&text).with_context(|| format!("the samples {}", path.display()))
    }

    /// A last line without its end is of a run that was killed, and does not count.
    fn parse(text: &str) -> Result<Run> {
        let mut run: Option<Run> = None;
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        for (position, line) in whole.lines().enumerate() {
            let line = serde_json::from_str(line).map_err(|error| usage(format!("line {}: {error}", position + 1)))?;
            match (line, &mut run) {
                (Line::Header(header), None) => {
                    if header.format_version != FORMAT_VERSION {
                        let version = header.format_version;
                        return Err(usage(format!("format version {version} is not {FORMAT_VERSION}")).into());
                    }
                    run = Some(Run {
                        header,
                        samples: Vec::new(),
                        unable: BTreeMap::new(),
                        quality: BTreeMap::new(),
                        guest_profiles: Vec::new(),
                    });
                }
                (Line::Sample(sample), Some(run)) => run.samples.push(sample),
                (Line::Unable { case, reason }, Some(run)) => drop(run.unable.insert(case, reason)),
                (Line::Quality(quality), Some(run)) => {
                    run.quality.insert(quality.output_sha256.clone(), quality);
                }
                (Line::GuestProfile(profile), Some(run)) => run.guest_profiles.push(profile),
                // Of a run that measured other series into the same file.
                (Line::Header(header), Some(run)) => {
                    if let Some(difference) = difference(&run.header, &header) {
                        bail!("line {} is the header of {difference}", position + 1);
                    }
                    run.header.extend(header);
                }
                (_, None) => bail!("the first line is no header"),
            }
        }
        run.context("there is not even a header")
    }

    /// Cases and rounds that need no measuring again.
    pub fn done(&self) -> BTreeSet<(Case, u32)> {
        let of_sample = |sample: &Sample| (sample.case.clone(), sample.round);
        self.samples.iter().map(of_sample).collect()
    }
}

/// Appends to a file of samples.
pub struct Journal {
    file: File,
}

impl Journal {
    /// Opens a file for more samples: a new one gets the header, and one that is there must have the same. Also what it
    /// holds already.
    pub fn open(path: &Path, header: &Header, anew: bool) -> Result<(Journal, Run)> {
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
        }
        let text = match fs::read_to_string(path) {
            Ok(text) if !anew => text,
            Ok(_) => String::new(),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(error).with_context(|| format!("cannot read {}", path.display())),
        };
        let whole_bytes = text.rfind('\n').map_or(0, |end| end + 1);
        let file = OpenOptions::new().create(true).append(true).open(path);
        let file = file.with_context(|| format!("cannot write {}", path.display()))?;
        file.set_len(whole_bytes as u64)?;
        let mut journal = Journal { file };
        if whole_bytes == 0 {
            journal.write(&Line::Header(header.clone()))?;
        }
        let mut run = Run::load(path)?;
        if let Some(difference) = difference(&run.header, header) {
            return Err(usage(format!("{} holds samples of {difference}", path.display()))
                .hint("--anew starts the file again, --samples FILE takes another")
                .into());
        }
        let known = run.header.clone();
        run.header.extend(header.clone());
        if run.header != known {
            journal.write(&Line::Header(header.clone()))?;
        }
        Ok((journal, run))
    }

    pub fn write(&mut self, line: &Line) -> Result<()> {
        let text = serde_json::to_string(line)? + "\n";
        self.file.write_all(text.as_bytes()).context("cannot write a sample")?;
        self.file.sync_data().context("cannot write a sample")
    }
}

/// Why samples of the two can't stand in one file. Other series have other modules, inputs and runners; what both have
/// must be the same.
fn difference(old: &Header, new: &Header) -> Option<&'static str> {
    if old.quick != new.quick {
        Some("the other of a quick and a full run")
    } else if old.host != new.host {
        Some("another machine")
    } else if !agree(&old.modules, &new.modules) {
        Some("other modules")
    } else if old.workloads_sha256 != new.workloads_sha256 || !agree(&old.inputs_sha256, &new.inputs_sha256) {
        Some("other workloads or inputs")
    } else if !agree(&old.runners, &new.runners) {
        Some("other runners")
    } else {
        None
    }
}

fn agree<K: Ord, V: PartialEq>(old: &BTreeMap<K, V>, new: &BTreeMap<K, V>) -> bool {
    old.iter()
        .all(|(key, value)| new.get(key).is_none_or(|other| other == value))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header() -> Header {
        Header {
            format_version: FORMAT_VERSION,
            quick: false,
            host: Host::here().unwrap(),
            modules: BTreeMap::new(),
            workloads_sha256: "0".into(),
            inputs_sha256: BTreeMap::new(),
            runners: BTreeMap::new(),
        }
    }

    fn sample(round: u32) -> Sample {
        Sample {
            case: Case {
                series: "series".into(),
                workload: "workload".into(),
                encoding: None,
                runner: Runner::Native,
                instances: None,
                cold: false,
            },
            round,
            measured: Measured::default(),
            output: None,
        }
    }

    #[test]
    fn an_interrupted_run_goes_on_behind_its_last_whole_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new/samples.jsonl");
        let (mut journal, run) = Journal::open(&path, &header(), false).unwrap();
        assert!(run.done().is_empty());
        journal.write(&Line::Sample(sample(0))).unwrap();
        journal.file.write_all(br#"{"kind":"sample","ser"#).unwrap();
        drop(journal);

        let (mut journal, run) = Journal::open(&path, &header(), false).unwrap();
        assert_eq!(run.done(), BTreeSet::from([(sample(0).case, 0)]));
        journal.write(&Line::Sample(sample(1))).unwrap();
        assert_eq!(Run::load(&path).unwrap().samples, [sample(0), sample(1)]);

        let other = Header {
            workloads_sha256: "1".into(),
            ..header()
        };
        let refused = Journal::open(&path, &other, false).err().unwrap();
        assert!(refused.to_string().contains("other workloads"), "{refused}");
        let (_, run) = Journal::open(&path, &other, true).unwrap();
        assert!(run.samples.is_empty());
    }
}
