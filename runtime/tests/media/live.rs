//! Streams that are fed and read while they last: what comes in goes out, and nobody waits for ever.

use crate::fixture::Studio;
use afmpeg::{Job, Stdin, Stdout};
use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, PipeReader, PipeWriter, Read, Write, pipe};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

/// Far longer than a frame takes on its way, even on a busy host.
const SOON: Duration = Duration::from_secs(20);

const FRAME_SIZE_BYTES: usize = 64 * 64;
const RAW: &str = "-probesize 32 -analyzeduration 0 -f rawvideo -pix_fmt gray -s 64x64 -r 25";

fn start(studio: &Studio, arguments: &str) -> Child {
    studio
        .command()
        .args("ffmpeg -nostdin -y -v error".split(' '))
        .args(arguments.split(' '))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .unwrap()
}

/// Ends the child where it hangs.
fn ended(mut child: Child) {
    let begin = Instant::now();
    while begin.elapsed() < SOON {
        if let Some(status) = child.try_wait().unwrap() {
            assert!(status.success(), "{status}");
            return;
        }
        thread::sleep(Duration::from_millis(10));
    }
    child.kill().unwrap();
    panic!("the program hangs");
}

/// The lines of a stream, as they come.
fn lines(stream: impl Read + Send + 'static) -> Receiver<String> {
    let (sender, receiver) = channel();
    thread::spawn(move || {
        for line in BufReader::new(stream).lines() {
            if sender.send(line.unwrap()).is_err() {
                return;
            }
        }
    });
    receiver
}

fn packet_line(lines: &Receiver<String>) -> String {
    loop {
        let line = lines.recv_timeout(SOON).expect("no packet came");
        if !line.starts_with('#') {
            return line;
        }
    }
}

fn both_ends(studio: &Studio, name: &str) -> File {
    OpenOptions::new()
        .read(true)
        .write(true)
        .open(studio.path(name))
        .unwrap()
}

fn fifo(studio: &Studio, name: &str) {
    let status = Command::new("mkfifo").arg(studio.path(name)).status().unwrap();
    assert!(status.success());
}

/// What natively takes one frame in to give one out, gives it out here before the next one comes.
#[test]
fn a_frame_goes_out_before_the_next_one_comes() {
    let studio = Studio::new();
    // As many frames ahead as FFmpeg itself holds back: it opens the output with the first, and looks at two to find out
    // the frame rate.
    for (arguments, ahead) in [
        (format!("{RAW} -i pipe:0 -f framecrc -flush_packets 1 -"), 1),
        (
            format!("{RAW} -i pipe:0 -vf scale=32:32 -c:v mjpeg -f framecrc -flush_packets 1 -"),
            1,
        ),
        (
            format!("{RAW} -i pipe:0 -c:v libx264 -tune zerolatency -f framecrc -flush_packets 1 -"),
            1,
        ),
    ] {
        let mut child = start(&studio, &arguments);
        let mut input = child.stdin.take().unwrap();
        let lines = lines(child.stdout.take().unwrap());
        let mut frames = 0;
        for packets in 0..10 {
            while frames < packets + ahead {
                input.write_all(&vec![frames as u8 * 9; FRAME_SIZE_BYTES]).unwrap();
                input.flush().unwrap();
                frames += 1;
            }
            packet_line(&lines);
        }
        drop(input);
        ended(child);
    }
}

/// The same through a reader of the library's caller, which blocks.
#[test]
fn a_reader_that_blocks_holds_nobody_up() {
    let (mut input, output, ended) = library_job();
    let lines = lines(output);
    for frame in 0..10 {
        input.write_all(&[frame * 9; FRAME_SIZE_BYTES]).unwrap();
        packet_line(&lines);
    }
    drop(input);
    assert_eq!(ended.recv_timeout(SOON).unwrap(), 0);
}

struct Blocking(PipeReader);

impl Read for Blocking {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}

