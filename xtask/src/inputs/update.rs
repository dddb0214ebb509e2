//! What another version of an input changes: the addresses made of it, who vouches for what was fetched, the pin file, and
//! what two records say of the modules before and after. Pure: `verb/bump.rs` fetches and writes.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Write};

use anyhow::{Context, Result};
use serde::Serialize;
use toml_edit::{DocumentMut, TableLike};

use crate::build::record::Record;
use crate::inputs::source::{Origin, OriginKind, Source};

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
        // wasi-sdk's tags leave out what is nought.
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

/// An origin of the new version, or why there is none. `given` has registries' versions by package, and `offered` asks for
/// Debian's.
pub fn origin(
    old: &Origin,
    rename: &Rename,
    given: &BTreeMap<String, String>,
    offered: impl FnOnce(OriginKind) -> Result<Vec<String>, String>,
) -> Result<Origin, String> {
    let mut origin = old.clone();
    origin.sha256 = None;
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

/// Who vouches for a container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Voucher {
    /// Upstream's signature.
    Signature,
    /// A digest that was given.
    Digest,
    /// Nobody: it was the first to come.
    FirstUse,
    /// Another origin, which has the same file.
    SameFile,
    /// Another origin, of which the same tree is taken.
    SameTree,
}

impl fmt::Display for Voucher {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(match self {
            Voucher::Signature => "signed by upstream",
            Voucher::Digest => "the digest that was given",
            Voucher::FirstUse => "NOT VERIFIED, taken on trust",
            Voucher::SameFile => "the same file",
            Voucher::SameTree => "the same tree",
        })
    }
}

/// A container that an origin gave.
#[derive(Debug)]
pub struct Got {
    pub sha256: String,
    /// The digest of what is taken from it, where this host can take it.
    pub tree_sha256: Option<String>,
    pub is_signed: bool,
}

/// Who vouches for each container. `alone` says that no origin is to have what another has: each is for another host.
pub fn vouchers(got: &[&Got], given: &[String], on_first_use: bool, alone: bool) -> Vec<Option<Voucher>> {
    let mut vouchers: Vec<Option<Voucher>> = got
        .iter()
        .map(|got| match got.is_signed {
            true => Some(Voucher::Signature),
            false => given.contains(&got.sha256).then_some(Voucher::Digest),
        })
        .collect();
    if on_first_use && alone {
        for voucher in &mut vouchers {
            voucher.get_or_insert(Voucher::FirstUse);
        }
    } else if on_first_use
        && vouchers.iter().all(Option::is_none)
        && let Some(first) = vouchers.first_mut()
    {
        *first = Some(Voucher::FirstUse);
    }
    let vouched: Vec<usize> = (0..got.len()).filter(|index| vouchers[*index].is_some()).collect();
    for (voucher, one) in vouchers.iter_mut().zip(got).filter(|(voucher, _)| voucher.is_none()) {
        let mut others = vouched.iter().map(|index| got[*index]);
        *voucher = if others.clone().any(|other| other.sha256 == one.sha256) {
            Some(Voucher::SameFile)
        } else if !alone && one.tree_sha256.is_some() && others.any(|other| other.tree_sha256 == one.tree_sha256) {
            Some(Voucher::SameTree)
        } else {
            None
        };
    }
    vouchers
}

/// The hosts that the old origins serve and the new ones don't. An origin without a host serves all.
pub fn lost_hosts<'a>(old: &'a [Origin], new: &[Origin]) -> BTreeSet<&'a str> {
    let serves = |host: &str| {
        new.iter()
            .any(|origin| origin.host.as_deref().is_none_or(|served| served == host))
    };
    old.iter()
        .map(|origin| origin.host.as_deref().unwrap_or("any host"))
        .filter(|host| !serves(host))
        .collect()
}

