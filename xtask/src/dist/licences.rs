//! The licence texts of a release, and the notice that explains them.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use crate::build::record::Record;
use crate::dist::{Files, read};
use crate::inputs::unpack;
use crate::project::Project;
use crate::recipe::library::FFMPEG;

const NOTICE: &str = "NOTICE.md";
const PREFIX: &str = "LICENSE-";

/// The text of what is in packs alone, which no package has.
const OF_PACKS: &str = "MIT-simde.txt";

/// The line of licences/NOTICE.md that the rows of the libraries take the place of.
const ROWS: &str = "| @LIBRARIES@ |\n";

/// The licence texts of everything in these modules, and the notice. `trees` are the sources of them by name.
pub fn files(project: &Project, records: &[Record], trees: &BTreeMap<String, PathBuf>) -> Result<Files> {
    let mut files = Files::new();
    let mut rows = String::new();
    for (name, tree) in trees {
        let (globs, library) = match name.as_str() {
            FFMPEG => (&project.libraries.ffmpeg.data.license_files, None),
            _ => {
                let library = project.libraries.get(name)?;
                (&library.license_files, Some(library))
            }
        };
        let texts = texts(name, tree, globs)?;
        if let Some(library) = library {
            rows += &row(name, &library.description, &library.source.license, records, &texts);
        }
        files.extend(texts);
    }
    let folder = project.root.join("licences");
    for entry in fs::read_dir(&folder).with_context(|| format!("cannot list {}", folder.display()))? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name.ends_with(".txt") {
            files.insert(format!("{PREFIX}{name}"), read(&path)?);
        }
    }
    let notice = String::from_utf8(read(&folder.join(NOTICE))?)?;
    ensure!(
        notice.contains(ROWS),
        "licences/{NOTICE} has no line `{}`",
        ROWS.trim_end()
    );
    files.insert(NOTICE.to_owned(), notice.replace(ROWS, &rows).into_bytes());
    Ok(files)
}

/// The files of a source that its library names as licences.
fn texts(name: &str, tree: &Path, globs: &[String]) -> Result<Files> {
    let mut texts = Files::new();
    for glob in globs {
        let matches = unpack::globs(std::slice::from_ref(glob))?;
        let before = texts.len();
        for entry in walkdir::WalkDir::new(tree) {
            let entry = entry?;
            let path = entry.path().strip_prefix(tree)?;
            if entry.file_type().is_file() && matches.is_match(path) {
                let file = path.to_string_lossy().replace('/', "-");
                texts.insert(format!("{PREFIX}{name}-{file}"), read(entry.path())?);
            }
        }
        ensure!(
            texts.len() > before,
            "{} has no licence `{glob}`, which license_files in ffmpeg-src/{name}.toml names",
            tree.display()
        );
    }
    Ok(texts)
}

/// A library's row in the notice's table.
fn row(name: &str, description: &str, license: &str, records: &[Record], texts: &Files) -> String {
    let having = records.iter().filter(|record| record.sources.contains_key(name));
    let having: Vec<&str> = having.map(|record| record.variant.as_str()).collect();
    let place = match having.len() == records.len() {
        true => "all modules".to_owned(),
        false => having.join(", "),
    };
    let texts: Vec<String> = texts.keys().map(|file| format!("`{file}`")).collect();
    format!(
        "| {name}: {description} | {place} | {license} | {} |\n",
        texts.join(", ")
    )
}

/// The names of those files of a release that belong with a module: the notice, the texts of its sources, and those of
/// the SDK and of ours, which are in every module. `all` are the records of the release.
pub fn of_module(names: Vec<String>, record: &Record, all: &[Record]) -> Vec<String> {
    let belongs = |file: &str| {
        let Some(rest) = file.strip_prefix(PREFIX) else {
            return file == NOTICE;
        };
        if rest == OF_PACKS {
            return false;
        }
        let sources = all.iter().flat_map(|record| record.sources.keys());
        // The name of a source may begin as that of another one: the longest that fits is meant.
        let owner = sources
            .filter(|name| {
                rest.strip_prefix(name.as_str())
                    .is_some_and(|rest| rest.starts_with('-'))
            })
            .max_by_key(|name| name.len());
        owner.is_none_or(|owner| record.sources.contains_key(owner))
    };
    names.into_iter().filter(|name| belongs(name)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dist::sample;

    #[test]
    fn a_package_has_the_licences_of_its_module_alone() {
        let project = sample::project();
        let renamed = |variant: &str, sources: &[&str]| {
            let mut record = sample::record(&project, variant, &["zlib"]);
            let zlib = record.sources.remove("zlib").unwrap();
            for name in sources {
                let (license, version, digest) = (zlib.license.clone(), zlib.version.clone(), zlib.digest.clone());
                let source = crate::build::record::SourceRecord {
                    digest,
                    license,
                    version,
                };
                record.sources.insert((*name).to_owned(), source);
            }
            record
        };
        let all = [renamed("a", &["vpx", "x264"]), renamed("b", &["vpx", "vpx-high"])];
        let names = [
            "LICENSE-MIT-musl.txt",
            "LICENSE-MIT-simde.txt",
            "LICENSE-vpx-COPYING",
            "LICENSE-vpx-high-COPYING",
            "LICENSE-x264-COPYING",
            "NOTICE.md",
            "a.wasm",
        ]
        .map(str::to_owned);
        let of = |record: &Record| of_module(names.to_vec(), record, &all);
        let wanted = |picks: [usize; 4]| picks.map(|pick| names[pick].clone());
        assert_eq!(of(&all[0]), wanted([0, 2, 4, 5]));
        assert_eq!(of(&all[1]), wanted([0, 2, 3, 5]));
    }

    #[test]
    fn license_files_are_found_or_named() {
        let tree = tempfile::TempDir::new().unwrap();
        fs::create_dir(tree.path().join("third")).unwrap();
        for file in ["COPYING.GPL", "third/LICENSE", "main.c"] {
            fs::write(tree.path().join(file), file).unwrap();
        }
        let of = |globs: &[&str]| {
            let globs: Vec<String> = globs.iter().map(|&glob| glob.to_owned()).collect();
            texts("x", tree.path(), &globs).map(|texts| texts.into_keys().collect::<Vec<_>>())
        };
        let found = of(&["COPYING.*", "third/LICENSE"]).unwrap();
        assert_eq!(found, ["LICENSE-x-COPYING.GPL", "LICENSE-x-third-LICENSE"]);
        let error = of(&["COPYING.*", "LICENSE"]).unwrap_err().to_string();
        assert!(
            error.contains("no licence `LICENSE`") && error.contains("ffmpeg-src/x.toml"),
            "{error}"
        );
    }
}
