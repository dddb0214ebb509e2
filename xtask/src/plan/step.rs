//! Steps with keys: a step's key is the hash of all that goes into it.

use std::collections::BTreeMap;
use std::ops::{Deref, DerefMut};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use serde::{Serialize, Serializer};

use crate::digest::Key;
use crate::error::usage;
use crate::inputs::pins::Pins;
use crate::inputs::source::Source;
use crate::recipe::library::Libraries;
use crate::recipe::profile::Recipe;
use crate::wasm::Pass;

/// What a build makes, in order.
#[derive(Debug, Clone, Serialize)]
pub struct Plan {
    pub profile: String,
    pub steps: Vec<Step>,
}

#[derive(Debug, Clone, Serialize)]
pub struct Step {
    pub name: String,
    /// The hash of everything below, and of the keys of the steps whose results it takes.
    pub key: String,
    pub inputs: BTreeMap<String, String>,
    pub actions: Vec<Action>,
    /// For messages: in no key.
    #[serde(skip)]
    pub places: Places,
    /// Its work is one process at a time, so that as many such steps in a row are made at once as there are jobs: in no key.
    #[serde(skip)]
    pub keeps_one_core_busy: bool,
}

/// Where what a step does stands in the data, as `FILE:LINE`.
#[derive(Debug, Clone, Default)]
pub struct Places {
    pub recipe: Option<String>,
    /// Argument of a command -> where it is from.
    pub arguments: BTreeMap<String, String>,
}

impl Places {
    pub fn recipe(place: String) -> Places {
        Places {
            recipe: Some(place),
            arguments: BTreeMap::new(),
        }
    }
}

impl Step {
    /// The steps whose results it takes.
    pub fn takes(&self) -> impl Iterator<Item = &str> {
        self.actions.iter().filter_map(|action| match action {
            Action::Result { step, .. } | Action::Look { step } => Some(step.as_str()),
            _ => None,
        })
    }

    /// Where its result lies in a cache.
    pub fn result_folder(&self) -> PathBuf {
        Path::new("steps").join(self.result_name())
    }

    pub fn result_name(&self) -> String {
        format!("{}-{}", self.name, &self.key[..32])
    }
}

impl Plan {
    /// Drops the steps that come after this one.
    pub fn stop_after(&mut self, last: &str) -> Result<()> {
        self.steps.truncate(self.position(last)? + 1);
        Ok(())
    }

    /// Drops the steps that come before this one, and returns them.
    pub fn start_with(&mut self, first: &str) -> Result<Vec<Step>> {
        let rest = self.steps.split_off(self.position(first)?);
        Ok(std::mem::replace(&mut self.steps, rest))
    }

    /// The processes of each step: with placeholders where a machine would show.
    pub fn commands(&self) -> BTreeMap<String, Vec<String>> {
        let mut commands = BTreeMap::new();
        for step in &self.steps {
            let lines: Vec<String> = step.actions.iter().filter_map(Action::command).collect();
            if !lines.is_empty() {
                commands.insert(step.name.clone(), lines);
            }
        }
        commands
    }

    fn position(&self, name: &str) -> Result<usize> {
        let position = self.steps.iter().position(|step| step.name == name);
        position.ok_or_else(|| {
            let steps: Vec<&str> = self.steps.iter().map(|step| step.name.as_str()).collect();
            usage(format!(
                "profile {}: there is no step `{name}` among {}",
                self.profile,
                steps.join(", ")
            ))
            .into()
        })
    }
}

/// One thing that a step does. Paths are relative to the step's work folder `{work}`, unless they say otherwise. What differs
/// between machines is a placeholder: `{work}`, `{sdk}`, `{jobs}`, `{tool:NAME}` for the folder of a tool, and `{result:NAME}` for
/// that of a step which is looked at.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// The step runs programs of the SDK.
    Sdk,
    /// The step runs a pinned tool.
    Tool {
        name: String,
    },
    /// An upstream tree with our patches, in a folder of its name.
    Source {
        name: String,
    },
    /// Files of guest/, in a folder `guest`.
    Guest {
        files: Vec<String>,
    },
    /// Files of pack/, in a folder `pack`.
    Pack {
        files: Vec<String>,
    },
    /// The module that a pack is made of, as `module.wasm`.
    Module {
        sha256: String,
    },
    /// The result of an earlier step, read where it lies.
    Look {
        step: String,
    },
    /// The result of an earlier step, copied to a folder.
    Result {
        step: String,
        to: String,
    },
    Write {
        path: String,
        text: String,
    },
    Run {
        directory: String,
        program: String,
        arguments: Vec<String>,
        /// What it must not say: warnings of options that it does not know.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        refused: Vec<String>,
    },
    /// Takes files (a glob) into the step's result.
    Keep {
        from: String,
        files: Vec<String>,
        to: String,
    },
    /// A pass over a module.
    #[serde(serialize_with = "pass")]
    Pass(Arc<dyn Pass + Send + Sync>),
}

