//! The plan: from a recipe and digests to steps with keys. Pure: it reads no file and starts nothing, so that a test can
//! compare it with what it was, and `--dry-run` can print it.
//!
//! Paths and numbers of the machine are placeholders (`{work}`, `{jobs}`), filled in when a step runs; so a step's key, the
//! hash of all that goes into it, is the same on every machine.

pub mod ffmpeg;
pub mod finish;
pub mod library;
pub mod native;
pub mod pack;
pub mod pkg_config;
pub mod step;
pub mod toolchain;

use anyhow::Result;

use crate::inputs::pins::Pins;
use crate::recipe::library::Libraries;
use crate::recipe::profile::Recipe;
use library::Target;
use step::{Facts, Plan, Planner};

/// A module, from its libraries to its description.
pub fn module(recipe: &Recipe, libraries: &Libraries, pins: &Pins, facts: &Facts) -> Result<Plan> {
    let mut planner = Planner::new(recipe, libraries, pins, facts);
    add_libraries(&mut planner)?;
    ffmpeg::add(&mut planner)?;
    finish::add_link(&mut planner)?;
    finish::add_passes(&mut planner)?;
    Ok(planner.plan(&recipe.profile))
}

/// The tree in which FATE runs, with its programs but without the module: configured as the module was, and sharing its
/// libraries, so that what is tested is what is shipped.
pub fn fate(recipe: &Recipe, libraries: &Libraries, pins: &Pins, facts: &Facts) -> Result<Plan> {
    let mut planner = Planner::new(recipe, libraries, pins, facts);
    add_libraries(&mut planner)?;
    ffmpeg::add(&mut planner)?;
    ffmpeg::add_fate(&mut planner)?;
    Ok(planner.plan(&recipe.profile))
}

