//! `cargo xtask push`: the modules of a release folder, as artifacts of an OCI registry.

use afmpeg_release::oci::Registry;
use afmpeg_release::{Location, Redirects, SIGNATURE, SUMS};
use anyhow::{Context, Result};
use serde_json::json;

use crate::dist::folder::Folder;
use crate::error::usage;
use crate::flags::Push;

/// Variables with the login of a registry that wants one.
const USER_VARIABLE: &str = "AFMPEG_REGISTRY_USER";
const PASSWORD_VARIABLE: &str = "AFMPEG_REGISTRY_PASSWORD";
/// The variable with the server that may be shown them, beside the registry.
const TOKEN_SERVER_VARIABLE: &str = "AFMPEG_REGISTRY_TOKEN_SERVER";

pub fn run(flags: &Push) -> Result<()> {
    let Ok(Location::Registry { host, namespace }) = flags.registry.parse() else {
        return Err(usage(format!(
            "`{}` is not an address such as oci://HOST/PATH",
            flags.registry
        ))
        .into());
    };
    let folder = Folder::open(&flags.release)?;
    for record in folder.records()? {
        let name = &record.variant;
        let repository = format!("{namespace}/{name}");
        let mut registry = Registry::new(&host, &repository, Redirects::To(Vec::new()));
        if let (Ok(user), Ok(password)) = (std::env::var(USER_VARIABLE), std::env::var(PASSWORD_VARIABLE)) {
            registry = registry.credentials(&user, &password);
        }
        if let Ok(host) = std::env::var(TOKEN_SERVER_VARIABLE) {
            registry = registry.token_server(&host);
        }
        let record_file = format!("{name}.json");
        let packs = folder.packs(name)?;
        let names = [SUMS, SIGNATURE, &record_file]
            .into_iter()
            .chain(packs.iter().map(String::as_str));
        let files: Vec<(&str, Vec<u8>)> = names
            .map(|file| Ok((file, folder.file(file)?)))
            .collect::<Result<_>>()?;
        let module = folder.file(&format!("{name}.wasm"))?;
        let annotations = json!({
            "org.opencontainers.image.description": record.description,
            "org.opencontainers.image.licenses": record.license,
            "org.opencontainers.image.title": format!("{name}.wasm"),
            "org.opencontainers.image.version": folder.version,
        });
        registry
            .push(&folder.version, &module, &annotations, &files)
            .with_context(|| format!("cannot push {name} to {host}/{repository}"))?;
        println!("oci://{host}/{repository}:{}", folder.version);
    }
    Ok(())
}
