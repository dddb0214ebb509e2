//! Measurements of pictures, sound and packets, without FFmpeg.

use std::fmt::Write;

/// The peak signal-to-noise ratio of 8-bit samples: above 40 an eye sees no difference, below 25 it sees another quality.
pub fn psnr_db<'a>(wanted: impl IntoIterator<Item = &'a Vec<u8>>, got: impl IntoIterator<Item = &'a Vec<u8>>) -> f64 {
    let (mut wanted, mut got) = (wanted.into_iter(), got.into_iter());
    let (mut squares, mut count) = (0, 0);
    loop {
        match (wanted.next(), got.next()) {
            (Some(wanted), Some(got)) => {
                assert_eq!(wanted.len(), got.len(), "frames differ in size");
                squares += wanted
                    .iter()
                    .zip(got)
                    .map(|(wanted, got)| u64::from(wanted.abs_diff(*got)).pow(2))
                    .sum::<u64>();
                count += wanted.len();
            }
            (None, None) => break,
            _ => panic!("the number of frames differs"),
        }
    }
    assert!(count > 0, "no frames");
    10.0 * (255.0 * 255.0 * count as f64 / squares as f64).log10()
}

/// The largest difference between two frames' samples.
pub fn largest_difference(wanted: &[u8], got: &[u8]) -> u8 {
    assert_eq!(wanted.len(), got.len(), "frames differ in size");
    wanted
        .iter()
        .zip(got)
        .map(|(wanted, got)| wanted.abs_diff(*got))
        .max()
        .unwrap()
}

pub fn rms(samples: &[f32]) -> f64 {
    assert!(!samples.is_empty(), "no samples");
    (samples.iter().map(|sample| f64::from(*sample).powi(2)).sum::<f64>() / samples.len() as f64).sqrt()
}

/// Returns the ratio of sound to its difference from the original, in dB. Only sound in step with the original scores
/// above 0.
pub fn signal_to_noise_db(wanted: &[f32], got: &[f32]) -> f64 {
    let noise: Vec<f32> = wanted.iter().zip(got).map(|(wanted, got)| wanted - got).collect();
    20.0 * (rms(&wanted[..noise.len()]) / rms(&noise)).log10()
}

/// The frequency of a pure tone.
pub fn tone_hz(samples: &[f32], samples_per_second: usize) -> f64 {
    let crossings = samples
        .windows(2)
        .filter(|pair| (pair[0] < 0.0) != (pair[1] < 0.0))
        .count();
    crossings as f64 * samples_per_second as f64 / samples.len() as f64 / 2.0
}

/// The names of an MP4 file's outermost boxes, in order.
pub fn boxes(file: &[u8]) -> Vec<String> {
    let mut names = Vec::new();
    let mut rest = file;
    while let Some((head, _)) = rest.split_first_chunk::<8>() {
        let size_bytes = u32::from_be_bytes([head[0], head[1], head[2], head[3]]) as usize;
        names.push(String::from_utf8_lossy(&head[4..]).into_owned());
        assert!(
            (8..=rest.len()).contains(&size_bytes),
            "a box of {size_bytes} bytes after {names:?}"
        );
        rest = &rest[size_bytes..];
    }
    assert!(rest.is_empty(), "{} bytes after the last box", rest.len());
    names
}

/// The output of FFmpeg's framemd5: packets or frames, by stream.
#[derive(Clone)]
pub struct Packets {
    streams: Vec<Vec<Packet>>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Packet {
    pub start_s: f64,
    size_bytes: usize,
    hash: String,
}

impl Packets {
    pub fn parse(listing: &str) -> Packets {
        let mut streams = Vec::new();
        let mut time_bases = Vec::new();
        for line in listing.lines() {
            if let Some(time_base) = line.strip_prefix("#tb ") {
                let (numerator, denominator) = time_base.split_once(": ").unwrap().1.split_once('/').unwrap();
                time_bases.push(numerator.parse::<f64>().unwrap() / denominator.parse::<f64>().unwrap());
                streams.push(Vec::new());
            } else if !line.starts_with('#') {
                let fields: Vec<&str> = line.split(',').map(str::trim).collect();
                let stream: usize = fields[0].parse().unwrap();
                streams[stream].push(Packet {
                    start_s: fields[2].parse::<f64>().unwrap() * time_bases[stream],
                    size_bytes: fields[4].parse().unwrap(),
                    hash: fields[5].to_owned(),
                });
            }
        }
        Packets { streams }
    }

    pub fn stream(&self, index: usize) -> &[Packet] {
        &self.streams[index]
    }

    /// Every packet has the bytes of its counterpart and, as far as the container's clock can tell, its time.
    pub fn assert_equal(&self, other: &Packets, clock_s: f64) {
        assert_eq!(self.streams.len(), other.streams.len(), "the number of streams differs");
        for (index, (wanted, got)) in self.streams.iter().zip(&other.streams).enumerate() {
            assert_eq!(
                wanted.len(),
                got.len(),
                "the number of packets in stream {index} differs"
            );
            let mut differences = String::new();
            for (wanted, got) in wanted.iter().zip(got) {
                let same_bytes = (wanted.size_bytes, &wanted.hash) == (got.size_bytes, &got.hash);
                if !same_bytes || (wanted.start_s - got.start_s).abs() > clock_s {
                    writeln!(differences, "stream {index}: wanted {wanted:?}, got {got:?}").unwrap();
                }
            }
            assert!(differences.is_empty(), "{differences}");
        }
    }
}

/// The hashes alone, where times do not matter.
pub fn hashes(packets: &[Packet]) -> Vec<&str> {
    packets.iter().map(|packet| packet.hash.as_str()).collect()
}
