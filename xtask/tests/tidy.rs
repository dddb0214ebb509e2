//! Rules on the repository's files that no compiler checks. A rule is a function that takes the files and returns its faults;
//! a test runs the rules of one topic, and `each_rule_finds_its_fault` breaks files for each of them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs;
use std::path::Path;

/// The texts of the repository by their paths, without what git ignores and what is no text.
#[derive(Clone)]
struct Tree(BTreeMap<String, String>);

struct Fault {
    file: String,
    /// Counted from 1; 0 if the whole file is meant.
    line: usize,
    text: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}: {}", self.file, self.line, self.text)
    }
}

fn fault(file: &str, line: usize, text: impl Into<String>) -> Fault {
    Fault {
        file: file.to_owned(),
        line,
        text: text.into(),
    }
}

impl Tree {
    fn read() -> Tree {
        const LARGEST_BYTES: u64 = 1 << 20;
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let is_ours = |entry: &walkdir::DirEntry| {
            let name = entry.file_name().to_string_lossy();
            entry.depth() == 0
                || name == ".gitignore"
                || !(name.starts_with('.') || ["target", "dist", "node_modules", "__pycache__"].contains(&&*name))
        };
        let mut files = BTreeMap::new();
        for entry in walkdir::WalkDir::new(root).into_iter().filter_entry(is_ours) {
            let entry = entry.unwrap();
            if !entry.file_type().is_file() || entry.metadata().unwrap().len() > LARGEST_BYTES {
                continue;
            }
            let name = entry.path().strip_prefix(root).unwrap().to_str().unwrap().to_owned();
            if let Ok(text) = String::from_utf8(fs::read(entry.path()).unwrap()) {
                files.insert(name, text);
            }
        }
        Tree(files)
    }

    /// The files of a folder and those below it.
    fn below<'a>(&'a self, folder: &'a str) -> impl Iterator<Item = (&'a str, &'a str)> {
        let files = self.0.iter().map(|(name, text)| (name.as_str(), text.as_str()));
        files.filter(move |(name, _)| name.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/')))
    }

    fn text(&self, name: &str) -> &str {
        self.0.get(name).map_or("", String::as_str)
    }
}

/// The place of a text in a file, as a line.
fn line_of(text: &str, part: &str) -> usize {
    text.find(part).map_or(0, |at| text[..at].matches('\n').count() + 1)
}

fn check(rules: &[fn(&Tree) -> Vec<Fault>]) {
    let tree = Tree::read();
    let faults: Vec<String> = rules
        .iter()
        .flat_map(|rule| rule(&tree))
        .map(|fault| fault.to_string())
        .collect();
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
}

// Licences

const HOLDER: &str = "the afmpeg authors";

/// A folder, the licence of the files below it, and what the header of its C files has in upstream's words. The first folder
/// that a file lies below counts.
const PLACES: [(&str, &str, &str); 10] = [
    ("guest/simd/ffmpeg", "LGPL-2.1-or-later", "This file is part of FFmpeg."),
    (
        "guest/simd/x264",
        "GPL-2.0-or-later",
        "This program is free software; you can redistribute it",
    ),
    (
        "guest/simd/x265",
        "GPL-2.0-or-later",
        "This program is free software; you can redistribute it",
    ),
    (
        "guest/simd/openh264",
        "BSD-2-Clause",
        "Redistribution and use in source and binary forms, with or without",
    ),
    (
        "guest/simd/svt-av1",
        "BSD-3-Clause-Clear",
        "This source code is subject to the terms of the BSD 3-Clause Clear License and",
    ),
    (
        "guest/simd/vpx",
        "BSD-3-Clause",
        "Use of this source code is governed by a BSD-style license",
    ),
    (
        "guest/simd/dav1d",
        "BSD-2-Clause",
        "Redistribution and use in source and binary forms, with or without",
    ),
    ("guest", "MIT OR Apache-2.0", ""),
    ("packages", "MIT OR Apache-2.0", ""),
    ("conformance", "MIT OR Apache-2.0", ""),
];

