//! Component sets: what a module has of FFmpeg and which libraries. Sets extend sets; what follows from them (licence, options of
//! configure, what the finished module must list and must not list) is computed here. Every key is explained in
//! profiles/README.md.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::Result;
use serde::Deserialize;
use toml::Spanned;

use crate::data::Document;
use crate::error::usage;
use crate::recipe::library::{Components, KINDS, Libraries};
use crate::recipe::license::{self, Licence, Terms};

/// The set of a profile whose name names none.
pub const DEFAULT: &str = "standard";

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Set {
    pub description: String,
    #[serde(default)]
    extends: Vec<Spanned<String>>,
    /// All native components of FFmpeg.
    #[serde(default)]
    all: bool,
    #[serde(default)]
    libraries: Vec<Spanned<String>>,
    #[serde(default)]
    components: Components<Spanned<String>>,
    /// Native components that `all` does not mean here, unless another set of the profile names them.
    #[serde(default)]
    leaves_out: Components<Spanned<String>>,
    #[serde(default)]
    forbids: Components<Spanned<String>>,
    /// Parts of FFmpeg that are no components.
    #[serde(default)]
    without: Vec<Spanned<String>>,
}

/// What sets come to under a licence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resolved {
    /// In the order of the link; what others need comes before them.
    pub libraries: Vec<String>,
    /// FFmpeg's options, sorted, so that no order of sets reaches the module.
    pub configure: Vec<String>,
    /// An SPDX expression.
    pub license: String,
    pub terms: Terms,
    /// Kind -> names, and patterns of names, that the finished module must list.
    pub requires: BTreeMap<String, BTreeSet<String>>,
    /// It may list nothing else.
    pub is_exact: bool,
    /// Kind -> names that it must not list.
    pub forbids: BTreeMap<String, BTreeSet<String>>,
    /// Option of configure -> where the component stands that it is for.
    pub places: BTreeMap<String, String>,
}

/// Kinds that a module lists.
const LISTED: [&str; 5] = ["decoders", "demuxers", "encoders", "filters", "muxers"];

/// Filters that no option of configure takes or leaves.
const ALWAYS: [&str; 4] = ["abuffer", "abuffersink", "buffer", "buffersink"];

/// Whether a name that a module lists is one that a set requires.
pub fn fits(required: &str, listed: &str) -> bool {
    // A container may have several names, separated by commas.
    let mut names = listed.split(',');
    match globset::Glob::new(required) {
        Ok(pattern) if required.contains('*') => names.any(|name| pattern.compile_matcher().is_match(name)),
        _ => names.any(|name| name == required),
    }
}

pub fn path(root: &Path, name: &str) -> std::path::PathBuf {
    root.join("profiles/components").join(format!("{name}.toml"))
}

/// Resolves the sets that a profile names.
pub fn resolve(
    root: &Path,
    names: &[String],
    licence: Licence,
    libraries: &Libraries,
    runtime_license: &str,
) -> Result<Resolved> {
    let mut documents = Vec::new();
    for name in names {
        collect(root, name, &mut Vec::new(), &mut documents)?;
    }
    let documents: Vec<Document<Set>> = documents.into_iter().map(|(_, document)| document).collect();
    let taken = chosen_libraries(&documents, licence, libraries)?;
    let mut terms = Terms::new(licence == Licence::Gpl, false);
    let mut licenses = vec![runtime_license];
    for name in &taken {
        let library = libraries.get(name)?;
        terms.version3 |= libraries.terms(name)?.version3;
        licenses.push(&library.source.license);
    }
    let all = documents.iter().any(|document| document.data.all);
    let mut resolved = Resolved {
        configure: Vec::new(),
        license: license::whole(terms, licenses).map_err(usage)?,
        requires: BTreeMap::new(),
        is_exact: !all,
        forbids: BTreeMap::new(),
        places: BTreeMap::new(),
        libraries: taken,
        terms,
    };
    resolved.take_components(&documents, libraries, all)?;
    resolved.take_libraries(libraries, all)?;
    resolved.leave_out(&documents, libraries)?;
    for document in &documents {
        for part in &document.data.without {
            let option = format!("--disable-{}", part.get_ref());
            resolved.places.insert(option.clone(), document.at(part));
            resolved.configure.push(option);
        }
    }
    ALWAYS.iter().for_each(|name| resolved.require("filters", name));
    resolved.check(&documents, libraries)?;
    resolved
        .configure
        .sort_by_key(|option| (option.starts_with("--enable-lib"), option.clone()));
    resolved.configure.dedup();
    Ok(resolved)
}

