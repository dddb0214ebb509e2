//! Addresses and versions of origins, made of those of the pinned version.

use std::collections::BTreeMap;

use crate::inputs::source::{Origin, OriginKind};

/// How an old version's name becomes a new one's within an address or a registry's version.
#[derive(Debug)]
pub struct Rename {
    /// From and to; the longest comes first.
    pieces: Vec<(String, String)>,
}

impl Rename {
    pub fn new(old: &str, new: &str) -> Rename {
        let mut pieces = vec![(old.to_owned(), new.to_owned())];
        // x264's is a release number and a commit, which addresses name apart, and Debian with the start of the commit.
        let (olds, news): (Vec<_>, Vec<_>) = (old.split('-').collect(), new.split('-').collect());
        if olds.len() > 1 && olds.len() == news.len() {
            pieces.extend(
                olds.iter()
                    .zip(&news)
                    .map(|(old, new)| ((*old).to_owned(), (*new).to_owned())),
            );
            let is_commit = |text: &str| text.len() == 40 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
            let commits = olds
                .iter()
                .zip(&news)
                .filter(|(old, new)| is_commit(old) && is_commit(new));
            pieces.extend(commits.map(|(old, new)| (old[..7].to_owned(), new[..7].to_owned())));
        }
        // Tags of wasi-sdk leave out a last zero.
        if let (Some(old), Some(new)) = (old.strip_suffix(".0"), new.strip_suffix(".0")) {
            pieces.push((old.to_owned(), new.to_owned()));
        }
        pieces.sort_by_key(|(old, _)| std::cmp::Reverse(old.len()));
        Rename { pieces }
    }

    /// The text with the new version in the old one's places; none where it does not name the old one.
    pub fn apply(&self, text: &str) -> Option<String> {
        let mut renamed = String::new();
        let mut found = false;
        let mut position = 0;
        while let Some(next) = text[position..].chars().next() {
            let piece = self.pieces.iter().find(|(old, _)| is_whole(text, position, old));
            if let Some((old, new)) = piece {
                renamed += new;
                position += old.len();
                found = true;
            } else {
                renamed.push(next);
                position += next.len_utf8();
            }
        }
        found.then_some(renamed)
    }
}

/// Whether a version stands at this position, and is not a part of a longer one.
fn is_whole(text: &str, position: usize, version: &str) -> bool {
    let Some(after) = text[position..].strip_prefix(version) else {
        return false;
    };
    let goes_on = |characters: &mut dyn Iterator<Item = char>| match characters.next() {
        Some('.') => characters.next().is_some_and(|next| next.is_ascii_digit()),
        Some(next) => next.is_ascii_digit(),
        None => false,
    };
    !goes_on(&mut text[..position].chars().rev()) && !goes_on(&mut after.chars())
}

/// The upstream part of a version of Debian: without epoch and revision.
fn debian_upstream(version: &str) -> &str {
    let version = version.split_once(':').map_or(version, |(_, rest)| rest);
    version.rsplit_once('-').map_or(version, |(upstream, _)| upstream)
}

/// The newest of Debian's versions that is of the new version as `old` is of the old one.
fn debian_version(old: &str, rename: &Rename, offered: &[String]) -> Result<String, String> {
    let wanted = rename
        .apply(debian_upstream(old))
        .ok_or_else(|| format!("{old} does not name the version"))?;
    let mut fitting = offered
        .iter()
        .rev()
        .filter(|version| debian_upstream(version) == wanted);
    fitting
        .next()
        .cloned()
        .ok_or_else(|| format!("Debian has no {wanted} in this suite, but {}", offered.join(", ")))
}

