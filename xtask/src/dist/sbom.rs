//! The bill of materials, in CycloneDX's format: what is in each module, and what the Rust programs around them are
//! made of. It has no time and no serial number, so that a release repeats.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, anyhow, bail};
use cargo_metadata::{Metadata as CargoMetadata, MetadataCommand, Package, PackageId};
use cyclonedx_bom::external_models::normalized_string::NormalizedString;
use cyclonedx_bom::external_models::spdx::SpdxExpression;
use cyclonedx_bom::external_models::uri::{Purl, Uri};
use cyclonedx_bom::models::bom::{Bom, SpecVersion};
use cyclonedx_bom::models::component::{Classification, Component, Components};
use cyclonedx_bom::models::dependency::{Dependencies, Dependency};
use cyclonedx_bom::models::external_reference::{self, ExternalReference, ExternalReferenceType, ExternalReferences};
use cyclonedx_bom::models::hash::{Hash, HashAlgorithm, HashValue, Hashes};
use cyclonedx_bom::models::license::{LicenseChoice, Licenses};
use cyclonedx_bom::models::metadata::Metadata;
use cyclonedx_bom::models::property::{Properties, Property};
use cyclonedx_bom::validation::Validate;

use crate::build::record::{Record, SourceRecord};
use crate::dist::packs::Pack;
use crate::dist::provenance;
use crate::inputs::pins::Pins;
use crate::lock;
use crate::process::Invocation;

const SPEC_VERSION: SpecVersion = SpecVersion::V1_5;

/// What every module takes from the SDK.
const SDK_LIBRARIES: [(&str, &str); 3] = [
    (
        "wasi-libc",
        "Apache-2.0 WITH LLVM-exception AND MIT AND BSD-2-Clause AND CC0-1.0",
    ),
    ("compiler-rt", "Apache-2.0 WITH LLVM-exception"),
    ("libcxx", "Apache-2.0 WITH LLVM-exception"),
];

/// The document as JSON, valid by the format's rules.
pub fn document(root: &Path, records: &[Record], packs: &[Pack], pins: &Pins, version: &str) -> Result<Vec<u8>> {
    let mut bill = Bill::default();
    for record in records {
        bill.add_module(record, pins, version)?;
    }
    for pack in packs {
        bill.add_pack(pack, version)?;
    }
    bill.add_packages(root)?;
    let bom = bill.finish(version);
    let faults = bom.validate_version(SPEC_VERSION);
    if !faults.passed() {
        let faults: Vec<_> = faults.errors().collect();
        bail!("the bill of materials is not valid: {faults:?}");
    }
    let mut json = Vec::new();
    bom.output_as_json(&mut json, SPEC_VERSION)
        .map_err(|error| anyhow!("cannot write the bill of materials: {error:?}"))?;
    json.push(b'\n');
    Ok(json)
}

#[derive(Default)]
struct Bill {
    /// By reference.
    components: BTreeMap<String, Component>,
    depends_on: BTreeMap<String, BTreeSet<String>>,
}

impl Bill {
    /// Modules of a release share their components; two that differ under one reference can't be told apart.
    fn add(&mut self, component: Component) -> Result<String> {
        let reference = component.bom_ref.clone().context("a component without a reference")?;
        if self.components.get(&reference).is_some_and(|known| *known != component) {
            bail!("modules of this release differ in {reference}: build them again with the same inputs and SDK");
        }
        self.depends_on.entry(reference.clone()).or_default();
        self.components.insert(reference.clone(), component);
        Ok(reference)
    }

    fn add_module(&mut self, record: &Record, pins: &Pins, version: &str) -> Result<()> {
        let mut parts = BTreeSet::new();
        for (name, source) in &record.sources {
            parts.insert(self.add(source_component(name, source, record, pins)?)?);
        }
        for (name, expression) in SDK_LIBRARIES {
            parts.insert(self.add(sdk_component(name, expression, record)?)?);
        }
        let file = format!("{}.wasm", record.variant);
        let digest = &record.files.get(&file).context("a record names its module")?.sha256;
        let reference = format!("module:{}", record.variant);
        let mut module = Component::new(Classification::Application, &file, version, Some(reference));
        module.description = Some(NormalizedString::new(&record.description));
        module.hashes = sha256(digest);
        module.licenses = licenses(&record.license);
        let reference = self.add(module)?;
        self.depends_on.insert(reference, parts);
        Ok(())
    }