fn library_job() -> (PipeWriter, PipeReader, Receiver<i32>) {
    let (input, writer) = pipe().unwrap();
    let (reader, output) = pipe().unwrap();
    let (sender, receiver) = channel();
    let job = Job::new(
        format!("ffmpeg -v error {RAW} -i pipe:0 -f framecrc -flush_packets 1 -")
            .split(' ')
            .map(str::to_owned),
    );
    let job = job
        .stdin(Stdin::Reader(Box::new(Blocking(input))))
        .stdout(Stdout::Writer(Box::new(output)));
    // Compiling takes longer than anything that is waited for here.
    let runtime = crate::fixture::runtime();
    thread::spawn(move || {
        let output = runtime.run(job).unwrap();
        let _ = sender.send(output.exit_code);
    });
    (writer, reader, receiver)
}

/// One producer feeds two inputs in turn, in whatever portions.
#[test]
fn two_inputs_are_fed_in_turn() {
    let studio = Studio::new();
    const SAMPLES_PER_SECOND: usize = 48_000;
    // Small pictures fit into the pipe: FFmpeg holds back an input that is ahead. Of large ones a second is more than it would
    // take in by itself before it looks at the other input.
    for (size, at_once, video_first) in [
        ((64, 48), 1, true),
        ((64, 48), 1, false),
        ((64, 48), 5, true),
        ((64, 48), 5, false),
        ((1280, 720), 1, true),
        ((1280, 720), 5, false),
        ((1280, 720), 25, true),
    ] {
        let size_bytes = size.0 * size.1 * 3 / 2;
        for name in ["video", "audio"] {
            let _ = std::fs::remove_file(studio.path(name));
            fifo(&studio, name);
        }
        // Opened for both directions, so that nobody waits for the other end.
        let [mut video, mut audio] = ["video", "audio"].map(|name| both_ends(&studio, name));
        let child = start(
            &studio,
            &format!(
                "-f rawvideo -pix_fmt yuv420p -s {}x{} -r 25 -i video -f s16le -ar 48000 -ac 1 -i audio -c:v mpeg4 -c:a aac \
                 out.mkv",
                size.0, size.1
            ),
        );
        let producer = thread::spawn(move || {
            let pictures = vec![9; at_once * size_bytes];
            let sound = vec![1; at_once * SAMPLES_PER_SECOND / 25 * 2];
            for _ in 0..50 / at_once {
                if video_first {
                    video.write_all(&pictures).unwrap();
                    audio.write_all(&sound).unwrap();
                } else {
                    audio.write_all(&sound).unwrap();
                    video.write_all(&pictures).unwrap();
                }
            }
        });
        ended(child);
        producer.join().unwrap();
        let probe = studio.probe("out.mkv");
        assert_eq!(
            probe["streams"].as_array().unwrap().len(),
            2,
            "{size:?} {at_once} {video_first}"
        );
        assert_eq!(studio.packets("-i out.mkv -map 0:v -c copy").stream(0).len(), 50);
    }
}

/// One consumer reads two outputs in turn, much of one before it looks at the other.
#[test]
fn two_outputs_are_read_in_turn() {
    let studio = Studio::new();
    for name in ["video", "audio"] {
        fifo(&studio, name);
    }
    let child = start(
        &studio,
        "-f lavfi -i testsrc2=size=320x240:rate=25:duration=4 -f lavfi -i sine=duration=4:sample_rate=48000 -map 0:v -f \
         rawvideo -pix_fmt yuv420p video -map 1:a -f s16le audio",
    );
    let paths = [studio.path("video"), studio.path("audio")];
    let consumer = thread::spawn(move || {
        let mut video = OpenOptions::new().read(true).open(&paths[0]).unwrap();
        let mut audio = OpenOptions::new().read(true).open(&paths[1]).unwrap();
        let mut sizes = [0; 2];
        let mut picture = vec![0; 10 * 320 * 240 * 3 / 2];
        let mut sound = vec![0; 10 * 1920 * 2];
        for _ in 0..10 {
            video.read_exact(&mut picture).unwrap();
            audio.read_exact(&mut sound).unwrap();
            sizes[0] += picture.len();
            sizes[1] += sound.len();
        }
        let mut rest = Vec::new();
        video.read_to_end(&mut rest).unwrap();
        audio.read_to_end(&mut rest).unwrap();
        (sizes, rest.len())
    });
    ended(child);
    let (sizes, rest) = consumer.join().unwrap();
    assert_eq!(sizes, [100 * 320 * 240 * 3 / 2, 4 * 48_000 * 2]);
    assert_eq!(rest, 0);
}
