//! Filters whose results can be said in advance, pixel by pixel and sample by sample.

use crate::fixture::{Pixels, SOURCE, SOURCE_SAMPLES_PER_SECOND, Studio};
use crate::measure::{largest_difference, psnr_db, rms};

#[test]
fn two_clips_cross_fade_in_picture_and_sound() {
    const FADE_START: usize = 25;
    const FADE_FRAMES: usize = 25;
    const CLIP_FRAMES: usize = 50;
    let studio = Studio::new();
    // The filter knows no pixels whose colours are shared.
    let small = Pixels::new("yuv444p", 320, 180);
    for (name, start) in [("first.mkv", 0), ("second.mkv", 3)] {
        let options = "-vf scale=320:180,format=yuv444p -c:v ffv1 -ac 2 -c:a pcm_f32le";
        studio.make(format!("-ss {start} -t 2 -i {SOURCE} {options} {name}"));
    }
    let first = studio.frames("-i first.mkv", small);
    let second = studio.frames("-i second.mkv", small);
    assert_eq!((first.len(), second.len()), (CLIP_FRAMES, CLIP_FRAMES));

    let graph = "[0:v][1:v]xfade=transition=fade:duration=1:offset=1,split[v1][v2];\
                 [1:a]adelay=1000:all=1[late];[0:a][late]amix=dropout_transition=0,asplit[a1][a2]";
    let outputs = "-map [v1] -map [a1] -c:v ffv1 -c:a pcm_f32le lossless.mkv \
                   -map [v2] -map [a2] -c:v libopenh264 -b:v 1M -c:a aac -b:a 192k lossy.mp4";
    studio.make(format!("-i first.mkv -i second.mkv -filter_complex {graph} {outputs}"));

    let got = studio.frames("-i lossless.mkv", small);
    assert_eq!(got.len(), FADE_START + CLIP_FRAMES);
    for (index, got) in got.iter().enumerate() {
        if index <= FADE_START {
            assert!(got == &first[index], "frame {index} is not the first clip's");
        } else if index >= FADE_START + FADE_FRAMES {
            assert!(
                got == &second[index - FADE_START],
                "frame {index} is not the second clip's"
            );
        } else {
            let part = (index - FADE_START) as f32 / FADE_FRAMES as f32;
            let blend: Vec<u8> = (first[index].iter().zip(&second[index - FADE_START]))
                .map(|(from, to)| (f32::from(*from) * (1.0 - part) + f32::from(*to) * part) as u8)
                .collect();
            let difference = largest_difference(&blend, got);
            assert!(difference <= 1, "frame {index} is {difference} away from the blend");
        }
    }

    // Each of two inputs counts half while both are there, and whole when it is alone.
    let (first, second) = (studio.samples("-i first.mkv"), studio.samples("-i second.mkv"));
    let mixed = studio.samples("-i lossless.mkv");
    let second_of_samples = 2 * SOURCE_SAMPLES_PER_SECOND;
    assert_eq!(first.len(), 2 * second_of_samples);
    assert_eq!(mixed.len(), 3 * second_of_samples);
    for (index, got) in mixed.iter().enumerate() {
        let late = index.checked_sub(second_of_samples).map_or(0.0, |index| second[index]);
        let wanted = first.get(index).map_or(late, |early| (early + late) / 2.0);
        assert!(
            (wanted - got).abs() < 1e-6,
            "sample {index} is {got} instead of {wanted}"
        );
    }

    let lossy = studio.probe("lossy.mp4");
    assert_eq!(
        lossy["streams"][0]["nb_read_frames"],
        (FADE_START + CLIP_FRAMES).to_string()
    );
    assert_eq!(lossy["format"]["duration"], "3.000000");
    let psnr = psnr_db(&got, &studio.frames("-i lossy.mp4", small));
    assert!(psnr > 36.0, "{psnr} dB");
    assert!((rms(&studio.samples("-i lossy.mp4")) / rms(&mixed) - 1.0).abs() < 0.05);
}

/// A picture in rgb24, to do by hand what filters do.
struct Picture {
    width: usize,
    height: usize,
    pixels: Vec<[u8; 3]>,
}

impl Picture {
    fn new(raw: &[u8], width: usize, height: usize) -> Picture {
        let pixels = raw.as_chunks::<3>().0.to_vec();
        assert_eq!(pixels.len(), width * height);
        Picture { width, height, pixels }
    }

    fn at(&self, x: usize, y: usize) -> [u8; 3] {
        self.pixels[y * self.width + x]
    }

    /// The picture of this size whose pixels a function tells.
    fn drawn(width: usize, height: usize, pixel: impl Fn(usize, usize) -> [u8; 3]) -> Picture {
        let pixels = (0..height)
            .flat_map(|y| (0..width).map(move |x| (x, y)))
            .map(|(x, y)| pixel(x, y))
            .collect();
        Picture { width, height, pixels }
    }
}

