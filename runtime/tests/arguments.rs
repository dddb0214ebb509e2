//! Typed commands: the arguments they stand for, and those that make no sense.

use afmpeg::command::{Command, Contradiction, Input, Output};
use std::time::Duration;

#[test]
fn every_part_of_a_command_has_its_place_among_the_arguments() {
    let command = Command::new()
        .option("loglevel", "error")
        .flag("hide_banner")
        .input(
            Input::file("a.mp4")
                .seek(Duration::from_millis(1500))
                .option("c:v", "h264"),
        )
        .input(Input::filter("sine=frequency=440").duration(Duration::from_secs(2)))
        .input(Input::file("-b: odd.mp4"))
        .filter_complex(r"[0:v][2:v]hstack[both];[both]drawbox=c=red\[x\],split[left][right];[1]anull[sound]")
        .output(
            Output::file("left.mkv")
                .map("[left]")
                .map("[sound]")
                .video_codec("ffv1")
                .metadata("title", "a b"),
        )
        .output(
            Output::stdout("nut")
                .map("[right]")
                .without_audio()
                .frames_max(10)
                .option("g", "1"),
        )
        .output(Output::null().map("0:a?").audio_filter("volumedetect"));
    let expected = "ffmpeg -nostdin -y -loglevel error -hide_banner \
        -ss 1.5 -c:v h264 -i a.mp4 -t 2 -f lavfi -i sine=frequency=440 -i file:-b:_odd.mp4 \
        -filter_complex GRAPH \
        -map [left] -map [sound] -c:v ffv1 -metadata title=a_b left.mkv \
        -map [right] -frames:v 10 -g 1 -f nut -an pipe:1 \
        -map 0:a? -filter:a volumedetect -f null -";
    let argv = command.argv().unwrap();
    let graph = argv.iter().position(|argument| argument == "-filter_complex").unwrap() + 1;
    let shown: Vec<_> = argv
        .iter()
        .enumerate()
        .map(|(index, argument)| {
            if index == graph {
                "GRAPH".to_owned()
            } else {
                argument.replace(' ', "_")
            }
        })
        .collect();
    assert_eq!(shown, expected.split_whitespace().collect::<Vec<_>>());
    // A shell parses the printed command to the same list.
    let output = std::process::Command::new("sh")
        .args(["-c", &format!("printf '%s\\n' {command}")])
        .output()
        .unwrap();
    assert_eq!(String::from_utf8(output.stdout).unwrap(), argv.join("\n") + "\n");
}

#[test]
fn contradictions_are_found_and_named() {
    let from = |output| Command::new().input(Input::file("in")).output(output);
    let out = || Output::file("out");
    let url = || "out".to_owned();
    let cases: Vec<(Command, Contradiction)> = vec![
        (Command::new().input(Input::file("in")), Contradiction::NoOutput),
        (Command::new().output(out()), Contradiction::NoInput),
        (from(out()).output(out()), Contradiction::WrittenTwice { url: url() }),
        (
            from(Output::file("in")),
            Contradiction::ReadAndWritten { url: "in".into() },
        ),
        (
            from(out().copy().video_filter("null")),
            Contradiction::CopiedAndFiltered {
                url: url(),
                kind: "video",
            },
        ),
        (
            from(out().without_audio().audio_codec("aac")),
            Contradiction::WithoutAndWith {
                url: url(),
                kind: "audio",
            },
        ),
        (
            from(out().without_audio().without_video().without_subtitles()),
            Contradiction::Nothing { url: url() },
        ),
        (
            from(out().map("[x]")),
            Contradiction::UnknownLabel {
                url: url(),
                label: "[x]".into(),
            },
        ),
        (
            from(out()).filter_complex("[0:v]split[x][y];[y]null"),
            Contradiction::UnusedLabel { label: "[x]".into() },
        ),
        (
            from(out().map("1:v")),
            Contradiction::UnknownInput {
                url: url(),
                map: "1:v".into(),
                inputs: 1,
            },
        ),
        (from(out().frames_max(0)), Contradiction::Empty { url: url() }),
        (
            from(out().option("-crf", "1")),
            Contradiction::OptionName { name: "-crf".into() },
        ),
        (
            from(out().option("vf", "null")),
            Contradiction::OptionHasMethod { name: "vf".into() },
        ),
        (from(Output::file("")), Contradiction::EmptyName),
        (
            Command::new().input(Input::file("")).output(out()),
            Contradiction::EmptyName,
        ),
    ];
    for (command, contradiction) in cases {
        assert_eq!(command.argv(), Err(contradiction), "{command}");
    }
    // Several outputs may go nowhere, and a label in quotes is none.
    from(Output::null()).output(Output::null()).argv().unwrap();
    from(out())
        .filter_complex("color=d=1,drawtext=text='[x]'[v]")
        .argv()
        .unwrap_err();
    from(out().map("[v]"))
        .filter_complex("color=d=1,drawtext=text='[x]'[v]")
        .argv()
        .unwrap();
}
