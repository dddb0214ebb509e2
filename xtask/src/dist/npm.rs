//! The packages for npm: the library, which is the same for all modules, and one with each module.

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::build::record::Record;
use crate::dist;
use crate::dist::archive::{self, Entry};
use crate::dist::folder::Folder;
use crate::dist::package::{Package, notices, text};
use crate::inputs::node_modules::{self, copy};
use crate::process::Invocation;
use crate::project::Project;
use crate::recipe::profile;

/// The library's name, and the scope of the packages with modules, which their names follow.
const LIBRARY: &str = "afmpeg";
const SCOPE: &str = "@afmpeg";

/// The sources of the library, in packages/npm.
const SOURCES: [&str; 6] = [
    "src",
    "build.js",
    "package.json",
    "package-lock.json",
    "reference.js",
    "tsconfig.json",
];

/// What a subpath of the library leads to: servers' engines take the files for node, all others those for browsers.
fn subpath(file: &str, types: &str) -> Value {
    json!({
        "types": format!("./types/{types}.d.ts"),
        "workerd": format!("./browser/{file}.js"),
        "node": format!("./node/{file}.js"),
        "default": format!("./browser/{file}.js"),
    })
}

/// The library, compiled.
pub fn library(project: &Project, version: &str, offline: bool) -> Result<Package> {
    let mut manifest = json!({
        "description": "FFmpeg's own command line in WebAssembly, in browsers, node, Deno, Bun and edge runtimes",
        "engines": { "node": ">=20" },
        "keywords": ["ffmpeg", "ffprobe", "video", "audio", "wasm", "webassembly", "transcode"],
        "license": "MIT OR Apache-2.0",
        "name": LIBRARY,
        "sideEffects": false,
        "type": "module",
        "types": "./types/index.d.ts",
        "version": version,
    });
    // The order of conditions counts: the first that holds is taken, so that they are not sorted.
    let exports = format!(
        "{{\n    \".\": {},\n    \"./ffmpeg.wasm\": {},\n    \"./worker.js\": \"./browser/worker.js\",\n    \
         \"./package.json\": \"./package.json\"\n  }}",
        ordered(&subpath("index", "index")),
        ordered(&subpath("ffmpeg.wasm", "ffmpeg-wasm")),
    );
    manifest["exports"] = json!("EXPORTS");
    let manifest = String::from_utf8(dist::json(&manifest)?)?.replace("\"EXPORTS\"", &exports);
    let mut files = vec![("package.json".to_owned(), manifest.into_bytes())];
    for name in ["README.md", "coming-from-ffmpeg.wasm.md"] {
        let text = dist::read(&project.root.join("packages/npm").join(name))?;
        files.push((name.to_owned(), text));
    }
    for name in ["LICENSE-APACHE", "LICENSE-MIT"] {
        files.push((name.to_owned(), dist::read(&project.root.join(name))?));
    }
    files.extend(compiled(project, offline)?);
    archive(LIBRARY, version, files)
}

fn ordered(subpath: &Value) -> String {
    let conditions = ["types", "workerd", "node", "default"].map(|name| format!("      \"{name}\": {}", subpath[name]));
    format!("{{\n{}\n    }}", conditions.join(",\n"))
}

/// Compiles packages/npm in a folder of its own, with the compilers that its lock file names.
pub fn compiled(project: &Project, offline: bool) -> Result<Vec<(String, Vec<u8>)>> {
    let source = project.root.join("packages/npm");
    let modules = node_modules::install(&project.cache, &project.host, &source, offline)?;
    let scratch = project.cache.scratch()?;
    let work = scratch.path().join("npm");
    for name in SOURCES {
        copy(&source.join(name), &work.join(name))?;
    }
    std::os::unix::fs::symlink(modules, work.join("node_modules")).context("cannot link node_modules")?;
    let out = scratch.path().join("out");
    Invocation::new("node", &work)
        .arguments([
            "build.js".to_owned(),
            out.display().to_string(),
            variants(project)?.join(","),
        ])
        .inherit_environment()
        .output()?;
    let mut files = Vec::new();
    for entry in walkdir::WalkDir::new(&out).sort_by_file_name() {
        let entry = entry?;
        if entry.file_type().is_file() {
            let name = entry.path().strip_prefix(&out)?.to_string_lossy().into_owned();
            files.push((name, dist::read(entry.path())?));
        }
    }
    Ok(files)
}

/// The names of the modules that are shipped, the preferred ones first: fast ones before small ones, and those without SIMD
/// last.
fn variants(project: &Project) -> Result<Vec<String>> {
    let mut names = profile::shipped(&project.root)?;
    let level = |name: &str| {
        ["o3", "o2"]
            .iter()
            .position(|level| name.starts_with(level))
            .unwrap_or(2)
    };
    names.sort_by_key(|name| (name.ends_with("-scalar"), level(name), name.len(), name.clone()));
    Ok(names)
}

/// A package with a module, raw and compressed, and the description by which the library finds it.
pub fn module(project: &Project, folder: &Folder, record: &Record) -> Result<Package> {
    let variant = &record.variant;
    let name = format!("{SCOPE}/{variant}");
    let manifest = json!({
        "description": format!("FFmpeg {} in WebAssembly, for afmpeg: {}", record.ffmpeg_version, record.description),
        "exports": {
            ".": { "types": "./index.d.ts", "default": "./index.js" },
            "./ffmpeg.wasm": { "types": "./ffmpeg.wasm.d.ts", "default": "./ffmpeg.wasm.js" },
            "./module.wasm": "./module.wasm",
            "./module.wasm.gz": "./module.wasm.gz",
            "./package.json": "./package.json",
        },
        "license": record.license,
        "name": name,
        "peerDependencies": { LIBRARY: folder.version },
        // It tells the library of its module.
        "sideEffects": ["./ffmpeg.wasm.js"],
        "type": "module",
        "types": "./index.d.ts",
        "version": folder.version,
    });
    let mut files = vec![("package.json".to_owned(), dist::json(&manifest)?)];
    for form in ["wasm", "wasm.gz"] {
        files.push((format!("module.{form}"), folder.file(&format!("{variant}.{form}"))?));
    }
    for file in [
        "index.js",
        "index.d.ts",
        "ffmpeg.wasm.js",
        "ffmpeg.wasm.d.ts",
        "README.md",
    ] {
        let text = String::from_utf8(text(project, &format!("npm/module/{file}"), record, &name)?)?;
        let features: Vec<String> = record
            .module
            .engine_features
            .iter()
            .map(|name| format!("'{name}'"))
            .collect();
        let text = text
            .replace("@VARIANT@", variant)
            .replace("@VERSION@", &folder.version)
            .replace("@FEATURES@", &features.join(", "));
        files.push((file.to_owned(), text.into_bytes()));
    }
    files.extend(notices(folder, record)?);
    archive(&format!("{LIBRARY}-{variant}"), &folder.version, files)
}

fn archive(name: &str, version: &str, files: Vec<(String, Vec<u8>)>) -> Result<Package> {
    let entries = files
        .into_iter()
        .map(|(file, data)| (format!("package/{file}"), Entry::file(data)))
        .collect();
    Ok((format!("{name}-{version}.tgz"), archive::tar_gz(&entries)?))
}
