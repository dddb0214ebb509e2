//! Without a direct connection the registries' own clients serve. Each of them fetches one small input here, so these
//! tests need the registries, as a first build does.

use std::io::Write;

use tempfile::TempDir;
use xtask::cache::Cache;
use xtask::inputs::fetch::Fetcher;
use xtask::inputs::source::{Origin, OriginKind, Source};
use xtask::project::{self, Project};

/// Whether this run may use no network, which is said.
fn is_offline(test: &str) -> bool {
    let is_offline = std::env::var_os("AFMPEG_TEST_OFFLINE").is_some();
    if is_offline {
        // The handle itself: what tests print is kept back.
        let line = format!("{test} is left out: it fetches from registries, and this run is offline\n");
        std::io::stderr().write_all(line.as_bytes()).unwrap();
    }
    is_offline
}

/// Fetches a source into an empty cache from its origins of this kind, and once more without a network.
#[track_caller]
fn fetches(name: &str, source: &Source, is_wanted: fn(OriginKind) -> bool) {
    let host = xtask::inputs::source::host();
    let mut source = source.clone();
    source.origin.retain(|origin| is_wanted(origin.kind().unwrap()));
    assert!(!source.origin.is_empty(), "{name} has no such origin");
    let folder = TempDir::new().unwrap();
    let cache = Cache::at(folder.path().to_owned()).unwrap();
    // A file that is not what is pinned is refused.
    let mut other = source.clone();
    other.sha256 = Some("0".repeat(64));
    for origin in &mut other.origin {
        origin.sha256 = None;
    }
    for is_offline in [false, true] {
        let fetcher = Fetcher::new(&cache, &[], is_offline, host.clone());
        let (path, _) = fetcher.container(name, &source).unwrap();
        assert!(path.metadata().unwrap().len() > 0, "{name} is empty");
        assert!(fetcher.container(name, &other).is_err(), "{name} is another file");
    }
}

fn pinned(name: &str) -> Source {
    let project = Project::open(project::root().unwrap()).unwrap();
    project.pins.source(name).unwrap().clone()
}

#[test]
fn npm_gives_what_is_pinned() {
    if !is_offline("npm") {
        let is_npm = |kind: OriginKind| matches!(kind, OriginKind::Npm(_));
        fetches("dejavu", &pinned("dejavu"), is_npm);
    }
}

#[test]
fn pypi_gives_what_is_pinned() {
    if !is_offline("PyPI") {
        let is_pypi = |kind: OriginKind| matches!(kind, OriginKind::Pypi(_));
        for name in ["ninja", "test-media-puremagic"] {
            fetches(name, &pinned(name), is_pypi);
        }
    }
}

#[test]
fn crates_io_gives_what_is_pinned() {
    if !is_offline("crates.io") {
        fetches("zlib", &pinned("zlib"), |kind| matches!(kind, OriginKind::Crate(_)));
    }
}

/// A binary and a source of one suite, whose lists are read once each.
#[test]
fn debian_gives_what_is_pinned() {
    if is_offline("Debian") {
        return;
    }
    fetches("taglib-data", &pinned("taglib-data"), |kind| {
        matches!(kind, OriginKind::DebianSource { .. })
    });
    let project = Project::open(project::root().unwrap()).unwrap();
    let package = project.pins.sdk_package.iter().find(|package| package.name == "libmd0");
    let package = package.expect("the SDK's packages include libmd0");
    let origin = format!(
        "debian = \"{}\"\nversion = \"{}\"\nsuite = \"{}\"\nsha256 = \"{}\"\n",
        package.name, package.version, package.suite, package.sha256
    );
    let origin: Origin = toml::from_str(&origin).unwrap();
    let source = Source {
        sha256: None,
        tree_sha256: None,
        origin: vec![origin],
        ..pinned("taglib-data")
    };
    fetches("libmd0", &source, |kind| matches!(kind, OriginKind::Debian { .. }));
}