/// A set and those that it extends, each once, the extended ones first.
fn collect(
    root: &Path,
    name: &str,
    path: &mut Vec<String>,
    documents: &mut Vec<(String, Document<Set>)>,
) -> Result<()> {
    if documents.iter().any(|(known, _)| known == name) {
        return Ok(());
    }
    let document: Document<Set> = Document::read(&self::path(root, name))?;
    path.push(name.to_owned());
    for extended in &document.data.extends {
        let other = extended.get_ref();
        if path.contains(other) {
            let message = format!(
                "{}: sets extend each other in a circle: {} -> {other}",
                document.at(extended),
                path.join(" -> ")
            );
            return Err(usage(message).hint("take one of these `extends` out").into());
        }
        if !self::path(root, other).is_file() {
            let message = format!("{}: there is no set `{other}`", document.at(extended));
            return Err(usage(message)
                .hint("a set is a file profiles/components/NAME.toml, explained in profiles/README.md")
                .into());
        }
        collect(root, other, path, documents)?;
    }
    path.pop();
    documents.push((name.to_owned(), document));
    Ok(())
}

/// The libraries that the licence permits, with what they need, in order.
fn chosen_libraries(documents: &[Document<Set>], licence: Licence, libraries: &Libraries) -> Result<Vec<String>> {
    let mut taken = Vec::new();
    for document in documents {
        for name in &document.data.libraries {
            if libraries.find(name.get_ref()).is_none() {
                let message = format!("{}: there is no library `{}`", document.at(name), name.get_ref());
                return Err(usage(message).hint(libraries.hint()).into());
            }
            let all = libraries.with_needs(name.get_ref())?;
            let mut is_permitted = true;
            for one in &all {
                is_permitted &= licence == Licence::Gpl || !libraries.terms(one)?.gpl;
            }
            if is_permitted {
                taken.extend(all);
            }
        }
    }
    let mut seen = BTreeSet::new();
    taken.retain(|name| seen.insert(name.clone()));
    Ok(taken)
}

impl Resolved {
    fn take_components(&mut self, documents: &[Document<Set>], libraries: &Libraries, all: bool) -> Result<()> {
        for document in documents {
            for (kind, names) in document.data.components.iter().chain(&document.data.forbids) {
                check_kind(document, kind, names)?;
            }
            for (kind, names) in &document.data.components {
                for name in names {
                    self.check_giver(document, libraries, kind, name)?;
                    if !all {
                        let option = format!("--enable-{}={}", option_of(kind), name.get_ref());
                        self.places.insert(option.clone(), document.at(name));
                        self.configure.push(option);
                    }
                    self.require(kind, &libraries.listed(kind, name.get_ref()));
                }
            }
            for (kind, names) in &document.data.forbids {
                let names = names.iter().map(|name| libraries.listed(kind, name.get_ref()));
                self.forbids.entry(kind.clone()).or_default().extend(names);
            }
        }
        Ok(())
    }

    fn leave_out(&mut self, documents: &[Document<Set>], libraries: &Libraries) -> Result<()> {
        let is_named = |kind: &String, name: &str| {
            let named = |document: &Document<Set>| {
                let names = document.data.components.get(kind);
                names.is_some_and(|names| names.iter().any(|one| one.get_ref() == name))
            };
            documents.iter().any(named)
        };
        for document in documents {
            for (kind, names) in &document.data.leaves_out {
                check_kind(document, kind, names)?;
                for name in names.iter().filter(|name| !is_named(kind, name.get_ref())) {
                    let option = format!("--disable-{}={}", option_of(kind), name.get_ref());
                    self.places.insert(option.clone(), document.at(name));
                    self.configure.push(option);
                    let listed = libraries.listed(kind, name.get_ref());
                    self.forbids.entry(kind.clone()).or_default().insert(listed);
                }
            }
        }
        Ok(())
    }