    /// A pack is its module, and what its code includes of the translator's package.
    fn add_pack(&mut self, pack: &Pack, version: &str) -> Result<()> {
        let Pack { name, variant, record } = pack;
        let translator = &record.translator;
        let reference = Some(format!("pack:{}", translator.name));
        let mut headers = Component::new(
            Classification::Library,
            &translator.name,
            &translator.version,
            reference,
        );
        headers.purl = Some(Purl::new("generic", &translator.name, &translator.version)?);
        headers.licenses = licenses(&translator.license);
        let digests = translator.sha256.iter();
        let digests = digests.map(|digest| Property::new("afmpeg:container_sha256", digest));
        headers.properties = Some(Properties(digests.collect()));
        let module = format!("module:{variant}");
        let parts = [self.add(headers)?, module.clone()].into();
        let reference = Some(format!("pack:{name}"));
        let mut whole = Component::new(Classification::Application, &format!("{name}.so"), version, reference);
        whole.hashes = sha256(&record.pack_sha256);
        whole.licenses = self.components.get(&module).and_then(|module| module.licenses.clone());
        let reference = self.add(whole)?;
        self.depends_on.insert(reference, parts);
        Ok(())
    }

    /// The packages of the workspace and all that they may be built of, on any system.
    fn add_packages(&mut self, root: &Path) -> Result<()> {
        let metadata = cargo_metadata(root)?;
        let text = fs::read_to_string(root.join("Cargo.lock")).context("cannot read Cargo.lock")?;
        let checksums = lock::registry_checksums(&text)?;
        // IDs of the workspace's packages are paths, which no output may have.
        let mut references: BTreeMap<&PackageId, String> = BTreeMap::new();
        for package in &metadata.packages {
            let (name, version) = (package.name.to_string(), package.version.to_string());
            let checksum = checksums.get(&(name, version));
            references.insert(&package.id, self.add(package_component(package, checksum)?)?);
        }
        let resolve = metadata.resolve.as_ref().context("cargo resolved no dependencies")?;
        for node in &resolve.nodes {
            let reference = references.get(&node.id).context("cargo resolved an unknown package")?;
            let others = node.dependencies.iter().filter_map(|id| references.get(id).cloned());
            self.depends_on.entry(reference.clone()).or_default().extend(others);
        }
        Ok(())
    }

    fn finish(self, version: &str) -> Bom {
        let whole = Component::new(Classification::Application, "afmpeg", version, Some("afmpeg".into()));
        let dependencies = self.depends_on.into_iter().map(|(dependency_ref, others)| Dependency {
            dependency_ref,
            dependencies: others.into_iter().collect(),
        });
        Bom {
            spec_version: SPEC_VERSION,
            serial_number: None,
            metadata: Some(Metadata {
                component: Some(whole),
                ..Metadata::default()
            }),
            components: Some(Components(self.components.into_values().collect())),
            dependencies: Some(Dependencies(dependencies.collect())),
            ..Bom::default()
        }
    }
}

fn source_component(name: &str, source: &SourceRecord, record: &Record, pins: &Pins) -> Result<Component> {
    let pinned = pins.source(name)?;
    let reference = Some(format!("guest:{name}"));
    let mut component = Component::new(Classification::Library, name, &source.version, reference);
    component.purl = Some(Purl::new("generic", name, &source.version)?);
    component.licenses = licenses(&source.license);
    component.hashes = pinned.sha256.as_deref().and_then(sha256);
    let digests = [
        ("afmpeg:tree_sha256", pinned.tree_sha256.as_ref()),
        ("afmpeg:patches_sha256", record.patches.get(name)),
    ];
    let properties: Vec<Property> = digests
        .into_iter()
        .filter_map(|(name, digest)| Some(Property::new(name, digest?)))
        .collect();
    component.properties = (!properties.is_empty()).then_some(Properties(properties));
    component.external_references = provenance::first_address(pinned).map(|address| {
        let address = external_reference::Uri::Url(Uri::new(address));
        let kind = ExternalReferenceType::Distribution;
        ExternalReferences(vec![ExternalReference::new(kind, address)])
    });
    Ok(component)
}

/// A library of the SDK, of the version and with the digest of that part of the SDK which brings it.
fn sdk_component(name: &str, expression: &str, record: &Record) -> Result<Component> {
    let (input, version, digest) = sysroot(record)?;
    let reference = Some(format!("guest:{name}"));
    let mut component = Component::new(Classification::Library, name, "", reference);
    component.version = version.map(NormalizedString::new);
    component.licenses = licenses(expression);
    component.properties = Some(Properties(vec![
        Property::new("afmpeg:from", input),
        Property::new("afmpeg:from_sha256", digest),
    ]));
    Ok(component)
}

/// What brought the SDK's libraries, its version and its digest. Of an SDK that the user gave only the digest is known.
fn sysroot(record: &Record) -> Result<(&str, Option<&str>, &str)> {
    let found = record.tools.sdk.iter().find_map(|(input, digest)| {
        let version = match input.strip_prefix("wasi-sdk-") {
            Some(version) => Some(version),
            None => input.strip_prefix("wasi-sysroot "),
        };
        (version.is_some() || input == "sdk").then_some((input.as_str(), version, digest.as_str()))
    });
    found.with_context(|| {
        format!(
            "the record of {} names no sysroot among its SDK's parts",
            record.variant
        )
    })
}

