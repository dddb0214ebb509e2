//! How a module came to be, as an in-toto statement with SLSA's predicate. Whoever signs the release stands for it; it
//! names no machine and no time, since the module does not depend on them.

use serde_json::{Value, json};

use crate::build::record::Record;
use crate::dist::Commit;
use crate::inputs::pins::Pins;
use crate::inputs::source::{OriginKind, Source};

/// What the key of a step names, this names: sources, patches, tools, passes with the crates that work for them,
/// commands and their environment.
pub fn statement(record: &Record, pins: &Pins, commit: &Commit, version: &str) -> Value {
    let subjects: Vec<Value> = record
        .files
        .iter()
        .map(|(name, file)| json!({ "digest": { "sha256": file.sha256 }, "name": name }))
        .collect();
    json!({
        "_type": "https://in-toto.io/Statement/v1",
        "predicateType": "https://slsa.dev/provenance/v1",
        "predicate": {
            "buildDefinition": {
                "buildType": "urn:afmpeg:cargo-xtask-build:1",
                "externalParameters": { "profile": record.variant, "release": version },
                "internalParameters": {
                    "commands": record.commands,
                    "environment": record.tools.environment,
                    "guest": record.guest,
                    "passes": record.tools.passes,
                    "unpacking": record.tools.unpacking,
                    "patches": record.patches,
                    "tools": { "clang": record.tools.clang, "wasm-opt": record.tools.wasm_opt },
                },
                "resolvedDependencies": dependencies(record, pins, commit),
            },
            "runDetails": { "builder": { "id": "urn:afmpeg:cargo-xtask" } },
        },
        "subject": subjects,
    })
}

fn dependencies(record: &Record, pins: &Pins, commit: &Commit) -> Vec<Value> {
    let mut dependencies = vec![json!({ "digest": { "gitCommit": commit.id }, "name": "repository" })];
    for (name, source) in &record.sources {
        let pinned = pins.source.get(name);
        // The tree's digest is explained in ffmpeg-src/README.md.
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
    let tools = &record.tools;
    for (name, digest) in &tools.sdk {
        // An SDK that was given is known as an unpacked tree.
        let kind = if name == "sdk" { "treeSha256" } else { "sha256" };
        dependencies.push(json!({ "digest": { kind: digest }, "name": name }));
    }
    dependencies.push(json!({
        "digest": { "treeSha256": tools.wasm_opt_digest },
        "name": format!("wasm-opt {}", tools.wasm_opt),
    }));
    for (package, checksum) in &tools.crates {
        dependencies.push(json!({
            "digest": { "sha256": checksum },
            "name": format!("crate {package}"),
            "uri": format!("pkg:cargo/{}", package.replacen(' ', "@", 1)),
        }));
    }
    dependencies
}

/// Upstream's own address, which comes first where there is one.
pub fn first_address(source: &Source) -> Option<&str> {
    source.origin.iter().find_map(|origin| match origin.kind() {
        Ok(OriginKind::Url(address)) => Some(address),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dist::sample;

    #[test]
    fn every_tool_has_a_digest() {
        let project = sample::project();
        let mut record = sample::record(&project, "o3-gpl", &["ffmpeg", "zlib"]);
        let commit = Commit {
            id: "1".repeat(40),
            files: Vec::new(),
        };
        let of =
            |record: &Record| statement(record, &project.pins, &commit, "1-1")["predicate"]["buildDefinition"].clone();
        let made = of(&record);
        let digest_of = |made: &Value, name: &str| {
            let dependencies = made["resolvedDependencies"].as_array().unwrap();
            let found = dependencies.iter().find(|one| one["name"] == name);
            found.unwrap_or_else(|| panic!("{name} is missing"))["digest"].clone()
        };
        let zlib = project.pins.source("zlib").unwrap();
        for (name, kind) in [
            ("repository", "gitCommit"),
            (&format!("zlib {}", zlib.version), "treeSha256"),
            (&format!("wasi-sdk-{}", sample::SDK_VERSION), "sha256"),
            ("wasm-opt 132", "treeSha256"),
            ("crate brotli 9.0.0", "sha256"),
        ] {
            assert!(digest_of(&made, name)[kind].is_string(), "{name} has no {kind}");
        }
        let inner = &made["internalParameters"];
        assert_eq!(inner["passes"]["suspend"], record.tools.passes["suspend"].as_str());
        assert_eq!(inner["environment"]["SOURCE_DATE_EPOCH"], "0");
        // A given SDK is known by its tree.
        record.tools.sdk = [("sdk".to_owned(), "e".repeat(64))].into();
        assert!(digest_of(&of(&record), "sdk")["treeSha256"].is_string());
    }
}
