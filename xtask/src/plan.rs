//! The plan: from a profile and digests to steps with keys. Pure: it reads no file and starts nothing, so that a test can
//! compare it with what it was, and `--dry-run` can print it.
//!
//! Paths and numbers of the machine are placeholders (`{work}`, `{jobs}`), filled in when a step runs; so a step's key, the
//! hash of all that goes into it, is the same on every machine.

pub mod native;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use serde::Serialize;

use crate::digest::Key;
use crate::error::usage;
use crate::pins::{Pins, Source};
use crate::profile::{ComponentSet, Profile};
use crate::suspend;

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
}

impl Step {
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

/// One thing that a step does. Paths are relative to the step's work folder `{work}`, unless they say otherwise.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Compiler wrappers in `bin`, which is put on PATH.
    Toolchain,
    /// An upstream tree with our patches, in a folder of its name.
    Source {
        name: String,
    },
    /// Files of guest/, in a folder `guest`.
    Guest {
        files: Vec<String>,
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
    },
    /// Takes files (a glob) into the step's result.
    Keep {
        from: String,
        files: Vec<String>,
        to: String,
    },
    /// Finds what may be suspended and makes it known to Asyncify (suspend.rs).
    Suspend {
        module: String,
        map: String,
        objects: Vec<String>,
        to: String,
    },
    /// Makes arguments that go through memory 64 bits wide (widen.rs).
    Widen {
        module: String,
        to: String,
    },
    /// Runs wasm-opt of the pinned Binaryen.
    Optimise {
        module: String,
        arguments: Vec<String>,
        to: String,
    },
    /// Strips and checks the finished module (inspect.rs).
    Finish {
        module: String,
        features: Vec<String>,
        to: String,
    },
    /// Writes .gz and .br beside a module.
    Compress {
        module: String,
    },
    /// Asks the module what it can do and writes it down, with its sizes and digests.
    Describe {
        module: String,
        to: String,
    },
}

/// Digests of what lies in the repository and of the SDK: all that a plan depends on beside the data files.
#[derive(Debug, Clone)]
pub struct Facts {
    pub sdk: String,
    pub binaryen: String,
    /// File below guest/ -> digest.
    pub guest: BTreeMap<String, String>,
    /// Project -> digest of its patches.
    pub patches: BTreeMap<String, String>,
    /// Source file of the build tool that transforms a module -> digest.
    pub transforms: BTreeMap<String, String>,
}

/// Every engine feature that the guest's code may need, as wasm-opt names it. clang 22 enables these for its default
/// target; naming them keeps Binaryen from using newer ones, which engines refuse.
pub const BASE_FEATURES: [&str; 8] = [
    "bulk-memory",
    "bulk-memory-opt",
    "call-indirect-overlong",
    "multivalue",
    "mutable-globals",
    "nontrapping-float-to-int",
    "reference-types",
    "sign-ext",
];
const SIMD_FEATURE: &str = "simd";

/// How the guest's own C is compiled, in the folder guest.
pub const GUEST_C_FLAGS: &str = "-std=c17 -Wall -Wextra -Wpedantic -Wshadow -Werror -I.";

/// The stack comes first in memory, so that its overflow traps instead of overwriting data; it is only the scheduler's, since
/// every thread has its own. The exports are for suspend.rs, which takes them away.
pub const LINK_FLAGS: &str = "-Wl,--stack-first -Wl,-z,stack-size=1048576 -Wl,--max-memory=4294967296 -Wl,--strip-debug \
                              -Wl,--fatal-warnings -Wl,--export=afmpeg_foreign_depth -Wl,--export=afmpeg_permitted_index";

/// Asyncify for exactly the functions that suspend.rs has named.
pub fn asyncify_arguments() -> Vec<String> {
    vec![
        "--asyncify".into(),
        "--pass-arg=asyncify-ignore-indirect".into(),
        "--pass-arg=asyncify-imports@none".into(),
        // The function that unwinds is not instrumented itself, but a call to it counts only if it is on the list.
        format!(
            "--pass-arg=asyncify-onlylist@{}*,{}",
            suspend::SUSPENDABLE_PREFIX,
            suspend::SUSPEND
        ),
    ]
}

