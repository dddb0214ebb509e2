//! `afmpeg pull`: a module of a release, verified.

use super::failure::Failure;
use super::{info, module};
use crate::cli::{Engine, Pull};
use afmpeg::ModuleSource;
use std::path::Path;
use std::process::ExitCode;

pub fn run(args: Pull, engine: Engine) -> Result<ExitCode, Failure> {
    let key = match Path::new(&args.public_key).is_file() {
        true => std::fs::read_to_string(&args.public_key)
            .map_err(|error| Failure::no_module(format!("cannot read the key {}: {error}", args.public_key)))?,
        false if afmpeg_release::parse_key(&args.public_key).is_err() => {
            return Err(Failure::no_module(format!(
                "{}: there is no such file, and it is no public key",
                args.public_key
            )));
        }
        false => args.public_key,
    };
    let folder = args
        .into
        .or_else(|| module::default_folder("releases"))
        .ok_or_else(|| Failure::setup("there is no home directory: name a folder with --into".to_owned()))?;
    let mut source = ModuleSource::release(&args.release, &key, folder)?;
    for place in &args.from {
        source = source.from(place)?;
    }
    for host in args.redirect_host {
        source = source.redirect_host(host);
    }
    let path = source.path()?;
    match engine {
        Engine::Auto => module::fetch_pack(&source),
        Engine::Pack => drop(source.pack()?),
        Engine::Wasmtime => {}
    }
    info::print(&path.display().to_string())?;
    Ok(ExitCode::SUCCESS)
}
