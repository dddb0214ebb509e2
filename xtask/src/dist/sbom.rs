//! The bill of materials, in CycloneDX's format: what is in each module, and what the Rust programs around them are made of.
//! It has no time and no serial number, so that a release repeats.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::{Context, Result};
use serde_json::{Value, json};
use toml::Table;

use crate::build::record::Record;
use crate::dist::{provenance, read};
use crate::inputs::pins::Pins;
use crate::process::Invocation;

/// What every module takes from the SDK.
const SDK_LIBRARIES: [(&str, &str); 3] = [
    (
        "wasi-libc",
        "Apache-2.0 WITH LLVM-exception AND MIT AND BSD-2-Clause AND CC0-1.0",
    ),
    ("compiler-rt", "Apache-2.0 WITH LLVM-exception"),
    ("libcxx", "Apache-2.0 WITH LLVM-exception"),
];

#[derive(Default)]
struct Bill {
    components: BTreeMap<String, Value>,
    depends_on: BTreeMap<String, BTreeSet<String>>,
}

impl Bill {
    fn add(&mut self, component: Value, depends_on: BTreeSet<String>) {
        let reference = component["bom-ref"].as_str().unwrap_or_default().to_owned();
        self.components.insert(reference.clone(), component);
        self.depends_on.entry(reference).or_default().extend(depends_on);
    }
}

pub fn document(root: &Path, records: &[Record], pins: &Pins, version: &str) -> Result<Value> {
    let mut bill = Bill::default();
    for record in records {
        guest(&mut bill, record, pins, version)?;
    }
    rust(&mut bill, root)?;
    let dependencies: Vec<Value> = bill
        .depends_on
        .iter()
        .map(|(reference, others)| json!({ "dependsOn": others, "ref": reference }))
        .collect();
    Ok(json!({
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "components": bill.components.into_values().collect::<Vec<_>>(),
        "dependencies": dependencies,
        "metadata": { "component": { "bom-ref": "afmpeg", "name": "afmpeg", "type": "application", "version": version } },
        "specVersion": "1.6",
        "version": 1,
    }))
}

fn licences(expression: &str) -> Value {
    json!([{ "expression": expression }])
}

fn guest(bill: &mut Bill, record: &Record, pins: &Pins, version: &str) -> Result<()> {
    let mut parts = BTreeSet::new();
    for (name, source) in &record.sources {
        let reference = format!("guest:{name}");
        let pinned = pins.source(name)?;
        let mut component = json!({
            "bom-ref": reference,
            "licenses": licences(&source.license),
            "name": name,
            "purl": format!("pkg:generic/{name}@{}", source.version),
            "type": "library",
            "version": source.version,
        });
        if let Some(digest) = &pinned.sha256 {
            component["hashes"] = json!([{ "alg": "SHA-256", "content": digest }]);
        }
        let digests = [
            ("afmpeg:tree_sha256", &pinned.tree_sha256),
            ("afmpeg:patches_sha256", &record.patches.get(name).cloned()),
        ];
        let properties: Vec<Value> = digests
            .iter()
            .filter_map(|(name, value)| Some(json!({ "name": name, "value": value.as_ref()? })))
            .collect();
        if !properties.is_empty() {
            component["properties"] = properties.into();
        }
        if let Some(address) = provenance::first_address(pinned) {
            component["externalReferences"] = json!([{ "type": "source-distribution", "url": address }]);
        }
        bill.add(component, BTreeSet::new());
        parts.insert(reference);
    }
    let (origin, digest) = record
        .tools
        .sdk
        .iter()
        .find(|(name, _)| name.starts_with("wasi-") || *name == "sysroot")
        .context("the record's SDK has no sysroot")?;
    for (name, licence) in SDK_LIBRARIES {
        let reference = format!("guest:{name}");
        let component = json!({
            "bom-ref": reference,
            "licenses": licences(licence),
            "name": name,
            "properties": [
                { "name": "afmpeg:from", "value": origin },
                { "name": "afmpeg:from_sha256", "value": digest },
            ],
            "type": "library",
        });
        bill.add(component, BTreeSet::new());
        parts.insert(reference);
    }
    let file = format!("{}.wasm", record.variant);
    let module = json!({
        "bom-ref": format!("module:{}", record.variant),
        "description": record.description,
        "hashes": [{ "alg": "SHA-256", "content": record.files[&file].sha256 }],
        "licenses": licences(&record.license),
        "name": file,
        "type": "application",
        "version": version,
    });
    bill.add(module, parts);
    Ok(())
}