/// The pin file with the new pin of the source in a table, all else as it is. `origins` stand for the old ones, in order; none is left out.
/// Another FFmpeg begins its own row of releases.
pub fn edit(text: &str, place: &[&str], source: &Source, origins: &[Option<Origin>]) -> Result<String> {
    let mut document: DocumentMut = text.parse()?;
    if let Some(revision) = document.get_mut("revision").and_then(toml_edit::Item::as_value_mut) {
        let decor = revision.decor().clone();
        *revision = 1.into();
        *revision.decor_mut() = decor;
    }
    let mut item = document.as_item_mut();
    for key in place {
        item = item.get_mut(key).context("the pin file has no such source")?;
    }
    let table = item.as_table_like_mut().context("the pin is no table")?;
    set(table, "version", Some(&source.version));
    set(table, "sha256", source.sha256.as_deref());
    set(table, "tree_sha256", source.tree_sha256.as_deref());
    let tables = table
        .get_mut("origin")
        .and_then(toml_edit::Item::as_array_of_tables_mut);
    let tables = tables.context("the origins of the source are not tables of their own")?;
    for (index, origin) in origins.iter().enumerate().rev() {
        let (Some(origin), Some(table)) = (origin, tables.get_mut(index)) else {
            tables.remove(index);
            continue;
        };
        set(table, "url", origin.url.as_deref());
        set(table, "signature", origin.signature.as_deref());
        set(table, "version", origin.version.as_deref());
        set(table, "sha256", origin.sha256.as_deref());
    }
    Ok(document.to_string())
}

/// Changes a value where there is one, with the comment that may stand behind it.
fn set(table: &mut dyn TableLike, key: &str, new: Option<&str>) {
    if let (Some(new), Some(value)) = (new, table.get_mut(key).and_then(toml_edit::Item::as_value_mut)) {
        let decor = value.decor().clone();
        *value = new.into();
        *value.decor_mut() = decor;
    }
}

/// What became of a module.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
pub struct Change {
    /// Kind -> names, for kinds in which something changed.
    pub added: BTreeMap<String, BTreeSet<String>>,
    pub removed: BTreeMap<String, BTreeSet<String>>,
    /// File -> bytes before and after.
    pub size_bytes: BTreeMap<String, [u64; 2]>,
}

pub fn change(old: &Record, new: &Record) -> Change {
    let (before, after) = (&old.ffmpeg.components, &new.ffmpeg.components);
    let sizes = new.files.iter().filter_map(|(name, file)| {
        let old = old.files.get(name)?;
        Some((name.clone(), [old.size_bytes, file.size_bytes]))
    });
    Change {
        added: missing(after, before),
        removed: missing(before, after),
        size_bytes: sizes.collect(),
    }
}

type Components = BTreeMap<String, BTreeSet<String>>;

