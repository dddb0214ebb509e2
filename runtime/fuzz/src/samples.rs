//! Files that cases damage: of every muxer and encoder of the module, and real ones.

use crate::program::{File, Program};
use crate::request::Request;
use afmpeg::Error;
use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

/// The version of the folder's content; another one is made anew. History: 1, the first; 2; 3, exit codes of samples.
const FORMAT_VERSION: u32 = 3;
const TIMEOUT: Duration = Duration::from_secs(60);
const REAL_FILE_MAX_BYTES: u64 = 400 << 10;

#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    Muxer,
    Encoder,
    Real,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Sample {
    /// The muxer or encoder that made it, or the real file's name.
    pub name: String,
    pub origin: Origin,
    /// `v`, `a` or `s`, of what an encoder made.
    pub media: String,
    pub files: Vec<File>,
    /// What ffprobe ends with on the sample as it was made; a real file is not asked.
    pub exit_code: Option<i32>,
}

impl Sample {
    /// Lets ffprobe read the sample as it is.
    pub fn probe(&self, program: &Program) -> Result<i32, Error> {
        let line = format!("ffprobe -v quiet -show_format -show_streams {}", self.files[0].name);
        let (result, _) = program.run(&line, &self.files, TIMEOUT);
        Ok(result?.exit_code)
    }
}

/// All that cases are made of.
#[derive(Debug, Deserialize, Serialize)]
pub struct Stock {
    format_version: u32,
    /// The folders that real files are of.
    pub real_files: Vec<PathBuf>,
    pub samples: Vec<Sample>,
    pub demuxers: Vec<String>,
    /// With `v`, `a` or `s`.
    pub decoders: Vec<(String, String)>,
    pub bitstream_filters: Vec<String>,
    pub muxers_without_sample: Vec<String>,
    pub encoders_without_sample: Vec<String>,
}

const SUBTITLES: &str = "1\n00:00:00,000 --> 00:00:01,000\nHello\n\n2\n00:00:01,000 --> 00:00:02,000\n<i>world</i>\n";
const INPUTS: &str = "-f lavfi -i testsrc2=size=96x64:rate=10:duration=0.6 -f lavfi -i sine=duration=0.6 -i in.srt";

/// Streams that formats may accept, those with the most streams first.
const CONTENTS: [&str; 20] = [
    "-map 0 -map 1",
    "-map 0 -map 1 -c:v mpeg2video -c:a mp2",
    "-map 0 -map 1 -c:v dvvideo -s 720x576 -r 25 -pix_fmt yuv420p -ar 48000 -ac 2",
    "-map 0 -map 1 -c:v mpeg2video -r 25 -ar 48000 -ac 1 -c:a pcm_s16le",
    "-map 0",
    "-map 0 -c:v mpeg4",
    "-map 1",
    "-map 1 -ar 8000 -ac 1",
    "-map 1 -c:a pcm_s16be",
    "-map 1 -c:a ac3",
    "-map 1 -strict -2 -ar 48000 -ac 2",
    "-map 1 -c:a pcm_s24daud -ar 96000 -ac 6",
    "-map 0 -s 176x144 -r 30000/1001",
    "-map 0 -c:v mpeg1video -r 25",
    "-map 0 -c:v png -frames:v 1",
    "-map 0 -c:v rawvideo -pix_fmt rgba",
    "-map 0 -c:v dnxhd -s 1920x1080 -r 25 -b:v 36M -pix_fmt yuv422p",
    "-map 0 -map 1 -c:v amv -s 160x128 -r 10 -c:a adpcm_ima_amv -ar 22050 -ac 1 -block_size 2205",
    "-map 2",
    "-map 2 -c:s ass",
];

/// Options for the input of encoders, and containers for their output.
const ENCODINGS: [(&str, &[&str]); 3] = [
    (
        "v",
        &[
            "",
            "-s 176x144 -r 30000/1001",
            "-s 720x576 -r 25",
            "-s 1920x1080 -r 25 -b:v 36M -pix_fmt yuv422p",
            "-s 160x128",
            "-pix_fmt monob",
            "-s 1920x1080 -r 25 -pix_fmt yuv422p10",
            "-s 48x48",
        ],
    ),
    (
        "a",
        &[
            "",
            "-ar 8000 -ac 1",
            "-ar 48000 -ac 2",
            "-ar 44100 -ac 2",
            "-ar 22050 -ac 1",
            "-ar 16000 -ac 1 -b:a 32k",
        ],
    ),
    ("s", &[""]),
];
const CONTAINERS: [(&str, &[&str]); 3] = [
    (
        "v",
        &[
            "matroska",
            "nut",
            "avi",
            "mov",
            "mpegts",
            "flv",
            "asf",
            "image2pipe",
            "mxf",
            "gxf",
            "rm",
            "ogg",
        ],
    ),
    (
        "a",
        &[
            "matroska", "nut", "wav", "mov", "caf", "avi", "au", "ogg", "asf", "mpegts", "flv", "rm",
        ],
    ),
    (
        "s",
        &["matroska", "mov", "mpegts", "nut", "srt", "ass", "webvtt", "sup"],
    ),
];