/// What zlib's library is made of.
const ZLIB_FILES: &str = "adler32 compress crc32 deflate gzclose gzlib gzread gzwrite infback inffast inflate inftrees \
                          trees uncompr zutil";

/// What FATE's programs are called after their names, so that they are told from what lies beside them.
pub const PROGRAM_SUFFIX: &str = ".wasm";

const FFMPEG_LIBRARIES: [&str; 7] = [
    "libavcodec",
    "libavdevice",
    "libavfilter",
    "libavformat",
    "libavutil",
    "libswresample",
    "libswscale",
];

/// The programs of FATE have one thread and one stack, as large as that of a thread of the module.
const FATE_LINK_FLAGS: &str = "-Wl,--stack-first -Wl,-z,stack-size=2097152 -lwasi-emulated-getpid";

/// What FATE reads while it runs: its makefiles and references, and the programs.
const FATE_FILES: [&str; 16] = [
    "**/*.wasm",
    "**/Makefile",
    "ffbuild/*.mak",
    "ffbuild/*.sh",
    "lib*/*.version",
    "lib*/version*.h",
    "libavutil/tests/file.c",
    "libswscale/{aarch64/ops_entries.c,uops_macros.h}",
    "tests/*.{awk,ffconcat,ffmeta,pnm,sh}",
    "tests/fate/*",
    "tests/filtergraphs/*",
    "tests/maps/*",
    "tests/ref/**",
    "tests/streamgroups/*",
    "tests/{audiogen,audiomatch,base64,rotozoom,tiny_psnr,tiny_ssim,videogen}",
    "{.version,libavutil/ffversion.h}",
];

/// Where the libraries that FFmpeg is built on lie, in a build's work folder.
const PREFIX: &str = "prefix";

struct Planner<'a> {
    profile: &'a Profile,
    components: &'a ComponentSet,
    pins: &'a Pins,
    facts: &'a Facts,
    steps: Vec<Step>,
}

pub fn plan(name: &str, profile: &Profile, components: &ComponentSet, pins: &Pins, facts: &Facts) -> Result<Plan> {
    let mut planner = Planner::new(profile, components, pins, facts);
    planner.libraries()?;
    planner.ffmpeg()?;
    planner.link()?;
    planner.optimise()?;
    planner.finish()?;
    planner.describe()?;
    Ok(Plan {
        profile: name.to_owned(),
        steps: planner.steps,
    })
}

fn words(text: &str) -> Vec<String> {
    text.split_whitespace().map(str::to_owned).collect()
}

fn run(directory: &str, program: &str, arguments: Vec<String>) -> Action {
    Action::Run {
        directory: directory.into(),
        program: program.into(),
        arguments,
    }
}

fn keep(from: &str, files: &[&str], to: &str) -> Action {
    Action::Keep {
        from: from.into(),
        files: files.iter().map(|&file| file.to_owned()).collect(),
        to: to.into(),
    }
}

/// The tree in which FATE runs, with its programs but without the module: configured as the module was, and sharing its
/// libraries, so that what is tested is what is shipped.
pub fn fate_plan(name: &str, profile: &Profile, components: &ComponentSet, pins: &Pins, facts: &Facts) -> Result<Plan> {
    let mut planner = Planner::new(profile, components, pins, facts);
    planner.libraries()?;
    planner.ffmpeg()?;
    planner.fate()?;
    Ok(Plan {
        profile: name.to_owned(),
        steps: planner.steps,
    })
}

/// The digest that a source stands for in keys and records: of its tree where containers differ, else of its container.
pub fn source_digest(source: &Source) -> Option<&str> {
    source.tree_sha256.as_deref().or(source.sha256.as_deref())
}

impl<'a> Planner<'a> {
    fn new(profile: &'a Profile, components: &'a ComponentSet, pins: &'a Pins, facts: &'a Facts) -> Planner<'a> {
        Planner {
            profile,
            components,
            pins,
            facts,
            steps: Vec::new(),
        }
    }
}

