//! Examines crashes of the program: groups equal ones, runs them again with function names and without SIMD, and
//! reduces them.

use crate::program::{File, Program};
use crate::request::{Known, Request};
use crate::samples::{self, Stock};
use afmpeg::Error;
use anyhow::Result;
use serde::Serialize;
use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

/// The time limit of the second run of a case that exceeded its deadline; after it the case counts as endless.
const LONG: Duration = Duration::from_secs(60);
/// The number of cases of one crash that are run again.
const EXAMPLES_MAX: usize = 2;
pub const NO_END: &str = "no end in 60 s";

/// Crashes of one reason in one function.
#[derive(Clone, Debug, Serialize)]
pub struct Finding {
    pub reason: String,
    /// The function's name where the build has names, otherwise its index; for a case without end, the case's origin.
    pub function: String,
    /// True if it happens on the module without SIMD too; `None` if there is no such module.
    pub scalar: Option<bool>,
    pub cases: Vec<u64>,
    pub command: String,
    pub made_of: String,
    pub files: Vec<String>,
    /// The cause, if it is known.
    pub cause: Option<String>,
}

/// A run's outcome, as far as it matters here.
#[derive(Clone, Debug, PartialEq)]
enum End {
    Trap(String, String),
    Late,
    Other,
}

fn end(program: &Program, line: &str, files: &[File], timeout: Duration) -> End {
    match program.run(line, files, timeout).0 {
        Err(Error::Trap(trap)) => End::Trap(trap.reason.clone(), trap.function.clone().unwrap_or_default()),
        Err(Error::Deadline { .. }) => End::Late,
        _ => End::Other,
    }
}

/// The program that names functions, with and without SIMD.
struct Judges {
    named: Program,
    scalar: Option<Program>,
}

impl Judges {
    fn load(request: &Request) -> Result<Judges> {
        Ok(Judges {
            named: Program::named(&request.module, request.jobs)?,
            scalar: match &request.scalar {
                Some(scalar) => Some(Program::named(scalar, request.jobs)?),
                None => None,
            },
        })
    }

    /// Removes every part of the input that the crash does not need.
    fn smaller(&self, line: &str, files: Vec<File>, wanted: &End) -> Vec<File> {
        let mut files = files;
        for index in 0..files.len() {
            let mut cut = files[index].bytes.len() / 2;
            let mut tries = 24;
            while cut > 0 && tries > 0 {
                tries -= 1;
                let mut fewer = files.clone();
                let length = fewer[index].bytes.len();
                fewer[index].bytes.truncate(length.saturating_sub(cut).max(1));
                if end(&self.named, line, &fewer, Duration::from_secs(5)) == *wanted {
                    files = fewer;
                } else {
                    cut /= 2;
                }
            }
        }
        files
    }
}

/// Runs cases again that crashed or exceeded their deadline, and returns the findings.
pub fn judge(
    request: &Request,
    stock: &Stock,
    traps: &BTreeMap<(String, String), Vec<u64>>,
    late: &[u64],
) -> Result<Vec<Finding>> {
    let mut findings: BTreeMap<(String, String), Finding> = BTreeMap::new();
    if traps.is_empty() && late.is_empty() {
        return Ok(Vec::new());
    }
    let judges = Judges::load(request)?;
    for ((reason, number), cases) in traps {
        for &case_number in cases.iter().take(EXAMPLES_MAX) {
            let case = stock.case(request.seed, case_number);
            let again = end(&judges.named, &case.line, &case.files, LONG);
            let (found, function) = match &again {
                End::Trap(reason, function) => (reason.clone(), function.clone()),
                // It is a finding of its own that it doesn't happen again.
                _ => (format!("{reason}, once"), number.clone()),
            };
            let key = (found.clone(), function.clone());
            let finding = findings.get_mut(&key);
            if let Some(finding) = finding {
                finding.cases.extend(
                    cases
                        .iter()
                        .filter(|case| !finding.cases.contains(case))
                        .copied()
                        .collect::<Vec<_>>(),
                );
                continue;
            }
            let scalar = judges.scalar.as_ref().map(|scalar| {
                let end = end(scalar, &case.line, &case.files, LONG);
                matches!(end, End::Trap(reason, _) if reason == found)
            });
            let files = match again {
                End::Trap(..) => judges.smaller(&case.line, case.files.clone(), &again),
                _ => case.files.clone(),
            };
            let finding = Finding {
                cause: None,
                reason: found,
                function,
                scalar,
                cases: cases.clone(),
                command: case.line.clone(),
                made_of: case.made_of.clone(),
                files: Vec::new(),
            };
            let saved = save(request, finding, &files)?;
            findings.insert(key, saved);
        }
    }
    // All of them, since any may be the one without an end.
    let is_endless = samples::parallel(request.jobs, late, |&number| {
        let case = stock.case(request.seed, number);
        end(&judges.named, &case.line, &case.files, LONG) == End::Late
    });
    let endless = late.iter().zip(is_endless).filter(|(_, is_endless)| *is_endless);
    for (&number, _) in endless {
        let case = stock.case(request.seed, number);
        let key = (NO_END.to_owned(), case.made_of.clone());
        if let Some(finding) = findings.get_mut(&key) {
            finding.cases.push(number);
            continue;
        }
        let scalar = judges
            .scalar
            .as_ref()
            .map(|scalar| end(scalar, &case.line, &case.files, LONG) == End::Late);
        let finding = Finding {
            reason: key.0.clone(),
            function: key.1.clone(),
            scalar,
            cases: vec![number],
            command: case.line.clone(),
            made_of: case.made_of.clone(),
            files: Vec::new(),
            cause: None,
        };
        let saved = save(request, finding, &case.files)?;
        findings.insert(key, saved);
    }
    let mut findings: Vec<Finding> = findings.into_values().collect();
    for finding in &mut findings {
        finding.cases.sort_unstable();
        finding.cause = known(request, finding).map(|known| known.cause.clone());
    }
    Ok(findings)
}

pub fn known<'a>(request: &'a Request, finding: &Finding) -> Option<&'a Known> {
    let is_it = |known: &&Known| {
        known.reason == finding.reason
            && known.function == finding.function
            // One that SIMD alone has is another one.
            && finding.scalar.is_none_or(|scalar| scalar == known.scalar)
    };
    request.known.iter().find(is_it)
}

/// Writes the files and the command to a place from which they can be run again.
fn save(request: &Request, mut finding: Finding, files: &[File]) -> Result<Finding> {
    let name = format!(
        "{}-{}",
        finding.cases[0],
        finding
            .function
            .replace(|letter: char| !letter.is_ascii_alphanumeric(), "_")
    );
    let folder = request.folder.join("findings").join(name);
    fs::create_dir_all(&folder)?;
    for file in files {
        let path = folder.join(&file.name);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        fs::write(&path, &file.bytes)?;
        finding.files.push(path.display().to_string());
    }
    fs::write(
        folder.join("finding.json"),
        serde_json::to_string_pretty(&finding)? + "\n",
    )?;
    Ok(finding)
}
