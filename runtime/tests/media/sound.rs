//! Sound: levels, lossless and lossy encoders, tones.

use crate::fixture::{Ended, SOURCE, SOURCE_SAMPLES_PER_SECOND, Studio};
use crate::measure::{rms, signal_to_noise_db, tone_hz};
use serde_json::Value;

/// The numbers that loudnorm prints when all is over: JSON with strings in it.
fn loudness(ended: &Ended, name: &str) -> f64 {
    let start = ended.stderr.rfind('{').unwrap_or_else(|| panic!("{ended}"));
    let end = start + ended.stderr[start..].find('}').unwrap() + 1;
    let json: Value = serde_json::from_str(&ended.stderr[start..end]).unwrap();
    json[name].as_str().unwrap().parse().unwrap()
}

#[test]
fn two_passes_of_loudnorm_reach_the_target() {
    const TARGET_LUFS: f64 = -23.0;
    let studio = Studio::new();
    let filter = format!("loudnorm=I={TARGET_LUFS}:TP=0:LRA=11:print_format=json");
    let measure = |file: &str| studio.make(format!("-i {file} -vn -af {filter} -f null -"));
    let meter = |file: &str| -> f64 {
        let ended = studio.make(format!("-i {file} -vn -af ebur128=framelog=quiet -f null -"));
        ended.said_after("I:").parse().unwrap()
    };

    // The source's EBU R 128 loudness, computed without FFmpeg, is -34.0. The filter counts the end twice, to -33.3.
    let first = measure(SOURCE);
    let loudness_before = loudness(&first, "input_i");
    assert!((loudness_before - -33.31).abs() < 0.05, "{first}");
    assert!((loudness(&first, "input_tp") - -10.68).abs() < 0.1, "{first}");
    let meter_before = meter(SOURCE);
    assert!((meter_before - -34.0).abs() < 0.11, "{meter_before} LUFS");

    let measured: String = [
        ("I", "input_i"),
        ("TP", "input_tp"),
        ("LRA", "input_lra"),
        ("thresh", "input_thresh"),
    ]
    .map(|(option, name)| format!(":measured_{option}={}", loudness(&first, name)))
    .concat();
    let offset = loudness(&first, "target_offset");
    let linear = format!("{filter}:linear=true:offset={offset}{measured}");
    let second = studio.make(format!("-i {SOURCE} -vn -af {linear} -ar 48000 -c:a pcm_s24le out.wav"));
    assert!(second.stderr.contains(r#""normalization_type" : "linear""#), "{second}");

    let loudness_after = loudness(&measure("out.wav"), "input_i");
    println!("{loudness_before} LUFS before, {loudness_after} LUFS after");
    assert!((loudness_after - TARGET_LUFS).abs() < 0.2, "{loudness_after} LUFS");
    let gain_db = TARGET_LUFS - loudness_before;
    let meter_gain_db = meter("out.wav") - meter_before;
    assert!(
        (meter_gain_db - gain_db).abs() < 0.2,
        "{meter_gain_db} dB instead of {gain_db}"
    );
    let ratio = rms(&studio.samples("-i out.wav")) / rms(&studio.samples(format!("-i {SOURCE}")));
    assert!(
        (20.0 * ratio.log10() - gain_db).abs() < 0.1,
        "{ratio} times the amplitude instead of {gain_db} dB"
    );
}

#[test]
fn a_wav_file_holds_the_very_samples() {
    let studio = Studio::new();
    let sound = format!("-i {SOURCE} -t 1 -ac 2");
    studio.make(format!("{sound} -c:a pcm_s16le out.wav"));
    let mut wav = hound::WavReader::open(studio.path("out.wav")).unwrap();
    let spec = wav.spec();
    assert_eq!((spec.channels, spec.sample_rate, spec.bits_per_sample), (2, 48_000, 16));
    let samples: Vec<u8> = wav
        .samples::<i16>()
        .flat_map(|sample| sample.unwrap().to_le_bytes())
        .collect();
    assert_eq!(samples.len(), SOURCE_SAMPLES_PER_SECOND * 2 * 2);
    assert!(
        studio.make(format!("{sound} -f s16le pipe:1")).stdout == samples,
        "the samples differ"
    );
    assert!(rms(&studio.samples("-i out.wav")) > 0.001, "silence proves nothing");
}

#[test]
fn native_encoders_keep_the_sound() {
    let studio = Studio::new();
    studio.make(format!("-i {SOURCE} -ac 2 -c:a pcm_s16le original.wav"));
    let wanted = studio.samples("-i original.wav");
    let lossless = f64::INFINITY;
    for (options, file, codec, ratio_min_db) in [
        ("-c:a flac", "sound.flac", "flac", lossless),
        ("-c:a alac", "alac.m4a", "alac", lossless),
        ("-c:a wavpack", "sound.wv", "wavpack", lossless),
        ("-c:a tta", "sound.tta", "tta", lossless),
        ("-c:a pcm_s16be", "sound.aiff", "pcm_s16be", lossless),
        ("-c:a aac -b:a 192k", "aac.m4a", "aac", 25.0),
        ("-c:a ac3 -b:a 256k", "ac3.mka", "ac3", 38.0),
        ("-c:a mp2 -b:a 256k", "mp2.mka", "mp2", 32.0),
        ("-c:a opus -strict -2 -b:a 192k", "sound.opus", "opus", 26.0),
        ("-c:a vorbis -strict -2 -b:a 192k", "sound.ogg", "vorbis", 26.0),
    ] {
        studio.make(format!("-i original.wav {options} {file}"));
        assert_eq!(studio.probe(file)["streams"][0]["codec_name"], codec);
        let got = studio.samples(format!("-i {file}"));
        let ratio = if got == wanted {
            lossless
        } else {
            signal_to_noise_db(&wanted, &got)
        };
        println!("{file}: {ratio:.2} dB, {} samples of {}", got.len(), wanted.len());
        assert!(ratio >= ratio_min_db, "{file}: {ratio} dB above the noise");
        // Lossy formats may end within the last block of samples, or with it filled up.
        assert!(
            got.len().abs_diff(wanted.len()) <= if ratio == lossless { 0 } else { 2 * 2048 },
            "{file}: {} samples",
            got.len()
        );
    }
}

#[test]
fn tones_have_their_length_pitch_and_level() {
    let studio = Studio::new();
    // The source is a sine with an eighth of the full amplitude.
    let level = 0.125 / 2_f64.sqrt();
    for (rate, filter, samples, hz) in [
        (44_100, "anull", 66_150, 440.0),
        (48_000, "anull", 72_000, 440.0),
        // A faster tempo keeps the pitch, a higher rate of samples does not.
        (48_000, "atempo=2", 36_000, 440.0),
        (48_000, "asetrate=96000", 72_000, 880.0),
        (48_000, "aresample=16000", 24_000, 440.0),
        (48_000, "atrim=end_sample=4800", 4_800, 440.0),
        (48_000, "adelay=500,atrim=start=0.5,asetpts=PTS-STARTPTS", 72_000, 440.0),
    ] {
        let got = studio.samples(format!(
            "-f lavfi -i sine=frequency=440:sample_rate={rate}:duration=1.5 -af {filter}"
        ));
        assert!(
            got.len().abs_diff(samples) <= if filter.contains("tempo") { 500 } else { 0 },
            "{filter}: {}",
            got.len()
        );
        let rate_out = match filter {
            "asetrate=96000" => 96_000,
            "aresample=16000" => 16_000,
            _ => rate,
        };
        let tone = tone_hz(&got, rate_out);
        assert!((tone / hz - 1.0).abs() < 0.015, "{filter}: {tone} Hz");
        assert!((rms(&got) / level - 1.0).abs() < 0.05, "{filter}: {}", rms(&got));
    }
}
