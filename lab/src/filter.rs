//! `--filter GLOB`, as several verbs have it.

use std::collections::BTreeSet;

use anyhow::Result;
use globset::Glob;

use xtask::error::usage;

/// The names that a pattern matches. One that matches none is the user's mistake, and `otherwise` says what there is.
pub fn matching<'a>(
    names: impl Iterator<Item = &'a str> + Clone,
    patterns: &[String],
    otherwise: &str,
) -> Result<BTreeSet<&'a str>> {
    let mut chosen = BTreeSet::new();
    for pattern in patterns {
        let glob = Glob::new(pattern).map_err(|error| usage(format!("--filter {pattern}: {error}")))?;
        let matcher = glob.compile_matcher();
        let mut found = names.clone().filter(|name| matcher.is_match(name)).peekable();
        if found.peek().is_none() {
            return Err(usage(format!("--filter {pattern}: {otherwise}")).into());
        }
        chosen.extend(found);
    }
    Ok(chosen)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_add_up_and_each_must_find_something() {
        let of = |patterns: &[&str]| {
            let patterns: Vec<String> = patterns.iter().map(|&pattern| pattern.to_owned()).collect();
            matching(["mux", "demux", "scale"].into_iter(), &patterns, "there are 3").map(|found| found.len())
        };
        assert_eq!(of(&["*mux", "mux"]).unwrap(), 2);
        assert_eq!(
            of(&["nothing"]).unwrap_err().to_string(),
            "--filter nothing: there are 3"
        );
        assert!(of(&["a["]).is_err());
    }
}
