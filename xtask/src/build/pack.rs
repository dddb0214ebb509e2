//! Makes packs of modules, and their records.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

use crate::build::execute::Executor;
use crate::build::facts::Tools;
use crate::build::record::{FileRecord, changed, differing};
use crate::cache::{publish_file, write_file};
use crate::digest;
use crate::error::environment;
use crate::inputs::source::Source;
use crate::lock;
use crate::plan::pack::{self, GENERATED_FLAGS, LINK_FLAGS, Machine, Module, PACK, TRANSLATOR, TRANSLATOR_FLAGS};
use crate::plan::step::{Plan, words};
use crate::process::{FIXED_ENVIRONMENT, Invocation};
use crate::progress::Progress;
use crate::project::Project;
use crate::translate;
use crate::wasm::compress;

/// The interface between packs and the runtime, which pack/pack.h numbers.
const ABI: u32 = 1;

const FORMAT_VERSION: u32 = 1;

/// The forms of a pack, by what follows its name.
const FORMS: [&str; 3] = ["so", "so.br", "so.gz"];

/// The largest that a pack may be.
pub const BUDGET_BYTES: Budget = Budget {
    raw: 55_000_000,
    brotli: 19_000_000,
};

#[derive(Debug, Clone, Copy)]
pub struct Budget {
    raw: u64,
    brotli: u64,
}

/// What a pack is and what went into it. Sorted keys, no clock, no path: same inputs, same bytes.
#[derive(Debug, Serialize, Deserialize)]
pub struct Record {
    pub abi: u32,
    pub clang: String,
    pub compiler_flags: Vec<String>,
    pub crates: BTreeMap<String, String>,
    pub environment: BTreeMap<String, String>,
    pub files: BTreeMap<String, FileRecord>,
    pub format_version: u32,
    pub linker_flags: Vec<String>,
    pub machine: String,
    pub module_sha256: String,
    /// Files of pack/, by digest.
    pub pack: BTreeMap<String, String>,
    pub pack_sha256: String,
    /// The passes of this program that it went through, by the digest of their sources and crates.
    pub passes: BTreeMap<String, String>,
    pub sdk: BTreeMap<String, String>,
    pub size_bytes: u64,
    pub translator: TranslatorRecord,
}

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TranslatorRecord {
    pub flags: Vec<String>,
    pub license: String,
    pub name: String,
    /// Of the archives that it may come from on the machine that made the pack.
    pub sha256: Vec<String>,
    pub version: String,
}

/// A pack in the cache, with its record.
#[derive(Debug)]
pub struct Pack {
    folder: PathBuf,
    pub record: Record,
}

impl Record {
    /// The record of a pack of these files, which are called by its name.
    pub fn new(
        project: &Project,
        tools: &Tools,
        machine: Machine,
        name: &str,
        module_sha256: String,
        files: BTreeMap<String, FileRecord>,
    ) -> Result<Record> {
        let whole = format!("{name}.{}", FORMS[0]);
        let whole = files
            .get(&whole)
            .with_context(|| format!("a pack has a file {whole}"))?;
        let pins = project.pins.source(TRANSLATOR)?;
        let used = [translate::NAME, compress::NAME];
        let passes = tools.facts.passes.iter();
        let passes = passes.filter(|(name, _)| used.contains(&name.as_str()));
        Ok(Record {
            abi: ABI,
            clang: tools.sdk.identity.clang.clone(),
            compiler_flags: {
                let mut flags = machine.compile_flags();
                flags.extend(words(GENERATED_FLAGS));
                flags
            },
            crates: lock::checksums(&["brotli", "libdeflater", "wasmparser"])?,
            environment: FIXED_ENVIRONMENT
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .into(),
            format_version: FORMAT_VERSION,
            linker_flags: words(LINK_FLAGS),
            machine: machine.name.to_owned(),
            module_sha256,
            pack: tools.facts.pack.clone(),
            pack_sha256: whole.sha256.clone(),
            passes: passes.map(|(name, digest)| (name.clone(), digest.clone())).collect(),
            sdk: tools.sdk.identity.inputs.clone(),
            size_bytes: whole.size_bytes,
            translator: TranslatorRecord {
                flags: words(TRANSLATOR_FLAGS),
                license: pins.license.clone(),
                name: TRANSLATOR.to_owned(),
                sha256: containers(pins, &project.host),
                version: pins.version.clone(),
            },
            files,
        })
    }

    /// What the repository and its tools have otherwise now than when the pack was made of its module.
    pub fn stale_inputs(&self, project: &Project, tools: &Tools, machine: Machine, name: &str) -> Result<Vec<String>> {
        let (module, files) = (self.module_sha256.clone(), self.files.clone());
        let now = Record::new(project, tools, machine, name, module, files)?;
        let mut stale = differing(&self.passes, &now.passes, "the pass");
        stale.extend(differing(&self.crates, &now.crates, "the crate"));
        let others = [
            ("pack/", self.pack == now.pack),
            ("the SDK", (&self.clang, &self.sdk) == (&now.clang, &now.sdk)),
            ("the compiler's flags", self.compiler_flags == now.compiler_flags),
            ("the linker's flags", self.linker_flags == now.linker_flags),
            (TRANSLATOR, self.translator == now.translator),
            ("the environment of processes", self.environment == now.environment),
            ("the interface to the runtime", self.abi == now.abi),
            ("the machine", self.machine == now.machine),
            ("the pack's own digest", self.pack_sha256 == now.pack_sha256),
        ];
        stale.extend(changed(&others));
        Ok(stale)
    }

