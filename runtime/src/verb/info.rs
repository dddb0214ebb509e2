//! `afmpeg info`: describes the module; `afmpeg man`: prints the command's manual page.

use super::failure::Failure;
use super::module;
use crate::cli::{Cli, Info, Sandbox};
use afmpeg::EngineStatus;
use clap::CommandFactory;
use serde_json::json;
use std::io::{self, Write};
use std::process::ExitCode;

pub fn run(args: Info, sandbox: &Sandbox) -> Result<ExitCode, Failure> {
    let path = module::find(sandbox)?;
    let size_bytes = std::fs::metadata(&path).map(|metadata| metadata.len());
    let size_bytes = size_bytes.map_err(|error| Failure::no_module(format!("{}: {error}", path.display())))?;
    let runtime = module::runtime(sandbox)?;
    let engine = runtime.engine_status();
    let info = runtime.info()?;
    if args.json {
        let engine = match engine {
            EngineStatus::Pack { path, machine } => json!({ "name": "pack", "machine": machine, "path": path }),
            _ => json!({ "name": "wasmtime" }),
        };
        let info = json!({ "module": path, "size_bytes": size_bytes, "engine": engine, "ffmpeg": info });
        print(&format!("{info:#}"))?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut text = format!(
        "module     {}\nsize       {:.1} MB ({size_bytes} bytes)\nengine     {engine}\nFFmpeg     {}\nlicence    {}\n",
        path.display(),
        size_bytes as f64 / 1e6,
        info.version,
        info.license
    );
    for (kind, names) in &info.components {
        text += &format!("{kind:<10} {}\n", names.len());
    }
    let has = |name: &&str| info.components["encoders"].contains(*name);
    let external: Vec<&str> = ["libx264", "libopenh264"].into_iter().filter(has).collect();
    text += &format!("H.264      {}\n", external.join(", "));
    print(text.trim_end())?;
    Ok(ExitCode::SUCCESS)
}

pub fn manual() -> Result<ExitCode, Failure> {
    let mut page = Vec::new();
    clap_mangen::Man::new(Cli::command())
        .render(&mut page)
        .map_err(failed)?;
    print_bytes(&page)?;
    Ok(ExitCode::SUCCESS)
}

pub fn print(text: &str) -> Result<(), Failure> {
    print_bytes(format!("{text}\n").as_bytes())
}

/// Prints a result. Whoever reads it may have seen enough, as `head` does.
pub fn print_bytes(bytes: &[u8]) -> Result<(), Failure> {
    match io::stdout().write_all(bytes).and_then(|()| io::stdout().flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        result => result.map_err(failed),
    }
}

fn failed(error: io::Error) -> Failure {
    Failure::setup(format!("standard output cannot be written to: {error}"))
}
