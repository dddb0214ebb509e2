//! conformance/fate.toml: what is known of FATE's tests. Its keys are explained at its head.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::Result;
use serde::Deserialize;

use super::list::Test;
use xtask::data::read_toml;
use xtask::digest;
use xtask::error::usage;
use xtask::inputs::unpack;
use xtask::recipe::profile;

const FORMAT_VERSION: u32 = 1;

/// More would hide what should be mended.
const KNOWN_FAILURES_MAX: usize = 5;

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expectations {
    format_version: u32,
    pub test_seconds: f64,
    slice_one_in: usize,
    slice_without: Vec<String>,
    /// Profile -> how many tests make must list, without samples.
    tests_min: BTreeMap<String, usize>,
    #[serde(default)]
    left_out: Vec<LeftOut>,
    #[serde(default)]
    known_failure: Vec<KnownFailure>,
}

/// A test that make can't run, with the reason.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct LeftOut {
    test: String,
    cause: String,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct KnownFailure {
    test: String,
    profiles: Option<BTreeSet<String>>,
    cause: String,
}

impl Expectations {
    pub fn load(root: &Path) -> Result<Expectations> {
        let path = root.join("conformance/fate.toml");
        let loaded: Expectations = read_toml(&path)?;
        let fault = loaded.fault(&profile::shipped(root)?);
        match fault {
            Some(fault) => Err(usage(format!("{}: {fault}", path.display())).into()),
            None => Ok(loaded),
        }
    }

    fn fault(&self, profiles: &[String]) -> Option<String> {
        if self.format_version != FORMAT_VERSION {
            return Some(format!(
                "format_version {} is not {FORMAT_VERSION}",
                self.format_version
            ));
        }
        if self.slice_one_in == 0 {
            return Some("slice_one_in must be at least 1".into());
        }
        if self.known_failure.len() > KNOWN_FAILURES_MAX {
            return Some(format!(
                "{} known failures; at most {KNOWN_FAILURES_MAX} are allowed",
                self.known_failure.len()
            ));
        }
        if let Some(unknown) = self.tests_min.keys().find(|name| !profiles.contains(name)) {
            return Some(format!(
                "tests_min names the profile `{unknown}`, which there is none of"
            ));
        }
        let mut tests = BTreeSet::new();
        for left_out in &self.left_out {
            if !tests.insert(&left_out.test) {
                return Some(format!("{} stands there twice", left_out.test));
            }
            if left_out.cause.trim().is_empty() {
                return Some(format!("{} needs a cause", left_out.test));
            }
        }
        for known in &self.known_failure {
            if !tests.insert(&known.test) {
                return Some(format!("{} stands there twice", known.test));
            }
            if known.cause.trim().is_empty() {
                return Some(format!("{} needs a cause", known.test));
            }
            let mut named = known.profiles.iter().flatten();
            if let Some(unknown) = named.find(|name| !profiles.contains(name)) {
                return Some(format!(
                    "{} names the profile `{unknown}`, which there is none of",
                    known.test
                ));
            }
        }
        None
    }

    /// What is wrong with the tests that make lists for a profile, and with those that it leaves out.
    pub fn faults_of_list(&self, profile: &str, tests: &[Test], left_out: &BTreeSet<String>) -> Vec<String> {
        let mut faults = Vec::new();
        let is_excused = |name: &String| self.left_out.iter().any(|excused| excused.test == *name);
        for name in left_out.iter().filter(|name| !is_excused(name)) {
            faults.push(format!("{name} would not be run: make can't make what it needs"));
        }
        let is_listed = |excused: &&LeftOut| tests.iter().any(|test| test.name == excused.test);
        for excused in self.left_out.iter().filter(is_listed) {
            faults.push(format!("{} can be run: take it off `left_out`", excused.test));
        }
        let least = self.tests_min.get(profile).copied().unwrap_or(1);
        if tests.len() < least {
            faults.push(format!(
                "make lists {} tests; at least {least} are promised",
                tests.len()
            ));
        }
        faults
    }

    /// Test -> cause of its failure, on this profile.
    pub fn known_failures(&self, profile: &str) -> BTreeMap<&str, &str> {
        let here = |known: &&KnownFailure| known.profiles.as_ref().is_none_or(|names| names.contains(profile));
        let named = self.known_failure.iter().filter(here);
        named.map(|known| (known.test.as_str(), known.cause.as_str())).collect()
    }

