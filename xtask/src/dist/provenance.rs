//! How a module came to be, as an in-toto statement with SLSA's predicate. Whoever signs the release vouches for it; it names
//! no machine and no time, since the module does not depend on them.

use serde_json::{Value, json};

use crate::build::record::Record;
use crate::dist::Commit;
use crate::inputs::pins::Pins;
use crate::inputs::source::{OriginKind, Source};

pub fn statement(record: &Record, pins: &Pins, commit: &Commit, version: &str) -> Value {
    let subjects: Vec<Value> = record
        .files
        .iter()
        .map(|(name, file)| json!({ "digest": { "sha256": file.sha256 }, "name": name }))
        .collect();
    let mut dependencies = vec![json!({ "digest": { "gitCommit": commit.id }, "name": "repository" })];
    for (name, source) in &record.sources {
        let pinned = pins.source.get(name);
        // The tree's digest is explained at the head of ffmpeg-src/.
        let kind = match pinned.and_then(|source| source.tree_sha256.as_ref()) {
            Some(_) => "treeSha256",
            None => "sha256",
        };
        let mut dependency = json!({ "digest": { kind: source.digest }, "name": format!("{name} {}", source.version) });
        if let Some(address) = pinned.and_then(first_address) {
            dependency["uri"] = address.into();
        }
        dependencies.push(dependency);
    }
    for (name, digest) in &record.tools.sdk {
        dependencies.push(json!({ "digest": { "sha256": digest }, "name": name }));
    }
    let tools = json!({ "clang": record.tools.clang, "wasm-opt": record.tools.wasm_opt });
    json!({
        "_type": "https://in-toto.io/Statement/v1",
        "predicateType": "https://slsa.dev/provenance/v1",
        "predicate": {
            "buildDefinition": {
                "buildType": "urn:afmpeg:cargo-xtask-build:1",
                "externalParameters": { "profile": record.variant, "release": version },
                "internalParameters": { "commands": record.commands, "patches": record.patches, "tools": tools },
                "resolvedDependencies": dependencies,
            },
            "runDetails": { "builder": { "id": "urn:afmpeg:cargo-xtask" } },
        },
        "subject": subjects,
    })
}

/// Upstream's own address, which comes first where there is one.
pub fn first_address(source: &Source) -> Option<&str> {
    source.origin.iter().find_map(|origin| match origin.kind() {
        Ok(OriginKind::Url(address)) => Some(address),
        _ => None,
    })
}
