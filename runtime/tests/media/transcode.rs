//! H.264, by whichever encoders the module has: by its profile, libopenh264 alone or libx264 as well.

use crate::fixture::{Pixels, Run, SOURCE, SOURCE_SAMPLES_PER_SECOND, Studio, module, together};
use crate::measure::{boxes, psnr_db, rms, signal_to_noise_db};
use std::collections::BTreeMap;

struct Encoder {
    name: &'static str,
    options: &'static str,
    profile: &'static str,
    psnr_min_db: f64,
}

const X264: Encoder = Encoder {
    name: "libx264",
    options: "-preset medium -crf 20",
    profile: "High",
    psnr_min_db: 39.0,
};
const OPENH264: Encoder = Encoder {
    name: "libopenh264",
    options: "-b:v 800k",
    profile: "Constrained Baseline",
    psnr_min_db: 38.0,
};

/// Returns whether the module has x264. If not, checks that asking for it fails as FFmpeg fails.
fn has_x264(studio: &Studio) -> bool {
    let found = module().encoders.contains(X264.name);
    println!("the module has {} libx264", if found { "the GPL's" } else { "no" });
    if !found {
        studio
            .ffmpeg(format!("-i {SOURCE} -c:v libx264 refused.mp4"))
            .fails(8, "Unknown encoder 'libx264'");
        assert_eq!(studio.files("refused"), [""; 0]);
    }
    found
}

#[test]
fn the_licence_is_that_of_the_encoders() {
    let studio = Studio::new();
    let licence = studio.make("-L").text();
    let version = studio.afmpeg("", "ffmpeg -version").ok().text();
    let flags: Vec<&str> = version
        .lines()
        .find_map(|line| line.strip_prefix("configuration:"))
        .unwrap()
        .split_whitespace()
        .collect();
    assert!(flags.contains(&"--enable-libopenh264"), "{version}");
    assert!(!flags.contains(&"--enable-nonfree"), "{version}");
    let (gpl, name) = match has_x264(&studio) {
        true => (true, "GNU General Public License"),
        false => (false, "GNU Lesser General Public"),
    };
    assert!(licence.contains(name), "{licence}");
    assert_eq!(flags.contains(&"--enable-gpl"), gpl, "{version}");
    assert_eq!(flags.contains(&"--enable-libx264"), gpl, "{version}");
}

#[test]
fn openh264_and_aac_make_an_mp4_that_looks_and_sounds_like_its_source() {
    check_transcode(&Studio::new(), &OPENH264);
}

#[test]
fn x264_and_aac_make_an_mp4_that_looks_and_sounds_like_its_source() {
    let studio = Studio::new();
    if has_x264(&studio) {
        check_transcode(&studio, &X264);
    }
}

fn check_transcode(studio: &Studio, encoder: &Encoder) {
    const FRAMES: usize = 50;
    let small = Pixels::new("yuv420p", 320, 180);
    let Encoder { name, options, .. } = encoder;
    let command = format!(
        "-i {SOURCE} -t 2 -vf scale=320:180 -c:v {name} {options} -c:a aac -b:a 128k -ac 2 -movflags +faststart out.mp4"
    );
    studio.make(&command);

    let names = boxes(&studio.read("out.mp4"));
    let position = |wanted| {
        names
            .iter()
            .position(|name| name == wanted)
            .unwrap_or_else(|| panic!("{names:?}"))
    };
    assert_eq!(position("ftyp"), 0);
    assert!(position("moov") < position("mdat"), "{names:?}");

    let probe = studio.probe("out.mp4");
    let [video, audio] = &probe["streams"].as_array().unwrap()[..] else {
        panic!("{probe}")
    };
    assert_eq!(video["codec_name"], "h264");
    assert_eq!(video["profile"], encoder.profile);
    assert_eq!(
        (video["width"].as_u64(), video["height"].as_u64()),
        (Some(320), Some(180))
    );
    assert_eq!(video["pix_fmt"], "yuv420p");
    assert_eq!(video["r_frame_rate"], "25/1");
    assert_eq!(video["nb_read_frames"], FRAMES.to_string());
    assert_eq!(video["duration"], "2.000000");
    assert_eq!((&audio["codec_name"], &audio["profile"]), (&"aac".into(), &"LC".into()));
    assert_eq!(
        (&audio["sample_rate"], audio["channels"].as_u64()),
        (&"48000".into(), Some(2))
    );
    assert_eq!(audio["duration"], "2.000000");
    assert_eq!(probe["format"]["duration"], "2.000000");

    let wanted = studio.frames(format!("-i {SOURCE} -t 2 -vf scale=320:180"), small);
    let got = studio.frames("-i out.mp4", small);
    assert_eq!((wanted.len(), got.len()), (FRAMES, FRAMES));
    let psnr = psnr_db(&wanted, &got);
    println!("{name}: {psnr:.2} dB");
    assert!(psnr > encoder.psnr_min_db, "{psnr} dB");
    // A picture that is good on average may have a broken frame.
    for (index, (wanted, got)) in wanted.iter().zip(&got).enumerate() {
        let frame = psnr_db([wanted], [got]);
        assert!(frame > encoder.psnr_min_db - 4.0, "frame {index} has {frame} dB");
    }
    for (filter, label, limit) in [("psnr", "average:", psnr - 0.01), ("ssim", "All:", 0.95)] {
        let graph = format!("[1:v]trim=end=2,scale=320:180[source];[0:v][source]{filter}");
        let said = studio.make(format!("-i out.mp4 -i {SOURCE} -lavfi {graph} -f null -"));
        let value: f64 = said.said_after(label).parse().unwrap();
        assert!(value > limit, "{filter} gives {value}, below {limit}");
    }

    let wanted = studio.samples(format!("-i {SOURCE} -t 2 -ac 2"));
    let got = studio.samples("-i out.mp4");
    assert_eq!(
        (wanted.len(), got.len()),
        (2 * 2 * SOURCE_SAMPLES_PER_SECOND, 2 * 2 * SOURCE_SAMPLES_PER_SECOND)
    );
    let loudness = rms(&got) / rms(&wanted);
    assert!((0.97..1.03).contains(&loudness), "{loudness} of the source's amplitude");
    let ratio = signal_to_noise_db(&wanted, &got);
    println!("aac: {ratio:.2} dB above the noise");
    assert!(ratio > 30.0, "{ratio} dB above the noise");
}

