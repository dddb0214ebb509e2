//! Cases of damaged media: which files, and what is done with them.

use crate::craft::{Claims, Media, matroska};
use crate::magic::{HEADS, WORDS};
use crate::program::File;
use crate::random::Random;
use crate::samples::{Origin, Sample, Stock};

pub struct Case {
    pub line: String,
    pub files: Vec<File>,
    /// A description of the case's origin, for the report.
    pub made_of: String,
    /// The demuxer, decoder or filter that the case reaches if the program gets that far.
    pub demuxer: Option<String>,
    pub decoder: Option<String>,
    pub bitstream_filter: Option<String>,
}

/// Sizes, rates and the like that decoders know, and some that they don't.
const SIZES: [(u16, u16); 12] = [
    (16, 16),
    (64, 48),
    (96, 64),
    (128, 96),
    (160, 120),
    (176, 144),
    (320, 200),
    (320, 240),
    (33, 17),
    (1, 1),
    (640, 480),
    (720, 576),
];
const BITS: [u16; 10] = [8, 16, 24, 32, 4, 1, 2, 15, 12, 0];
const RATES: [u32; 8] = [8000, 11025, 16000, 22050, 32000, 44100, 48000, 96000];
const CHANNELS: [u16; 6] = [1, 2, 2, 4, 6, 8];
const BLOCK_SIZES: [u16; 14] = [1, 2, 4, 16, 32, 36, 64, 96, 152, 192, 256, 384, 1024, 2048];
const SUBTITLE_CODECS: [&str; 6] = [
    "S_TEXT/UTF8",
    "S_TEXT/ASS",
    "S_HDMV/PGS",
    "S_VOBSUB",
    "S_DVBSUB",
    "S_TEXT/WEBVTT",
];
const TAGS: [&[u8; 4]; 20] = [
    b"MJPG",
    b"XVID",
    b"H264",
    b"RLE ",
    b"tscc",
    b"CRAM",
    b"cvid",
    b"IV31",
    b"IV41",
    b"IV50",
    b"WMV3",
    b"VP60",
    b"SVQ3",
    b"RV40",
    b"ZLIB",
    b"MSZH",
    b"FPS1",
    b"dvsd",
    b"\0\0\0\0",
    b"????",
];

impl Stock {
    /// Each kind gets a share of the numbers, and within it takes its demuxers, decoders or samples in order.
    pub fn case(&self, seed: u64, number: u64) -> Case {
        let mut random = Random::of_case(seed, number);
        let turn = (number / 16) as usize;
        // A kind with a share of several numbers of sixteen advances by as many.
        let turn_of = |share: usize, place: usize| turn * share + place;
        match (number % 16) as usize {
            place @ 0..=3 => self.sample_of(Origin::Muxer, turn_of(4, place), &mut random),
            place @ 4..=6 => self.sample_of(Origin::Encoder, turn_of(3, place - 4), &mut random),
            place @ 7..=8 => self.sample_of(Origin::Real, turn_of(2, place - 7), &mut random),
            place @ 9..=11 => self.forced_demuxer(turn_of(3, place - 9), &mut random),
            place @ 12..=14 => self.forced_decoder(turn_of(3, place - 12), &mut random),
            _ => self.filtered(turn, &mut random),
        }
    }

    fn sample_of(&self, origin: Origin, turn: usize, random: &mut Random) -> Case {
        let samples: Vec<&Sample> = self.samples.iter().filter(|sample| sample.origin == origin).collect();
        let sample = samples[turn % samples.len()];
        let files = damaged(sample, random);
        let name = &files[0].name;
        let made_of = format!("{:?} {}", origin, sample.name).to_lowercase();
        let demuxer = random.one_in(8).then(|| random.one_of(&self.demuxers).clone());
        let decoder = match sample.media.as_str() {
            "" => None,
            media => random.one_in(4).then(|| self.decoder_of(media, random)),
        };
        let options = options(demuxer.as_deref(), decoder.as_ref());
        Case {
            line: line(&options, name, &sample.media, random),
            made_of,
            demuxer,
            decoder: decoder.map(|(name, _)| name),
            bitstream_filter: None,
            files,
        }
    }

