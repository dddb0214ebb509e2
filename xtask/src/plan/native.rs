//! Plans of FFmpeg for the machine that builds: the module's own sources, patches and components, compiled by the system's
//! compiler.

use anyhow::Result;

use crate::inputs::pins::Pins;
use crate::plan::library::{self, NATIVE_OPTIMISE, Target};
use crate::plan::pkg_config::{self, PREFIX};
use crate::plan::step::{Action, Facts, Places, Plan, Planner, words};
use crate::recipe::library::{FFMPEG, Libraries};
use crate::recipe::profile::Recipe;

/// What a native build is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Native {
    /// What a module's speed is compared with: as upstream would build it for users.
    WithAssembly,
    /// The same without assembly: what an engine's results are compared with, and what tells the compiler's work from
    /// assembly's.
    WithoutAssembly,
}

impl Native {
    /// The step whose result holds ffmpeg and ffprobe.
    pub fn programs(self) -> String {
        format!("{}-ffmpeg", self.name())
    }

    /// What the names of its steps begin with.
    pub fn name(self) -> &'static str {
        match self {
            Native::WithAssembly => "native-assembly",
            Native::WithoutAssembly => "native-c",
        }
    }
}

/// The machine that compiles: what it is, in the words of the pins, and what its compiler says of itself.
#[derive(Debug, Clone)]
pub struct Machine {
    pub host: String,
    pub compiler: String,
}

const ASSEMBLER: &str = "nasm";

pub fn plan(
    native: Native,
    recipe: &Recipe,
    libraries: &Libraries,
    pins: &Pins,
    facts: &Facts,
    machine: &Machine,
) -> Result<Plan> {
    let mut planner = Planner::new(recipe, libraries, pins, facts);
    let with_assembly = native == Native::WithAssembly;
    // Elsewhere assembly goes through the C compiler.
    let needs_assembler = with_assembly && machine.host.starts_with("x86_64");
    if needs_assembler {
        add_assembler(&mut planner, machine)?;
    }
    let prefix = format!("{}-", native.name());
    for name in &recipe.components.libraries {
        let target = Target::Native {
            compiler: &machine.compiler,
            with_assembly,
            prefix: &prefix,
            assembler: needs_assembler.then_some(ASSEMBLER),
        };
        library::plan(&mut planner, name, target)?;
    }
    add_ffmpeg(&mut planner, native, machine, needs_assembler)?;
    Ok(planner.plan(native.name()))
}

/// What compiles is no input with a digest; its words for itself make a step's key its own.
fn compiler(machine: &Machine) -> Action {
    Action::write("compiler", &*machine.compiler)
}

fn add_assembler(planner: &mut Planner, machine: &Machine) -> Result<()> {
    let actions = vec![
        compiler(machine),
        Action::source(ASSEMBLER),
        // Unpacked files are as old as their unpacking, in any order, and make would generate again what came with them.
        Action::run(ASSEMBLER, "find", words(". -type f -exec touch -d @0 {} +")),
        Action::run(ASSEMBLER, "sh", words("configure")),
        Action::run(ASSEMBLER, "make", words("-j{jobs} nasm")),
        Action::keep(ASSEMBLER, ["nasm"], "bin"),
    ];
    planner.step(ASSEMBLER, actions, Places::default())
}

fn add_ffmpeg(planner: &mut Planner, native: Native, machine: &Machine, needs_assembler: bool) -> Result<()> {
    let ffmpeg = &planner.libraries.ffmpeg.data;
    let components = &planner.recipe.components;
    let mut configure = ffmpeg.configure.native.clone();
    if native == Native::WithoutAssembly {
        configure.push("--disable-asm".to_owned());
    }
    configure.extend(ffmpeg.configure.options.iter().cloned());
    configure.push(format!("--optflags={NATIVE_OPTIMISE}"));
    configure.push(format!("--extra-ldflags=-L../{PREFIX}/lib"));
    configure.push("--extra-libs=-lm".into());
    configure.extend(components.configure.iter().cloned());
    let prefix = format!("../{PREFIX}");
    let script = pkg_config::script(planner, &components.libraries, pkg_config::NATIVE_CXX, &prefix)?;
    let mut actions = vec![
        compiler(machine),
        Action::source(FFMPEG),
        Action::write("bin/pkg-config", script),
    ];
    if needs_assembler {
        actions.push(Action::result(ASSEMBLER, "."));
    }
    actions.extend(pkg_config::results(
        &components.libraries,
        &format!("{}-", native.name()),
    ));
    actions.extend([
        Action::run(FFMPEG, "./configure", configure),
        Action::run(FFMPEG, "make", words("-j{jobs} ffmpeg ffprobe")),
        Action::keep(FFMPEG, ["ffmpeg", "ffprobe"], "."),
    ]);
    planner.step(&native.programs(), actions, Places::default())
}