    pub fn size_bytes(&self, form: &str) -> u64 {
        let mut files = self.files.iter();
        let file = files.find(|(name, _)| name.strip_suffix(form).is_some_and(|name| name.ends_with('.')));
        file.map_or(0, |(_, file)| file.size_bytes)
    }
}

/// What is planned with of a module, if a pack can be made of it.
fn module_facts(module: &Path) -> Result<Module> {
    let data = fs::read(module).with_context(|| format!("cannot read {}", module.display()))?;
    translate::check(&data).with_context(|| module.display().to_string())?;
    Ok(Module {
        sha256: digest::bytes(&data),
        size_bytes: data.len() as u64,
    })
}

pub fn plan(project: &Project, tools: &Tools, machine: Machine, name: &str, module: &Path) -> Result<Plan> {
    let name = format!("{name}.{}", machine.name);
    pack::plan(machine, &name, &module_facts(module)?, &project.pins, &tools.facts)
}

/// Makes the pack of a module for one machine. `name` is what its files are called, without what follows the machine.
pub fn make(executor: &Executor, machine: Machine, name: &str, module: &Path, progress: &Progress) -> Result<Pack> {
    let Executor { project, tools, .. } = executor;
    check_compiler(executor, machine)?;
    let facts = module_facts(module)?;
    let plan = pack::plan(machine, name, &facts, &project.pins, &tools.facts)?;
    let results = executor.run_on(module, &plan, progress)?;
    let folder = results.folder(PACK)?.to_owned();

    let mut files = BTreeMap::new();
    for form in FORMS {
        let path = folder.join(format!("pack.{form}"));
        let size_bytes = fs::metadata(&path)
            .with_context(|| format!("{} is missing", path.display()))?
            .len();
        let file = FileRecord {
            sha256: digest::file(&path)?,
            size_bytes,
        };
        files.insert(format!("{name}.{form}"), file);
    }
    let record = Record::new(project, tools, machine, name, facts.sha256, files)?;
    check_size(name, &record)?;
    Ok(Pack { folder, record })
}

fn containers(source: &Source, host: &str) -> Vec<String> {
    let origins = source.origins_for(host);
    origins
        .filter_map(|origin| source.container_sha256(origin))
        .map(str::to_owned)
        .collect()
}

fn check_size(name: &str, record: &Record) -> Result<()> {
    for (form, budget_bytes) in [("so", BUDGET_BYTES.raw), ("so.br", BUDGET_BYTES.brotli)] {
        let size_bytes = record.size_bytes(form);
        if size_bytes > budget_bytes {
            bail!("{name}.{form} has {size_bytes} bytes, and the budget of packs is {budget_bytes}");
        }
    }
    Ok(())
}

/// Not every SDK's clang compiles for other machines than WebAssembly's.
fn check_compiler(executor: &Executor, machine: Machine) -> Result<()> {
    let clang = executor.tools.sdk.path.join("bin/clang").display().to_string();
    let targets = Invocation::new(&clang, &executor.project.root)
        .arguments(["--print-targets"])
        .output()?;
    let mut names = targets.lines().filter_map(|line| line.split_whitespace().next());
    if names.any(|name| name == machine.llvm_target()) {
        return Ok(());
    }
    Err(environment(format!(
        "the SDK's clang makes no code for {}: it has no target {}",
        machine.name,
        machine.llvm_target()
    ))
    .hint("wasi-sdk's own release may know WebAssembly only; set WASI_SDK_PATH to an SDK whose clang has it")
    .into())
}

/// Writes a pack, in this form, to a file, unless that has it already.
fn put(pack: &Pack, form: &str, sha256: &str, to: &Path) -> Result<()> {
    if to.is_file() && digest::file(to)? == sha256 {
        return Ok(());
    }
    let folder = to.parent().context("a file has a folder")?;
    fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
    let mut file =
        tempfile::NamedTempFile::new_in(folder).with_context(|| format!("cannot write in {}", folder.display()))?;
    let source = pack.folder.join(format!("pack.{form}"));
    std::io::copy(&mut fs::File::open(&source)?, &mut file)
        .with_context(|| format!("cannot write {}", to.display()))?;
    publish_file(file, to)
}

/// Puts a pack beside its module, in the forms that follow its name, and its record last: where that is, the rest is.
pub fn publish(pack: &Pack, folder: &Path, name: &str, forms: Forms) -> Result<()> {
    for form in FORMS {
        let file_name = format!("{name}.{form}");
        let file = &pack.record.files[&file_name];
        if forms == Forms::All || form == FORMS[0] {
            put(pack, form, &file.sha256, &folder.join(&file_name))?;
        }
    }
    let json = serde_json::to_string_pretty(&pack.record)? + "\n";
    write_file(&folder.join(format!("{name}.json")), json.as_bytes())
}

/// Which forms of a pack are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Forms {
    All,
    /// What a runtime loads.
    Uncompressed,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interface_is_that_of_pack_h() {
        let root = crate::project::root().unwrap();
        let header = fs::read_to_string(root.join("pack/pack.h")).unwrap();
        assert!(header.contains(&format!("enum {{ AFMPEG_PACK_ABI = {ABI} }};")));
    }
}