    fn decoder_of(&self, media: &str, random: &mut Random) -> (String, String) {
        let of_media: Vec<_> = self.decoders.iter().filter(|(_, of)| of == media).collect();
        (*random.one_of(&of_media)).clone()
    }

    fn any_bytes(&self, random: &mut Random) -> Vec<u8> {
        let mut bytes = match random.below(4) {
            0 => {
                let length = random.below(4000);
                random.bytes(length)
            }
            1 => vec![*random.one_of(&[0, 0xff, 0x55, 1]); random.below(4000)],
            _ => {
                let sample = random.one_of(&self.samples);
                let whole = &random.one_of(&sample.files).bytes;
                let from = random.below(whole.len());
                whole[from..(from + 1 + random.below(8000)).min(whole.len())].to_vec()
            }
        };
        if random.one_in(3) {
            let word = *random.one_of(WORDS);
            let at = if random.one_in(2) {
                0
            } else {
                random.below(bytes.len() + 1)
            };
            bytes.splice(at..at, word.iter().copied());
        }
        if bytes.is_empty() {
            bytes.push(0);
        }
        bytes
    }

    fn forced_demuxer(&self, turn: usize, random: &mut Random) -> Case {
        let demuxer = self.demuxers[turn % self.demuxers.len()].clone();
        let mut bytes = Vec::new();
        if let Some((_, head)) = HEADS.iter().find(|(name, _)| *name == demuxer)
            && !random.one_in(6)
        {
            bytes.extend_from_slice(head);
        }
        // Numbers as heads have them: small, in either order of bytes.
        for _ in 0..random.below(12) {
            let value = *random.one_of(&[0u32, 1, 2, 3, 4, 5, 8, 10, 16, 25, 64, 100, 320, 4096, 22050, 44100]);
            match random.below(4) {
                0 => bytes.extend(value.to_be_bytes()),
                1 => bytes.extend(value.to_le_bytes()),
                2 => bytes.extend((value as u16).to_be_bytes()),
                _ => bytes.extend((value as u16).to_le_bytes()),
            }
        }
        for _ in 0..1 + random.below(3) {
            bytes.extend(self.any_bytes(random));
        }
        if random.one_in(2) {
            random.damage(&mut bytes);
        }
        let files = vec![File {
            name: "in".to_owned(),
            bytes,
        }];
        Case {
            line: line(&options(Some(&demuxer), None), "in", "", random),
            files,
            made_of: format!("demuxer {demuxer}"),
            demuxer: Some(demuxer),
            decoder: None,
            bitstream_filter: None,
        }
    }

    fn forced_decoder(&self, turn: usize, random: &mut Random) -> Case {
        let (decoder, kind) = self.decoders[turn % self.decoders.len()].clone();
        let media = match kind.as_str() {
            "v" => Media::Video,
            "a" => Media::Audio,
            _ => Media::Subtitle,
        };
        let (width, height) = *random.one_of(&SIZES);
        let extradata = match random.below(6) {
            0 | 1 => Vec::new(),
            2 => vec![0; *random.one_of(&[1, 4, 8, 16, 26, 32, 64])],
            3 => {
                let length = *random.one_of(&[2, 4, 8, 10, 16, 24, 48, 80, 256, 1024]);
                random.bytes(length)
            }
            4 => (1..=*random.one_of(&[8u8, 16, 42, 64])).collect(),
            _ => self.any_bytes(random).into_iter().take(300).collect(),
        };
        let claims = Claims {
            media,
            tag: **random.one_of(&TAGS),
            extradata,
            width,
            height,
            bits: *random.one_of(&BITS),
            rate: *random.one_of(&RATES),
            channels: *random.one_of(&CHANNELS),
            block_size: *random.one_of(&BLOCK_SIZES),
            subtitle_codec: SUBTITLE_CODECS[random.below(SUBTITLE_CODECS.len())],
        };
        let packet = |random: &mut Random| -> Vec<u8> {
            if media == Media::Subtitle && random.one_in(2) {
                const LINES: [&[u8]; 6] = [
                    b"0,0,Default,,0,0,0,,{\\i1}Hello{\\b0} {\\pos(1,2)}world\\N",
                    b"{y:i}{c:$0000ff}Hello|world",
                    b"<font color=\"#ff0000\" size=3>Hello</font> <b><i><x",
                    b"Hello\0\x01\x02{\\an9}{",
                    b"\x0f\0\0\x01\x10\0\x0a",
                    b"<P Class=x>Hello<br>world&nbsp;</P>",
                ];
                return random.one_of(&LINES).to_vec();
            }
            let mut bytes = self.any_bytes(random);
            if random.one_in(3) {
                // As a head of a frame: small numbers.
                let head = random.bytes(8).into_iter().map(|byte| byte & 0x0f).collect::<Vec<_>>();
                bytes.splice(0..0, head);
            }
            // Frames of a size are the only ones that some decoders take.
            match random.below(4) {
                0 => bytes.resize(usize::from(claims.block_size), 7),
                1 => bytes.resize(*random.one_of(&[64, 512, 1024, 4096, 9216, 64 * 48 * 3 / 2]), 0x41),
                _ => {}
            }
            bytes
        };
        let packets: Vec<Vec<u8>> = (0..1 + random.below(6)).map(|_| packet(random)).collect();
        let files = vec![File {
            name: "in.mkv".to_owned(),
            bytes: matroska(&claims, &packets),
        }];
        let forced = (decoder.clone(), kind.clone());
        Case {
            line: line(&options(None, Some(&forced)), "in.mkv", &kind, random),
            files,
            made_of: format!("decoder {decoder}"),
            demuxer: None,
            decoder: Some(decoder),
            bitstream_filter: None,
        }
    }