fn every_file_says_its_licence(tree: &Tree) -> Vec<Fault> {
    const HEADER_LINES: usize = 45;
    let mut faults = Vec::new();
    let mut seen = BTreeSet::new();
    for (folder, licence, words) in PLACES {
        for (name, text) in tree.below(folder) {
            if !seen.insert(name) || name.ends_with(".md") {
                continue;
            }
            // JSON has no comments: npm's files say it in a field, or are written by npm.
            if name.ends_with("/package-lock.json") {
                continue;
            }
            if name.ends_with("/package.json") {
                let field = format!("\"license\": \"{licence}\"");
                if !text.contains(&field) {
                    faults.push(fault(name, 1, format!("no field {field}")));
                }
                continue;
            }
            let head = text.lines().take(HEADER_LINES).collect::<Vec<_>>();
            let stated = head.iter().position(|line| line.contains("SPDX-License-Identifier: "));
            match stated.map(|at| (at, head[at].split_once("SPDX-License-Identifier: ").unwrap().1.trim())) {
                None => faults.push(fault(
                    name,
                    1,
                    format!("no line \"SPDX-License-Identifier: {licence}\""),
                )),
                Some((at, other)) if other != licence => {
                    faults.push(fault(
                        name,
                        at + 1,
                        format!("{other}, but files below {folder} are {licence}"),
                    ));
                }
                Some(_) => (),
            }
            if !head
                .iter()
                .any(|line| line.contains("Copyright (") && line.ends_with(HOLDER))
            {
                faults.push(fault(name, 1, format!("no copyright line of {HOLDER}")));
            }
            let is_c = [".c", ".h", ".cpp"].iter().any(|kind| name.ends_with(kind));
            if is_c && !head.join("\n").contains(words) {
                faults.push(fault(name, 1, format!("not the header of upstream's files: {words:?}")));
            }
        }
        if tree.below(folder).next().is_none() {
            faults.push(fault(folder, 0, "no such folder; take it out of this test"));
        }
    }
    faults
}

/// Code that stands in files of two licences is under both, and each of these files says where else it is.
fn shared_code_is_under_both_licences(tree: &Tree) -> Vec<Fault> {
    const LINES: usize = 6;
    let mut places: BTreeMap<Vec<String>, Vec<(&str, usize)>> = BTreeMap::new();
    for (name, text) in tree.below("guest/simd") {
        // As different styles have the same code: without spaces, short lines and comments.
        let is_code =
            |line: &str| line.len() > 12 && !["/*", "*", "#", "//"].iter().any(|start| line.starts_with(start));
        let lines: Vec<(usize, String)> = text
            .lines()
            .map(|line| line.split_whitespace().collect::<String>())
            .enumerate()
            .filter(|(_, line)| is_code(line))
            .collect();
        for window in lines.windows(LINES) {
            let code = window.iter().map(|(_, line)| line.clone()).collect();
            places.entry(code).or_default().push((name, window[0].0 + 1));
        }
    }
    let project = |name: &str| name.split('/').nth(2).map(str::to_owned);
    let file = |name: &str| name.rsplit('/').next().unwrap_or_default().to_owned();
    let mut faults = BTreeMap::new();
    for found in places.values() {
        for (name, line) in found {
            for (other, _) in found.iter().filter(|(other, _)| project(other) != project(name)) {
                let head = tree.text(name).split("*/").next().unwrap_or_default();
                if !head.contains("Parts of this file are also in") || !head.contains(&file(other)) {
                    let text = format!("this code is also in {other}, which the file's head does not say");
                    faults
                        .entry((*name, *other))
                        .or_insert_with(|| fault(name, *line, text));
                }
            }
        }
    }
    faults.into_values().collect()
}

fn licence_texts_are_complete(tree: &Tree) -> Vec<Fault> {
    let mut faults = Vec::new();
    let needed = [
        ("Cargo.toml", "license = \"MIT OR Apache-2.0\"\n"),
        ("LICENSE-MIT", HOLDER),
        ("LICENSE-MIT", "Permission is hereby granted, free of charge, to any\n"),
        ("LICENSE-MIT", "DEALINGS IN THE SOFTWARE.\n"),
        ("LICENSE-APACHE", "Version 2.0, January 2004\n"),
        ("LICENSE-APACHE", "END OF TERMS AND CONDITIONS\n"),
        ("licences/MIT-afmpeg.txt", tree.text("LICENSE-MIT")),
    ];
    for (name, part) in needed {
        if part.is_empty() || !tree.text(name).contains(part) {
            faults.push(fault(name, 0, format!("does not have: {part}")));
        }
    }
    let notice = tree.text("licences/NOTICE.md");
    for (folder, licence, _) in PLACES {
        let folder = format!("`{folder}");
        let is_row = |line: &&str| line.contains(&format!("{folder}`")) || line.contains(&format!("{folder}/`"));
        match notice.lines().find(|line| line.starts_with('|') && is_row(line)) {
            Some(row) if row.contains(&format!("| {licence} |")) => (),
            Some(row) => {
                let text = format!("files below {folder}` are {licence}");
                faults.push(fault("licences/NOTICE.md", line_of(notice, row), text));
            }
            None => faults.push(fault(
                "licences/NOTICE.md",
                0,
                format!("the table has no row of {folder}`"),
            )),
        }
    }
    faults
}

