//! The library's own ways to use the module: typed commands, probing, pictures, progress, limits.

use crate::fixture::{SOURCE, SOURCE_FRAMES, Studio, runtime};
use afmpeg::command::{Command, Input, Output};
use afmpeg::probe::MediaType;
use afmpeg::{Access, Error, Frames, HostDir, Job, Limit, MemoryFs, OverlayFs, Stdin, Stdout};
use std::io::{self, Read};
use std::sync::mpsc;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, UNIX_EPOCH};

fn seconds(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds)
}

/// The video in memory, and room for what is made of it.
fn files(studio: &Studio) -> MemoryFs {
    let files = MemoryFs::new(64 << 20);
    files.add_file(SOURCE, studio.read(SOURCE)).unwrap();
    files
}

#[test]
fn a_typed_command_works_in_memory_and_tells_how_far_it_is() {
    let files = files(&Studio::new());
    let command = Command::new().input(Input::file(SOURCE).duration(seconds(2.0))).output(
        Output::file("out.mkv")
            .video_codec("libopenh264")
            .video_filter("scale=320:-2")
            .audio_codec("flac")
            .audio_filter("aresample=44100")
            .metadata("title", "it's a 'title'"),
    );
    let reports = Arc::new(Mutex::new(Vec::new()));
    let seen = reports.clone();
    let output = runtime()
        .run_job(&command, |job| {
            job.file_system(".", Arc::new(files.clone()))
                .progress(move |progress| seen.lock().unwrap().push(progress.clone()))
        })
        .unwrap();
    assert!(output.bytes_written > 10_000 && output.bytes_read > 100_000);
    let reports = reports.lock().unwrap();
    let last = reports.last().unwrap();
    assert!(last.finished && last.frame == 50, "{last:?}");
    assert_eq!(last.fraction(seconds(2.0)), 1.0);
    assert!((last.time.as_secs_f64() - 2.0).abs() < 0.1, "{last:?}");
    assert!(reports.windows(2).all(|pair| pair[0].frame <= pair[1].frame));

    let probe = runtime()
        .probe(Job::probe("out.mkv").file_system(".", Arc::new(files.clone())))
        .unwrap();
    assert_eq!(probe.format.format_name, "matroska,webm");
    assert_eq!(probe.format.tags["title"], "it's a 'title'");
    let [video, audio] = &probe.streams[..] else {
        panic!("{:?}", probe.streams)
    };
    assert_eq!(
        (video.codec_type, video.codec_name.as_deref()),
        (MediaType::Video, Some("h264"))
    );
    assert_eq!((video.width, video.height), (Some(320), Some(180)));
    assert_eq!(video.avg_frame_rate.unwrap().value(), Some(25.0));
    assert_eq!(
        (audio.codec_name.as_deref(), audio.sample_rate),
        (Some("flac"), Some(44_100))
    );
    // Fields without a counterpart are kept.
    assert!(
        video.other.contains_key("color_range") || video.other.contains_key("level"),
        "{:?}",
        video.other
    );
    let round_trip: afmpeg::Probe = serde_json::from_str(&serde_json::to_string(&probe).unwrap()).unwrap();
    assert_eq!(round_trip, probe);
}

#[test]
fn a_failing_command_is_an_error_in_ffmpegs_words() {
    let command = Command::new().input(Input::file("missing.mp4")).output(Output::null());
    let error = runtime().run_job(&command, |job| job).unwrap_err();
    let Error::Program { message, output } = &error else {
        panic!("{error}")
    };
    assert!(message.contains("No such file or directory"), "{message}");
    assert_eq!(output.exit_code, 254);

    let files = MemoryFs::new(0);
    files.add_file("text.mp4", &b"this is no video"[..]).unwrap();
    let error = runtime()
        .probe(Job::probe("text.mp4").file_system(".", Arc::new(files)))
        .unwrap_err();
    assert!(
        matches!(&error, Error::Program { message, .. } if message.contains("Invalid data")),
        "{error}"
    );
}