pub fn parallel<T: Sync, R: Send>(jobs: usize, items: &[T], make: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let next = AtomicUsize::new(0);
    let made = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..jobs {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    let Some(item) = items.get(number) else { return };
                    let result = make(item);
                    made.lock()
                        .unwrap_or_else(PoisonError::into_inner)
                        .push((number, result));
                }
            });
        }
    });
    let mut made = made.into_inner().unwrap_or_else(PoisonError::into_inner);
    made.sort_by_key(|(number, _)| *number);
    made.into_iter().map(|(_, result)| result).collect()
}

/// Runs a command that makes files, and returns those with something in them.
fn make(program: &Program, line: &str, inputs: &[File]) -> Option<Vec<File>> {
    let (result, memory) = program.run(line, inputs, TIMEOUT);
    if !result.is_ok_and(|output| output.success()) {
        return None;
    }
    let files: Vec<File> = memory
        .files()
        .into_iter()
        .filter(|(name, size_bytes)| *size_bytes > 0 && inputs.iter().all(|input| input.name != *name))
        .filter_map(|(name, _)| {
            let bytes = memory.read_file(&name).ok()?.to_vec();
            Some(File { name, bytes })
        })
        .collect();
    (!files.is_empty()).then_some(files)
}

fn text_input() -> File {
    File {
        name: "in.srt".to_owned(),
        bytes: SUBTITLES.as_bytes().to_vec(),
    }
}

fn of_muxer(program: &Program, muxer: &str) -> Option<Sample> {
    // Segments are of the format that their names tell.
    let extension = if muxer.contains("segment") { ".ts" } else { "" };
    CONTENTS.iter().find_map(|content| {
        let line =
            format!("ffmpeg -v quiet -nostdin {INPUTS} {content} -frames:v 6 -f {muxer} -bitexact -y out%d{extension}");
        Some(Sample {
            name: muxer.to_owned(),
            origin: Origin::Muxer,
            media: String::new(),
            files: make(program, &line, &[text_input()])?,
            exit_code: None,
        })
    })
}

fn of_encoder(program: &Program, encoder: &str, media: &str) -> Option<Sample> {
    let of = |table: [(&str, &'static [&'static str]); 3]| {
        let found = table.into_iter().find(|(kind, _)| *kind == media);
        found.map_or(&[][..], |(_, items)| items)
    };
    let map = match media {
        "v" => "-map 0",
        "a" => "-map 1",
        _ => "-map 2",
    };
    of(ENCODINGS).iter().find_map(|options| {
        of(CONTAINERS).iter().find_map(|container| {
            let line = format!(
                "ffmpeg -v quiet -nostdin {INPUTS} {map} -strict -2 -c:{media} {encoder} {options} -frames:v 6 -f {container} \
                 -bitexact -y out"
            );
            Some(Sample {
                name: encoder.to_owned(),
                origin: Origin::Encoder,
                media: media.to_owned(),
                files: make(program, &line, &[text_input()])?,
                exit_code: None,
            })
        })
    })
}

/// Real files that the module finds streams in, and pieces of the pinned video.
fn real(program: &Program, request: &Request) -> Result<Vec<Sample>> {
    let mut paths = Vec::new();
    let mut folders = request.real_files.clone();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).with_context(|| format!("cannot read {}", folder.display()))? {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                folders.push(entry.path());
            } else if entry.metadata()?.len() <= REAL_FILE_MAX_BYTES {
                paths.push(entry.path());
            }
        }
    }
    paths.sort();
    let found = parallel(request.jobs, &paths, |path| {
        let name = path.file_name()?.to_string_lossy().replace([' ', '%'], "_");
        let file = File {
            name: name.clone(),
            bytes: fs::read(path).ok()?,
        };
        let line = format!("ffprobe -v quiet -show_entries stream=codec_name -of csv {name}");
        let (result, _) = program.run(&line, std::slice::from_ref(&file), TIMEOUT);
        // One that crashes the program as it is has more to tell than any.
        let is_media = !result.is_ok_and(|output| output.stdout.is_empty());
        is_media.then(|| Sample {
            name,
            origin: Origin::Real,
            media: String::new(),
            files: vec![file],
            exit_code: None,
        })
    });
    let mut samples: Vec<Sample> = found.into_iter().flatten().collect();
    let video = File {
        name: "in.mp4".to_owned(),
        bytes: fs::read(&request.video).with_context(|| format!("cannot read {}", request.video.display()))?,
    };
    for name in [
        "video.mp4",
        "video.mkv",
        "video.ts",
        "video.flv",
        "video.avi",
        "video.h264",
        "video.aac",
    ] {
        let line = format!("ffmpeg -v quiet -nostdin -i in.mp4 -t 0.5 -c copy -bitexact -y {name}");
        if let Some(files) = make(program, &line, std::slice::from_ref(&video)) {
            samples.push(Sample {
                name: name.to_owned(),
                origin: Origin::Real,
                media: String::new(),
                files,
                exit_code: None,
            });
        }
    }
    Ok(samples)
}