#[test]
fn licences() {
    check(&[
        every_file_says_its_licence,
        shared_code_is_under_both_licences,
        licence_texts_are_complete,
    ]);
}

// Patches

fn patches(tree: &Tree) -> impl Iterator<Item = (&str, &str)> {
    tree.below("patches").filter(|(name, _)| name.ends_with(".patch"))
}

fn series_list_what_is_there(tree: &Tree) -> Vec<Fault> {
    let mut faults = Vec::new();
    let mut listed = BTreeSet::new();
    for (name, text) in tree.below("patches").filter(|(name, _)| name.ends_with("/series")) {
        let folder = name.strip_suffix("/series").unwrap();
        for (index, line) in text.lines().enumerate() {
            let path = format!("{folder}/{line}");
            if !tree.0.contains_key(&path) {
                faults.push(fault(name, index + 1, format!("there is no {path}")));
            }
            if !line.starts_with(&format!("{:04}-", index + 1)) {
                faults.push(fault(
                    name,
                    index + 1,
                    format!("the number of {line} is not {}", index + 1),
                ));
            }
            listed.insert(path);
        }
    }
    for (name, _) in tree.below("patches") {
        let is_listed = listed.contains(name) || name.ends_with("/series") || name == "patches/README.md";
        if !is_listed {
            faults.push(fault(name, 0, "no series lists it"));
        }
    }
    faults
}

/// The head of a mail, as `git am` takes it.
fn patches_are_mails(tree: &Tree) -> Vec<Fault> {
    const SUBJECT_COLUMNS: usize = 75;
    let mut faults = Vec::new();
    for (name, text) in patches(tree) {
        let lines: Vec<&str> = text.lines().collect();
        let from = format!("From {} Mon Sep 17 00:00:00 2001", "0".repeat(40));
        let head = [from.as_str(), "From: ", "Date: ", "Subject: [PATCH] ", ""];
        for (index, start) in head.iter().enumerate() {
            let line = lines.get(index).copied().unwrap_or_default();
            if !line.starts_with(start) || (start.is_empty() && !line.is_empty()) {
                faults.push(fault(name, index + 1, format!("not {start:?}: {line:?}")));
            }
        }
        let subject = lines.get(3).copied().unwrap_or_default();
        if subject.len() > "Subject: [PATCH] ".len() + SUBJECT_COLUMNS || subject.ends_with('.') {
            faults.push(fault(name, 4, "a subject is one short line without a full stop"));
        }
        let Some(end) = lines.iter().position(|line| *line == "---") else {
            faults.push(fault(name, 0, "no line --- before the diff"));
            continue;
        };
        for (index, line) in lines.iter().enumerate().skip(end + 1) {
            if line.starts_with("diff --git ") {
                break;
            }
            if !line.is_empty() && !line.starts_with(' ') {
                faults.push(fault(
                    name,
                    index + 1,
                    "between --- and the diff there is only git's list of the files",
                ));
            }
        }
        if !lines[end..].iter().any(|line| line.starts_with("diff --git ")) {
            faults.push(fault(name, end + 1, "no diff in the form of git"));
        }
    }
    faults
}

/// The text of a patch: its reason, and at the end the paragraph of its state.
fn text_of(patch: &str) -> (&str, &str) {
    let mail = patch.split("\n---\n").next().unwrap_or_default();
    let body = mail.split_once("\n\n").unwrap_or_default().1;
    body.rsplit_once("\n\n").unwrap_or(("", body))
}

fn patches_say_why(tree: &Tree) -> Vec<Fault> {
    const COLUMNS: usize = 75;
    let mut faults = Vec::new();
    for (name, text) in patches(tree) {
        let (why, state) = text_of(text);
        if why.trim().is_empty() {
            faults.push(fault(name, 6, "no reason before the paragraph of Upstream"));
        }
        for start in ["Upstream: ", "Drop when: "] {
            if !state.lines().any(|line| line.starts_with(start)) {
                faults.push(fault(
                    name,
                    line_of(text, state),
                    format!("the last paragraph does not say {start:?}"),
                ));
            }
        }
        for line in why
            .lines()
            .chain(state.lines())
            .filter(|line| line.chars().count() > COLUMNS)
        {
            faults.push(fault(name, line_of(text, line), format!("more than {COLUMNS} columns")));
        }
    }
    faults
}

