//! `ffmpeg` and `ffprobe` as other programs call them, and all that they must not reach.

use crate::fixture::{SOURCE, Studio, shims};
use std::fs;
use std::os::unix::fs::symlink;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use tempfile::TempDir;

/// Shims, and a machine's files: `work`, the current directory, with the video; `media` with it; `secret`.
struct Machine {
    studio: Studio,
    shims: TempDir,
}

impl Machine {
    fn new() -> Machine {
        let shims = shims();
        let studio = Studio::new();
        for folder in ["work", "media", "secret", "out"] {
            fs::create_dir(studio.path(folder)).unwrap();
        }
        for folder in ["work", "media", "secret"] {
            fs::copy(studio.path(SOURCE), studio.path(folder).join("in.mp4")).unwrap();
        }
        Machine { studio, shims }
    }

    /// Adds lines to the file of policy.
    fn policy(&self, lines: &str) {
        let path = self.shims.path().join("afmpeg.toml");
        let old = fs::read_to_string(&path).unwrap();
        fs::write(path, format!("{old}{lines}")).unwrap();
    }

    fn path(&self, name: &str) -> PathBuf {
        self.studio.path("").canonicalize().unwrap().join(name)
    }

    /// A program by its name, as a shell finds it. `@` in an argument is the machine's root.
    fn program(&self, line: &str, variables: &[(&str, &str)]) -> Command {
        let root = self.path("");
        let root = root.to_str().unwrap().trim_end_matches('/');
        let mut words = line.split(' ').map(|word| word.replace('@', root));
        let mut command = Command::new(self.shims.path().join(words.next().unwrap()));
        command
            .args(words)
            .current_dir(self.path("work"))
            .env_clear()
            .stdin(Stdio::null());
        for (name, value) in variables {
            command.env(name, value.replace('@', root));
        }
        command
    }

    fn run(&self, line: &str) -> Output {
        self.program(line, &[]).output().unwrap()
    }

    fn ok(&self, line: &str) {
        let output = self.run(line);
        assert!(output.status.success(), "{line}: {}", said(&output));
    }

    /// Reads no packet of what lies in `secret`, and some where that is given.
    fn reads_only_if_allowed(&self, line: &str) {
        for (variables, wanted) in [(&[][..], false), (&[("AFMPEG_DIRS_READ_ONLY", "@/secret")], true)] {
            let output = self.program(line, variables).output().unwrap();
            let has_packets = String::from_utf8_lossy(&output.stdout).contains("[PACKET]");
            assert_eq!(has_packets, wanted, "{line}, {variables:?}: {}", said(&output));
        }
    }

