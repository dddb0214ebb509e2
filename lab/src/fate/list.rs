//! What FATE's tests are, read from what make says it would do and from the rules it has read.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Result, bail};

use crate::filter;

/// One test of FATE.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Test {
    pub name: String,
    /// What it is counted under.
    pub group: String,
    /// The line of shell by which make would run it.
    pub recipe: String,
    /// Tests that it comes after, because it works on what they leave.
    pub after: Vec<String>,
    /// What else it needs, which make knows how to make.
    pub files: Vec<String>,
}

/// What has all tests as its prerequisites.
const ALL: &str = "fate";
const PREFIX: &str = "fate-";
const SCRIPT: &str = "tests/fate-run.sh ";

/// The tests in what `make --dry-run --print-data-base fate` prints.
pub fn parse(output: &str) -> Result<Vec<Test>> {
    let mut recipes: Vec<(String, String)> = Vec::new();
    let needs = needs(output);
    for line in output.lines() {
        if let Some((_, call)) = line.split_once(SCRIPT)
            && let Some(name) = call.split_whitespace().next()
            && name.starts_with(PREFIX)
            // The data base has the recipes too, before their variables are put in.
            && !line.starts_with(['\t', '#'])
        {
            recipes.push((name.to_owned(), line.to_owned()));
        }
    }
    let names: BTreeSet<&str> = recipes.iter().map(|(name, _)| name.as_str()).collect();
    if names.len() != recipes.len() {
        bail!("make would run a test twice");
    }
    let tests = recipes.iter().map(|(name, recipe)| {
        let needed = needs.get(name.as_str()).map(Vec::as_slice).unwrap_or_default();
        let (after, files) = needed.iter().partition(|needed| names.contains(**needed));
        let owned = |names: Vec<&&str>| names.into_iter().map(|name| (*name).to_owned()).collect();
        Test {
            group: group(name, recipe),
            name: name.clone(),
            recipe: recipe.clone(),
            after: owned(after),
            files: owned(files),
        }
    });
    Ok(tests.collect())
}

/// What the rules of the data base say that all tests together, and each of them, need.
fn needs(output: &str) -> BTreeMap<&str, Vec<&str>> {
    let mut needs: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for line in output.lines() {
        if let Some((name, list)) = line.split_once(':')
            && (name == ALL || name.starts_with(PREFIX))
            && !name.contains([' ', '%', '='])
            && !sets_variable(list)
        {
            let words = list
                .trim_start_matches(':')
                .split_whitespace()
                .filter(|&word| word != "|");
            needs.entry(name).or_default().extend(words);
        }
    }
    needs
}

/// Tests that make knows and would not run, because it can't make something that they need: with `--keep-going` it leaves
/// them out, and they would be missed by nobody.
pub fn left_out(output: &str, tests: &[Test]) -> BTreeSet<String> {
    let names: BTreeSet<&str> = tests.iter().map(|test| test.name.as_str()).collect();
    // Groups of tests that were not asked for have rules, too.
    let needs = needs(output);
    let (mut seen, mut open) = (BTreeSet::new(), vec![ALL]);
    while let Some(target) = open.pop() {
        let needed = needs.get(target).into_iter().flatten().copied();
        open.extend(needed.filter(|name| name.starts_with(PREFIX) && seen.insert(*name)));
    }
    let left_out = seen.into_iter().filter(|name| !names.contains(name));
    left_out.map(str::to_owned).collect()
}

/// Whether what follows a target and a colon is a variable of the target's own.
fn sets_variable(text: &str) -> bool {
    let mut words = text.split_whitespace();
    words.next() == Some("export") || matches!(words.next(), Some("=" | ":=" | "::=" | "?=" | "+="))
}

/// A test of a library is counted under the library, another under the first words of its name.
fn group(name: &str, recipe: &str) -> String {
    let words: Vec<&str> = name.split(['-', '_']).skip(1).collect();
    let first = words.first().copied().unwrap_or(name);
    if first != "seek"
        && let Some((_, library)) = recipe.split_once("run lib")
        && let Some((library, _)) = library.split_once("/tests/")
    {
        return format!("lib{library}");
    }
    match words[..] {
        ["filter", kind @ ("pixdesc" | "pixfmts" | "refcmp"), ..] => format!("filter-{kind}"),
        _ => first.to_owned(),
    }
}

/// Which tests were asked for; the names may be given without `fate-`.
pub fn filter(tests: &[Test], patterns: &[String]) -> Result<BTreeSet<String>> {
    fn short(name: &str) -> &str {
        name.strip_prefix(PREFIX).unwrap_or(name)
    }
    let names = tests.iter().flat_map(|test| [test.name.as_str(), short(&test.name)]);
    let otherwise = format!("none of the {} tests is called so", tests.len());
    let found = filter::matching(names, patterns, &otherwise)?;
    let is_chosen = |name: &str| found.contains(name) || found.contains(short(name));
    let chosen = tests.iter().map(|test| &test.name).filter(|name| is_chosen(name));
    Ok(chosen.cloned().collect())
}