/// What upstream would get must make sense there: without our folders, and without WebAssembly where that is not the point.
fn patches_for_upstream_are_upstreams(tree: &Tree) -> Vec<Fault> {
    const OURS: [&str; 6] = ["guest/", "patches/", "xtask", "runtime/", "the module", "afmpeg"];
    const PLATFORM: [&str; 3] = ["webassembly", "wasm", "wasi"];
    let mut faults = Vec::new();
    for (name, text) in patches(tree) {
        let (why, state) = text_of(text);
        if !state.contains("Upstream: ready to be sent") {
            continue;
        }
        let subject = text.lines().nth(3).unwrap_or_default().to_lowercase();
        let added = text.lines().filter(|line| line.starts_with('+'));
        for line in std::iter::once(subject.as_str()).chain(why.lines()).chain(added) {
            let lower = line.to_lowercase();
            let is_about = |words: &[&str], text: &str| words.iter().any(|word| text.contains(word));
            // The flag of a CPU of WebAssembly names it, too.
            let is_the_point = is_about(&PLATFORM, &subject) || subject.contains("simd128");
            if is_about(&OURS, &lower) || (is_about(&PLATFORM, &lower) && !is_the_point) {
                let text = format!("ready to be sent, but about us: {line}");
                faults.push(fault(name, line_of(tree.text(name), line), text));
            }
        }
    }
    faults
}

#[test]
fn patches_can_be_sent_and_dropped() {
    check(&[
        series_list_what_is_there,
        patches_are_mails,
        patches_say_why,
        patches_for_upstream_are_upstreams,
    ]);
}

// Structure

/// Folders of Rust whose files must not import each other in a circle.
const CRATES: [&str; 4] = ["lab/src", "release/src", "runtime/src", "xtask/src"];

/// A module's path in its crate, by its file's.
fn module_of(file: &str, folder: &str) -> Vec<String> {
    let path = file[folder.len() + 1..].trim_end_matches(".rs");
    let mut parts: Vec<String> = path.split('/').map(str::to_owned).collect();
    if parts
        .last()
        .is_some_and(|last| ["lib", "main", "mod"].contains(&last.as_str()))
    {
        parts.pop();
    }
    parts
}

/// The text before a file's own tests.
fn product(text: &str) -> &str {
    text.split("#[cfg(test)]\nmod tests").next().unwrap_or(text)
}

/// A file without its comments, which link to anything, and without its tests.
fn code(text: &str) -> String {
    let lines = product(text)
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"));
    lines.collect::<Vec<_>>().join("\n")
}

/// What a file says after `crate::` or `super::`, as paths from the crate's root; groups are taken apart.
fn imports(text: &str, module: &[String], is_folder: bool) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    for (word, up) in [("crate::", None), ("super::", Some(1))] {
        for (at, _) in text.match_indices(word) {
            if text[..at].ends_with(|before: char| before.is_alphanumeric() || before == '_' || before == ':') {
                continue;
            }
            let base: Vec<String> = match up {
                None => Vec::new(),
                Some(up) => module[..module.len().saturating_sub(if is_folder { up - 1 } else { up })].to_vec(),
            };
            let rest = &text[at + word.len()..];
            let end = rest
                .find(|end: char| !end.is_alphanumeric() && !"_:".contains(end))
                .unwrap_or(rest.len());
            let path = &rest[..end];
            let segments = |path: &str| {
                path.split("::")
                    .filter(|part| !part.is_empty())
                    .map(str::to_owned)
                    .collect::<Vec<_>>()
            };
            let stem = [base, segments(path)].concat();
            match rest[end..].strip_prefix('{').and_then(|group| group.split_once("};")) {
                Some((group, _)) => {
                    let names = group.split([',', '{', '}']).map(str::trim);
                    found.extend(names.map(|name| [stem.clone(), segments(name)].concat()));
                }
                None => found.push(stem),
            }
        }
    }
    found
}