fn add_libraries(planner: &mut Planner) -> Result<()> {
    for name in &planner.recipe.components.libraries {
        library::plan(planner, name, Target::Wasm)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::build::facts;
    use crate::plan::native::{Machine, Native};
    use crate::plan::step::Action;
    use crate::project;
    use crate::wasm;

    struct Inputs {
        recipe: Recipe,
        libraries: Libraries,
        pins: Pins,
        facts: Facts,
    }

    fn facts() -> Facts {
        let guest = [
            "callbacks.toml",
            "cxx_gaps.cpp",
            "fate.mak",
            "ffmpeg.mak",
            "main.c",
            "plain_streams.c",
            "programs.h",
            "simd/ffmpeg/libavcodec/wasm/h264_qpel.c",
            "simd/openh264/mc_wasm.c",
            "simd/x264/pixel.c",
            "simd/x264/wasm.h",
            "single_threaded.h",
            "streams.h",
            "threads.h",
            "threads/a.c",
            "time_zone.c",
            "wasi_gaps.c",
            "with_threads.h",
        ];
        let passes = facts::passes().unwrap().into_keys();
        Facts {
            sdk: "digest of the SDK".into(),
            wasm_opt: "digest of wasm-opt".into(),
            environment: "digest of the environment".into(),
            unpacking: "digest of what unpacks".into(),
            guest: guest.map(|file| (file.to_owned(), format!("digest of {file}"))).into(),
            pack: ["code.h", "include/math.h", "inside.c", "outside.c"]
                .map(|file| (file.to_owned(), format!("digest of {file}")))
                .into(),
            patches: ["ffmpeg", "openh264", "x264"]
                .map(|name| (name.to_owned(), format!("digest of {name}'s")))
                .into(),
            passes: passes.map(|name| (name.clone(), format!("digest of {name}"))).collect(),
            host: "x86_64-linux".into(),
        }
    }

    impl Inputs {
        fn of(profile: &str) -> Inputs {
            let root = project::root().unwrap();
            let libraries = Libraries::load(&root).unwrap();
            let pins = Pins::load(&root, &libraries).unwrap();
            let recipe = Recipe::load(&root, profile, &libraries, "MIT").unwrap();
            Inputs {
                recipe,
                libraries,
                pins,
                facts: facts(),
            }
        }

        fn plan(&self) -> Plan {
            module(&self.recipe, &self.libraries, &self.pins, &self.facts).unwrap()
        }

        fn keys(&self) -> BTreeMap<String, String> {
            let steps = self.plan().steps.into_iter();
            steps.map(|step| (step.name, step.key)).collect()
        }
    }

    #[test]
    fn the_plan_of_a_profile_is_known() {
        let mut plan = Inputs::of("o3-gpl-lean").plan();
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

    /// The steps that a change of inputs makes anew.
    fn changed(change: impl FnOnce(&mut Inputs)) -> Vec<String> {
        let mut inputs = Inputs::of("o3-gpl-lean");
        let before = inputs.keys();
        change(&mut inputs);
        let after = inputs.keys();
        let differs = |name: &&String| after[*name] != before[*name];
        before.keys().filter(differs).cloned().collect()
    }

    #[test]
    fn every_input_reaches_the_keys_of_the_steps_that_take_it_and_no_other() {
        let all = [
            "describe", "ffmpeg", "finish", "link", "openh264", "optimise", "x264", "zlib",
        ];
        let from = |first: &str, libraries: &[&str]| -> Vec<String> {
            let order = ["ffmpeg", "link", "optimise", "finish", "describe"];
            let rest = order.iter().skip_while(|name| **name != first);
            let mut names: Vec<String> = rest.chain(libraries).map(|&name| name.to_owned()).collect();
            names.sort();
            names
        };
        let other = || "other".to_owned();

        assert_eq!(changed(|inputs| inputs.facts.sdk = other()), all);
        assert_eq!(changed(|inputs| inputs.facts.environment = other()), all);
        assert_eq!(changed(|inputs| inputs.recipe.level.simd = false), all);
        let flags = |inputs: &mut Inputs| inputs.recipe.level.flags.push("-mrelaxed-simd".into());
        assert_eq!(changed(flags), all);
        let libraries = ["openh264", "x264", "zlib"];
        assert_eq!(
            changed(|inputs| inputs.facts.unpacking = other()),
            from("ffmpeg", &libraries)
        );
        let keep = |inputs: &mut Inputs| inputs.pins.source.get_mut("zlib").unwrap().keep.push("README".into());
        assert_eq!(changed(keep), from("ffmpeg", &["zlib"]));
        let digest = |inputs: &mut Inputs| inputs.pins.source.get_mut("ffmpeg").unwrap().sha256 = Some(other());
        assert_eq!(changed(digest), from("ffmpeg", &[]));
        let patches = |inputs: &mut Inputs| drop(inputs.facts.patches.insert("x264".into(), other()));
        assert_eq!(changed(patches), from("ffmpeg", &["x264"]));
        for (file, wanted) in [
            ("callbacks.toml", from("link", &[])),
            ("cxx_gaps.cpp", from("ffmpeg", &[])),
            ("ffmpeg.mak", from("ffmpeg", &[])),
            ("main.c", from("link", &[])),
            ("programs.h", from("ffmpeg", &[])),
            ("simd/ffmpeg/libavcodec/wasm/h264_qpel.c", from("ffmpeg", &[])),
            ("simd/openh264/mc_wasm.c", from("ffmpeg", &["openh264"])),
            ("simd/x264/pixel.c", from("ffmpeg", &["x264"])),
            ("single_threaded.h", from("ffmpeg", &["openh264"])),
            ("threads/a.c", from("link", &[])),
            ("wasi_gaps.c", from("ffmpeg", &[])),
            // FATE's alone.
            ("fate.mak", Vec::new()),
        ] {
            assert_eq!(
                changed(|inputs| drop(inputs.facts.guest.insert(file.into(), other()))),
                wanted,
                "{file}"
            );
        }
        for (pass, wanted) in [
            ("compress", from("finish", &[])),
            ("describe", from("describe", &[])),
            ("inspect", from("finish", &[])),
            ("optimise", from("optimise", &[])),
            ("suspend", from("link", &[])),
            ("widen", from("optimise", &[])),
        ] {
            assert_eq!(
                changed(|inputs| drop(inputs.facts.passes.insert(pass.into(), other()))),
                wanted,
                "{pass}"
            );
        }
        assert_eq!(changed(|inputs| inputs.facts.wasm_opt = other()), from("optimise", &[]));
        let passes = |inputs: &mut Inputs| inputs.recipe.level.wasm_opt = vec!["-Oz".into()];
        assert_eq!(changed(passes), from("optimise", &[]));
        let components = |inputs: &mut Inputs| inputs.recipe.components.configure.push("--disable-x".into());
        assert_eq!(changed(components), from("ffmpeg", &[]));
        // What does not reach a module is in no key.
        assert!(changed(|inputs| inputs.recipe.description = other()).is_empty());
    }

    /// The steps of a pack that a change makes anew.
    fn changed_of_pack(change: impl FnOnce(&mut Inputs, &mut pack::Module, &mut pack::Machine)) -> Vec<String> {
        let mut inputs = Inputs::of("o3-gpl-lean");
        let mut of = pack::Module {
            sha256: "digest of the module".into(),
            size_bytes: 600_000,
        };
        let mut machine = pack::machines("x86_64-v3-linux").unwrap()[0];
        let keys = |inputs: &Inputs, of: &pack::Module, machine: pack::Machine| -> BTreeMap<String, String> {
            let plan = pack::plan(machine, "a pack", of, &inputs.pins, &inputs.facts).unwrap();
            plan.steps.into_iter().map(|step| (step.name, step.key)).collect()
        };
        let before = keys(&inputs, &of, machine);
        change(&mut inputs, &mut of, &mut machine);
        let after = keys(&inputs, &of, machine);
        assert_eq!(before.len(), after.len());
        before
            .into_iter()
            .filter(|(name, key)| after[name] != *key)
            .map(|(name, _)| name)
            .collect()
    }

    #[test]
    fn every_input_of_a_pack_reaches_the_keys_of_the_steps_that_take_it() {
        let all = [
            "pack",
            "pack-part-00",
            "pack-part-01",
            "pack-rest",
            "pack-runtime",
            "pack-translate",
        ];
        let without = |step: &str| -> Vec<&str> { all.into_iter().filter(|name| *name != step).collect() };
        let other = || "other".to_owned();
        let of_pack =
            |file: &'static str| changed_of_pack(|inputs, _, _| drop(inputs.facts.pack.insert(file.into(), other())));
        assert_eq!(
            changed_of_pack(|_, module, _| module.sha256 = other()),
            without("pack-runtime")
        );
        // How it is spread over files depends on its size.
        assert_eq!(changed_of_pack(|_, module, _| module.size_bytes += 1), [""; 0]);
        assert_eq!(changed_of_pack(|inputs, _, _| inputs.facts.environment = other()), all);
        assert_eq!(
            changed_of_pack(|inputs, _, _| inputs.facts.sdk = other()),
            without("pack-translate")
        );
        let translator = |inputs: &mut Inputs| inputs.pins.source.get_mut(pack::TRANSLATOR).unwrap().version = other();
        assert_eq!(
            changed_of_pack(|inputs, _, _| translator(inputs)),
            without("pack-runtime")
        );
        for machine in ["x86_64-v2-linux", "aarch64-linux"] {
            let machine = pack::machines(machine).unwrap()[0];
            assert_eq!(changed_of_pack(|_, _, of| *of = machine), without("pack-translate"));
        }
        assert_eq!(of_pack("inside.c"), ["pack", "pack-runtime"]);
        assert_eq!(of_pack("include/math.h"), without("pack-translate"));
        let pass =
            |name: &'static str| changed_of_pack(|inputs, _, _| drop(inputs.facts.passes.insert(name.into(), other())));
        assert_eq!(pass("translate"), without("pack-runtime"));
        assert_eq!(pass("compress"), ["pack"]);
    }

    #[test]
    fn the_parts_of_a_pack_follow_from_the_size_of_its_module() {
        let inputs = Inputs::of("o3-gpl-lean");
        for (size_bytes, parts) in [(8, 1), (500_000, 1), (500_001, 2), (33_000_000, 64), (1 << 40, 64)] {
            let of = pack::Module {
                sha256: "a".into(),
                size_bytes,
            };
            let machine = pack::machines("aarch64-linux").unwrap()[0];
            let plan = pack::plan(machine, "a pack", &of, &inputs.pins, &inputs.facts).unwrap();
            let alone = plan.steps.iter().filter(|step| step.keeps_one_core_busy);
            assert_eq!(alone.count(), parts + 1);
        }
    }

    #[test]
    fn a_pass_without_a_digest_is_an_error() {
        let mut inputs = Inputs::of("o3-gpl-lean");
        for name in wasm::digests().unwrap().into_keys() {
            let digest = inputs.facts.passes.remove(&name).unwrap();
            let planned = module(&inputs.recipe, &inputs.libraries, &inputs.pins, &inputs.facts);
            // Only a module without GPL has its objects looked at.
            if name != wasm::origins::NAME {
                let error = planned.unwrap_err().to_string();
                assert!(error.contains(&format!("the pass {name} has no digest")), "{error}");
            }
            inputs.facts.passes.insert(name, digest);
        }
    }

    #[test]
    fn compilers_are_told_to_forget_where_they_work() {
        let plan = Inputs::of("o3-gpl-lean").plan();
        let wrapper = |action: &Action| match action {
            Action::Write { path, text } => path == "bin/wasm-cc" && text.contains("-ffile-prefix-map=\"{work}\"=."),
            _ => false,
        };
        let compiles = |name: &&str| {
            plan.steps
                .iter()
                .any(|step| step.name == **name && step.actions.iter().any(wrapper))
        };
        let steps = ["zlib", "x264", "openh264", "ffmpeg", "link"];
        assert_eq!(steps.iter().filter(|name| compiles(name)).count(), steps.len());
    }

    #[test]
    fn flags_reach_every_library_and_the_link() {
        let plan = Inputs::of("o3-gpl-lean-relaxed").plan();
        let runs = |name: &str| {
            let step = plan.steps.iter().find(|step| step.name == name).unwrap();
            step.actions
                .iter()
                .map(|action| format!("{action:?}"))
                .collect::<String>()
        };
        for name in ["zlib", "x264", "openh264", "ffmpeg", "link"] {
            assert!(runs(name).contains("-mrelaxed-simd"), "{name}");
        }
        assert!(runs("optimise").contains("--enable-relaxed-simd"));
    }

    #[test]
    fn each_build_system_builds_for_the_module_and_for_this_machine() {
        for system in ["Make", "Configure", "Autotools", "Cmake", "Meson"] {
            let mut inputs = Inputs::of("o3-lgpl-lean");
            let mut text = std::fs::read_to_string(project::root().unwrap().join("ffmpeg-src/openh264.toml")).unwrap();
            text = text.replace("system = \"make\"", &format!("system = \"{}\"", system.to_lowercase()));
            let folder = tempfile::tempdir().unwrap();
            let root = folder.path();
            std::fs::create_dir(root.join("ffmpeg-src")).unwrap();
            let real = crate::recipe::library::folder(&project::root().unwrap());
            for name in ["ffmpeg.toml", "x264.toml", "zlib.toml"] {
                std::fs::copy(real.join(name), root.join("ffmpeg-src").join(name)).unwrap();
            }
            std::fs::write(root.join("ffmpeg-src/openh264.toml"), text).unwrap();
            inputs.libraries = Libraries::load(root).unwrap();
            let machine = Machine {
                host: "x86_64-linux".into(),
                compiler: "a compiler".into(),
            };
            let native = native::plan(
                Native::WithoutAssembly,
                &inputs.recipe,
                &inputs.libraries,
                &inputs.pins,
                &inputs.facts,
                &machine,
            );
            let step = |plan: &Plan, name: &str| plan.steps.iter().find(|step| step.name == name).unwrap().clone();
            let native = step(&native.unwrap(), "native-c-openh264");
            let native: Vec<&Action> = native.actions.iter().filter(runs).collect();
            let wasm = step(&inputs.plan(), "openh264");
            let wasm: Vec<&Action> = wasm.actions.iter().filter(runs).collect();
            insta::assert_json_snapshot!(format!("a library by {system}"), (wasm, native));
        }
    }

    fn runs(action: &&Action) -> bool {
        matches!(action, Action::Run { .. } | Action::Tool { .. })
    }
}
