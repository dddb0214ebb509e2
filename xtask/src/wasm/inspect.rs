//! Finishes a module and checks that it is what its record will say: every fault is gathered before it fails.

use std::collections::BTreeSet;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};
use wasmparser::{Parser, Payload, Validator, WasmFeatures};

use crate::wasm::module::Module;
use crate::wasm::{Pass, Work};

pub const NAME: &str = "inspect";

/// Strips a module and checks it.
#[derive(Debug, Serialize)]
pub struct Inspect {
    pub module: String,
    /// Engine features that it may need.
    pub features: Vec<String>,
    pub to: String,
    pub report: String,
}

/// Engine features by the names that the toolchain gives them.
const FEATURES: [(&str, WasmFeatures); 11] = [
    ("bulk-memory", WasmFeatures::BULK_MEMORY),
    ("exception-handling", WasmFeatures::EXCEPTIONS),
    ("memory64", WasmFeatures::MEMORY64),
    ("multivalue", WasmFeatures::MULTI_VALUE),
    ("mutable-globals", WasmFeatures::MUTABLE_GLOBAL),
    ("nontrapping-float-to-int", WasmFeatures::SATURATING_FLOAT_TO_INT),
    ("reference-types", WasmFeatures::REFERENCE_TYPES),
    ("relaxed-simd", WasmFeatures::RELAXED_SIMD),
    ("sign-ext", WasmFeatures::SIGN_EXTENSION),
    ("simd", WasmFeatures::SIMD),
    ("threads", WasmFeatures::THREADS),
];

/// What a module asks of an engine.
#[derive(Debug, Clone, Serialize, Deserialize, PartialEq, Eq)]
pub struct Inspection {
    pub engine_features: BTreeSet<String>,
    pub exports: BTreeSet<String>,
    pub function_count: usize,
    pub imports: BTreeSet<String>,
    pub memory_initial_bytes: u64,
    pub memory_maximum_bytes: u64,
}

const EXPORTS: [&str; 2] = ["_start", "memory"];
const IMPORT_MODULE: &str = "wasi_snapshot_preview1";
const PAGE_BYTES: u64 = 64 << 10;

impl Pass for Inspect {
    fn name(&self) -> &'static str {
        NAME
    }

    /// Takes names, producers and needless exports out, and checks what is left.
    fn run(&self, work: &Work) -> Result<()> {
        let data = work.read(&self.module)?;
        let module = Module::parse(&data)?;
        let mut edit = module.edit();
        edit.keep_exports(|name| EXPORTS.contains(&name));
        edit.remove_custom_sections();
        let data = edit.finish()?;
        let (inspection, faults) = inspect(&data, &self.features, work.host_paths)?;
        if !faults.is_empty() {
            bail!("the module is not what it should be:\n  {}", faults.join("\n  "));
        }
        work.write_json(&self.report, &inspection)?;
        work.write(&self.to, &data)
    }
}

/// What a module is, and every way in which it is not what it should be.
pub fn inspect(data: &[u8], declared_features: &[String], host_paths: &[PathBuf]) -> Result<(Inspection, Vec<String>)> {
    let mut faults = Vec::new();
    let mut inspection = Inspection {
        engine_features: required_features(data)?,
        exports: BTreeSet::new(),
        function_count: 0,
        imports: BTreeSet::new(),
        memory_initial_bytes: 0,
        memory_maximum_bytes: 0,
    };
    for payload in Parser::new(0).parse_all(data) {
        match payload? {
            Payload::ImportSection(section) => {
                for import in section.into_imports() {
                    let import = import?;
                    inspection.imports.insert(format!("{}.{}", import.module, import.name));
                    if import.module != IMPORT_MODULE {
                        faults.push(format!(
                            "it imports {}.{}, and only {IMPORT_MODULE} is allowed",
                            import.module, import.name
                        ));
                    }
                }
            }
            Payload::ExportSection(section) => {
                for export in section {
                    inspection.exports.insert(export?.name.to_owned());
                }
            }
            Payload::MemorySection(section) => {
                for memory in section {
                    let memory = memory?;
                    inspection.memory_initial_bytes = memory.initial * PAGE_BYTES;
                    inspection.memory_maximum_bytes = memory.maximum.unwrap_or(1 << 16) * PAGE_BYTES;
                }
            }
            Payload::FunctionSection(section) => inspection.function_count = section.count() as usize,
            Payload::CustomSection(section) => faults.push(format!("it has a custom section {}", section.name())),
            _ => {}
        }
    }
    if inspection.exports != EXPORTS.map(str::to_owned).into() {
        faults.push(format!("it exports {:?}, not {EXPORTS:?}", inspection.exports));
    }
    for feature in &inspection.engine_features {
        if !declared_features.contains(feature) {
            faults.push(format!(
                "it needs the engine feature {feature}, which its profile does not declare"
            ));
        }
    }
    for path in host_paths {
        if let Some(path) = path.to_str()
            && let Some(position) = memchr::memmem::find(data, path.as_bytes())
        {
            let rest = &data[position..data.len().min(position + 200)];
            let text: String = rest
                .iter()
                .take_while(|byte| byte.is_ascii_graphic())
                .map(|&byte| byte as char)
                .collect();
            faults.push(format!("it holds a path of this machine at byte {position}: {text}"));
        }
    }
    Ok((inspection, faults))
}

/// A feature is required if the module is not valid without it.
fn required_features(data: &[u8]) -> Result<BTreeSet<String>> {
    let every = FEATURES
        .iter()
        .fold(WasmFeatures::WASM1, |every, (_, feature)| every | *feature);
    let is_valid = |features| Validator::new_with_features(features).validate_all(data);
    is_valid(every).context("the module is not valid")?;
    let mut required = BTreeSet::new();
    for (name, feature) in FEATURES {
        if is_valid(every.difference(feature)).is_err() {
            required.insert(name.to_owned());
        }
    }
    Ok(required)
}