/// What a file exports of the modules below it: the name under its own path, and where it is from.
fn exports(text: &str, module: &[String]) -> Vec<(Vec<String>, Vec<String>)> {
    let mut found = Vec::new();
    for line in text.split(';') {
        let line = line.trim_start();
        let Some(path) = ["pub use ", "pub(crate) use ", "pub(super) use "]
            .iter()
            .find_map(|word| {
                line.rsplit_once('\n')
                    .map_or(line, |(_, last)| last)
                    .strip_prefix(word)
                    .or_else(|| line.strip_prefix(word))
            })
        else {
            continue;
        };
        let (stem, names) = match path.split_once("::{") {
            Some((stem, names)) => (stem, names.trim_end_matches('}').to_owned()),
            None => match path.rsplit_once("::") {
                Some((stem, name)) => (stem, name.to_owned()),
                None => continue,
            },
        };
        let from: Vec<String> = match stem.strip_prefix("crate::") {
            Some(stem) => stem.split("::").map(str::to_owned).collect(),
            None => module
                .iter()
                .cloned()
                .chain(stem.split("::").map(str::to_owned))
                .collect(),
        };
        for name in names.split(',').map(str::trim).filter(|name| !name.is_empty()) {
            found.push(([module, &[name.to_owned()]].concat(), from.clone()));
        }
    }
    found
}

fn imports_have_no_circle(tree: &Tree) -> Vec<Fault> {
    let mut faults = Vec::new();
    for folder in CRATES {
        let files: Vec<(&str, &str)> = tree.below(folder).filter(|(name, _)| name.ends_with(".rs")).collect();
        let modules: BTreeMap<Vec<String>, &str> =
            files.iter().map(|(name, _)| (module_of(name, folder), *name)).collect();
        let mut places = modules.clone();
        for (name, text) in files
            .iter()
            .filter(|(name, _)| name.ends_with("/mod.rs") || name.ends_with("/lib.rs"))
        {
            let module = module_of(name, folder);
            for (exported, target) in exports(text, &module) {
                let known = (1..=target.len())
                    .rev()
                    .find_map(|length| modules.get(&target[..length]));
                places.extend(known.map(|file| (exported, *file)));
            }
        }
        let mut arrows: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for (name, text) in &files {
            let module = module_of(name, folder);
            for path in imports(&code(text), &module, name.ends_with("/mod.rs")) {
                let target = (1..=path.len()).rev().find_map(|length| places.get(&path[..length]));
                if let Some(target) = target.filter(|target| *target != name) {
                    arrows.entry(name).or_default().insert(target);
                }
            }
        }
        // What no arrow leaves is taken away until only circles are left.
        let mut left: BTreeSet<&str> = arrows.keys().copied().collect();
        loop {
            let is_free = |name: &&&str| !arrows[**name].iter().any(|target| left.contains(target));
            let free: Vec<&str> = left.iter().filter(is_free).copied().collect();
            if free.is_empty() {
                break;
            }
            left.retain(|name| !free.contains(name));
        }
        for name in &left {
            let others: Vec<&str> = arrows[name]
                .iter()
                .filter(|target| left.contains(*target))
                .copied()
                .collect();
            faults.push(fault(
                name,
                0,
                format!("in a circle with what it imports: {}", others.join(", ")),
            ));
        }
    }
    faults
}

const LONGEST_FUNCTION_LINES: usize = 70;

fn functions_are_short(tree: &Tree) -> Vec<Fault> {
    let mut faults = Vec::new();
    for (name, text) in CRATES.iter().flat_map(|folder| tree.below(folder)) {
        let lines: Vec<&str> = product(text).lines().collect();
        for (number, line) in lines.iter().enumerate() {
            let code = line.trim_start();
            let is_function = code
                .split(' ')
                .take_while(|word| *word != "{")
                .take(6)
                .any(|word| word == "fn");
            if !is_function || code.starts_with("//") || code.ends_with(';') {
                continue;
            }
            let end = format!("{}}}", &line[..line.len() - code.len()]);
            let length = lines[number..]
                .iter()
                .position(|line| *line == end)
                .map_or(0, |length| length + 1);
            if length > LONGEST_FUNCTION_LINES {
                faults.push(fault(name, number + 1, format!("a function of {length} lines")));
            }
        }
    }
    faults
}

#[test]
fn structure() {
    check(&[imports_have_no_circle, functions_are_short]);
}

// Lists and documents

/// The names of the TOML files of a folder.
fn names_in<'a>(tree: &'a Tree, folder: &'a str) -> impl Iterator<Item = String> + 'a {
    let names = tree
        .below(folder)
        .filter_map(move |(name, _)| name[folder.len() + 1..].strip_suffix(".toml"));
    names.filter(|name| !name.contains('/')).map(str::to_owned)
}

/// Each name of a list must stand in a document, as code.
fn named(tree: &Tree, file: &str, names: impl Iterator<Item = String>, what: &str) -> Vec<Fault> {
    let text = tree.text(file);
    let is_missing = |name: &String| !text.contains(&format!("`{name}`"));
    names
        .filter(is_missing)
        .map(|name| fault(file, 0, format!("does not name the {what} `{name}`")))
        .collect()
}