impl Stock {
    pub fn make(program: &Program, request: &Request) -> Result<Stock> {
        let names = |listed: Vec<(String, String)>| listed.into_iter().map(|(_, name)| name).collect::<Vec<_>>();
        let with_media = |listed: Vec<(String, String)>| -> Vec<(String, String)> {
            let media =
                |(flags, name): (String, String)| Some((name, flags.chars().next()?.to_lowercase().to_string()));
            listed.into_iter().filter_map(media).collect()
        };
        let muxers = names(program.listed("muxers")?);
        let encoders = with_media(program.listed("encoders")?);
        let by_muxer = parallel(request.jobs, &muxers, |muxer| of_muxer(program, muxer));
        let by_encoder = parallel(request.jobs, &encoders, |(name, media)| {
            of_encoder(program, name, media)
        });
        let without = |names: &[String], made: &[Option<Sample>]| {
            let missing = names.iter().zip(made).filter(|(_, sample)| sample.is_none());
            missing.map(|(name, _)| name.clone()).collect::<Vec<_>>()
        };
        let encoder_names: Vec<String> = encoders.iter().map(|(name, _)| name.clone()).collect();
        let muxers_without_sample = without(&muxers, &by_muxer);
        let encoders_without_sample = without(&encoder_names, &by_encoder);
        let mut samples: Vec<Sample> = by_muxer.into_iter().chain(by_encoder).flatten().collect();
        // Fewer would mean that the module can't write, and nothing would be tested.
        ensure!(
            muxers_without_sample.len() * 3 < muxers.len() && encoders_without_sample.len() * 3 < encoders.len(),
            "no sample of the muxers {muxers_without_sample:?} and the encoders {encoders_without_sample:?}"
        );
        let exit_codes = parallel(request.jobs, &samples, |sample| sample.probe(program));
        for (sample, exit_code) in samples.iter_mut().zip(exit_codes) {
            let exit_code = exit_code.with_context(|| format!("the sample of {} as it was made", sample.name))?;
            sample.exit_code = Some(exit_code);
        }
        let read = samples.iter().filter(|sample| sample.exit_code == Some(0)).count();
        ensure!(
            read * 2 > samples.len(),
            "ffprobe reads {read} of {} samples",
            samples.len()
        );
        let samples = samples.into_iter().chain(real(program, request)?).collect();
        Ok(Stock {
            format_version: FORMAT_VERSION,
            real_files: request.real_files.clone(),
            samples,
            demuxers: names(program.listed("demuxers")?),
            decoders: with_media(program.listed("decoders")?),
            bitstream_filters: names(program.listed("bsfs")?),
            muxers_without_sample,
            encoders_without_sample,
        })
    }

    /// Files lie beside the list, by the numbers of their samples.
    pub fn save(&self, folder: &Path) -> Result<()> {
        for (number, sample) in self.samples.iter().enumerate() {
            for (index, file) in sample.files.iter().enumerate() {
                fs::write(folder.join(format!("{number}-{index}")), &file.bytes)?;
            }
        }
        fs::write(folder.join("stock.json"), serde_json::to_string(self)?)?;
        Ok(())
    }

    /// Returns the saved samples; `None` if they were made by another version of the recipe.
    pub fn load(folder: &Path) -> Result<Option<Stock>> {
        let Ok(text) = fs::read_to_string(folder.join("stock.json")) else {
            return Ok(None);
        };
        let Ok(mut stock) = serde_json::from_str::<Stock>(&text) else {
            return Ok(None);
        };
        if stock.format_version != FORMAT_VERSION {
            return Ok(None);
        }
        for (number, sample) in stock.samples.iter_mut().enumerate() {
            for (index, file) in sample.files.iter_mut().enumerate() {
                file.bytes = fs::read(folder.join(format!("{number}-{index}")))?;
            }
        }
        Ok(Some(stock))
    }
}