/// The packages of the workspace and all that they may be built of, on any system.
fn rust(bill: &mut Bill, root: &Path) -> Result<()> {
    let metadata = Invocation::new("cargo", root)
        .arguments(["metadata", "--format-version", "1", "--locked", "--all-features"])
        .inherit_environment()
        .output()?;
    let metadata: Value = serde_json::from_str(&metadata).context("cargo metadata")?;
    let lock = String::from_utf8(read(&root.join("Cargo.lock"))?)?;
    let lock: Table = lock.parse().context("Cargo.lock")?;
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let mut checksums = BTreeMap::new();
    for package in lock["package"].as_array().into_iter().flatten() {
        let field = |name: &str| package.get(name).and_then(toml::Value::as_str).map(str::to_owned);
        if let (Some(name), Some(version), Some(checksum)) = (field("name"), field("version"), field("checksum")) {
            checksums.insert((name, version), checksum);
        }
    }
    // Ids of packages of the workspace are paths, which no output may have.
    let mut references = BTreeMap::new();
    let packages = metadata["packages"]
        .as_array()
        .context("cargo metadata has no packages")?;
    for package in packages {
        let (name, version) = (text(&package["name"]), text(&package["version"]));
        references.insert(text(&package["id"]), format!("pkg:cargo/{name}@{version}"));
    }
    for package in packages {
        let (name, version) = (text(&package["name"]), text(&package["version"]));
        let purl = format!("pkg:cargo/{name}@{version}");
        let mut component = json!({
            "bom-ref": purl,
            "name": name,
            "purl": purl,
            "type": "library",
            "version": version,
        });
        if let Some(licence) = package["license"].as_str() {
            // Older packages mean `OR` by a slash.
            component["licenses"] = licences(&licence.replace(" / ", "/").replace('/', " OR "));
        }
        if let Some(checksum) = checksums.get(&(name, version)) {
            component["hashes"] = json!([{ "alg": "SHA-256", "content": checksum }]);
        }
        bill.add(component, BTreeSet::new());
    }
    for node in metadata["resolve"]["nodes"].as_array().into_iter().flatten() {
        let others = node["dependencies"].as_array().into_iter().flatten();
        let others = others.filter_map(|id| references.get(id.as_str()?).cloned());
        if let Some(reference) = references.get(&text(&node["id"])) {
            bill.depends_on.entry(reference.clone()).or_default().extend(others);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bill_names_what_is_in_modules_and_programs_and_no_place() {
        let root = crate::project::root().unwrap();
        let pins = crate::project::Project::open(root.clone()).unwrap().pins;
        let records = crate::build::record::records(&root).unwrap();
        let bill = document(&root, &records, &pins, "1-1").unwrap();
        let components = bill["components"].as_array().unwrap();
        let named = |name: &str| {
            components
                .iter()
                .find(|component| component["name"] == name)
                .unwrap_or_else(|| panic!("{name} is missing"))
        };
        for name in [
            "ffmpeg",
            "x264",
            "openh264",
            "zlib",
            "wasi-libc",
            "compiler-rt",
            "wasmtime",
            "o3-gpl.wasm",
        ] {
            assert!(named(name)["licenses"][0]["expression"].is_string(), "{name}");
        }
        assert_eq!(named("wasmtime")["hashes"][0]["content"].as_str().unwrap().len(), 64);
        let of = |reference: &str| {
            let all = bill["dependencies"].as_array().unwrap();
            all.iter().find(|entry| entry["ref"] == reference).unwrap()["dependsOn"].clone()
        };
        assert!(of("module:o3-gpl").as_array().unwrap().contains(&"guest:x264".into()));
        assert!(!of("module:o3-lgpl").as_array().unwrap().contains(&"guest:x264".into()));
        assert!(!bill.to_string().contains(root.to_str().unwrap()));
    }
}