fn profiles_are_listed(tree: &Tree) -> Vec<Fault> {
    let readme = "profiles/README.md";
    let mut faults = named(tree, readme, names_in(tree, "profiles/levels"), "level");
    faults.extend(named(tree, readme, names_in(tree, "profiles/components"), "set"));
    faults.extend(named(tree, readme, names_in(tree, "profiles/levers"), "lever"));
    let shipped: toml::Table = tree.text("profiles/shipped.toml").parse().unwrap();
    faults.extend(named(tree, "README.md", shipped.keys().cloned(), "profile"));
    for name in shipped.keys() {
        let record = format!("artifacts/{name}.json");
        if !tree.0.contains_key(&record) {
            faults.push(fault(&record, 0, "a profile that is shipped has no record"));
        }
        if !tree
            .text(".gitignore")
            .lines()
            .any(|line| line == format!("!/{record}"))
        {
            faults.push(fault(".gitignore", 0, format!("leaves out {record}")));
        }
    }
    faults
}

/// Every key that a file of ffmpeg-src/ or profiles/ may have is explained.
fn keys_are_explained(tree: &Tree) -> Vec<Fault> {
    let mut faults = Vec::new();
    for (code, readme) in [
        ("xtask/src/recipe/library.rs", "ffmpeg-src/README.md"),
        ("xtask/src/inputs/source.rs", "ffmpeg-src/README.md"),
        ("xtask/src/recipe/profile.rs", "profiles/README.md"),
        ("xtask/src/recipe/set.rs", "profiles/README.md"),
    ] {
        let explained = tree.text(readme);
        let words: BTreeSet<&str> = explained
            .split(|end: char| !end.is_alphanumeric() && end != '_')
            .collect();
        let mut is_data = false;
        for (number, line) in product(tree.text(code)).lines().enumerate() {
            match line {
                "#[serde(deny_unknown_fields)]" => is_data = true,
                "}" => is_data = false,
                _ => {}
            }
            let field = line
                .trim()
                .trim_start_matches("pub ")
                .split_once(": ")
                .map(|(field, _)| field);
            let is_name = |field: &&str| field.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
            if let Some(field) = field.filter(is_name).filter(|_| is_data)
                && !words.contains(field)
                && field != "crate_name"
            {
                faults.push(fault(code, number + 1, format!("{readme} does not explain `{field}`")));
            }
        }
    }
    faults
}

/// Each verb is in the README, and each command that a document names is a verb.
fn verbs_are_listed(tree: &Tree) -> Vec<Fault> {
    let flags = "xtask/src/flags.rs";
    let text = tree.text(flags);
    let verbs = text
        .split_once("pub enum Verb {")
        .and_then(|(_, rest)| rest.split_once("\n}"));
    let mut names = BTreeSet::new();
    let mut hidden = false;
    for line in verbs.map_or("", |(verbs, _)| verbs).lines().map(str::trim) {
        hidden |= line.contains("hide = true");
        if let Some((name, _)) = line.split_once('(').filter(|_| line.ends_with("),")) {
            let words = name
                .char_indices()
                .map(|(at, letter)| match letter.is_uppercase() && at > 0 {
                    true => format!("-{}", letter.to_lowercase()),
                    false => letter.to_lowercase().to_string(),
                });
            names.insert((words.collect::<String>(), std::mem::take(&mut hidden)));
        }
    }
    let shown = names.iter().filter(|(_, hidden)| !hidden);
    let readme = tree.text("README.md");
    let is_missing = |name: &&(String, bool)| !readme.contains(&format!("`cargo xtask {}", name.0));
    let mut faults: Vec<Fault> = shown
        .filter(is_missing)
        .map(|(name, _)| fault("README.md", 0, format!("does not name `cargo xtask {name}`")))
        .collect();
    if names.is_empty() {
        faults.push(fault(flags, 0, "has no verbs"));
    }
    for (name, text) in tree.0.iter().filter(|(name, _)| name.ends_with(".md")) {
        for (at, command) in text.match_indices("cargo xtask ") {
            let rest = &text[at + command.len()..];
            let end = rest
                .find(|end: char| !end.is_ascii_lowercase() && end != '-')
                .unwrap_or(rest.len());
            let verb = &rest[..end];
            if verb.starts_with(|first: char| first.is_ascii_lowercase())
                && !names.iter().any(|(known, _)| known == verb)
            {
                let line = text[..at].matches('\n').count() + 1;
                faults.push(fault(name, line, format!("there is no `cargo xtask {verb}`")));
            }
        }
    }
    faults
}