fn pass<S: Serializer>(pass: &Arc<dyn Pass + Send + Sync>, serializer: S) -> Result<S::Ok, S::Error> {
    #[derive(Serialize)]
    struct Named<'a> {
        name: &'a str,
        arguments: &'a dyn Pass,
    }
    let named = Named {
        name: pass.name(),
        arguments: &**pass,
    };
    named.serialize(serializer)
}

impl Action {
    pub fn source(name: &str) -> Action {
        Action::Source { name: name.into() }
    }

    pub fn tool(name: &str) -> Action {
        Action::Tool { name: name.into() }
    }

    pub fn result(step: &str, to: &str) -> Action {
        Action::Result {
            step: step.into(),
            to: to.into(),
        }
    }

    pub fn look(step: &str) -> Action {
        Action::Look { step: step.into() }
    }

    pub fn write(path: impl Into<String>, text: impl Into<String>) -> Action {
        Action::Write {
            path: path.into(),
            text: text.into(),
        }
    }

    pub fn run(directory: &str, program: &str, arguments: Vec<String>) -> Action {
        Action::Run {
            directory: directory.into(),
            program: program.into(),
            arguments,
            refused: Vec::new(),
        }
    }

    /// A run that fails where it says this.
    pub fn run_refusing(directory: &str, program: &str, arguments: Vec<String>, refused: &str) -> Action {
        Action::Run {
            directory: directory.into(),
            program: program.into(),
            arguments,
            refused: vec![refused.into()],
        }
    }

    pub fn keep(from: &str, files: impl IntoIterator<Item = impl Into<String>>, to: &str) -> Action {
        Action::Keep {
            from: from.into(),
            files: files.into_iter().map(Into::into).collect(),
            to: to.into(),
        }
    }

    pub fn pass(pass: impl Pass + Send + Sync + 'static) -> Action {
        Action::Pass(Arc::new(pass))
    }

    fn command(&self) -> Option<String> {
        match self {
            Action::Run { program, arguments, .. } => Some(format!("{program} {}", arguments.join(" "))),
            Action::Pass(pass) => pass.command(),
            _ => None,
        }
    }
}

/// Digests of what lies in the repository, of the tools and of this program: all that a plan depends on beside the data files.
#[derive(Debug, Clone)]
pub struct Facts {
    pub sdk: String,
    /// Of wasm-opt's program and its libraries.
    pub wasm_opt: String,
    /// Of the variables that every process gets.
    pub environment: String,
    /// Of what unpacks and patches sources.
    pub unpacking: String,
    /// File below guest/ -> digest.
    pub guest: BTreeMap<String, String>,
    /// File below pack/ -> digest.
    pub pack: BTreeMap<String, String>,
    /// Project -> digest of its patches.
    pub patches: BTreeMap<String, String>,
    /// Pass -> digest.
    pub passes: BTreeMap<String, String>,
    /// This machine, in the words of the pins: which of the origins of a tool is taken.
    pub host: String,
}

/// The digest that a source stands for in keys and records: of its tree where containers differ, else of its container.
pub fn source_digest(source: &Source) -> Option<&str> {
    source.tree_sha256.as_deref().or(source.sha256.as_deref())
}

pub fn words(text: &str) -> Vec<String> {
    text.split_whitespace().map(str::to_owned).collect()
}

/// Puts steps together.
#[derive(Debug)]
pub struct Steps<'a> {
    pub pins: &'a Pins,
    pub facts: &'a Facts,
    pub list: Vec<Step>,
}

/// Puts the steps of a recipe together.
#[derive(Debug)]
pub struct Planner<'a> {
    pub recipe: &'a Recipe,
    pub libraries: &'a Libraries,
    steps: Steps<'a>,
}

impl<'a> Planner<'a> {
    pub fn new(recipe: &'a Recipe, libraries: &'a Libraries, pins: &'a Pins, facts: &'a Facts) -> Planner<'a> {
        Planner {
            recipe,
            libraries,
            steps: Steps::new(pins, facts),
        }
    }

    pub fn plan(self, name: &str) -> Plan {
        self.steps.plan(name)
    }
}

impl<'a> Deref for Planner<'a> {
    type Target = Steps<'a>;

    fn deref(&self) -> &Steps<'a> {
        &self.steps
    }
}

impl DerefMut for Planner<'_> {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.steps
    }
}