    /// A component that a library gives must have that library.
    fn check_giver(
        &self,
        document: &Document<Set>,
        libraries: &Libraries,
        kind: &str,
        name: &Spanned<String>,
    ) -> Result<()> {
        let (place, component) = (document.at(name), name.get_ref());
        match libraries.giver(kind, component) {
            Some(giver) if !self.libraries.iter().any(|taken| taken == giver) => Err(usage(format!(
                "{place}: {component} of `{kind}` comes from the library {giver}, which is not taken"
            ))
            .hint(format!(
                "add \"{giver}\" to the set's `libraries` ({} must permit its licence)",
                self.terms.ffmpeg_license()
            ))
            .into()),
            None if component.starts_with("lib") => {
                Err(usage(format!("{place}: no library gives {component} of `{kind}`"))
                    .hint(libraries.hint())
                    .into())
            }
            _ => Ok(()),
        }
    }

    fn take_libraries(&mut self, libraries: &Libraries, all: bool) -> Result<()> {
        if !all {
            self.configure.push("--disable-everything".into());
        }
        for (wanted, option) in [(self.terms.gpl, "gpl"), (self.terms.version3, "version3")] {
            if wanted {
                self.configure.push(format!("--enable-{option}"));
            }
        }
        for name in libraries.names() {
            let library = libraries.get(name)?;
            let is_taken = self.libraries.iter().any(|taken| taken == name);
            if is_taken {
                let option = library.ffmpeg.option.iter();
                self.configure.extend(option.map(|option| format!("--enable-{option}")));
            }
            for (kind, names) in library.ffmpeg.components() {
                for component in names {
                    if is_taken {
                        let option = kind.trim_end_matches('s');
                        if !all {
                            self.configure.push(format!("--enable-{option}={component}"));
                        }
                        self.require(kind, &libraries.listed(kind, component));
                    } else {
                        self.forbids
                            .entry(kind.to_owned())
                            .or_default()
                            .insert(libraries.listed(kind, component));
                    }
                }
            }
        }
        let gpl_filters = libraries.ffmpeg.data.gpl.filters.iter().cloned();
        match self.terms.gpl {
            false => self.forbids.entry("filters".into()).or_default().extend(gpl_filters),
            true if all => self.requires.entry("filters".into()).or_default().extend(gpl_filters),
            true => {}
        }
        Ok(())
    }

    fn require(&mut self, kind: &str, name: &str) {
        if LISTED.contains(&kind) {
            let names = self.requires.entry(kind.to_owned()).or_default();
            names.insert(name.to_owned());
        }
    }

    /// What one set takes and another forbids.
    fn check(&self, documents: &[Document<Set>], libraries: &Libraries) -> Result<()> {
        for document in documents {
            for (kind, names) in &document.data.components {
                let forbidden = self.forbids.get(kind);
                let is_forbidden =
                    |name: &str| forbidden.is_some_and(|forbidden| forbidden.contains(&libraries.listed(kind, name)));
                let Some(name) = names.iter().find(|name| is_forbidden(name.get_ref())) else {
                    continue;
                };
                let by = documents.iter().find_map(|other| {
                    let names = other.data.forbids.get(kind)?;
                    let found = names.iter().find(|one| one.get_ref() == name.get_ref())?;
                    Some(other.at(found))
                });
                let by = by.unwrap_or_else(|| format!("the licence {}", self.terms.ffmpeg_license()));
                return Err(usage(format!(
                    "{}: {} of `{kind}` is wanted here, and {by} forbids it",
                    document.at(name),
                    name.get_ref()
                ))
                .hint("take one of the two out, or build sets that agree")
                .into());
            }
        }
        Ok(())
    }
}

/// A kind's name in options of configure: `decoder` of `decoders`.
fn option_of(kind: &str) -> &'static str {
    let found = KINDS.iter().find(|(_, list)| *list == kind);
    found.map_or("", |(option, _)| option)
}

fn check_kind(document: &Document<Set>, kind: &str, names: &[Spanned<String>]) -> Result<()> {
    if KINDS.iter().any(|(_, list)| *list == kind) {
        return Ok(());
    }
    let kinds: Vec<&str> = KINDS.iter().map(|(_, list)| *list).collect();
    let place = names
        .first()
        .map_or_else(|| document.path.display().to_string(), |name| document.at(name));
    Err(usage(format!("{place}: there are no `{kind}`"))
        .hint(format!("the kinds of components are {}", kinds.join(", ")))
        .into())
}
