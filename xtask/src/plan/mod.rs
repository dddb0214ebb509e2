//! The plan: from a recipe and digests to steps with keys. Pure: it reads no file and starts nothing, so that a test can
//! compare it with what it was, and `--dry-run` can print it.
//!
//! Paths and numbers of the machine are placeholders (`{work}`, `{jobs}`), filled in when a step runs; so a step's key, the
//! hash of all that goes into it, is the same on every machine.

pub mod ffmpeg;
pub mod finish;
pub mod library;
pub mod native;
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