#[test]
fn filters_move_and_paint_the_pixels_they_should() {
    type Expectation = fn(&Picture) -> Picture;
    let studio = Studio::new();
    let (width, height) = (160, 90);
    let input = format!("-ss 2 -i {SOURCE} -frames:v 1");
    let before = &studio.frames(format!("{input} -vf scale=160:90"), Pixels::new("rgb24", width, height))[0];
    let before = Picture::new(before, width, height);
    let cases: [(&str, Expectation); 9] = [
        ("crop=100:50:20:10", |old| {
            Picture::drawn(100, 50, |x, y| old.at(x + 20, y + 10))
        }),
        ("hflip", |old| Picture::drawn(160, 90, |x, y| old.at(159 - x, y))),
        ("vflip", |old| Picture::drawn(160, 90, |x, y| old.at(x, 89 - y))),
        ("transpose=clock", |old| {
            Picture::drawn(90, 160, |x, y| old.at(y, 89 - x))
        }),
        ("negate", |old| {
            Picture::drawn(160, 90, |x, y| old.at(x, y).map(|value| 255 - value))
        }),
        ("scale=320:180:flags=neighbor", |old| {
            Picture::drawn(320, 180, |x, y| old.at(x / 2, y / 2))
        }),
        ("pad=170:100:5:5:lime", |old| {
            Picture::drawn(170, 100, |x, y| match (5..165).contains(&x) && (5..95).contains(&y) {
                true => old.at(x - 5, y - 5),
                false => [0, 255, 0],
            })
        }),
        ("drawbox=x=8:y=4:w=30:h=20:color=red:t=fill", |old| {
            Picture::drawn(160, 90, |x, y| match (8..38).contains(&x) && (4..24).contains(&y) {
                true => [255, 0, 0],
                false => old.at(x, y),
            })
        }),
        (
            "null[main];color=blue:size=20x10,format=rgb24[box];[main][box]overlay=30:40:format=gbrp:shortest=1",
            |old| {
                Picture::drawn(160, 90, |x, y| match (30..50).contains(&x) && (40..50).contains(&y) {
                    true => [0, 0, 255],
                    false => old.at(x, y),
                })
            },
        ),
    ];
    for (filter, expectation) in cases {
        let wanted = expectation(&before);
        let pixels = Pixels::new("rgb24", wanted.width, wanted.height);
        let got = studio.frames(format!("{input} -vf scale=160:90,format=rgb24,{filter}"), pixels);
        let different = got[0]
            .as_chunks::<3>()
            .0
            .iter()
            .zip(&wanted.pixels)
            .filter(|(got, wanted)| got != wanted)
            .count();
        assert_eq!((got.len(), different), (1, 0), "{filter}: {different} pixels are wrong");
    }
}

#[test]
fn sources_and_timing_filters_give_the_frames_they_should() {
    let studio = Studio::new();
    for (source, filter, frames, duration_s) in [
        ("testsrc2=duration=2:rate=30", "null", 60, 2.0),
        ("testsrc2=duration=2:rate=30000/1001", "null", 60, 2.002),
        ("smptebars=duration=1:rate=10", "null", 10, 1.0),
        ("mandelbrot=size=160x90:rate=5", "trim=end_frame=3", 3, 0.6),
        ("testsrc2=duration=2:rate=25", "setpts=2*PTS,fps=25", 100, 4.0),
        ("testsrc2=duration=2:rate=25", "setpts=0.5*PTS,fps=25", 25, 1.0),
        ("testsrc2=duration=2:rate=25", "fps=10", 20, 2.0),
        (
            "testsrc2=duration=2:rate=25",
            "select=not(mod(n\\,5)),setpts=N/25/TB",
            10,
            0.4,
        ),
        ("testsrc2=duration=1:rate=25", "loop=loop=2:size=25", 75, 3.0),
        ("testsrc2=duration=1:rate=25", "reverse", 25, 1.0),
        ("testsrc2=duration=1:rate=25", "tile=5x5", 1, 1.0),
        (
            "testsrc2=duration=0.04:rate=25:size=320x180",
            "zoompan=zoom=2:d=20:s=160x90:fps=25",
            20,
            0.8,
        ),
    ] {
        studio.make(format!("-y -f lavfi -i {source} -vf {filter} -c:v ffv1 out.nut"));
        let packets = studio.packets("-i out.nut");
        let packets = packets.stream(0);
        assert_eq!(packets.len(), frames, "{source} {filter}");
        let step_s = duration_s / frames as f64;
        for (index, packet) in packets.iter().enumerate() {
            let wanted_s = index as f64 * step_s;
            assert!(
                (packet.start_s - wanted_s).abs() < 0.011,
                "{source} {filter}: frame {index} at {}",
                packet.start_s
            );
        }
    }
}

#[test]
fn a_zoom_shows_a_part_of_the_picture() {
    let studio = Studio::new();
    let small = Pixels::new("yuv420p", 320, 180);
    let input = format!("-ss 2 -i {SOURCE} -frames:v 1");
    let zoomed = studio.frames(format!("{input} -vf zoompan=zoom=2:x=iw/4:y=ih/4:d=1:s=320x180"), small);
    let cropped = studio.frames(format!("{input} -vf crop=640:360:320:180,scale=320:180"), small);
    let psnr = psnr_db(&cropped, &zoomed);
    assert!(psnr > 40.0, "{psnr} dB");
}
