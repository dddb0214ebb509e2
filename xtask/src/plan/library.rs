//! How libraries are built: what each build system wants, for a module and for the machine that builds. What differs between
//! libraries stands in their files (recipe/library.rs).

use anyhow::{Context, Result, bail};

use crate::plan::pkg_config::{self, PREFIX};
use crate::plan::step::{Action, Places, Planner, words};
use crate::plan::toolchain;
use crate::recipe::library::{Library, Simd, System, X86_INTRINSICS, version_parts};

/// What a library is built for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target<'a> {
    Wasm,
    Native {
        /// What the compiler says of itself.
        compiler: &'a str,
        with_assembly: bool,
        /// The names of steps begin with this.
        prefix: &'a str,
        /// The step that makes the assembler.
        assembler: Option<&'a str>,
    },
}

/// As upstream builds for users.
pub const NATIVE_OPTIMISE: &str = "-O3";

/// What Autoconf's scripts and CMake say of an option that they don't know.
const AUTOCONF_REFUSED: &str = "unrecognized options";
const CMAKE_REFUSED: &str = "Manually-specified variables were not used by the project";

/// The levels of x86 whose intrinsics the headers of x86-intrinsics have in exact forms, as compilers name them.
const SSE4_1: [&str; 5] = ["SSE", "SSE2", "SSE3", "SSSE3", "SSE4_1"];

/// Adds the step of a library.
pub fn plan(planner: &mut Planner, name: &str, target: Target) -> Result<()> {
    let document = planner.libraries.document(name)?;
    let builder = Builder {
        planner,
        name,
        library: &document.data,
        target,
    };
    let actions = builder.actions().with_context(|| document.at_table("build"))?;
    let (place, step) = (document.at_table("build"), builder.step_name(name));
    planner.step(&step, actions, Places::recipe(place))
}

struct Builder<'a> {
    planner: &'a Planner<'a>,
    name: &'a str,
    library: &'a Library,
    target: Target<'a>,
}