/// The chosen tests and all that they come after.
pub fn with_what_they_need(tests: Vec<Test>, chosen: &BTreeSet<String>) -> Vec<Test> {
    let by_name: BTreeMap<&str, &Test> = tests.iter().map(|test| (test.name.as_str(), test)).collect();
    let mut wanted = BTreeSet::new();
    let mut open: Vec<&str> = chosen.iter().map(String::as_str).collect();
    while let Some(name) = open.pop() {
        if let Some(test) = by_name.get(name)
            && wanted.insert(name.to_owned())
        {
            open.extend(test.after.iter().map(String::as_str));
        }
    }
    tests.into_iter().filter(|test| wanted.contains(&test.name)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const OUTPUT: &str = "\
echo \"TEST    lavf-flv\"
./tests/fate-run.sh fate-lavf-flv \"\" \"run\" \"/tree\" 'lavf_container \"\" \"-an\"' '' ''
./tests/fate-run.sh fate-seek-lavf-flv \"\" \"run\" \"/tree\" 'run libavformat/tests/seek.wasm lavf.flv' '' ''
./tests/fate-run.sh fate-sha \"\" \"run\" \"/tree\" 'run libavutil/tests/sha.wasm' '' ''
./tests/fate-run.sh fate-filter-pixdesc-gray \"\" \"run\" \"/tree\" 'pixdesc' '' ''
# Files
fate-%: REF = x
fate-lavf-flv: tests/data/asynth1.sw | tests/data
fate-lavf-flv: ffmpeg.wasm
fate-lavf-flv: CMD = lavf_container \"\" \"-an\"
fate-lavf-flv: export PROGSUF = $(PROGSSUF)
fate-lavf-flv: KEEP_FILES ?= 1
\t./tests/fate-run.sh $@ \"$(TARGET_SAMPLES)\"
fate-seek-lavf-flv: libavformat/tests/seek.wasm fate-lavf-flv
fate-other: nothing fate-of-samples
fate::
fate:: fate-seek-lavf-flv fate-sha fate-lost
";

    fn names(tests: &[Test]) -> Vec<&str> {
        tests.iter().map(|test| test.name.as_str()).collect()
    }

    #[test]
    fn tests_come_with_what_they_need() {
        let tests = parse(OUTPUT).unwrap();
        assert_eq!(
            names(&tests),
            [
                "fate-lavf-flv",
                "fate-seek-lavf-flv",
                "fate-sha",
                "fate-filter-pixdesc-gray"
            ]
        );
        let groups: Vec<&str> = tests.iter().map(|test| test.group.as_str()).collect();
        assert_eq!(groups, ["lavf", "seek", "libavutil", "filter-pixdesc"]);
        assert_eq!(tests[0].files, ["tests/data/asynth1.sw", "tests/data", "ffmpeg.wasm"]);
        assert_eq!(tests[1].after, ["fate-lavf-flv"]);
        assert_eq!(tests[1].files, ["libavformat/tests/seek.wasm"]);
        assert!(tests[2].recipe.ends_with("'run libavutil/tests/sha.wasm' '' ''"));
    }

    #[test]
    fn tests_that_make_leaves_out_are_missed() {
        let left_out = |output: &str| {
            left_out(output, &parse(output).unwrap())
                .into_iter()
                .collect::<Vec<_>>()
        };
        assert_eq!(left_out(OUTPUT), ["fate-lost"]);
        assert_eq!(left_out(&OUTPUT.replace(" fate-lost", "")), [""; 0]);
        // Another test comes after it.
        let needed = OUTPUT
            .replace(" fate-lost", "")
            .replace("seek.wasm fate-lavf-flv", "seek.wasm fate-gone");
        assert_eq!(left_out(&needed), ["fate-gone"]);
    }

    #[test]
    fn a_filter_takes_names_with_and_without_the_prefix() {
        let tests = parse(OUTPUT).unwrap();
        let filtered = |pattern: &str| filter(&tests, &[pattern.to_owned()]);
        let chosen = filtered("seek-*").unwrap();
        assert_eq!(chosen, filtered("fate-seek-lavf-flv").unwrap());
        let kept = with_what_they_need(tests.clone(), &chosen);
        assert_eq!(names(&kept), ["fate-lavf-flv", "fate-seek-lavf-flv"]);
        assert!(
            filtered("nothing")
                .unwrap_err()
                .to_string()
                .contains("none of the 4 tests")
        );
        assert!(filtered("a[").is_err());
    }
}