#[test]
fn pictures_are_of_the_times_that_were_asked_for() {
    let files = files(&Studio::new());
    let set_up = |job: Job| job.file_system(".", Arc::new(files.clone()));
    let times = [0.0, 1.0, 2.5, 5.0].map(seconds);
    let at = runtime()
        .frames(&Frames::of(SOURCE).at(times).width(160).rgba(), set_up)
        .unwrap();
    assert_eq!(at.iter().map(|frame| frame.time).collect::<Vec<_>>(), times);
    for frame in &at {
        assert_eq!((frame.width, frame.height), (160, 90));
        assert_eq!(frame.image.len(), 160 * 90 * 4);
    }
    let every = runtime()
        .frames(&Frames::of(SOURCE).every(seconds(2.5)).width(160).rgba(), set_up)
        .unwrap();
    assert_eq!(
        every.iter().map(|frame| frame.time).collect::<Vec<_>>(),
        [0.0, 2.5, 5.0].map(seconds)
    );
    // Both ways lead to the same pictures, and different times to different ones.
    assert_eq!(every[0].image, at[0].image);
    assert_eq!(every[1].image, at[2].image);
    assert_eq!(every[2].image, at[3].image);
    assert!(at[0].image != at[1].image && at[1].image != at[2].image && at[2].image != at[3].image);

    let png = &runtime()
        .frames(&Frames::of(SOURCE).at([seconds(1.0)]).height(90), set_up)
        .unwrap()[0];
    let mut reader = png::Decoder::new(io::Cursor::new(&png.image[..])).read_info().unwrap();
    let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
    reader.next_frame(&mut pixels).unwrap();
    assert_eq!((png.width, png.height), (160, 90));
    assert_eq!((reader.info().width, reader.info().height), (160, 90));

    let sheet = &runtime()
        .frames(&Frames::of(SOURCE).contact_sheet(3, 2).width(160).rgba(), set_up)
        .unwrap()[0];
    assert_eq!((sheet.width, sheet.height), (480, 180));
    // The fourth picture is the first of the second row, at 3.5 sixths of the video's length.
    let fourth: Vec<u8> = sheet
        .image
        .chunks(480 * 4)
        .skip(90)
        .flat_map(|row| &row[..160 * 4])
        .copied()
        .collect();
    let there = runtime()
        .frames(
            &Frames::of(SOURCE).at([seconds(5.28 * 3.5 / 6.0)]).width(160).rgba(),
            set_up,
        )
        .unwrap();
    assert_eq!(fourth, there[0].image);
    let jpeg = &runtime()
        .frames(&Frames::of(SOURCE).contact_sheet(2, 2).width(64).jpeg(), set_up)
        .unwrap()[0];
    assert_eq!((jpeg.width, jpeg.height), (128, 72));
    assert!(jpeg.image.starts_with(&[0xff, 0xd8]));

    let late = runtime()
        .frames(&Frames::of(SOURCE).at([seconds(60.0)]), set_up)
        .unwrap_err();
    assert!(
        matches!(late, Error::NoFrame { time } if time == seconds(60.0)),
        "{late}"
    );
}

#[test]
fn fixed_time_and_chance_make_the_same_bytes() {
    let command = Command::new()
        .input(Input::filter("testsrc=duration=1:size=64x64"))
        .output(
            Output::file("out.mkv")
                .metadata("creation_time", "now")
                .video_filter("noise=all_seed=-1:alls=20"),
        );
    let make = |seed, start| {
        let files = MemoryFs::new(64 << 20);
        let start = UNIX_EPOCH + Duration::from_secs(start);
        let output = runtime()
            .run_job(&command, |job| {
                job.file_system(".", Arc::new(files.clone()))
                    .fixed_clock(start)
                    .random_seed(seed)
            })
            .unwrap();
        (files.take_file("out.mkv").unwrap(), output.stderr)
    };
    let first = make(1, 1_000_000_000);
    assert_eq!(first, make(1, 1_000_000_000));
    assert_ne!(first.0, make(2, 1_000_000_000).0);
    assert_ne!(first.0, make(1, 1_100_000_000).0);
}

#[test]
fn a_fixed_clock_sleeps_in_no_time() {
    // Real-time reading of ten minutes.
    let command = Command::new()
        .input(Input::filter("anullsrc=r=8000:d=600").option("readrate", "1"))
        .output(Output::null());
    let started = Instant::now();
    let output = runtime().run_job(&command, |job| job.fixed_clock(UNIX_EPOCH)).unwrap();
    assert!(started.elapsed() < Duration::from_secs(60), "{:?}", output.timings);
    assert!(output.success());
}