/// Files that documents link to are there.
fn links_lead_somewhere(tree: &Tree) -> Vec<Fault> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut faults = Vec::new();
    for (name, text) in tree.0.iter().filter(|(name, _)| name.ends_with(".md")) {
        for (at, _) in text.match_indices("](") {
            let target = text[at + 2..].split(')').next().unwrap_or_default();
            let path = target.split('#').next().unwrap_or_default();
            if path.is_empty() || path.contains("://") || path.starts_with('<') {
                continue;
            }
            let folder = Path::new(name).parent().unwrap();
            if !root.join(folder).join(path).exists() {
                let line = text[..at].matches('\n').count() + 1;
                faults.push(fault(name, line, format!("leads to {target}, which is not there")));
            }
        }
    }
    faults
}

#[test]
fn lists_and_documents() {
    check(&[
        profiles_are_listed,
        keys_are_explained,
        verbs_are_listed,
        links_lead_somewhere,
    ]);
}

// The rules themselves

type Rule = fn(&Tree) -> Vec<Fault>;

/// The rule finds this at a file where a text of it is replaced; an empty one stands for the whole file.
fn finds(rule: Rule, file: &str, old: &str, new: &str, text: &str) {
    let mut tree = Tree::read();
    assert!(rule(&tree).is_empty(), "the rule of {text:?} has faults before");
    let before = tree.text(file);
    assert!(before.contains(old), "{file} does not have {old:?}");
    let after = if old.is_empty() {
        new.to_owned()
    } else {
        before.replace(old, new)
    };
    tree.0.insert(file.to_owned(), after);
    let faults: Vec<String> = rule(&tree).iter().map(Fault::to_string).collect();
    assert!(
        faults.iter().any(|fault| fault.contains(text)),
        "{text:?} is not in {faults:?}"
    );
}