    /// The tests of the slice that every change is checked with.
    pub fn slice(&self, tests: &[Test]) -> Result<BTreeSet<String>> {
        let without = unpack::globs(&self.slice_without)?;
        let mut groups: BTreeMap<&str, Vec<(String, &str)>> = BTreeMap::new();
        for test in tests.iter().filter(|test| !without.is_match(&test.name)) {
            let place = digest::bytes(test.name.as_bytes());
            groups.entry(&test.group).or_default().push((place, &test.name));
        }
        let mut chosen = BTreeSet::new();
        for mut group in groups.into_values() {
            group.sort();
            let count = group.len().div_ceil(self.slice_one_in);
            chosen.extend(group.into_iter().take(count).map(|(_, name)| name.to_owned()));
        }
        Ok(chosen)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Expectations {
        toml::from_str(&format!(
            "format_version = 1\ntest_seconds = 1\nslice_one_in = 3\nslice_without = [\"*-slow\"]\n\
             tests_min = {{ o3-gpl = 2 }}\n{text}"
        ))
        .unwrap()
    }

    fn test(name: &str) -> Test {
        Test {
            name: name.to_owned(),
            group: name.split('-').nth(1).unwrap().to_owned(),
            recipe: String::new(),
            after: Vec::new(),
            files: Vec::new(),
        }
    }

    #[test]
    fn ours_is_valid() {
        Expectations::load(&xtask::project::root().unwrap()).unwrap();
    }

    #[test]
    fn a_slice_has_some_of_each_group_and_is_always_the_same() {
        let names = ["a-1", "a-2", "a-3", "a-4", "b-1", "c-slow"].map(|name| format!("fate-{name}"));
        let mut tests: Vec<Test> = names.iter().map(|name| test(name)).collect();
        let slice = parse("").slice(&tests).unwrap();
        let in_group = |group: &str| slice.iter().filter(|name| name.starts_with(group)).count();
        assert_eq!(in_group("fate-a"), 2);
        assert_eq!(in_group("fate-b"), 1);
        assert_eq!(in_group("fate-c"), 0);
        tests.reverse();
        assert_eq!(parse("").slice(&tests).unwrap(), slice);
    }

    #[test]
    fn tests_that_are_missing_are_faults() {
        let expectations = parse("[[left_out]]\ntest = \"fate-x-1\"\ncause = \"no program\"");
        let faults = |profile: &str, tests: &[&str], left_out: &[&str]| {
            let tests: Vec<Test> = tests.iter().map(|name| test(name)).collect();
            let left_out = left_out.iter().map(|name| (*name).to_owned()).collect();
            expectations.faults_of_list(profile, &tests, &left_out).join("\n")
        };
        assert_eq!(faults("o3-gpl", &["fate-a-1", "fate-a-2"], &["fate-x-1"]), "");
        assert_eq!(faults("oz-gpl", &["fate-a-1"], &[]), "");
        assert!(faults("o3-gpl", &["fate-a-1"], &[]).contains("1 tests; at least 2"));
        assert!(faults("oz-gpl", &[], &[]).contains("0 tests; at least 1"));
        assert!(faults("oz-gpl", &["fate-a-1"], &["fate-a-2"]).contains("fate-a-2 would not be run"));
        assert!(faults("oz-gpl", &["fate-x-1"], &[]).contains("fate-x-1 can be run"));
    }

    #[test]
    fn a_list_of_known_failures_that_hides_too_much_is_refused() {
        let entry = |test: &str, rest: &str| format!("[[known_failure]]\ntest = \"{test}\"\n{rest}\n");
        let profiles = ["o3-gpl".to_owned()];
        let unknown = parse("").fault(&[]).unwrap();
        assert!(unknown.contains("tests_min names the profile `o3-gpl`"), "{unknown}");
        let fault = |text: &str| parse(text).fault(&profiles).unwrap_or_default();
        let good = entry("fate-a", "cause = \"WASI\"\nprofiles = [\"o3-gpl\"]");
        assert_eq!(fault(&good), "");
        assert_eq!(parse(&good).known_failures("o3-gpl")["fate-a"], "WASI");
        assert!(parse(&good).known_failures("oz-gpl").is_empty());
        let six: String = (0..6)
            .map(|index| entry(&format!("fate-{index}"), "cause = \"WASI\""))
            .collect();
        assert!(fault(&six).contains("at most 5"));
        assert!(fault(&good.repeat(2)).contains("twice"));
        assert!(fault(&entry("fate-a", "cause = \" \"")).contains("needs a cause"));
        assert!(fault(&entry("fate-a", "cause = \"x\"\nprofiles = [\"o4\"]")).contains("o4"));
    }
}