#[test]
fn limits_say_which_was_reached() {
    let studio = Studio::new();
    let run = |files: MemoryFs, limit: &dyn Fn(Job) -> Job| {
        let command = Command::new()
            .input(Input::file(SOURCE))
            .output(Output::file("out.avi").video_codec("rawvideo"));
        match runtime().run_job(&command, |job| limit(job.file_system(".", Arc::new(files)))) {
            Err(Error::Limit {
                limit,
                output,
                allowed,
                wanted,
            }) => {
                assert!(wanted > allowed, "{limit}: {wanted} of {allowed}");
                assert!(!output.success());
                limit
            }
            other => panic!("{other:?}"),
        }
    };
    let small = MemoryFs::new(10 << 20);
    small.add_file(SOURCE, studio.read(SOURCE)).unwrap();
    assert_eq!(run(small, &|job| job), Limit::FileSystem);
    assert_eq!(
        run(files(&studio), &|job| job.written_max_bytes(1 << 20)),
        Limit::Written
    );
    assert_eq!(
        run(files(&studio), &|job| job.memory_max_bytes(48 << 20)),
        Limit::Memory
    );
    assert_eq!(run(files(&studio), &|job| job.open_files_max(5)), Limit::OpenFiles);
    // A description is an answer, and nothing that is written.
    let described = Job::probe(SOURCE).file_system(".", Arc::new(files(&studio)));
    runtime().probe(described.written_max_bytes(16)).unwrap();
}

#[test]
fn an_overlay_keeps_a_folder_as_it_is() {
    let studio = Studio::new();
    studio.write("out.mp4", "old");
    let folder = Arc::new(HostDir::open(studio.path("."), Access::ReadOnly).unwrap());
    let upper = MemoryFs::new(64 << 20);
    let overlay = Arc::new(OverlayFs::new(folder, Arc::new(upper.clone())));
    let command = Command::new()
        .input(Input::file(SOURCE))
        .output(Output::file("out.mp4").copy());
    runtime()
        .run_job(&command, |job| job.file_system(".", overlay))
        .unwrap();
    assert_eq!(studio.read("out.mp4"), b"old");
    assert!(upper.read_file("out.mp4").unwrap().len() > 500_000);
    assert_eq!(upper.files().len(), 1);
}

/// Gives some bytes, and then blocks its reader.
struct Stuck {
    start: io::Cursor<Vec<u8>>,
    release: mpsc::Receiver<()>,
}

impl Read for Stuck {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.start.read(buffer)? {
            0 => {
                // The test's end closes the channel.
                let _ = self.release.recv();
                Ok(0)
            }
            count => Ok(count),
        }
    }
}

#[test]
fn a_deadline_is_kept_even_when_the_callers_reader_is_stuck() {
    let studio = Studio::new();
    let (_release_later, release) = mpsc::channel();
    let stuck = Stuck {
        start: io::Cursor::new(studio.read(SOURCE)[..100_000].to_vec()),
        release,
    };
    runtime().warm_up().unwrap();
    let command = Command::new().input(Input::stdin()).output(Output::null());
    let timeout = Duration::from_millis(500);
    let started = Instant::now();
    let error = runtime()
        .run_job(&command, |job| {
            job.stdin(Stdin::Reader(Box::new(stuck)))
                .stdout(Stdout::Discard)
                .timeout(timeout)
        })
        .unwrap_err();
    let late = started.elapsed() - timeout;
    assert!(matches!(error, Error::Deadline { .. }), "{error}");
    assert!(late < Duration::from_millis(500), "{late:?} late");
}

#[test]
fn every_frame_arrives_from_a_reader_in_the_callers_hands() {
    let studio = Studio::new();
    let files = MemoryFs::new(0);
    files
        .add_reader(SOURCE, Arc::new(std::fs::File::open(studio.path(SOURCE)).unwrap()))
        .unwrap();
    let command = Command::new()
        .input(Input::file(SOURCE))
        .output(Output::stdout("framemd5").without_audio());
    let output = runtime()
        .run_job(&command, |job| job.file_system(".", Arc::new(files)))
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(
        text.lines().filter(|line| !line.starts_with('#')).count(),
        SOURCE_FRAMES
    );
}

#[test]
fn the_module_says_what_it_is() {
    let info = runtime().info().unwrap();
    assert!(
        info.version.starts_with(|first: char| first.is_ascii_digit()),
        "{}",
        info.version
    );
    assert!(
        info.license.starts_with("GPL") || info.license.starts_with("LGPL"),
        "{}",
        info.license
    );
    assert!(info.components["encoders"].contains("libopenh264"));
    assert!(info.components["demuxers"].len() > 100);
}