/// What `there` has and `here` has not.
fn missing(there: &Components, here: &Components) -> Components {
    let mut missing = Components::new();
    for (kind, names) in there {
        let known = here.get(kind).cloned().unwrap_or_default();
        let names: BTreeSet<String> = names.difference(&known).cloned().collect();
        if !names.is_empty() {
            missing.insert(kind.clone(), names);
        }
    }
    missing
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let mut text = String::new();
        for (sign, components) in [('+', &self.added), ('-', &self.removed)] {
            for (kind, names) in components {
                let names: Vec<String> = names.iter().map(|name| format!("{sign}{name}")).collect();
                writeln!(text, "  {kind}: {}", names.join(" "))?;
            }
        }
        if text.is_empty() {
            text += "  the same encoders, decoders, muxers, demuxers and filters\n";
        }
        for (name, [old, new]) in &self.size_bytes {
            let percent = (*new as f64 / *old as f64 - 1.0) * 100.0;
            writeln!(text, "  {name}: {old} -> {new} bytes ({percent:+.2} %)")?;
        }
        f.write_str(text.trim_end())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
        let pins = crate::project::Project::open(crate::project::root().unwrap())
            .unwrap()
            .pins;
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
        }
    }

    #[test]
    fn only_what_is_vouched_for_is_taken() {
        use Voucher::{Digest, FirstUse, SameFile, SameTree, Signature};
        let got = |sha256: &str, tree: &str, is_signed: bool| Got {
            sha256: sha256.to_owned(),
            tree_sha256: (!tree.is_empty()).then(|| tree.to_owned()),
            is_signed,
        };
        let four = |signed: bool| {
            [
                got("a", "t", signed),
                got("b", "t", false),
                got("a", "t", false),
                got("c", "u", false),
            ]
        };
        let given = |digest: &str| vec![digest.to_owned()];
        let vouchers = |got: &[Got], given: &[String], on_first_use, alone| {
            vouchers(&got.iter().collect::<Vec<_>>(), given, on_first_use, alone)
        };
        assert_eq!(vouchers(&four(false), &[], false, false), vec![None; 4]);
        let same = [Some(SameTree), Some(SameFile), None];
        let signed = vouchers(&four(true), &[], false, false);
        assert_eq!((&signed[0], &signed[1..]), (&Some(Signature), &same[..]));
        // First use adds nothing to what is vouched for otherwise.
        assert_eq!(vouchers(&four(true), &[], true, false), signed);
        let first = vouchers(&four(false), &[], true, false);
        assert_eq!((&first[0], &first[1..]), (&Some(FirstUse), &same[..]));
        let by_digest = vouchers(&four(false), &given("c"), true, false);
        assert_eq!(by_digest, [None, None, None, Some(Digest)]);
        // Trees that this host cannot take are not the same for that.
        let foreign = [got("a", "", true), got("b", "", false)];
        assert_eq!(vouchers(&foreign, &[], false, false), [Some(Signature), None]);
        // Archives for several hosts have nothing to do with each other.
        assert_eq!(vouchers(&foreign, &[], true, true), [Some(Signature), Some(FirstUse)]);
        assert_eq!(
            vouchers(&four(false), &given("b"), false, true),
            [None, Some(Digest), None, None]
        );
    }

    #[test]
    fn the_pin_file_keeps_all_else() {
        let text = "# head\nformat_version = 1\nrevision = 3 # why\nsdk_package = []\nnix_package = []\n\n\
                    # about it\n[source.ffmpeg]\nversion = \"1.0\" # newest\nlicense = \"MIT\"\n\
                    tree_sha256 = \"old\"\n[[source.ffmpeg.origin]]\nurl = \"u/1.0\" # slow\nsha256 = \"old\"\n\
                    [[source.ffmpeg.origin]]\nnpm = \"x\"\nversion = \"1.0\"\n\n# next\n[source.b]\nversion = \"1.0\"\n";
        let pins: toml::Table = text.parse().unwrap();
        let mut source: Source = pins["source"]["ffmpeg"].clone().try_into().unwrap();
        source.version = "1.1".into();
        source.tree_sha256 = Some("new".into());
        let mut kept = source.origin[0].clone();
        kept.url = Some("u/1.1".into());
        kept.sha256 = Some("new".into());
        let wanted = text
            .replace("revision = 3", "revision = 1")
            .replace("version = \"1.0\" # newest", "version = \"1.1\" # newest")
            .replace("u/1.0", "u/1.1")
            .replace("old", "new")
            .replace("[[source.ffmpeg.origin]]\nnpm = \"x\"\nversion = \"1.0\"\n", "");
        assert_eq!(
            edit(text, &["source", "ffmpeg"], &source, &[Some(kept), None]).unwrap(),
            wanted
        );
    }

    #[test]
    fn a_host_without_an_origin_is_noticed() {
        let origin = |host: Option<&str>| Origin {
            host: host.map(str::to_owned),
            ..toml::from_str("url = \"u\"").unwrap()
        };
        let old = [origin(Some("a")), origin(Some("b"))];
        assert_eq!(lost_hosts(&old, &old[..1]), ["b"].into());
        assert!(lost_hosts(&old, &[origin(None)]).is_empty());
        assert_eq!(lost_hosts(&[origin(None)], &old), ["any host"].into());
    }

    #[test]
    fn what_changed_is_named() {
        let root = crate::project::root().unwrap();
        let read = || Record::read(&root.join("artifacts"), "oz-lgpl").unwrap();
        let (old, mut new) = (read(), read());
        assert!(change(&old, &new).to_string().contains("the same encoders"));
        let encoders = new.ffmpeg.components.get_mut("encoders").unwrap();
        encoders.remove("libopenh264");
        encoders.insert("new".into());
        let size = &mut new.files.get_mut("oz-lgpl.wasm").unwrap().size_bytes;
        let before = *size;
        *size *= 2;
        let text = change(&old, &new).to_string();
        assert!(
            text.starts_with("  encoders: +new\n  encoders: -libopenh264\n"),
            "{text}"
        );
        let size = format!("oz-lgpl.wasm: {before} -> {} bytes (+100.00 %)", before * 2);
        assert!(text.contains(&size), "{text}");
        assert_eq!(
            change(&old, &new).size_bytes["oz-lgpl.wasm.gz"][0],
            old.size_bytes("wasm.gz")
        );
    }
}
