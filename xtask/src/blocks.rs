//! Parts of Markdown files that a command writes, between `<!-- begin NAME -->` and `<!-- end NAME -->`. What is around
//! them is written by hand.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::fs;
use std::path::Path;

use anyhow::Result;

use crate::cache::write_file;
use crate::error::{environment, usage};

/// Puts a text into each block of a file. The file must have these blocks and no others, so that none goes stale.
pub fn fill(path: &Path, blocks: &BTreeMap<String, String>) -> Result<()> {
    write_file(path, read(path, blocks)?.as_bytes())
}

/// Whether a file has these blocks, before what fills them is made.
pub fn check<'a>(path: &Path, names: impl IntoIterator<Item = &'a str>) -> Result<()> {
    let blocks = names.into_iter().map(|name| (name.to_owned(), String::new()));
    read(path, &blocks.collect()).map(drop)
}

fn read(path: &Path, blocks: &BTreeMap<String, String>) -> Result<String> {
    let text = fs::read_to_string(path);
    let text = text.map_err(|error| environment(format!("cannot read {}: {error}", path.display())))?;
    filled(&text, blocks).map_err(|fault| usage(format!("{}: {fault}", path.display())).into())
}

/// The text with other blocks, or what is wrong with its blocks.
pub fn filled(text: &str, blocks: &BTreeMap<String, String>) -> Result<String, String> {
    let mut filled = String::new();
    let mut seen = BTreeSet::new();
    let mut open: Option<&str> = None;
    for line in text.split_inclusive('\n') {
        match (name(line, "begin"), name(line, "end"), open) {
            (Some(begun), _, None) => {
                let content = blocks
                    .get(begun)
                    .ok_or_else(|| format!("nothing fills the block {begun}"))?;
                if !seen.insert(begun) {
                    return Err(format!("the block {begun} is there twice"));
                }
                open = Some(begun);
                filled += line;
                filled += content;
            }
            (None, Some(ended), Some(begun)) if ended == begun => {
                open = None;
                filled += line;
            }
            (None, None, None) => filled += line,
            (None, None, Some(_)) => {}
            (_, _, Some(begun)) => return Err(format!("the block {begun} has no end")),
            (_, Some(ended), None) => return Err(format!("the block {ended} has no beginning")),
        }
    }
    if let Some(begun) = open {
        return Err(format!("the block {begun} has no end"));
    }
    match blocks.keys().find(|name| !seen.contains(name.as_str())) {
        Some(missing) => Err(format!("there is no block {missing}")),
        None => Ok(filled),
    }
}

fn name<'a>(line: &'a str, word: &str) -> Option<&'a str> {
    let name = line
        .trim()
        .strip_prefix("<!-- ")?
        .strip_suffix(" -->")?
        .strip_prefix(word)?;
    name.strip_prefix(' ')
}

/// A Markdown table of text.
pub fn table(titles: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    lines(titles, "---|", rows)
}

/// A Markdown table whose columns, but for the first, are figures.
pub fn figures(titles: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    lines(titles, "--:|", rows)
}

fn lines(titles: &[&str], alignment: &str, rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let mut text = format!(
        "| {} |\n|---|{}\n",
        titles.join(" | "),
        alignment.repeat(titles.len() - 1)
    );
    for row in rows {
        let cells: Vec<String> = row.iter().map(|cell| cell.replace('|', "\\|")).collect();
        let _ = writeln!(text, "| {} |", cells.join(" | "));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = "# Page\n\n<!-- begin a -->\nold\n<!-- end a -->\nprose\n<!-- begin b -->\n<!-- end b -->\n";

    fn of(blocks: &[(&str, &str)]) -> BTreeMap<String, String> {
        let owned = blocks
            .iter()
            .map(|(name, text)| ((*name).to_owned(), (*text).to_owned()));
        owned.collect()
    }

    #[test]
    fn only_blocks_change() {
        let blocks = of(&[("a", "new\nlines\n"), ("b", "more\n")]);
        let filled = filled(PAGE, &blocks).unwrap();
        let wanted = PAGE
            .replace("old\n", "new\nlines\n")
            .replace("<!-- end b", "more\n<!-- end b");
        assert_eq!(filled, wanted);
        assert_eq!(super::filled(&filled, &blocks).unwrap(), wanted);
    }

    #[test]
    fn faults_name_file_and_block() {
        let both = of(&[("a", ""), ("b", "")]);
        for (page, blocks, wanted) in [
            (PAGE.to_owned(), of(&[("a", "")]), "nothing fills the block b"),
            (
                PAGE.to_owned(),
                of(&[("a", ""), ("b", ""), ("c", "")]),
                "there is no block c",
            ),
            (
                PAGE.replace("<!-- end a -->\n", ""),
                both.clone(),
                "the block a has no end",
            ),
            (
                PAGE.replace("<!-- end b -->\n", ""),
                both.clone(),
                "the block b has no end",
            ),
            (
                PAGE.replace("<!-- begin a -->\n", ""),
                both.clone(),
                "the block a has no beginning",
            ),
            (format!("{PAGE}{PAGE}"), both.clone(), "the block a is there twice"),
        ] {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("page.md");
            fs::write(&path, &page).unwrap();
            let error = fill(&path, &blocks).unwrap_err().to_string();
            assert!(error.contains("page.md: ") && error.contains(wanted), "{error}");
            assert_eq!(fs::read_to_string(&path).unwrap(), page);
        }
    }

    #[test]
    fn cells_keep_their_bars() {
        let row = vec!["a|b".to_owned(), "1".to_owned()];
        assert_eq!(figures(&["x", "y"], [row]), "| x | y |\n|---|--:|\n| a\\|b | 1 |\n");
    }
}
