//! FFmpeg itself: configured with what the recipe takes, and the tree in which its own tests run.

use anyhow::Result;

use crate::plan::pkg_config::{self, PREFIX};
use crate::plan::step::{Action, Places, Planner, words};
use crate::plan::toolchain;
use crate::recipe::library::FFMPEG;

/// The step that compiles FFmpeg, and that which makes FATE's tree.
pub const STEP: &str = "ffmpeg";
pub const FATE_STEP: &str = "fate";

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

/// What the guest's C library is asked for.
const C_FLAGS: &str = "-D_BSD_SOURCE -D_WASI_EMULATED_SIGNAL -D_WASI_EMULATED_PROCESS_CLOCKS";
const EXTRA_LIBS: &str = "-lwasi_gaps -lwasi-emulated-signal -lwasi-emulated-process-clocks";

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

/// What configure says of a component that it does not know, and goes on.
const UNKNOWN_COMPONENT: &str = "did not match anything";

/// FFmpeg's source, configured.
fn source(planner: &Planner, guest: &str) -> Result<Vec<Action>> {
    let mut files = words(guest);
    files.extend(planner.kernels(FFMPEG));
    let libraries = &planner.recipe.components.libraries;
    let prefix = format!("../{PREFIX}");
    let script = pkg_config::script(planner, libraries, pkg_config::WASM_CXX, &prefix)?;
    let mut actions = toolchain::wrappers();
    actions.extend([
        Action::source(FFMPEG),
        Action::Guest { files },
        // Tests include headers of kernels, too.
        Action::run(".", "cp", words("-R guest/simd/ffmpeg .")),
        Action::write("bin/wasm-pkg-config", script),
    ]);
    actions.extend(pkg_config::results(libraries, ""));
    Ok(actions)
}

fn configure(planner: &Planner) -> Action {
    let (level, ffmpeg) = (&planner.recipe.level, &planner.libraries.ffmpeg.data);
    let mut arguments = ffmpeg.configure.wasm.clone();
    arguments.extend(ffmpeg.configure.options.iter().cloned());
    arguments.push(format!("--optflags={}", level.optimise.flag()));
    if !level.simd {
        arguments.push("--disable-simd128".into());
    }
    // The level stands in --optflags.
    let flags: Vec<String> = planner.compile_flags().split_off(1);
    let flags: String = flags.iter().map(|flag| format!("{flag} ")).collect();
    // Some libraries have no file of pkg-config; configure finds them by their headers.
    arguments.push(format!("--extra-cflags={flags}{C_FLAGS} -I../{PREFIX}/include"));
    arguments.push(format!("--extra-ldflags=-L../{PREFIX}/lib"));
    arguments.push(format!("--extra-libs={EXTRA_LIBS}"));
    arguments.extend(planner.recipe.components.configure.iter().cloned());
    Action::run_refusing(FFMPEG, "./configure", arguments, UNKNOWN_COMPONENT)
}

/// FFmpeg's libraries, and the objects of its programs.
pub fn add(planner: &mut Planner) -> Result<()> {
    let level = &planner.recipe.level;
    let mut make = words("-j{jobs} -f ../guest/ffmpeg.mak");
    if let Some(cold) = level.optimise_cold {
        make.push(format!("AFMPEG_HOT_FLAGS={}", level.optimise.flag()));
        make.push(format!("AFMPEG_COLD_FLAGS={}", cold.flag()));
    }
    make.push("afmpeg".into());
    let mut compile_gaps = planner.compile_flags();
    compile_gaps.extend(words(
        "-std=c17 -Wall -Wextra -Werror -c plain_streams.c time_zone.c wasi_gaps.c",
    ));
    let mut compile_cxx_gaps = planner.compile_flags();
    compile_cxx_gaps.extend(words("-std=c++17 -Wall -Wextra -Werror -c cxx_gaps.cpp"));
    let archive_gaps = words("crD ../prefix/lib/libwasi_gaps.a cxx_gaps.o plain_streams.o time_zone.o wasi_gaps.o");

    let guest = "cxx_gaps.cpp ffmpeg.mak plain_streams.c programs.h streams.h time_zone.c wasi_gaps.c with_threads.h";
    let mut actions = source(planner, guest)?;
    actions.extend([
        Action::run(".", "mkdir", words("-p prefix/lib")),
        Action::run("guest", "wasm-cc", compile_gaps),
        Action::run("guest", "wasm-c++", compile_cxx_gaps),
        Action::run("guest", "wasm-ar", archive_gaps),
        configure(planner),
        Action::run(FFMPEG, "make", make),
        Action::keep(
            FFMPEG,
            ["afmpeg.objects", "afmpeg.libraries", "fftools/**/*.o", "lib*/lib*.a"],
            FFMPEG,
        ),
        Action::keep(FFMPEG, &planner.libraries.ffmpeg.data.license_files, "licenses/ffmpeg"),
        Action::keep(
            FFMPEG,
            ["config.h", "config_components.h", "ffbuild/config.mak"],
            "configuration",
        ),
        Action::keep(PREFIX, ["lib/*.a"], PREFIX),
    ]);
    let mut places = Places::recipe(planner.libraries.ffmpeg.at_table("configure"));
    places.arguments = planner.recipe.components.places.clone();
    planner.step(STEP, actions, places)
}

/// FATE's tree. The libraries come from the step before, and make takes them as they are (`-o`).
pub fn add_fate(planner: &mut Planner) -> Result<()> {
    let mut make = words("-j{jobs} -f ../guest/fate.mak");
    let built = FFMPEG_LIBRARIES.iter();
    make.extend(built.flat_map(|library| ["-o".to_owned(), format!("{library}/{library}.a")]));
    make.push(format!("EXESUF={PROGRAM_SUFFIX}"));
    make.push(format!("LDEXEFLAGS={FATE_LINK_FLAGS}"));
    make.push("afmpeg-fate".into());
    let mut actions = source(planner, "fate.mak")?;
    actions.extend([
        Action::result(STEP, "."),
        configure(planner),
        Action::run(FFMPEG, "make", make),
        Action::keep(FFMPEG, FATE_FILES, "."),
    ]);
    planner.step(FATE_STEP, actions, Places::default())
}
