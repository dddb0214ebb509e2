//! Relative and absolute names of files mean what they mean natively, whichever folders are given.

use crate::fixture::{SOURCE, Studio};
use std::fs;

/// Arguments that name a video without decoding it.
const SHOW: &str = "ffprobe -v error -show_entries format=filename -of csv=p=0";

#[test]
fn relative_inputs_are_found_whatever_is_given() {
    let studio = Studio::new();
    fs::create_dir(studio.path("below")).unwrap();
    let full = studio.path(SOURCE);
    let (parent, full) = (full.parent().unwrap().to_str().unwrap(), full.to_str().unwrap());
    for options in [
        "",
        "--dir /",
        "--dir-read-only /",
        "--dir .",
        "--dir below",
        "--dir / --no-current-dir",
    ] {
        for name in [SOURCE, full, &format!("./{SOURCE}"), &format!("below/../{SOURCE}")] {
            let shown = studio.afmpeg(options, &format!("{SHOW} {name}")).ok().text();
            assert_eq!(shown.trim(), name, "{options}");
        }
    }
    let up = format!("../{}/{SOURCE}", studio.path("").file_name().unwrap().to_str().unwrap());
    let shown = studio
        .afmpeg(&format!("--dir-read-only {parent}/.."), &format!("{SHOW} {up}"))
        .ok();
    assert_eq!(shown.text().trim(), up);
}

#[test]
fn the_root_has_nothing_of_the_kernels() {
    let studio = Studio::new();
    for path in [
        "/proc/self/environ",
        "/proc/self/mem",
        "/sys/kernel/notes",
        "../../../../../proc/self/environ",
    ] {
        let run = studio.afmpeg("--dir /", &format!("ffmpeg -v error -f u8 -i {path} -f null -"));
        run.fails(254, "No such file");
    }
}

#[test]
fn outputs_land_where_they_are_named() {
    let studio = Studio::new();
    let outside = tempfile::tempdir().unwrap();
    let outside = outside.path().canonicalize().unwrap();
    // A folder with the same name as the given one, without its slash.
    let same = outside.strip_prefix("/").unwrap();
    fs::create_dir_all(studio.path("").join(same)).unwrap();
    let shot =
        |options: &str, name: &str| studio.afmpeg(options, &format!("ffmpeg -v error -i {SOURCE} -frames:v 1 {name}"));
    let (absolute, relative) = (outside.join("a.jpg"), same.join("a.jpg"));
    for options in [format!("--dir {}", outside.display()), "--dir /".to_owned()] {
        for (name, made, other) in [
            (absolute.as_path(), absolute.clone(), studio.path("").join(&relative)),
            (relative.as_path(), studio.path("").join(&relative), absolute.clone()),
        ] {
            shot(&options, name.to_str().unwrap()).ok();
            assert!(made.exists() && !other.exists(), "{options} {}", name.display());
            fs::remove_file(made).unwrap();
        }
    }
    // Without its folder nothing is written, neither there nor here.
    let refused = shot("", absolute.to_str().unwrap()).end();
    assert_ne!(refused.exit_code, Some(0));
    assert!(
        refused.stderr.contains(&format!("--dir {}", outside.display())),
        "{refused}"
    );
    assert!(!absolute.exists() && !studio.path("").join(&relative).exists());
    let refused = shot(
        &format!("--dir-read-only {}", outside.display()),
        absolute.to_str().unwrap(),
    )
    .end();
    assert!(
        refused.stderr.contains(&format!("--dir {}", outside.display())),
        "{refused}"
    );
}