impl Builder<'_> {
    fn is_wasm(&self) -> bool {
        self.target == Target::Wasm
    }

    fn step_name(&self, library: &str) -> String {
        match self.target {
            Target::Wasm => library.to_owned(),
            Target::Native { prefix, .. } => format!("{prefix}{library}"),
        }
    }

    fn actions(&self) -> Result<Vec<Action>> {
        let build = &self.library.build;
        let mut actions = match self.target {
            Target::Wasm => toolchain::wrappers(),
            Target::Native { compiler, .. } => vec![Action::write("compiler", compiler)],
        };
        actions.push(Action::source(self.name));
        if let Target::Native {
            assembler: Some(step), ..
        } = self.target
            && build.system != System::Files
        {
            actions.push(Action::result(step, "."));
        }
        self.add_guest(&mut actions);
        let mut needs = self.planner.libraries.with_needs(self.name)?;
        needs.retain(|need| need != self.name);
        let intrinsics = self.takes_x86_intrinsics().then(|| X86_INTRINSICS.to_owned());
        for need in needs.iter().chain(&intrinsics) {
            actions.push(Action::result(&self.step_name(need), PREFIX));
        }
        if !needs.is_empty() {
            let (program, cxx) = match self.is_wasm() {
                true => ("bin/wasm-pkg-config", pkg_config::WASM_CXX),
                false => ("bin/pkg-config", pkg_config::NATIVE_CXX),
            };
            let script = pkg_config::script(self.planner, &needs, cxx, &format!("{{work}}/{PREFIX}"))?;
            actions.push(Action::write(program, script));
        }
        if let Some(version) = &build.version {
            let parts = version_parts(version, &self.library.source.version).context("the version has other parts")?;
            let mut text = version.text.clone();
            for (placeholder, value) in parts {
                text = text.replace(&format!("{{{placeholder}}}"), &value);
            }
            actions.push(Action::write(format!("{}/{}", self.name, version.path), text));
        }
        match build.system {
            System::Files => self.files(&mut actions)?,
            System::Make => self.make(&mut actions, self.options()),
            System::Configure => self.configure(&mut actions),
            System::Autotools => self.autotools(&mut actions),
            System::Cmake => self.cmake(&mut actions),
            System::Meson => self.meson(&mut actions),
            System::Headers => {}
        }
        self.add_check(&mut actions);
        self.add_kept(&mut actions);
        Ok(actions)
    }

    /// Files of guest/ that it is compiled with.
    fn add_guest(&self, actions: &mut Vec<Action>) {
        let wasm = &self.library.build.wasm;
        if !self.is_wasm() {
            return;
        }
        let mut files = Vec::new();
        if wasm.kernels.is_some() {
            files.extend(self.planner.kernels(self.name));
        }
        if wasm.single_threaded {
            files.push("single_threaded.h".to_owned());
        }
        if wasm.no_longjmp {
            files.push("no_longjmp/setjmp.h".to_owned());
        }
        if files.is_empty() {
            return;
        }
        actions.push(Action::Guest { files });
        if let Some(folder) = &wasm.kernels {
            let (from, to) = (format!("guest/simd/{}", self.name), format!("{}/{folder}", self.name));
            actions.push(Action::run(".", "cp", vec!["-R".into(), from, to]));
        }
    }

    /// The folder in which the build system runs.
    fn folder(&self) -> String {
        match self.library.build.folder.as_str() {
            "." => self.name.to_owned(),
            folder => format!("{}/{folder}", self.name),
        }
    }

    /// The way from there to the work folder. Where compilers run elsewhere, too, it is `{work}`.
    fn work(&self) -> String {
        match self.library.build.system {
            System::Autotools | System::Cmake | System::Meson => "{work}".into(),
            _ => vec![".."; self.folder().split('/').count()].join("/"),
        }
    }

    fn cflags(&self) -> String {
        let build = &self.library.build;
        let mut flags = match self.target {
            Target::Wasm => self.planner.compile_flags(),
            Target::Native { .. } => words(NATIVE_OPTIMISE),
        };
        let own = match self.target {
            Target::Wasm => &build.wasm.cflags,
            Target::Native { .. } => &build.native.cflags,
        };
        flags.extend(words(&build.cflags).into_iter().chain(words(own)));
        if self.is_wasm() && build.wasm.single_threaded {
            flags.extend(["-include".into(), format!("{}/guest/single_threaded.h", self.work())]);
        }
        if self.is_wasm() && build.wasm.no_longjmp {
            flags.push(format!("-I{}/guest/no_longjmp", self.work()));
        }
        if let Some(simd) = self.simd() {
            flags.extend(words(&simd.cflags));
        }
        if self.takes_x86_intrinsics() {
            // They stand before the compiler's own, which refuse to be compiled for anything else than x86.
            flags.push(format!("-isystem {}/{PREFIX}/include/{X86_INTRINSICS}", self.work()));
            flags.extend(SSE4_1.map(|level| format!("-D__{level}__")));
        }
        if !self.library.needs.is_empty() {
            flags.push(format!("-I{}/{PREFIX}/include", self.work()));
        }
        flags.join(" ")
    }

    /// What the library has for modules with SIMD, when it is built for one.
    fn simd(&self) -> Option<&Simd> {
        let is_for_simd = self.is_wasm() && self.planner.recipe.level.simd;
        is_for_simd.then_some(&self.library.build.wasm.simd)
    }

    fn takes_x86_intrinsics(&self) -> bool {
        self.simd().is_some_and(|simd| simd.x86_intrinsics)
    }

    fn fill(&self, text: &str) -> String {
        text.replace("{cflags}", &self.cflags())
    }

    fn options(&self) -> Vec<String> {
        let build = &self.library.build;
        let own = match self.target {
            Target::Wasm => build.wasm.options.clone(),
            Target::Native { with_assembly, .. } => {
                let mut options = build.native.options.clone();
                if !with_assembly {
                    options.extend(build.native.without_assembly.iter().cloned());
                }
                options
            }
        };
        let simd = self.simd().map(|simd| &simd.options);
        // What comes later counts.
        let all = build.options.iter().chain(&own).chain(simd.into_iter().flatten());
        all.map(|option| self.fill(option)).collect()
    }

    fn targets(&self) -> Vec<String> {
        let build = &self.library.build;
        let mut targets = build.targets.clone();
        if self.is_wasm() {
            targets.extend(build.wasm.targets.iter().cloned());
        }
        if let Some(simd) = self.simd() {
            targets.extend(simd.targets.iter().cloned());
        }
        targets
    }

    fn environment(&self) -> Vec<String> {
        let build = &self.library.build;
        let own = match self.target {
            Target::Wasm => &build.wasm.environment,
            Target::Native { .. } => &build.native.environment,
        };
        own.iter()
            .map(|(name, value)| format!("{name}={}", self.fill(value)))
            .collect()
    }

    fn files(&self, actions: &mut Vec<Action>) -> Result<()> {
        let build = &self.library.build;
        let [archive] = &build.archives[..] else {
            bail!("the system `files` makes one archive");
        };
        let mut objects = Vec::new();
        for file in &build.files {
            let name = file.rsplit('/').next().unwrap_or(file);
            let Some((stem, kind)) = name.rsplit_once('.') else {
                bail!("{file} has no extension that says what language it is");
            };
            if kind != "c" && build.files.iter().any(|other| other.ends_with(".c")) {
                bail!("the system `files` compiles C or C++, not both");
            }
            objects.push(format!("{stem}.o"));
        }
        let is_cxx = build.files.iter().any(|file| !file.ends_with(".c"));
        let (compiler, archiver) = match (self.is_wasm(), is_cxx) {
            (true, false) => ("wasm-cc", "wasm-ar"),
            (true, true) => ("wasm-c++", "wasm-ar"),
            (false, false) => ("cc", "ar"),
            (false, true) => ("c++", "ar"),
        };
        let mut compile = words(&self.cflags());
        compile.extend(self.options());
        compile.push("-c".into());
        compile.extend(build.files.iter().cloned());
        let archive = words("crD").into_iter().chain([archive.clone()]).chain(objects);
        actions.push(Action::run(&self.folder(), compiler, compile));
        actions.push(Action::run(&self.folder(), archiver, archive.collect()));
        Ok(())
    }

    fn make(&self, actions: &mut Vec<Action>, options: Vec<String>) {
        let mut arguments = words("-j{jobs}");
        arguments.extend(options);
        arguments.extend(self.targets());
        actions.push(Action::run(&self.folder(), "make", arguments));
    }

    fn configure(&self, actions: &mut Vec<Action>) {
        let mut arguments = self.environment();
        arguments.extend(words("bash ./configure"));
        arguments.extend(self.options());
        actions.push(Action::run(&self.folder(), "env", arguments));
        self.make(actions, Vec::new());
    }

    fn autotools(&self, actions: &mut Vec<Action>) {
        // Unpacked files are as old as their unpacking, in any order, and make would generate again what came with them.
        actions.push(Action::run(
            self.name,
            "find",
            words(". -type f -exec touch -d @0 {} +"),
        ));
        let mut arguments: Vec<String> = match self.target {
            Target::Wasm => words("CC=wasm-cc CXX=wasm-c++ AR=wasm-ar NM=wasm-nm RANLIB=wasm-ranlib"),
            Target::Native { .. } => words("CC=cc CXX=c++"),
        };
        let pkg_config = if self.is_wasm() {
            "wasm-pkg-config"
        } else {
            "pkg-config"
        };
        arguments.push(format!("PKG_CONFIG={{work}}/bin/{pkg_config}"));
        arguments.push(format!("CFLAGS={}", self.cflags()));
        arguments.push(format!("CXXFLAGS={}", self.cflags()));
        if !self.library.needs.is_empty() {
            // libtool wants a path that goes from the root.
            arguments.push(format!("LDFLAGS=-L{{work}}/{PREFIX}/lib"));
        }
        // What a library says comes last, and counts.
        arguments.extend(self.environment());
        arguments.extend(words("sh ./configure --prefix=/ --enable-static --disable-shared"));
        if self.is_wasm() {
            arguments.push("--host=wasm32-unknown-wasi".into());
        }
        arguments.extend(self.options());
        actions.push(Action::run_refusing(&self.folder(), "env", arguments, AUTOCONF_REFUSED));
        self.make(actions, Vec::new());
    }

    fn cmake(&self, actions: &mut Vec<Action>) {
        actions.extend([Action::tool("cmake"), Action::tool("ninja")]);
        let mut arguments = words("-G Ninja -DCMAKE_BUILD_TYPE=None -DBUILD_SHARED_LIBS=OFF");
        arguments.push("-DCMAKE_MAKE_PROGRAM={tool:ninja}/ninja".into());
        // In a file, what a project does not ask for is no mistake.
        let cached = |name: &str, value: &str| format!("set({name} \"{value}\" CACHE STRING \"\")\n");
        let settings = [
            cached("CMAKE_C_FLAGS", &self.cflags()),
            cached("CMAKE_CXX_FLAGS", &self.cflags()),
            cached("CMAKE_PREFIX_PATH", &format!("{{work}}/{PREFIX}")),
        ];
        actions.push(Action::write("settings.cmake", settings.concat()));
        arguments.extend(words("-C {work}/settings.cmake"));
        if self.is_wasm() {
            actions.push(Action::write("wasm.cmake", CMAKE_TOOLCHAIN));
            arguments.push("-DCMAKE_TOOLCHAIN_FILE={work}/wasm.cmake".into());
        }
        arguments.extend(self.options());
        let variants = self.library.build.variants.iter();
        let variants = variants.map(|variant| (format!("build-{}", variant.name), &variant.options[..]));
        for (build, more) in variants.chain([("build".to_owned(), &[][..])]) {
            let mut all = words("-S . -B");
            all.push(build.clone());
            all.extend(arguments.iter().cloned());
            all.extend(more.iter().map(|option| self.fill(option)));
            let program = "{tool:cmake}/bin/cmake";
            actions.push(Action::run_refusing(&self.folder(), program, all, CMAKE_REFUSED));
            self.ninja(actions, &build);
        }
    }

    fn meson(&self, actions: &mut Vec<Action>) {
        actions.extend([Action::tool("meson"), Action::tool("ninja")]);
        actions.push(Action::write("bin/meson", MESON));
        let flags = self.cflags();
        let list = |text: &str| {
            let quoted: Vec<String> = text.split_whitespace().map(|word| format!("'{word}'")).collect();
            format!("[{}]", quoted.join(", "))
        };
        let mut arguments = words(
            "NINJA={tool:ninja}/ninja meson setup build --buildtype=plain --default-library=static --wrap-mode=nodownload \
             -Db_ndebug=true",
        );
        let options = format!(
            "[built-in options]\nc_args = {0}\ncpp_args = {0}\nprefix = '/'\n",
            list(&flags)
        );
        if self.is_wasm() {
            actions.push(Action::write("wasm.ini", format!("{MESON_CROSS}{options}")));
            arguments.push("--cross-file={work}/wasm.ini".into());
        } else {
            actions.push(Action::write("native.ini", options));
            arguments.push("--native-file={work}/native.ini".into());
        }
        arguments.extend(self.options());
        actions.push(Action::run(&self.folder(), "env", arguments));
        self.ninja(actions, "build");
    }

    fn ninja(&self, actions: &mut Vec<Action>, build: &str) {
        let mut arguments = words("{tool:ninja}/ninja -j{jobs} -C");
        arguments.push(build.to_owned());
        arguments.extend(self.targets());
        if self.library.build.system == System::Meson {
            // What it builds calls Meson.
            arguments.splice(0..0, words("PYTHONPATH={tool:meson} PYTHONDONTWRITEBYTECODE=1"));
        }
        actions.push(Action::run(&self.folder(), "env", arguments));
    }

    /// The program that compares kernels, where it is not a target of the build.
    fn add_check(&self, actions: &mut Vec<Action>) {
        if let Some(check) = &self.library.check
            && self.is_wasm()
        {
            actions.extend(check.sources.iter().map(|source| Action::source(source)));
            let compiler = if self.library.ffmpeg.cxx { "wasm-c++" } else { "wasm-cc" };
            for compile in &check.compile {
                actions.push(Action::run(self.name, compiler, words(&self.fill(compile))));
            }
        }
    }

    fn add_kept(&self, actions: &mut Vec<Action>) {
        let build = &self.library.build;
        let below = |folder: &str| match folder {
            "." => self.name.to_owned(),
            folder => format!("{}/{folder}", self.name),
        };
        for headers in &build.headers {
            let to = format!("include/{}", headers.to);
            let to = to.trim_end_matches('/');
            actions.push(Action::keep(&below(&headers.folder), &headers.files, to));
        }
        for archive in &build.archives {
            let (folder, file) = archive.rsplit_once('/').unwrap_or((".", archive));
            actions.push(Action::keep(&below(folder), [file], "lib"));
        }
        if !self.is_wasm() {
            return;
        }
        let to = format!("licenses/{}", self.name);
        actions.push(Action::keep(self.name, &self.library.license_files, &to));
        if let Some(check) = &self.library.check {
            actions.push(Action::keep(self.name, [&check.program], "tests"));
        }
    }
}