impl Planner<'_> {
    /// Adds a step; what its actions take becomes part of its key.
    fn step(&mut self, name: &str, actions: Vec<Action>) -> Result<()> {
        let mut inputs = BTreeMap::new();
        for action in &actions {
            match action {
                Action::Toolchain => drop(inputs.insert("sdk".to_owned(), self.facts.sdk.clone())),
                Action::Source { name } => {
                    let source = self.pins.source(name)?;
                    let Some(digest) = source_digest(source) else {
                        bail!("source.{name} needs a sha256 or tree_sha256")
                    };
                    let digest = Key::new("source").field(digest).field(source.keep.join("\n")).finish();
                    inputs.insert(format!("source {name}"), digest);
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
                Action::Result { step, .. } => {
                    let Some(earlier) = self.steps.iter().find(|earlier| earlier.name == *step) else {
                        bail!("{name} takes the result of {step}, which comes later");
                    };
                    inputs.insert(format!("step {step}"), earlier.key.clone());
                }
                Action::Suspend { .. } => self.transform(&mut inputs, "suspend"),
                Action::Widen { .. } => self.transform(&mut inputs, "widen"),
                Action::Finish { .. } => self.transform(&mut inputs, "inspect"),
                Action::Compress { .. } => self.transform(&mut inputs, "compress"),
                Action::Describe { .. } => self.transform(&mut inputs, "describe"),
                Action::Optimise { .. } => drop(inputs.insert("binaryen".to_owned(), self.facts.binaryen.clone())),
                Action::Write { .. } | Action::Run { .. } | Action::Keep { .. } => {}
            }
        }
        let mut key = Key::new("step 1").field(name);
        for (input, digest) in &inputs {
            key = key.field(input).field(digest);
        }
        key = key.field(serde_json::to_string(&actions)?);
        self.steps.push(Step {
            name: name.to_owned(),
            key: key.finish(),
            inputs,
            actions,
        });
        Ok(())
    }

    fn transform(&self, inputs: &mut BTreeMap<String, String>, name: &str) {
        inputs.insert(
            format!("transform {name}"),
            self.facts.transforms.get(name).cloned().unwrap_or_default(),
        );
    }

    /// What the profile says to the compiler, for every C and C++ file of a module.
    fn compile_flags(&self) -> Vec<String> {
        let mut flags = vec![self.profile.optimise.flag().to_owned()];
        if self.profile.simd {
            flags.push("-msimd128".to_owned());
        }
        flags.extend(self.profile.flags.iter().cloned());
        flags
    }

    fn features(&self) -> Vec<String> {
        let mut features: Vec<String> = BASE_FEATURES.iter().map(|&feature| feature.to_owned()).collect();
        if self.profile.simd {
            features.push(SIMD_FEATURE.to_owned());
        }
        if self.profile.flags.iter().any(|flag| flag == "-mrelaxed-simd") {
            features.push("relaxed-simd".to_owned());
        }
        features.sort();
        features
    }

    fn libraries(&mut self) -> Result<()> {
        for library in &self.components.libraries {
            match library.as_str() {
                "zlib" => self.zlib()?,
                "x264" => self.x264()?,
                "openh264" => self.openh264()?,
                other => {
                    let message = format!(
                        "profiles/components/{}.toml: there is no recipe for the library `{other}`",
                        self.profile.components
                    );
                    return Err(usage(message).hint("the libraries are: openh264, x264, zlib").into());
                }
            }
        }
        Ok(())
    }

    fn zlib(&mut self) -> Result<()> {
        let sources = ZLIB_FILES.split_whitespace().map(|file| format!("{file}.c"));
        let objects = ZLIB_FILES.split_whitespace().map(|file| format!("{file}.o"));
        let mut compile = self.compile_flags();
        // Without HAVE_UNISTD_H zlib's gz files miss declarations of read and write.
        compile.extend(words("-fvisibility=hidden -DHAVE_UNISTD_H -c"));
        compile.extend(sources);
        let archive = words("crD libz.a").into_iter().chain(objects).collect();
        self.step(
            "zlib",
            vec![
                Action::Toolchain,
                Action::Source { name: "zlib".into() },
                run("zlib", "wasm-cc", compile),
                run("zlib", "wasm-ar", archive),
                keep("zlib", &["zlib.h", "zconf.h"], "include"),
                keep("zlib", &["libz.a"], "lib"),
                keep("zlib", &["LICENSE"], "licenses/zlib"),
            ],
        )
    }

    /// Upstream's script asks git, which would find whatever repository lies around the build.
    fn x264_version_script(&self) -> Result<String> {
        let version = &self.pins.source("x264")?.version;
        let Some((point_version, commit)) = version.split_once('-') else {
            bail!("source.x264: the version must be MAJOR.MINOR.REVISION-COMMIT");
        };
        let revision = point_version.rsplit('.').next().unwrap_or_default();
        let short_commit = commit.get(..7).unwrap_or(commit);
        Ok(format!(
            "#!/bin/sh\necho '#define X264_VERSION \" r{revision} {short_commit}\"'\n\
             echo '#define X264_POINTVER \"{point_version} {short_commit}\"'\n"
        ))
    }

    fn x264(&mut self) -> Result<()> {
        let version_script = self.x264_version_script()?;
        let mut configure = words(
            "configure --host=wasm32-unknown-wasi --cross-prefix=wasm- --prefix=/ --enable-static --disable-cli \
             --disable-opencl --disable-thread --bit-depth=all --chroma-format=all",
        );
        configure.push(format!("--extra-cflags={}", self.compile_flags().join(" ")));
        // For checkasm, whose buffers lie on the stack.
        configure.push("--extra-ldflags=-Wl,-z,stack-size=1048576".into());
        let kernels = self.kernels("x264");
        self.step(
            "x264",
            vec![
                Action::Toolchain,
                Action::Source { name: "x264".into() },
                Action::Guest { files: kernels },
                run(".", "cp", words("-R guest/simd/x264 x264/common/wasm")),
                Action::Write {
                    path: "x264/version.sh".into(),
                    text: version_script,
                },
                // configure looks into an object for the byte order with `strings`, which a machine may lack.
                run(
                    "x264",
                    "env",
                    words("CC=wasm-cc")
                        .into_iter()
                        .chain(["STRINGS=grep -a .".into(), "bash".into()])
                        .chain(configure)
                        .collect(),
                ),
                run("x264", "make", words("-j{jobs} lib-static checkasm8")),
                keep("x264", &["x264.h", "x264_config.h"], "include"),
                keep("x264", &["libx264.a"], "lib"),
                keep("x264", &["COPYING"], "licenses/x264"),
                keep("x264", &["checkasm8"], "tests"),
            ],
        )
    }

    /// The files of a project's SIMD kernels, in guest/.
    fn kernels(&self, project: &str) -> Vec<String> {
        let folder = format!("simd/{project}/");
        let files = self.facts.guest.keys().filter(|file| file.starts_with(&folder));
        files.cloned().collect()
    }

    fn openh264(&mut self) -> Result<()> {
        let flags = format!(
            "{} -fvisibility=hidden -D_WASI_EMULATED_SIGNAL -include ../guest/single_threaded.h",
            self.compile_flags().join(" ")
        );
        let mut make = words("-j{jobs} OS=linux ARCH=wasm32 USE_STACK_PROTECTOR=No CC=wasm-cc CXX=wasm-c++ AR=wasm-ar");
        make.push(format!("CFLAGS_OPT={flags}"));
        make.push("CXXFLAGS=-fno-exceptions -fno-rtti -fno-PIC".into());
        make.push("libopenh264.a".into());
        // Upstream's headers define a few macros twice.
        let mut checkasm = words(
            "codec/common/wasm/checkasm.cpp libopenh264.a -o checkasm -fno-exceptions -fno-rtti -Wall -Werror -Wno-macro-redefined \
             -Icodec/api/wels -Icodec/common/inc -Icodec/encoder/core/inc -Icodec/encoder/plus/inc -Icodec/processing/interface \
             -Icodec/processing/src/common -Icodec/processing/src/vaacalc -lwasi-emulated-getpid -lwasi-emulated-signal \
             -Wl,-z,stack-size=1048576",
        );
        checkasm.extend(words(&flags));
        let mut files = self.kernels("openh264");
        files.push("single_threaded.h".into());
        self.step(
            "openh264",
            vec![
                Action::Toolchain,
                Action::Source {
                    name: "openh264".into(),
                },
                Action::Guest { files },
                run(".", "cp", words("-R guest/simd/openh264 openh264/codec/common/wasm")),
                run("openh264", "make", make),
                run("openh264", "wasm-c++", checkasm),
                keep("openh264/codec/api", &["wels/codec*.h"], "include"),
                keep("openh264", &["libopenh264.a"], "lib"),
                keep("openh264", &["LICENSE"], "licenses/openh264"),
                keep("openh264", &["checkasm"], "tests"),
            ],
        )
    }

    /// FFmpeg's configure asks pkg-config for the libraries, which a fresh machine lacks; it is answered here.
    fn pkg_config(&self, cxx_libraries: &str) -> String {
        let answers: String = self
            .components
            .libraries
            .iter()
            .map(|library| match library.as_str() {
                "openh264" => format!("    openh264*) libraries='-lopenh264 {cxx_libraries}' ;;\n"),
                "zlib" => "    zlib*) libraries='-lz' ;;\n".to_owned(),
                other => format!("    {other}*) libraries='-l{other}' ;;\n"),
            })
            .collect();
        format!(
            "#!/bin/sh\nfor package; do :; done\ncase $package in\n    --version) echo 0.29.2; exit ;;\n{answers}    \
             *) echo \"Package $package was not found\" >&2; exit 1 ;;\nesac\ncase $1 in\n    --exists) ;;\n    \
             --cflags) echo '-I../{PREFIX}/include' ;;\n    --libs) echo \"-L../{PREFIX}/lib $libraries\" ;;\n    \
             *) echo ../{PREFIX}/include ;;\nesac\n"
        )
    }

    fn configure(&self) -> Vec<String> {
        let mut configure = words(
            "--arch=wasm32 --target-os=none --enable-cross-compile --cross-prefix=wasm- --cc=wasm-cc --cxx=wasm-c++ --host-cc=cc \
             --disable-pthreads --disable-runtime-cpudetect --disable-autodetect --disable-network --disable-devices \
             --enable-indev=lavfi --disable-doc --disable-debug --disable-ffplay --disable-stripping \
             --disable-resource-compression --disable-shader-compression",
        );
        configure.push(format!("--optflags={}", self.profile.optimise.flag()));
        if !self.profile.simd {
            configure.push("--disable-simd128".into());
        }
        // The level stands in --optflags.
        let flags: String = self.compile_flags()[1..]
            .iter()
            .map(|flag| format!("{flag} "))
            .collect();
        configure.push(format!(
            "--extra-cflags={flags}-D_BSD_SOURCE -D_WASI_EMULATED_SIGNAL -D_WASI_EMULATED_PROCESS_CLOCKS"
        ));
        configure.push(format!("--extra-ldflags=-L../{PREFIX}/lib"));
        configure.push("--extra-libs=-lwasi_gaps -lwasi-emulated-signal -lwasi-emulated-process-clocks".into());
        configure.extend(self.components.configure.iter().cloned());
        configure
    }

    /// What the steps of the libraries left, where FFmpeg's configure finds it.
    fn library_results(&self, prefix: &str) -> impl Iterator<Item = Action> {
        self.components.libraries.iter().map(move |library| Action::Result {
            step: format!("{prefix}{library}"),
            to: PREFIX.into(),
        })
    }

    fn ffmpeg(&mut self) -> Result<()> {
        let mut make = words("-j{jobs} -f ../guest/ffmpeg.mak");
        if let Some(cold) = self.profile.optimise_cold {
            make.push(format!("AFMPEG_HOT_FLAGS={}", self.profile.optimise.flag()));
            make.push(format!("AFMPEG_COLD_FLAGS={}", cold.flag()));
        }
        make.push("afmpeg".into());

        let mut compile_gaps = self.compile_flags();
        compile_gaps.extend(words("-std=c17 -Wall -Wextra -Werror -c time_zone.c wasi_gaps.c"));
        let mut guest = words("ffmpeg.mak programs.h time_zone.c wasi_gaps.c with_threads.h");
        guest.extend(self.kernels("ffmpeg"));
        let mut actions = vec![
            Action::Toolchain,
            Action::Source { name: "ffmpeg".into() },
            Action::Guest { files: guest },
            run(".", "cp", words("-R guest/simd/ffmpeg .")),
            Action::Write {
                path: "bin/wasm-pkg-config".into(),
                text: self.pkg_config("-lc++ -lc++abi"),
            },
        ];
        actions.extend(self.library_results(""));
        actions.extend([
            run("guest", "wasm-cc", compile_gaps),
            run(
                "guest",
                "wasm-ar",
                words("crD ../prefix/lib/libwasi_gaps.a time_zone.o wasi_gaps.o"),
            ),
            run("ffmpeg", "./configure", self.configure()),
            run("ffmpeg", "make", make),
            keep(
                "ffmpeg",
                &["afmpeg.objects", "afmpeg.libraries", "fftools/**/*.o", "lib*/lib*.a"],
                "ffmpeg",
            ),
            keep("ffmpeg", &["COPYING.*", "LICENSE.md"], "licenses/ffmpeg"),
            keep(
                "ffmpeg",
                &["config.h", "config_components.h", "ffbuild/config.mak"],
                "configuration",
            ),
            keep(PREFIX, &["lib/*.a"], PREFIX),
        ]);
        self.step("ffmpeg", actions)
    }

    /// FATE's tree. The libraries come from the step before, and make takes them as they are (`-o`).
    fn fate(&mut self) -> Result<()> {
        let mut make = words("-j{jobs} -f ../guest/fate.mak");
        make.extend(
            FFMPEG_LIBRARIES
                .iter()
                .flat_map(|library| ["-o".to_owned(), format!("{library}/{library}.a")]),
        );
        make.push(format!("EXESUF={PROGRAM_SUFFIX}"));
        make.push(format!("LDEXEFLAGS={FATE_LINK_FLAGS}"));
        make.push("afmpeg-fate".into());
        let mut guest = words("fate.mak");
        guest.extend(self.kernels("ffmpeg"));
        let mut actions = vec![
            Action::Toolchain,
            Action::Source { name: "ffmpeg".into() },
            Action::Guest { files: guest },
            // Tests include headers of kernels.
            run(".", "cp", words("-R guest/simd/ffmpeg .")),
            Action::Write {
                path: "bin/wasm-pkg-config".into(),
                text: self.pkg_config("-lc++ -lc++abi"),
            },
        ];
        actions.extend(self.library_results(""));
        actions.extend([
            Action::Result {
                step: "ffmpeg".into(),
                to: ".".into(),
            },
            run("ffmpeg", "./configure", self.configure()),
            run("ffmpeg", "make", make),
            keep("ffmpeg", &FATE_FILES, "."),
        ]);
        self.step("fate", actions)
    }

    /// The guest's own C, the link, and what may be suspended.
    fn link(&mut self) -> Result<()> {
        let sources: Vec<String> = self
            .facts
            .guest
            .keys()
            .filter(|file| file.starts_with("threads/") && file.ends_with(".c"))
            .cloned()
            .collect();
        let is_header = |file: &&String| file.ends_with(".h") && !file.starts_with("simd/");
        let headers = self.facts.guest.keys().filter(is_header).cloned();
        let mut files: Vec<String> = words("callbacks.toml main.c");
        files.extend(sources.iter().cloned());
        files.extend(headers);
        let mut actions = vec![
            Action::Toolchain,
            Action::Guest { files },
            Action::Result {
                step: "ffmpeg".into(),
                to: ".".into(),
            },
        ];
        let mut objects = Vec::new();
        for source in ["main.c".to_owned()].into_iter().chain(sources) {
            let object = format!("{}.o", source.trim_end_matches(".c").replace('/', "_"));
            let mut compile = self.compile_flags();
            compile.extend(GUEST_C_FLAGS.split_whitespace().map(str::to_owned));
            compile.extend(["-c".to_owned(), source, "-o".to_owned(), object.clone()]);
            actions.push(run("guest", "wasm-cc", compile));
            objects.push(format!("../guest/{object}"));
        }
        actions.push(Action::Write {
            path: "ffmpeg/guest.objects".into(),
            text: objects.join("\n") + "\n",
        });
        let libraries = self.components.libraries.iter().map(|library| match library.as_str() {
            "zlib" => "-lz".to_owned(),
            other => format!("-l{other}"),
        });
        let mut link = words(
            "-o ../linked.wasm -Wl,-Map=../linked.map @guest.objects @afmpeg.objects @afmpeg.libraries -L../prefix/lib -lwasi_gaps \
             -lwasi-emulated-getpid -lwasi-emulated-process-clocks -lwasi-emulated-signal",
        );
        link.extend(libraries);
        link.extend(words(LINK_FLAGS));
        link.extend(self.profile.flags.iter().cloned());
        actions.push(run("ffmpeg", "wasm-c++", link));
        actions.push(Action::Suspend {
            module: "linked.wasm".into(),
            map: "linked.map".into(),
            objects: words("ffmpeg/guest.objects ffmpeg/afmpeg.objects"),
            to: "prepared.wasm".into(),
        });
        actions.push(keep(".", &["prepared.wasm", "suspend.json"], "."));
        self.step("link", actions)
    }

    fn optimise(&mut self) -> Result<()> {
        let mut arguments: Vec<String> = self
            .features()
            .iter()
            .map(|feature| format!("--enable-{feature}"))
            .collect();
        arguments.extend(asyncify_arguments());
        arguments.extend(self.profile.wasm_opt.iter().cloned());
        // With names, for profilers; they are taken out at the end.
        arguments.push("--debuginfo".into());
        let mut actions = vec![Action::Result {
            step: "link".into(),
            to: ".".into(),
        }];
        let mut module = "prepared.wasm";
        if self.profile.wide_arguments {
            actions.push(Action::Widen {
                module: module.into(),
                to: "wide.wasm".into(),
            });
            module = "wide.wasm";
        }
        actions.push(Action::Optimise {
            module: module.into(),
            arguments,
            to: "optimised.wasm".into(),
        });
        actions.push(keep(".", &["optimised.wasm"], "."));
        self.step("optimise", actions)
    }

    fn finish(&mut self) -> Result<()> {
        self.step(
            "finish",
            vec![
                Action::Result {
                    step: "optimise".into(),
                    to: ".".into(),
                },
                Action::Finish {
                    module: "optimised.wasm".into(),
                    features: self.features(),
                    to: "module.wasm".into(),
                },
                Action::Compress {
                    module: "module.wasm".into(),
                },
                keep(
                    ".",
                    &["module.wasm", "module.wasm.gz", "module.wasm.br", "inspection.json"],
                    ".",
                ),
            ],
        )
    }

    fn describe(&mut self) -> Result<()> {
        self.step(
            "describe",
            vec![
                Action::Result {
                    step: "finish".into(),
                    to: ".".into(),
                },
                Action::Describe {
                    module: "module.wasm".into(),
                    to: "description.json".into(),
                },
                keep(".", &["description.json"], "."),
            ],
        )
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn facts() -> Facts {
        let guest = [
            "callbacks.toml",
            "fate.mak",
            "ffmpeg.mak",
            "main.c",
            "programs.h",
            "simd/ffmpeg/libavcodec/wasm/h264_qpel.c",
            "simd/openh264/mc_wasm.c",
            "simd/x264/pixel.c",
            "simd/x264/wasm.h",
            "single_threaded.h",
            "threads.h",
            "threads/a.c",
            "time_zone.c",
            "wasi_gaps.c",
            "with_threads.h",
        ];
        Facts {
            sdk: "digest of the SDK".into(),
            binaryen: "132".into(),
            guest: guest.map(|file| (file.to_owned(), format!("digest of {file}"))).into(),
            patches: ["ffmpeg", "openh264", "x264"]
                .map(|name| (name.to_owned(), format!("digest of {name}'s")))
                .into(),
            transforms: ["compress", "describe", "inspect", "suspend", "widen"]
                .map(|name| (name.to_owned(), format!("digest of {name}.rs")))
                .into(),
        }
    }

    fn recipe(name: &str) -> (Profile, ComponentSet, Pins) {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let profile = Profile::load(root, name).unwrap();
        let components = ComponentSet::load(root, &profile.components).unwrap();
        (profile, components, Pins::load(root).unwrap())
    }

    fn keys(name: &str, profile: &Profile, facts: &Facts) -> BTreeMap<String, String> {
        let (_, components, pins) = recipe(name);
        let plan = plan(name, profile, &components, &pins, facts).unwrap();
        plan.steps.into_iter().map(|step| (step.name, step.key)).collect()
    }

    #[test]
    fn the_plan_of_a_profile_is_known() {
        let (profile, components, pins) = recipe("o3-gpl");
        let mut plan = plan("o3-gpl", &profile, &components, &pins, &facts()).unwrap();
        for step in &mut plan.steps {
            // Keys follow from the rest, and would change in every line.
            step.key = format!("{} characters", step.key.len());
            for (input, digest) in &mut step.inputs {
                if input.starts_with("step ") || input.starts_with("source ") {
                    *digest = format!("{} characters", digest.len());
                }
            }
        }
        insta::assert_json_snapshot!(plan);
    }

    #[test]
    fn only_what_a_change_touches_is_made_again() {
        let (profile, ..) = recipe("o3-gpl");
        let before = keys("o3-gpl", &profile, &facts());
        let changed = |after: &BTreeMap<String, String>| -> Vec<String> {
            before
                .iter()
                .filter(|(name, key)| after[*name] != **key)
                .map(|(name, _)| name.clone())
                .collect()
        };

        let other_passes = Profile {
            wasm_opt: vec!["-Oz".into()],
            ..profile.clone()
        };
        assert_eq!(
            changed(&keys("o3-gpl", &other_passes, &facts())),
            ["describe", "finish", "optimise"]
        );

        let mut other_threads = facts();
        other_threads.guest.insert("threads/a.c".into(), "other".into());
        assert_eq!(
            changed(&keys("o3-gpl", &profile, &other_threads)),
            ["describe", "finish", "link", "optimise"]
        );

        let mut other_kernels = facts();
        other_kernels.guest.insert("simd/x264/pixel.c".into(), "other".into());
        assert_eq!(
            changed(&keys("o3-gpl", &profile, &other_kernels)),
            ["describe", "ffmpeg", "finish", "link", "optimise", "x264"]
        );

        let kernel = "simd/ffmpeg/libavcodec/wasm/h264_qpel.c";
        other_kernels = facts();
        other_kernels.guest.insert(kernel.into(), "other".into());
        assert_eq!(
            changed(&keys("o3-gpl", &profile, &other_kernels)),
            ["describe", "ffmpeg", "finish", "link", "optimise"]
        );

        let mut other_patches = facts();
        other_patches.patches.insert("x264".into(), "other".into());
        assert_eq!(
            changed(&keys("o3-gpl", &profile, &other_patches)),
            ["describe", "ffmpeg", "finish", "link", "optimise", "x264"]
        );

        let mut other_sdk = facts();
        other_sdk.sdk = "other".into();
        assert_eq!(changed(&keys("o3-gpl", &profile, &other_sdk)).len(), before.len());

        let scalar = Profile {
            simd: false,
            ..profile.clone()
        };
        assert_eq!(changed(&keys("o3-gpl", &scalar, &facts())).len(), before.len());
    }

    #[test]
    fn flags_reach_every_library_and_the_link() {
        let (mut profile, components, pins) = recipe("o3-gpl");
        profile.flags = vec!["-mrelaxed-simd".into()];
        let plan = plan("o3-gpl", &profile, &components, &pins, &facts()).unwrap();
        for step in &plan.steps[..5] {
            let says_so = |action: &Action| match action {
                Action::Run { arguments, .. } => arguments.iter().any(|one| one.contains("-mrelaxed-simd")),
                _ => false,
            };
            assert!(step.actions.iter().any(says_so), "{}", step.name);
        }
        let features = |action: &Action| match action {
            Action::Optimise { arguments, .. } => arguments.contains(&"--enable-relaxed-simd".into()),
            _ => false,
        };
        assert!(plan.steps[5].actions.iter().any(features), "{}", plan.steps[5].name);
    }
}
