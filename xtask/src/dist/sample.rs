//! Records for tests, of no module that was ever built.

use std::collections::BTreeMap;

use crate::build::record::{FileRecord, Record, SourceRecord, Tools};
use crate::project::{self, Project};
use crate::wasm::describe::Description;
use crate::wasm::inspect::Inspection;

pub const SDK_VERSION: &str = "33.0";

/// This repository.
pub fn project() -> Project {
    Project::open(project::root().unwrap()).unwrap()
}

/// The record of a module of these sources.
pub fn record(project: &Project, variant: &str, sources: &[&str]) -> Record {
    let digest = |digit: &str| digit.repeat(64);
    let named = |name: &str| [(name.to_owned(), digest("a"))].into();
    let file = |form: &str, size_bytes| {
        let sha256 = digest("b");
        (format!("{variant}.{form}"), FileRecord { sha256, size_bytes })
    };
    let source = |name: &&str| {
        let pinned = project.pins.source(name).unwrap();
        let record = SourceRecord {
            digest: digest("c"),
            license: pinned.license.clone(),
            version: pinned.version.clone(),
        };
        ((*name).to_owned(), record)
    };
    let encoders = ["flac", "libopenh264"].map(str::to_owned);
    Record {
        commands: BTreeMap::new(),
        description: "a sample".into(),
        ffmpeg: Description {
            components: [("encoders".to_owned(), encoders.into())].into(),
            ffmpeg_license: "LGPL-2.1-or-later".into(),
        },
        ffmpeg_version: "1.0".into(),
        files: [file("wasm", 300), file("wasm.br", 100), file("wasm.gz", 200)].into(),
        format_version: 2,
        guest: BTreeMap::new(),
        license: "LGPL-2.1-or-later AND Zlib".into(),
        module: Inspection {
            engine_features: ["simd".to_owned()].into(),
            exports: Default::default(),
            function_count: 1,
            imports: Default::default(),
            memory_initial_bytes: 0,
            memory_maximum_bytes: 0,
        },
        patches: BTreeMap::new(),
        sources: sources.iter().map(source).collect(),
        tools: Tools {
            clang: "clang version 22".into(),
            crates: named("brotli 9.0.0"),
            passes: named("suspend"),
            sdk: named(&format!("wasi-sdk-{SDK_VERSION}")),
            wasm_opt: "132".into(),
            environment: [("SOURCE_DATE_EPOCH".to_owned(), "0".to_owned())].into(),
            unpacking: digest("f"),
            wasm_opt_digest: digest("d"),
        },
        variant: variant.to_owned(),
    }
}
