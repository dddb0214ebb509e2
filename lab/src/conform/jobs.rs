//! conformance/jobs.toml: what is run. Its keys are explained at its head.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;
use serde::Deserialize;

use crate::filter;
use crate::media::Input;
use xtask::data::read_toml;
use xtask::error::usage;
use xtask::flags::Engine;
use xtask::project::Project;

const FORMAT_VERSION: u32 = 1;

/// Fewer would not be what the documentation promises.
const JOBS_MIN: usize = 60;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    format_version: u32,
    input: Vec<Input>,
    job: Vec<Job>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Job {
    pub name: String,
    pub inputs: Vec<String>,
    pub commands: Vec<String>,
    #[serde(default)]
    each: Vec<String>,
    /// Libraries without which a module cannot do it.
    #[serde(default)]
    pub needs: Vec<String>,
    #[serde(default)]
    pub exit_code: i32,
    #[serde(default)]
    pub slice: bool,
    pub native: Option<Tolerance>,
    /// Engines that can't do it, each with the reason.
    #[serde(default)]
    pub without: BTreeMap<Engine, String>,
}

/// How far, and why, a native result may differ.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tolerance {
    pub reason: String,
    pub decode: String,
    pub psnr_min_db: f64,
}

pub struct Jobs {
    pub inputs: Vec<Input>,
    /// All that there are.
    libraries: Vec<String>,
    pub jobs: Vec<Job>,
}

impl Jobs {
    pub fn load(project: &Project) -> Result<Jobs> {
        let root = &project.root;
        let path = root.join("conformance/jobs.toml");
        let file: File = read_toml(&path)?;
        let jobs: Vec<Job> = file.job.iter().flat_map(expanded).collect();
        let loaded = Jobs {
            inputs: file.input,
            libraries: project.libraries.names().map(str::to_owned).collect(),
            jobs,
        };
        match loaded.fault(file.format_version) {
            Some(fault) => Err(usage(format!("{}: {fault}", path.display())).into()),
            None => Ok(loaded),
        }
    }

    fn fault(&self, format_version: u32) -> Option<String> {
        if format_version != FORMAT_VERSION {
            return Some(format!("format_version {format_version} is not {FORMAT_VERSION}"));
        }
        if self.jobs.len() < JOBS_MIN {
            return Some(format!("{} jobs; at least {JOBS_MIN} are promised", self.jobs.len()));
        }
        let inputs: BTreeSet<&str> = self.inputs.iter().map(|input| input.name.as_str()).collect();
        let mut names = BTreeSet::new();
        for job in &self.jobs {
            if !names.insert(&job.name) {
                return Some(format!("job `{}` stands there twice", job.name));
            }
            if let Some(unknown) = job.inputs.iter().find(|name| !inputs.contains(name.as_str())) {
                return Some(format!("job `{}`: there is no input {unknown}", job.name));
            }
            let is_ours = |command: &String| matches!(command.split(' ').next(), Some("ffmpeg" | "ffprobe"));
            if let Some(unknown) = job.needs.iter().find(|name| !self.libraries.contains(name)) {
                return Some(format!("job `{}` needs {unknown}, which is no library", job.name));
            }
            if job.commands.is_empty() || !job.commands.iter().all(is_ours) {
                return Some(format!(
                    "job `{}` runs something else than ffmpeg and ffprobe",
                    job.name
                ));
            }
            if job
                .native
                .as_ref()
                .is_some_and(|native| native.reason.trim().is_empty())
            {
                return Some(format!("job `{}` may differ natively for no reason", job.name));
            }
        }
        self.inputs.iter().find_map(Input::fault)
    }

    /// The jobs that were asked for, of those that a module with these libraries can do.
    pub fn chosen(self, filters: &[String], slice: bool, libraries: &[String]) -> Result<Vec<Job>> {
        let mut jobs = self.jobs;
        let count = jobs.len();
        jobs.retain(|job| job.needs.iter().all(|name| libraries.contains(name)));
        if jobs.len() < count {
            eprintln!(
                "{} of {count} jobs need libraries that this module is built without",
                count - jobs.len()
            );
        }
        if slice {
            jobs.retain(|job| job.slice);
        }
        if filters.is_empty() {
            return Ok(jobs);
        }
        let names = jobs.iter().map(|job| job.name.as_str());
        let otherwise = format!("none of the {} jobs is called so", jobs.len());
        let chosen = filter::matching(names, filters, &otherwise)?;
        Ok(jobs
            .iter()
            .filter(|job| chosen.contains(job.name.as_str()))
            .cloned()
            .collect())
    }
}

/// A job for each of its words; of a word with options of its own the first part is its name.
fn expanded(job: &Job) -> Vec<Job> {
    if job.each.is_empty() {
        return vec![job.clone()];
    }
    let with = |word: &String| Job {
        name: job.name.replace("{}", word),
        commands: job.commands.iter().map(|command| command.replace("{}", word)).collect(),
        each: Vec::new(),
        ..job.clone()
    };
    job.each.iter().map(with).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ours() -> Jobs {
        let project = Project::open(xtask::project::root().unwrap()).unwrap();
        Jobs::load(&project).unwrap()
    }

    /// Those that a module with all libraries is asked.
    fn chosen(filters: &[String], slice: bool) -> Result<Vec<Job>> {
        let jobs = ours();
        let libraries = jobs.libraries.clone();
        jobs.chosen(filters, slice, &libraries)
    }

    #[test]
    fn ours_is_valid_and_covers_each_kind() {
        let jobs = ours().jobs;
        for kind in ["encoder", "decoder", "muxer", "filter", "bitstream filter", "ffprobe"] {
            assert!(jobs.iter().any(|job| job.name.starts_with(kind)), "no job for a {kind}");
        }
        assert!(
            jobs.iter()
                .all(|job| !job.name.contains("{}") && !job.commands.concat().contains("{}"))
        );
        let slice = chosen(&[], true).unwrap();
        assert!(slice.len() >= 10 && slice.len() < jobs.len());
    }

    #[test]
    fn a_filter_that_finds_nothing_is_refused() {
        assert_eq!(chosen(&["muxer hls*".to_owned()], false).unwrap().len(), 2);
        assert!(chosen(&["nothing".to_owned()], false).is_err());
    }

    #[test]
    fn faults_of_the_list_are_named() {
        let fault = |change: &dyn Fn(&mut Jobs)| {
            let mut jobs = ours();
            change(&mut jobs);
            jobs.fault(FORMAT_VERSION).unwrap_or_default()
        };
        assert_eq!(fault(&|_| ()), "");
        assert!(fault(&|jobs| jobs.jobs.truncate(59)).contains("at least 60"));
        assert!(fault(&|jobs| jobs.jobs[1] = jobs.jobs[0].clone()).contains("twice"));
        assert!(fault(&|jobs| jobs.jobs[0].inputs.push("x".into())).contains("no input x"));
        assert!(fault(&|jobs| jobs.jobs[0].needs.push("x".into())).contains("needs x"));
        assert!(fault(&|jobs| jobs.jobs[0].commands.push("rm out".into())).contains("something else"));
        assert!(fault(&|jobs| jobs.inputs[0].command = Some("ffmpeg".into())).contains("clip.mp4"));
        assert!(fault(&|jobs| jobs.inputs[1].text = Some("".into())).contains("either"));
    }
}