impl<'a> Steps<'a> {
    pub fn new(pins: &'a Pins, facts: &'a Facts) -> Steps<'a> {
        Steps {
            pins,
            facts,
            list: Vec::new(),
        }
    }

    pub fn plan(self, name: &str) -> Plan {
        Plan {
            profile: name.to_owned(),
            steps: self.list,
        }
    }

    /// Adds a step; what its actions take becomes part of its key.
    pub fn step(&mut self, name: &str, actions: Vec<Action>, places: Places) -> Result<()> {
        let mut inputs = BTreeMap::from([("environment".to_owned(), self.facts.environment.clone())]);
        for action in &actions {
            self.inputs_of(action, name, &mut inputs)?;
        }
        let mut key = Key::new("step 2").field(name);
        for (input, digest) in &inputs {
            key = key.field(input).field(digest);
        }
        key = key.field(serde_json::to_string(&actions)?);
        self.list.push(Step {
            name: name.to_owned(),
            key: key.finish(),
            inputs,
            actions,
            places,
            keeps_one_core_busy: false,
        });
        Ok(())
    }

    /// A step whose work is one process at a time.
    pub fn small_step(&mut self, name: &str, actions: Vec<Action>) -> Result<()> {
        self.step(name, actions, Places::default())?;
        if let Some(step) = self.list.last_mut() {
            step.keeps_one_core_busy = true;
        }
        Ok(())
    }

    fn inputs_of(&self, action: &Action, step: &str, inputs: &mut BTreeMap<String, String>) -> Result<()> {
        match action {
            Action::Sdk => drop(inputs.insert("sdk".into(), self.facts.sdk.clone())),
            Action::Tool { name } => {
                let source = self.pins.source(name)?;
                let mut key = Key::new("tool").field(&source.version).field(source.keep.join("\n"));
                for origin in source.origins_for(&self.facts.host) {
                    key = key.field(source.container_sha256(origin).unwrap_or_default());
                }
                inputs.insert(format!("tool {name}"), key.finish());
            }
            Action::Source { name } => {
                let source = self.pins.source(name)?;
                let Some(digest) = source_digest(source) else {
                    bail!("the source of {name} needs a sha256 or tree_sha256")
                };
                let digest = Key::new("source").field(digest).field(source.keep.join("\n")).finish();
                inputs.insert(format!("source {name}"), digest);
                inputs.insert("unpacking".into(), self.facts.unpacking.clone());
                if let Some(patches) = self.facts.patches.get(name) {
                    inputs.insert(format!("patches {name}"), patches.clone());
                }
            }
            Action::Guest { files } => {
                for file in files {
                    let Some(digest) = self.facts.guest.get(file) else {
                        bail!("there is no guest/{file}")
                    };
                    inputs.insert(format!("guest {file}"), digest.clone());
                }
            }
            Action::Pack { files } => {
                for file in files {
                    let Some(digest) = self.facts.pack.get(file) else {
                        bail!("there is no pack/{file}")
                    };
                    inputs.insert(format!("pack {file}"), digest.clone());
                }
            }
            Action::Module { sha256 } => drop(inputs.insert("module".into(), sha256.clone())),
            Action::Result { step: earlier, .. } | Action::Look { step: earlier } => {
                let Some(found) = self.list.iter().find(|one| one.name == *earlier) else {
                    bail!("{step} takes the result of {earlier}, which comes later");
                };
                inputs.insert(format!("step {earlier}"), found.key.clone());
            }
            Action::Pass(pass) => {
                let name = pass.name();
                let digest = self.facts.passes.get(name).with_context(|| {
                    format!("step {step}: the pass {name} has no digest, so that no key could name it: see wasm/mod.rs")
                })?;
                inputs.insert(format!("pass {name}"), digest.clone());
                if name == crate::wasm::optimise::NAME {
                    inputs.insert("wasm-opt".into(), self.facts.wasm_opt.clone());
                }
            }
            Action::Write { .. } | Action::Run { .. } | Action::Keep { .. } => {}
        }
        Ok(())
    }
}

impl Planner<'_> {
    /// What the profile says to the compiler, for every C and C++ file of a module.
    pub fn compile_flags(&self) -> Vec<String> {
        let level = &self.recipe.level;
        let mut flags = vec![level.optimise.flag().to_owned()];
        if level.simd {
            flags.push("-msimd128".to_owned());
        }
        flags.extend(level.flags.iter().cloned());
        flags
    }

    /// The files of a project's SIMD kernels, in guest/.
    pub fn kernels(&self, project: &str) -> Vec<String> {
        let folder = format!("simd/{project}/");
        let files = self.facts.guest.keys().filter(|file| file.starts_with(&folder));
        files.cloned().collect()
    }
}
