//! From FFmpeg's objects to the finished module: the guest's own C, the link, and the passes over the module.

use anyhow::Result;

use crate::plan::ffmpeg;
use crate::plan::step::{Action, Places, Planner, words};
use crate::plan::toolchain;
use crate::wasm::compress::Compress;
use crate::wasm::describe::Describe;
use crate::wasm::inspect::Inspect;
use crate::wasm::optimise::Optimise;
use crate::wasm::origins::Origins;
use crate::wasm::suspend::{self, Suspend};
use crate::wasm::widen::Widen;

/// Steps whose results others look for.
pub const FINISH: &str = "finish";
pub const DESCRIBE: &str = "describe";

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

fn features(planner: &Planner) -> Vec<String> {
    let level = &planner.recipe.level;
    let mut features: Vec<String> = BASE_FEATURES.iter().map(|&feature| feature.to_owned()).collect();
    if level.simd {
        features.push(SIMD_FEATURE.to_owned());
    }
    if level.flags.iter().any(|flag| flag == "-mrelaxed-simd") {
        features.push("relaxed-simd".to_owned());
    }
    features.sort();
    features
}

/// Compiles the guest's own C, and links.
pub fn add_link(planner: &mut Planner) -> Result<()> {
    let guest = planner.facts.guest.keys();
    let is_source = |file: &&String| file.starts_with("threads/") && file.ends_with(".c");
    let sources: Vec<String> = guest.clone().filter(is_source).cloned().collect();
    let is_header = |file: &&String| file.ends_with(".h") && !file.starts_with("simd/");
    let mut files: Vec<String> = words("callbacks.toml main.c");
    files.extend(sources.iter().cloned());
    files.extend(guest.filter(is_header).cloned());
    let mut actions = toolchain::wrappers();
    actions.extend([Action::Guest { files }, Action::result(ffmpeg::STEP, ".")]);
    let mut objects = Vec::new();
    for source in ["main.c".to_owned()].into_iter().chain(sources) {
        let object = format!("{}.o", source.trim_end_matches(".c").replace('/', "_"));
        let mut compile = planner.compile_flags();
        compile.extend(words(GUEST_C_FLAGS));
        compile.extend(["-c".to_owned(), source, "-o".to_owned(), object.clone()]);
        actions.push(Action::run("guest", "wasm-cc", compile));
        objects.push(format!("../guest/{object}"));
    }
    actions.push(Action::write("ffmpeg/guest.objects", objects.join("\n") + "\n"));
    actions.push(Action::run("ffmpeg", "wasm-c++", link(planner)?));
    if !planner.recipe.components.terms.gpl {
        actions.push(Action::pass(origins(planner)?));
    }
    actions.push(Action::pass(Suspend {
        module: "linked.wasm".into(),
        map: "linked.map".into(),
        objects: words("ffmpeg/guest.objects ffmpeg/afmpeg.objects"),
        callbacks: "guest/callbacks.toml".into(),
        to: "prepared.wasm".into(),
        report: "suspend.json".into(),
    }));
    // `cargo xtask sizes` reads the map.
    actions.push(Action::keep(".", ["prepared.wasm", "suspend.json", "linked.map"], "."));
    planner.step("link", actions, Places::default())
}

fn link(planner: &Planner) -> Result<Vec<String>> {
    let mut arguments = words(
        "-o ../linked.wasm -Wl,-Map=../linked.map @guest.objects @afmpeg.objects @afmpeg.libraries -L../prefix/lib -lwasi_gaps \
         -lwasi-emulated-getpid -lwasi-emulated-process-clocks -lwasi-emulated-signal",
    );
    for name in &planner.recipe.components.libraries {
        for word in words(&planner.libraries.get(name)?.ffmpeg.libs) {
            if !arguments.contains(&word) {
                arguments.push(word);
            }
        }
    }
    arguments.extend(words(LINK_FLAGS));
    arguments.extend(planner.recipe.level.flags.iter().cloned());
    Ok(arguments)
}

/// What a module without GPL must not be linked with.
fn origins(planner: &Planner) -> Result<Origins> {
    let mut archives = Vec::new();
    for name in planner.libraries.names() {
        if planner.libraries.terms(name)?.gpl {
            let of_library = &planner.libraries.get(name)?.build.archives;
            archives.extend(
                of_library
                    .iter()
                    .map(|path| path.rsplit('/').next().unwrap_or(path).to_owned()),
            );
        }
    }
    Ok(Origins {
        map: "linked.map".into(),
        license: planner.recipe.components.terms.ffmpeg_license().into(),
        archives,
        objects: planner.libraries.ffmpeg.data.gpl.objects.clone(),
    })
}

/// All that is done to a linked module.
pub fn add_passes(planner: &mut Planner) -> Result<()> {
    let enable = |feature: &String| format!("--enable-{feature}");
    let mut arguments: Vec<String> = features(planner).iter().map(enable).collect();
    arguments.extend(asyncify_arguments());
    arguments.extend(planner.recipe.level.wasm_opt.iter().cloned());
    // With names, for profilers; they are taken out at the end.
    arguments.push("--debuginfo".into());
    let mut actions = vec![Action::result("link", ".")];
    let mut module = "prepared.wasm";
    if planner.recipe.level.wide_arguments {
        actions.push(Action::pass(Widen {
            module: module.into(),
            to: "wide.wasm".into(),
        }));
        module = "wide.wasm";
    }
    actions.push(Action::pass(Optimise {
        module: module.into(),
        arguments,
        to: "optimised.wasm".into(),
    }));
    actions.push(Action::keep(".", ["optimised.wasm"], "."));
    planner.step("optimise", actions, Places::default())?;

    let inspect = Inspect {
        module: "optimised.wasm".into(),
        features: features(planner),
        to: "module.wasm".into(),
        report: "inspection.json".into(),
    };
    let compress = Compress {
        module: "module.wasm".into(),
    };
    let kept = ["module.wasm", "module.wasm.gz", "module.wasm.br", "inspection.json"];
    let actions = vec![
        Action::result("optimise", "."),
        Action::pass(inspect),
        Action::pass(compress),
        Action::keep(".", kept, "."),
    ];
    planner.step(FINISH, actions, Places::default())?;

    let describe = Describe {
        module: "module.wasm".into(),
        to: "description.json".into(),
    };
    let actions = vec![
        Action::result(FINISH, "."),
        Action::pass(describe),
        Action::keep(".", ["description.json"], "."),
    ];
    planner.step(DESCRIBE, actions, Places::default())
}