    fn filtered(&self, turn: usize, random: &mut Random) -> Case {
        let filter = self.bitstream_filters[turn % self.bitstream_filters.len()].clone();
        // A filter's name begins with its codec's, so a sample of that one is the likeliest to be taken.
        let codec = filter.split('_').next().unwrap_or_default();
        let of_codec: Vec<&Sample> = self
            .samples
            .iter()
            .filter(|sample| sample.name.contains(codec) || (codec == "h264" && sample.name.contains("264")))
            .collect();
        let sample = match of_codec.is_empty() || random.one_in(4) {
            true => random.one_of(&self.samples),
            false => *random.one_of(&of_codec),
        };
        let files = match random.one_in(5) {
            true => sample.files.clone(),
            false => damaged(sample, random),
        };
        let name = &files[0].name;
        Case {
            line: format!("ffmpeg -v verbose -nostdin -i {name} -map 0 -c copy -bsf {filter} -t 2 -f framecrc -"),
            made_of: format!("filter {filter} of {}", sample.name),
            demuxer: None,
            decoder: None,
            bitstream_filter: Some(filter),
            files,
        }
    }
}

fn damaged(sample: &Sample, random: &mut Random) -> Vec<File> {
    let mut files = sample.files.clone();
    let chosen = random.below(files.len());
    random.damage(&mut files[chosen].bytes);
    files
}

fn options(demuxer: Option<&str>, decoder: Option<&(String, String)>) -> String {
    let mut options = String::new();
    if let Some(demuxer) = demuxer {
        options += &format!("-f {demuxer} ");
    }
    if let Some((decoder, media)) = decoder {
        options += &format!("-c:{media} {decoder} ");
    }
    options
}

fn line(options: &str, name: &str, media: &str, random: &mut Random) -> String {
    let probe = "-show_entries frame=media_type:stream=codec_name,codec_type:format=format_name -of compact";
    // The program that converts decodes no subtitles unless it writes them, and the one that shows does.
    let choice = if media == "s" {
        random.below(2)
    } else {
        2 + random.below(10)
    };
    match choice {
        0..=2 => format!("ffprobe -v verbose {probe} -show_frames -read_intervals %+2 {options}{name}"),
        3 => format!("ffprobe -v verbose {probe} {options}{name}"),
        4 => format!("ffmpeg -v verbose -nostdin {options}-i {name} -map 0 -c copy -t 2 -f null -"),
        5 => format!(
            "ffmpeg -v verbose -nostdin {options}-i {name} -t 2 -vf scale=64:48 -pix_fmt yuv420p -ar 8000 -f null -"
        ),
        6 => format!("ffmpeg -v verbose -nostdin -ss 0.2 {options}-i {name} -t 2 -f null -"),
        _ => format!("ffmpeg -v verbose -nostdin {options}-i {name} -t 2 -f null -"),
    }
}