#[test]
fn each_rule_finds_its_fault() {
    let vector = "guest/simd/ffmpeg/libavcodec/wasm/vector.h";
    let rule = every_file_says_its_licence;
    finds(
        rule,
        "guest/main.c",
        "SPDX-",
        "",
        "guest/main.c:1: no line \"SPDX-License-Identifier: MIT OR",
    );
    finds(
        rule,
        vector,
        "LGPL-2.1-or-later\n *\n",
        "MIT\n *\n",
        "vector.h:3: MIT, but files below guest/simd/ffmpeg are",
    );
    finds(
        rule,
        "guest/simd/x264/mc.c",
        HOLDER,
        "x264 project",
        "guest/simd/x264/mc.c:1: no copyright line",
    );
    finds(
        rule,
        vector,
        "This file is part of FFmpeg.",
        "",
        "vector.h:1: not the header of upstream's files",
    );
    finds(
        rule,
        "packages/npm/new.js",
        "",
        "export {};\n",
        "packages/npm/new.js:1: no line",
    );

    finds(
        rule,
        "packages/npm/package.json",
        "MIT OR",
        "MIT AND",
        "package.json:1: no field",
    );

    let rule = shared_code_is_under_both_licences;
    let deblock = "guest/simd/x264/deblock.c";
    finds(
        rule,
        deblock,
        "Parts of this file",
        "Some",
        "this code is also in guest/simd/ffmpeg/libavcodec/wasm/h264_deblock.c",
    );
    finds(
        rule,
        deblock,
        "deblock_wasm.c",
        "",
        "this code is also in guest/simd/openh264/deblock_wasm.c",
    );

    let rule = licence_texts_are_complete;
    finds(
        rule,
        "Cargo.toml",
        "MIT OR Apache-2.0",
        "MIT",
        "Cargo.toml:0: does not have: license",
    );
    finds(
        rule,
        "LICENSE-APACHE",
        "END OF TERMS",
        "",
        "LICENSE-APACHE:0: does not have: END OF",
    );
    finds(
        rule,
        "LICENSE-MIT",
        "free of charge",
        "",
        "licences/MIT-afmpeg.txt:0: does not have",
    );
    finds(
        rule,
        "licences/NOTICE.md",
        "LGPL-2.1-or-later | `",
        "GPL-2.0-or-later | `",
        "`guest/simd/ffmpeg` are LGPL",
    );
    finds(rule, "licences/NOTICE.md", "`packages/`", "", "no row of `packages`");

    let rule = series_list_what_is_there;
    let tee = "patches/ffmpeg/0001-configure-tee-suggests-fifo.patch";
    finds(
        rule,
        "patches/ffmpeg/series",
        "fifo.patch",
        "fifos.patch",
        "series:1: there is no patches/ffmpeg/0001-configure-tee",
    );
    finds(
        rule,
        "patches/ffmpeg/series",
        "fifo.patch",
        "fifos.patch",
        "suggests-fifo.patch:0: no series lists it",
    );
    finds(
        rule,
        "patches/x264/series",
        "0002-",
        "0009-",
        "series:2: the number of 0009-",
    );

    let rule = patches_are_mails;
    finds(rule, tee, "From: ", "By: ", ":2: not \"From: \"");
    finds(rule, tee, "Date: ", "", ":3: not \"Date: \"");
    finds(rule, tee, "[PATCH] ", "", ":4: not \"Subject: [PATCH] \"");
    finds(
        rule,
        tee,
        "the fifo muxer\n",
        "the fifo muxer.\n",
        ":4: a subject is one short line",
    );
    finds(rule, tee, "\n---\n", "\n", ":0: no line ---");
    finds(rule, tee, "\n---\n", "\n---\nmore\n", "there is only git's list");
    finds(rule, tee, "diff --git", "diff", "no diff in the form of git");

    let rule = patches_say_why;
    finds(rule, tee, "Upstream: ", "State: ", "does not say \"Upstream: \"");
    finds(rule, tee, "Drop when: ", "Drop it if ", "does not say \"Drop when: \"");
    finds(
        rule,
        tee,
        "known\".\n\nUpstream",
        "known\".\nUpstream",
        ":6: no reason before",
    );
    finds(
        rule,
        tee,
        "tee puts a fifo",
        "As is well known, tee puts a fifo",
        ":6: more than 75 columns",
    );

    let rule = patches_for_upstream_are_upstreams;
    finds(
        rule,
        tee,
        "depends on threads,",
        "needs threads, as on WebAssembly,",
        ":7: ready to be sent, but about us",
    );
    finds(
        rule,
        tee,
        "There, use_fifo=1",
        "With guest/threads, use_fifo=1",
        "about us: With guest/threads",
    );
    finds(
        rule,
        tee,
        "+tee_muxer",
        "+# for wasm\n+tee_muxer",
        "about us: +# for wasm",
    );

    let rule = imports_have_no_circle;
    let process = "xtask/src/process.rs";
    let circle = "process.rs:0: in a circle with what it imports: xtask/src/verb/build.rs";
    finds(
        rule,
        process,
        "use crate::error",
        "use crate::verb::build;\nuse crate::error",
        circle,
    );
    let job = "runtime/src/limit.rs";
    finds(
        rule,
        job,
        "pub enum Limit",
        "use crate::Runtime;\npub enum Limit",
        "limit.rs:0: in a circle with",
    );

    let long = format!("fn long() {{\n{}}}\n", "    one();\n".repeat(LONGEST_FUNCTION_LINES));
    let text = "a function of 72 lines";
    finds(functions_are_short, "xtask/src/long.rs", "", &long, text);

    let rule = profiles_are_listed;
    let readme = "profiles/README.md:0: does not name the";
    finds(
        rule,
        "profiles/levels/o1.toml",
        "",
        "simd = true\n",
        &format!("{readme} level `o1`"),
    );
    finds(
        rule,
        "profiles/components/more.toml",
        "",
        "all = true\n",
        &format!("{readme} set `more`"),
    );
    finds(
        rule,
        "profiles/shipped.toml",
        "[o2-gpl]",
        "[o1-gpl]",
        "artifacts/o1-gpl.json:0: a profile that is shipped",
    );
    finds(
        rule,
        ".gitignore",
        "!/artifacts/o2-gpl.json",
        "",
        ".gitignore:0: leaves out artifacts/o2-gpl.json",
    );

    let rule = keys_are_explained;
    let field = "    pub single_threaded: bool,\n    pub doubled: bool,";
    let text = "ffmpeg-src/README.md does not explain `doubled`";
    finds(
        rule,
        "xtask/src/recipe/library.rs",
        "    pub single_threaded: bool,",
        field,
        text,
    );

    let rule = verbs_are_listed;
    finds(
        rule,
        "README.md",
        "`cargo xtask fuzz`",
        "",
        "README.md:0: does not name `cargo xtask fuzz`",
    );
    finds(
        rule,
        "docs/build.md",
        "cargo xtask bump",
        "cargo xtask bumb",
        "there is no `cargo xtask bumb`",
    );
    let rule = links_lead_somewhere;
    finds(
        rule,
        "README.md",
        "(docs/build.md)",
        "(docs/built.md)",
        "leads to docs/built.md, which is not there",
    );
}