#[test]
fn a_second_pass_of_x264_follows_the_first() {
    let studio = Studio::new();
    if !has_x264(&studio) {
        return;
    }
    const KILOBITS_PER_SECOND: f64 = 300.0;
    let pass = |number: u8, output: &str| {
        let options = format!("-vf scale=320:180 -c:v libx264 -b:v {KILOBITS_PER_SECOND}k -passlogfile stats -an");
        studio.ffmpeg(format!("-i {SOURCE} {options} -pass {number} {output}"))
    };
    pass(2, "orphan.mp4").fails(187, "can't open stats file");

    pass(1, "-f null -").ok();
    assert_eq!(studio.files("stats"), ["stats-0.log", "stats-0.log.mbtree"]);
    pass(2, "second.mp4").ok();

    let bits = |video: &serde_json::Value| video["bit_rate"].as_str().unwrap().parse::<f64>().unwrap() / 1000.0;
    let rate = bits(&studio.probe("second.mp4")["streams"][0]);
    assert!(
        (rate / KILOBITS_PER_SECOND - 1.0).abs() < 0.15,
        "{rate} kbit/s instead of {KILOBITS_PER_SECOND}"
    );

    // The first pass decides the kind of every picture, and the second keeps to it.
    let log = studio.read_text("stats-0.log");
    let planned: BTreeMap<usize, char> = log
        .lines()
        .filter(|line| line.starts_with("in:"))
        .map(|line| {
            let value = |label| line.split_once(label).unwrap().1.split(' ').next().unwrap();
            (
                value("in:").parse().unwrap(),
                value("type:").to_ascii_uppercase().chars().next().unwrap(),
            )
        })
        .collect();
    let listing = "ffprobe -v error -select_streams v -show_entries frame=pict_type -of default=nk=1:nw=1 second.mp4";
    let encoded: String = studio.afmpeg("", listing).ok().text().lines().collect();
    assert_eq!(encoded, planned.into_values().collect::<String>());
    assert!(encoded.contains('B') && encoded.contains('P'), "{encoded}");
}

#[test]
fn the_same_job_gives_the_same_bytes_even_beside_another() {
    let studio = Studio::new();
    let encoders: &[Encoder] = if has_x264(&studio) {
        &[X264, OPENH264]
    } else {
        &[OPENH264]
    };
    for Encoder { name, options, .. } in encoders {
        let job = |output: &str| -> Run {
            let input = format!("-i {SOURCE} -t 1 -vf scale=320:180");
            studio.ffmpeg(format!(
                "{input} -c:v {name} {options} -c:a aac -fflags +bitexact -flags +bitexact {output}"
            ))
        };
        job("alone.mp4").ok();
        for ended in together(["left.mp4", "right.mp4"].map(job)) {
            ended.succeeded();
        }
        let alone = studio.read("alone.mp4");
        assert!(alone.len() > 10_000);
        for other in ["left.mp4", "right.mp4"] {
            assert!(
                studio.read(other) == alone,
                "{name}: {other} has other bytes than alone.mp4"
            );
        }
        for file in ["alone.mp4", "left.mp4", "right.mp4"] {
            std::fs::remove_file(studio.path(file)).unwrap();
        }
    }
}
