//! wasm-opt of the pinned Binaryen.

use anyhow::Result;
use serde::Serialize;

use crate::process::Invocation;
use crate::wasm::{Pass, Work};

pub const NAME: &str = "optimise";

#[derive(Debug, Serialize)]
pub struct Optimise {
    pub module: String,
    pub arguments: Vec<String>,
    pub to: String,
}

impl Pass for Optimise {
    fn name(&self) -> &'static str {
        NAME
    }

    fn run(&self, work: &Work) -> Result<()> {
        let files = [self.module.clone(), "-o".into(), self.to.clone()];
        let mut invocation = Invocation::new(work.wasm_opt.display().to_string(), work.folder)
            .arguments(files.into_iter().chain(self.arguments.iter().cloned()));
        invocation
            .environment
            .insert("BINARYEN_CORES".into(), work.jobs.to_string());
        invocation.run(work.log)
    }

    fn command(&self) -> Option<String> {
        Some(format!("wasm-opt {}", self.arguments.join(" ")))
    }
}
