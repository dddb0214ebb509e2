//! Streams that have no end to seek to, through the operating system's pipes.

use crate::fixture::{SOURCE, Studio, pipeline};

#[test]
fn standard_input_and_output_carry_every_packet() {
    let studio = Studio::new();
    studio.make(format!("-i {SOURCE} -c copy in.mkv"));
    let wanted = studio.packets("-i in.mkv -c copy");
    for format in ["matroska", "nut", "mp4 -movflags frag_keyframe+empty_moov"] {
        let piped = studio
            .ffmpeg(format!("-i pipe:0 -c copy -f {format} pipe:1"))
            .stdin(studio.read("in.mkv"))
            .ok();
        studio.write("out", &piped.stdout);
        wanted.assert_equal(&studio.packets("-i out -c copy"), 0.0006);
    }
    // The same through the names that need no protocol.
    let piped = studio
        .ffmpeg("-i - -c copy -f matroska -")
        .stdin(studio.read("in.mkv"))
        .ok();
    studio.write("out", &piped.stdout);
    wanted.assert_equal(&studio.packets("-i out -c copy"), 0.0);
}

#[test]
fn a_long_stream_passes_exactly_and_in_little_memory() {
    const FRAMES: usize = 400;
    const FRAME_SIZE_BYTES: usize = 640 * 360 * 3 / 2;
    const STREAM_SIZE_BYTES: usize = FRAMES * FRAME_SIZE_BYTES;
    // The code itself, which is mapped, counts for about 40 MiB.
    const MEMORY_MAX_BYTES: u64 = 128 << 20;
    const { assert!(STREAM_SIZE_BYTES as u64 > MEMORY_MAX_BYTES) };
    let studio = Studio::new();
    let source = format!("-f lavfi -i testsrc2=size=640x360:rate=25 -frames:v {FRAMES} -pix_fmt yuv420p");
    let ended = pipeline([
        studio.ffmpeg(format!("{source} -f rawvideo pipe:1")),
        studio.ffmpeg("-f rawvideo -video_size 640x360 -framerate 25 -i pipe:0 -c copy -f nut pipe:1"),
        studio.ffmpeg("-i pipe:0 -f framemd5 pipe:1"),
    ]);
    let mut listing = String::new();
    for program in ended {
        let program = program.succeeded();
        if let Some(usage) = program.usage {
            let peak_mib = usage.memory_peak_bytes >> 20;
            println!("{peak_mib} MiB at most, {:?} of processor time", usage.cpu_time);
            assert!(usage.memory_peak_bytes < MEMORY_MAX_BYTES, "{peak_mib} MiB\n{program}");
        }
        listing = program.text();
    }
    let piped = crate::measure::Packets::parse(&listing);
    assert_eq!(piped.stream(0).len(), FRAMES);
    studio.packets(&source).assert_equal(&piped, 0.0);
}

#[test]
fn a_reader_that_leaves_early_ends_its_writer() {
    let studio = Studio::new();
    let [writer, reader] = pipeline([
        studio.ffmpeg("-f lavfi -i testsrc2=size=320x180:rate=25 -f nut pipe:1"),
        studio.ffmpeg("-i pipe:0 -frames:v 10 -f framemd5 pipe:1"),
    ])
    .try_into()
    .unwrap_or_else(|_| panic!("two programs were started"));
    let reader = reader.succeeded();
    assert_eq!(crate::measure::Packets::parse(&reader.text()).stream(0).len(), 10);
    // Linux's number for a broken pipe is 32.
    assert_eq!(writer.exit_code, Some(256 - 32), "{writer}");
    assert!(writer.stderr.contains("Broken pipe"), "{writer}");
}