fn package_component(package: &Package, checksum: Option<&String>) -> Result<Component> {
    let version = package.version.to_string();
    let purl = Purl::new("cargo", &package.name, &version)?;
    let reference = Some(purl.to_string());
    let mut component = Component::new(Classification::Library, &package.name, &version, reference);
    component.purl = Some(purl);
    component.licenses = package.license.as_deref().and_then(licenses);
    component.hashes = checksum.and_then(|checksum| sha256(checksum));
    Ok(component)
}

fn cargo_metadata(root: &Path) -> Result<CargoMetadata> {
    let text = Invocation::new("cargo", root)
        .arguments(["metadata", "--format-version", "1", "--locked", "--all-features"])
        .inherit_environment()
        .output()?;
    MetadataCommand::parse(text).context("cargo metadata")
}

/// An SPDX expression; older packages mean `OR` by a slash. What is none is a licence of that name.
fn licenses(expression: &str) -> Option<Licenses> {
    let choice = match SpdxExpression::parse_lax(expression.to_owned()) {
        Ok(expression) => LicenseChoice::Expression(expression),
        Err(_) => LicenseChoice::license(expression),
    };
    Some(Licenses(vec![choice]))
}

fn sha256(digest: &str) -> Option<Hashes> {
    Some(Hashes(vec![Hash {
        alg: HashAlgorithm::SHA_256,
        content: HashValue(digest.to_owned()),
    }]))
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::dist::sample;

    #[test]
    fn the_bill_names_what_is_in_modules_and_programs_and_no_place() {
        let project = sample::project();
        let records = [
            sample::record(&project, "o3-gpl", &["ffmpeg", "x264", "zlib"]),
            sample::record(&project, "o3-lgpl", &["ffmpeg", "zlib"]),
        ];
        let make = || document(&project.root, &records, &[], &project.pins, "1-1").unwrap();
        let json = make();
        assert_eq!(json, make(), "the second bill differs");
        let bom = Bom::parse_from_json_with_version(json.as_slice(), SPEC_VERSION).unwrap();
        assert!(bom.validate_version(SPEC_VERSION).passed());
        let bill: Value = serde_json::from_slice(&json).unwrap();
        assert_eq!(
            (&bill["bomFormat"], &bill["specVersion"]),
            (&"CycloneDX".into(), &"1.5".into())
        );
        for absent in [&bill["serialNumber"], &bill["metadata"]["timestamp"]] {
            assert!(absent.is_null(), "{absent}");
        }
        let components = bill["components"].as_array().unwrap();
        let named = |name: &str| {
            let mut found = components.iter().filter(|component| component["name"] == name);
            found.next().unwrap_or_else(|| panic!("{name} is missing"))
        };
        for name in [
            "ffmpeg",
            "x264",
            "zlib",
            "wasi-libc",
            "compiler-rt",
            "libcxx",
            "wasmtime",
            "o3-gpl.wasm",
        ] {
            assert!(named(name)["licenses"][0]["expression"].is_string(), "{name}");
            assert!(named(name)["version"].is_string(), "{name}");
        }
        assert_eq!(named("wasi-libc")["version"], sample::SDK_VERSION);
        assert_eq!(named("wasmtime")["hashes"][0]["content"].as_str().unwrap().len(), 64);
        let of = |reference: &str| {
            let all = bill["dependencies"].as_array().unwrap();
            all.iter().find(|entry| entry["ref"] == reference).unwrap()["dependsOn"].clone()
        };
        let has_x264 = |module: &str| of(module).as_array().unwrap().contains(&"guest:x264".into());
        assert!(has_x264("module:o3-gpl") && !has_x264("module:o3-lgpl"));
        let text = String::from_utf8(json).unwrap();
        assert!(!text.contains(project.root.to_str().unwrap()), "the bill names a place");
    }

    #[test]
    fn modules_of_different_sdks_are_no_release() {
        let project = sample::project();
        let mut records = [
            sample::record(&project, "o3-gpl", &["ffmpeg"]),
            sample::record(&project, "o3-lgpl", &["ffmpeg"]),
        ];
        let sdk = &mut records[1].tools.sdk;
        sdk.clear();
        let make = |records: &[Record]| document(&project.root, records, &[], &project.pins, "1-1");
        assert!(make(&records).unwrap_err().to_string().contains("names no sysroot"));
        records[1].tools.sdk.insert("sdk".into(), "0".repeat(64));
        assert!(
            make(&records)
                .unwrap_err()
                .to_string()
                .contains("differ in guest:wasi-libc")
        );
        // Of an SDK that was given only the digest is known.
        make(&records[1..]).unwrap();
    }

    #[test]
    fn a_licence_that_is_no_expression_is_a_name() {
        let of = |text: &str| licenses(text).unwrap().0.remove(0);
        assert_eq!(of("MIT/Apache-2.0"), LicenseChoice::expression("MIT OR Apache-2.0"));
        assert_eq!(of("see the file"), LicenseChoice::license("see the file"));
    }
}