    /// Fails, and says which variable would allow it.
    fn refused(&self, line: &str, hint: &str) {
        let output = self.run(line);
        let (said, hint) = (
            said(&output),
            hint.replace('@', self.path("").to_str().unwrap().trim_end_matches('/')),
        );
        assert!(!output.status.success(), "{line}: {said}");
        assert!(said.contains(&hint), "{line}: `{hint}` is not in {said}");
    }
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A playlist for HLS with a single part.
fn playlist(part: &str) -> String {
    format!("#EXTM3U\n#EXT-X-TARGETDURATION:5\n#EXTINF:5,\n{part}\n#EXT-X-ENDLIST\n")
}

#[test]
fn what_the_arguments_name_is_there() {
    let machine = Machine::new();
    machine.ok("ffprobe -v error in.mp4");
    machine.ok("ffmpeg -v error -i @/media/in.mp4 -c copy @/out/a.mkv");
    machine.ok("ffmpeg -v error -i ../media/in.mp4 -c copy -f hls -hls_time 1 ../out/b.m3u8");
    machine.ok("ffmpeg -v error -i @/out/b.m3u8 -c copy c.mp4");
    machine.ok("ffmpeg -v error -t 0.2 -i in.mp4 -vf fps=10 @/out/shot%02d.png");
    machine.ok("ffmpeg -v error -framerate 10 -i ../out/shot%02d.png -frames:v 1 @/out/d.png");
    machine.ok("ffmpeg -v error -i in.mp4 -filter_complex movie=@/media/in.mp4,hflip -frames:v 1 e.png");
    machine.ok("ffmpeg -v error -report -t 0.2 -i in.mp4 -c:v libx264 -pass 1 -passlogfile @/out/log -an -f null -");
    fs::write(
        machine.path("out/list.txt"),
        format!("file '{}'\n", machine.path("secret/in.mp4").display()),
    )
    .unwrap();
    machine.ok("ffmpeg -v error -f concat -safe 0 -i @/out/list.txt -c copy f.mp4");
    let log = format!("file={}:level=32", machine.path("out/report.log").display());
    let reported = machine
        .program("ffprobe -v error in.mp4", &[("FFREPORT", &log)])
        .output()
        .unwrap();
    assert!(reported.status.success(), "{}", said(&reported));
    for file in [
        "out/report.log",
        "out/a.mkv",
        "out/b0.ts",
        "work/c.mp4",
        "out/shot01.png",
        "work/e.png",
        "out/log-0.log",
        "work/f.mp4",
    ] {
        assert!(machine.path(file).metadata().unwrap().len() > 0, "{file}");
    }
    let reports = fs::read_dir(machine.path("work")).unwrap();
    let is_report = |name: String| name.starts_with("ffmpeg-") && name.ends_with(".log");
    assert!(
        reports
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .any(is_report)
    );
}

#[test]
fn the_rest_of_the_machine_is_not() {
    let machine = Machine::new();
    machine.ok("ffmpeg -v error -i in.mp4 -c copy -t 1 ../out/a.ts");
    fs::rename(machine.path("out/a.ts"), machine.path("secret/a.ts")).unwrap();
    let secret = machine.path("secret/a.ts");
    let secret = secret.to_str().unwrap();
    let up = "../secret/a.ts";
    for (name, part) in [
        ("absolute.m3u8", secret),
        ("file.m3u8", &format!("file:{secret}")),
        ("up.m3u8", up),
    ] {
        fs::write(machine.path("media").join(name), playlist(part)).unwrap();
        machine.reads_only_if_allowed(&format!(
            "ffprobe -v error -extension_picky 0 -show_packets @/media/{name}"
        ));
    }
    // Links that lie beside an input or in the current directory.
    for folder in ["media", "work"] {
        symlink(secret, machine.path(folder).join("absolute.ts")).unwrap();
        symlink(up, machine.path(folder).join("up.ts")).unwrap();
        symlink("../secret", machine.path(folder).join("folder")).unwrap();
        for link in ["absolute.ts", "up.ts", "folder/a.ts"] {
            let list = format!("ffconcat version 1.0\nfile {link}\n");
            fs::write(machine.path(folder).join("link.m3u8"), playlist(link)).unwrap();
            fs::write(machine.path(folder).join("link.ffconcat"), list).unwrap();
            for input in [
                format!("-extension_picky 0 @/{folder}/link.m3u8"),
                // Such names are safe by FFmpeg's own rule, which looks at their letters.
                format!("-f concat -safe 1 @/{folder}/link.ffconcat"),
            ] {
                machine.reads_only_if_allowed(&format!("ffprobe -v error -show_packets {input}"));
            }
        }
        symlink("../secret/in.mp4", machine.path(folder).join("up.mp4")).unwrap();
        machine.refused(
            &format!("ffprobe -v error @/{folder}/up.mp4"),
            "AFMPEG_DIRS_READ_ONLY=@/secret",
        );
        // An output that is a link does not write where it leads.
        machine.refused(
            &format!("ffmpeg -v error -y -i in.mp4 -c copy @/{folder}/up.mp4"),
            "AFMPEG_DIRS",
        );
    }
    let secret = fs::read(machine.path("secret/in.mp4")).unwrap();
    assert_eq!(secret, machine.studio.read(SOURCE));
    machine.refused("ffprobe -v error /proc/1/environ", "");
}

#[test]
fn a_policy_and_variables_give_less_or_more() {
    let machine = Machine::new();
    let runs = |line: &str, variables: &[(&str, &str)]| {
        let output = machine.program(line, variables).output().unwrap();
        output.status.success()
    };
    let probe = "ffprobe -v error @/media/in.mp4";
    let convert = "ffmpeg -v error -y -i @/media/in.mp4 -c copy @/out/a.mkv";
    let list = "ffprobe -v error @/media/list.m3u8";
    fs::write(machine.path("media/list.m3u8"), playlist("a.ts")).unwrap();
    machine.ok("ffmpeg -v error -i in.mp4 -c copy -t 1 ../out/a.ts");
    fs::rename(machine.path("out/a.ts"), machine.path("media/a.ts")).unwrap();
    for (variables, wanted) in [
        (&[][..], [true, true, true]),
        (&[("AFMPEG_SANDBOX", "folders")], [true, true, true]),
        (&[("AFMPEG_SANDBOX", "machine")], [true, true, true]),
        (&[("AFMPEG_SANDBOX", "files")], [true, true, false]),
        (&[("AFMPEG_SANDBOX", "dirs")], [false, false, false]),
        (
            &[("AFMPEG_SANDBOX", "dirs"), ("AFMPEG_DIRS_READ_ONLY", "@/media")],
            [true, false, true],
        ),
        (
            &[
                ("AFMPEG_SANDBOX", "dirs"),
                ("AFMPEG_DIRS_READ_ONLY", "@/media"),
                ("AFMPEG_DIRS", "@/secret:@/out"),
            ],
            [true, true, true],
        ),
    ] {
        assert_eq!(
            [probe, convert, list].map(|line| runs(line, variables)),
            wanted,
            "{variables:?}"
        );
    }
    let wrong = machine.program(probe, &[("AFMPEG_SANDBOX", "none")]).output().unwrap();
    assert_eq!(wrong.status.code(), Some(2));
    assert!(
        said(&wrong).contains("dirs, files, folders and machine"),
        "{}",
        said(&wrong)
    );
    machine.policy("sandbox = \"dirs\"\n");
    assert!(!runs(probe, &[]));
    assert!(runs(probe, &[("AFMPEG_SANDBOX", "files")]));
    // The policy is that of the shim to which a link leads.
    let link = machine.path("link");
    symlink(machine.shims.path().join("ffprobe"), machine.path("ffprobe")).unwrap();
    fs::create_dir(&link).unwrap();
    symlink("../ffprobe", link.join("ffprobe")).unwrap();
    let linked = Command::new(link.join("ffprobe"))
        .arg("-version")
        .env_clear()
        .output()
        .unwrap();
    assert!(linked.status.success(), "{}", said(&linked));
    // A caller may start the very file by a name of its own.
    for name in ["ffprobe", "anything"] {
        let mut named = machine.program("ffprobe -v error @/media/in.mp4", &[]);
        let named = named.arg0(name).output().unwrap();
        assert!(
            !named.status.success() && said(&named).contains("AFMPEG_DIRS_READ_ONLY"),
            "{name}"
        );
    }
    machine.policy(&format!("dir-read-only = [{:?}]\n", machine.path("media")));
    assert!(runs(probe, &[]) && !runs(convert, &[]));
    machine.policy("no-such-option = 1\n");
    let wrong = machine.run(probe);
    assert_eq!(wrong.status.code(), Some(2));
    assert!(said(&wrong).contains("no-such-option"), "{}", said(&wrong));
}
