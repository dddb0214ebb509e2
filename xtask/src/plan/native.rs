//! Plans of FFmpeg for the machine that builds: the module's own sources, patches and components, compiled by the system's
//! compiler.

use anyhow::{Result, bail};

use super::{Action, Facts, PREFIX, Plan, Planner, ZLIB_FILES, keep, run, words};
use crate::pins::Pins;
use crate::profile::{ComponentSet, Profile};

/// As upstream builds for users.
const OPTIMISE: &str = "-O3";

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

pub fn plan(
    native: Native,
    profile: &Profile,
    components: &ComponentSet,
    pins: &Pins,
    facts: &Facts,
    machine: &Machine,
) -> Result<Plan> {
    let planner = Planner::new(profile, components, pins, facts);
    let mut recipe = Recipe {
        planner,
        native,
        machine,
    };
    if recipe.needs_assembler() {
        recipe.assembler()?;
    }
    for library in &components.libraries {
        recipe.library(library)?;
    }
    recipe.ffmpeg()?;
    Ok(Plan {
        profile: native.name().to_owned(),
        steps: recipe.planner.steps,
    })
}

struct Recipe<'a> {
    planner: Planner<'a>,
    native: Native,
    machine: &'a Machine,
}

impl Recipe<'_> {
    fn has_assembly(&self) -> bool {
        self.native == Native::WithAssembly
    }

    /// Elsewhere assembly goes through the C compiler.
    fn needs_assembler(&self) -> bool {
        self.has_assembly() && self.machine.host.starts_with("x86_64")
    }

    /// What compiles is no input with a digest; its words for itself make a step's key its own.
    fn compiler(&self) -> Action {
        Action::Write {
            path: "compiler".into(),
            text: self.machine.compiler.clone(),
        }
    }

    fn assembler(&mut self) -> Result<()> {
        let actions = vec![
            self.compiler(),
            Action::Source { name: "nasm".into() },
            // Unpacked files are as old as their unpacking, in any order, and make would generate again what came with them.
            run("nasm", "find", words(". -type f -exec touch -d @0 {} +")),
            run("nasm", "sh", words("configure")),
            run("nasm", "make", words("-j{jobs} nasm")),
            keep("nasm", &["nasm"], "bin"),
        ];
        self.planner.step("nasm", actions)
    }

    fn library(&mut self, library: &str) -> Result<()> {
        let keep_library = |file: &str| keep(library, &[file], "lib");
        let actions = match library {
            "zlib" => {
                let sources = ZLIB_FILES.split_whitespace().map(|file| format!("{file}.c"));
                let objects = ZLIB_FILES.split_whitespace().map(|file| format!("{file}.o"));
                let compile = words(OPTIMISE)
                    .into_iter()
                    .chain(words("-DHAVE_UNISTD_H -c"))
                    .chain(sources);
                let archive = words("crD libz.a").into_iter().chain(objects);
                vec![
                    run("zlib", "cc", compile.collect()),
                    run("zlib", "ar", archive.collect()),
                    keep("zlib", &["zlib.h", "zconf.h"], "include"),
                    keep_library("libz.a"),
                ]
            }
            "x264" => {
                let mut configure = words("CC=cc bash configure --prefix=/ --enable-static --disable-cli");
                if !self.has_assembly() {
                    configure.push("--disable-asm".into());
                }
                configure.push("--disable-opencl".into());
                configure.extend(words("--bit-depth=all --chroma-format=all"));
                configure.push(format!("--extra-cflags={OPTIMISE}"));
                vec![
                    Action::Write {
                        path: "x264/version.sh".into(),
                        text: self.planner.x264_version_script()?,
                    },
                    run("x264", "env", configure),
                    run("x264", "make", words("-j{jobs} lib-static")),
                    keep("x264", &["x264.h", "x264_config.h"], "include"),
                    keep_library("libx264.a"),
                ]
            }
            "openh264" => {
                let mut make = words("-j{jobs}");
                if !self.has_assembly() {
                    make.push("USE_ASM=No".into());
                }
                make.extend([format!("CFLAGS_OPT={OPTIMISE}"), "libopenh264.a".into()]);
                vec![
                    run("openh264", "make", make),
                    keep("openh264/codec/api", &["wels/codec*.h"], "include"),
                    keep_library("libopenh264.a"),
                ]
            }
            other => bail!("there is no native recipe for the library `{other}`"),
        };
        let source = Action::Source { name: library.into() };
        let mut all = vec![self.compiler(), source];
        if library != "zlib" {
            all.extend(self.assembler_result());
        }
        all.extend(actions);
        self.planner.step(&format!("{}-{library}", self.native.name()), all)
    }

    /// The assembler, in the folder bin that is on PATH.
    fn assembler_result(&self) -> Option<Action> {
        self.needs_assembler().then(|| Action::Result {
            step: "nasm".into(),
            to: ".".into(),
        })
    }

    fn ffmpeg(&mut self) -> Result<()> {
        let mut configure = Vec::new();
        if !self.has_assembly() {
            configure.push("--disable-asm".to_owned());
        }
        configure.extend(words(
            "--disable-autodetect --enable-pthreads --disable-network --disable-devices --enable-indev=lavfi \
             --disable-doc --disable-debug --disable-ffplay --disable-stripping --disable-resource-compression \
             --disable-shader-compression",
        ));
        configure.push(format!("--optflags={}", OPTIMISE));
        configure.push(format!("--extra-ldflags=-L../{PREFIX}/lib"));
        configure.push("--extra-libs=-lm".into());
        configure.extend(self.planner.components.configure.iter().cloned());
        let mut actions = vec![
            self.compiler(),
            Action::Source { name: "ffmpeg".into() },
            Action::Write {
                path: "bin/pkg-config".into(),
                text: self.planner.pkg_config("-lstdc++ -lm"),
            },
        ];
        actions.extend(self.assembler_result());
        actions.extend(self.planner.library_results(&format!("{}-", self.native.name())));
        actions.extend([
            run("ffmpeg", "./configure", configure),
            run("ffmpeg", "make", words("-j{jobs} ffmpeg ffprobe")),
            keep("ffmpeg", &["ffmpeg", "ffprobe"], "."),
        ]);
        self.planner.step(&self.native.programs(), actions)
    }
}