/// An origin of the new version, or why there is none. `given` has registries' versions by package, and `offered` asks
/// for Debian's.
pub fn origin(
    old: &Origin,
    rename: &Rename,
    given: &BTreeMap<String, String>,
    offered: impl FnOnce(OriginKind) -> Result<Vec<String>, String>,
) -> Result<Origin, String> {
    let mut origin = old.clone();
    origin.sha256 = None;
    // The folder in an archive may be called by the version.
    if let Some(folder) = origin.folder.as_deref().and_then(|folder| rename.apply(folder)) {
        origin.folder = Some(folder);
    }
    let kind = old.kind()?;
    let old_version = old.version.as_deref().unwrap_or_default();
    let version = match kind {
        OriginKind::Url(address) => {
            origin.url = Some(rename.apply(address).ok_or("its address does not name the version")?);
            if let Some(signature) = &old.signature {
                let renamed = rename.apply(signature);
                origin.signature = Some(renamed.ok_or("the address of its signature does not name the version")?);
            }
            return Ok(origin);
        }
        OriginKind::DebianSource { package, .. } | OriginKind::Debian { package, .. } => match given.get(package) {
            Some(version) => version.clone(),
            None => debian_version(old_version, rename, &offered(kind)?)?,
        },
        OriginKind::Npm(package) | OriginKind::Pypi(package) | OriginKind::Crate(package) => given
            .get(package)
            .cloned()
            .or_else(|| rename.apply(old_version))
            .ok_or_else(|| {
                format!("its own version tells nothing; name the new one: --registry-version {package}=VERSION")
            })?,
    };
    origin.version = Some(version);
    Ok(origin)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::project::{self, Project};

    #[test]
    fn versions_are_renamed_where_they_stand_for_themselves() {
        let cases = [
            (
                "9.0.2",
                "9.1",
                "https://f.test/ffmpeg-9.0.2.tar.xz",
                Some("https://f.test/ffmpeg-9.1.tar.xz"),
            ),
            (
                "2.6.0",
                "2.7.0",
                "https://g.test/tags/v2.6.0.tar.gz",
                Some("https://g.test/tags/v2.7.0.tar.gz"),
            ),
            (
                "33.0",
                "34.0",
                "wasi-sdk-33/wasi-sdk-33.0-arm64.tar.gz",
                Some("wasi-sdk-34/wasi-sdk-34.0-arm64.tar.gz"),
            ),
            (
                "132",
                "133",
                "version_132/b-version_132-x86_64.tar.gz",
                Some("version_133/b-version_133-x86_64.tar.gz"),
            ),
            ("1.3", "1.4", "a/11.3/1.3.2/1.31/0.1.3/b", None),
            ("1.0", "1.1", "1.0/11.0", Some("1.1/11.0")),
        ];
        for (old, new, text, wanted) in cases {
            assert_eq!(Rename::new(old, new).apply(text).as_deref(), wanted, "{text}");
        }
        let commit = |digit: &str| digit.repeat(40);
        let rename = Rename::new(&format!("0.164.1-{}", commit("a")), &format!("0.165.2-{}", commit("b")));
        let address = |commit: &str| format!("https://x.test/{commit}/x264-{commit}.tar.bz2");
        assert_eq!(rename.apply(&address(&commit("a"))), Some(address(&commit("b"))));
        let offered = [
            "2:0.165.2+gitbbbbbbb-1",
            "2:0.165.2+gitbbbbbbb-3",
            "2:0.165.3+gitccccccc-1",
        ]
        .map(str::to_owned);
        let found = debian_version("2:0.164.1+gitaaaaaaa-2", &rename, &offered);
        assert_eq!(found.as_deref(), Ok("2:0.165.2+gitbbbbbbb-3"));
        let error = debian_version("2:0.164.1+gitaaaaaaa-2", &rename, &offered[2..]).unwrap_err();
        assert!(
            error.contains("no 0.165.2+gitbbbbbbb") && error.contains("but 2:0.165.3"),
            "{error}"
        );
    }

    #[test]
    fn every_pinned_address_follows_its_version() {
        let pins = Project::open(project::root().unwrap()).unwrap().pins;
        for (name, source) in &pins.source {
            // Each number of the version, and each digit of a commit, becomes another.
            let mut changed = "2398654107".chars().map(|digit| match digit {
                '7' => source.version.replace(digit, "8"),
                _ => source.version.replace(digit, "7"),
            });
            let new = changed.find(|new| *new != source.version).unwrap();
            let rename = Rename::new(&source.version, &new);
            for address in source
                .origin
                .iter()
                .flat_map(|origin| [&origin.url, &origin.signature])
                .flatten()
            {
                let renamed = rename.apply(address).unwrap_or_else(|| panic!("{name}: {address}"));
                assert_ne!(&renamed, address);
            }
            for folder in source.origin.iter().filter_map(|origin| origin.folder.as_ref()) {
                let renamed = rename.apply(folder);
                assert_eq!(renamed.is_some(), folder.contains(&source.version), "{name}: {folder}");
            }
        }
    }
}