/// CMake for a system that it does not know, with compilers that are on PATH.
const CMAKE_TOOLCHAIN: &str = "\
set(CMAKE_SYSTEM_NAME Generic)
set(CMAKE_SYSTEM_PROCESSOR wasm32)
set(CMAKE_C_COMPILER wasm-cc)
set(CMAKE_CXX_COMPILER wasm-c++)
set(CMAKE_AR {work}/bin/wasm-ar)
set(CMAKE_NM {work}/bin/wasm-nm)
set(CMAKE_RANLIB {work}/bin/wasm-ranlib)
set(CMAKE_C_COMPILER_AR ${CMAKE_AR})
set(CMAKE_CXX_COMPILER_AR ${CMAKE_AR})
set(CMAKE_C_COMPILER_RANLIB ${CMAKE_RANLIB})
set(CMAKE_CXX_COMPILER_RANLIB ${CMAKE_RANLIB})
set(CMAKE_FIND_ROOT_PATH {work}/prefix)
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_PACKAGE ONLY)
set(PKG_CONFIG_EXECUTABLE {work}/bin/wasm-pkg-config)
";

/// Meson is a package of Python, and writes no compiled code beside its source.
const MESON: &str = "\
#!/bin/sh
PYTHONPATH=\"{tool:meson}\" PYTHONDONTWRITEBYTECODE=1 exec python3 -m mesonbuild.mesonmain \"$@\"
";

const MESON_CROSS: &str = "\
[binaries]
c = 'wasm-cc'
cpp = 'wasm-c++'
ar = 'wasm-ar'
nm = 'wasm-nm'
ranlib = 'wasm-ranlib'
pkg-config = 'wasm-pkg-config'
[host_machine]
system = 'wasi'
cpu_family = 'wasm32'
cpu = 'wasm32'
endian = 'little'
[properties]
needs_exe_wrapper = true
";
