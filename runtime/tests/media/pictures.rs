//! Stills, and the native video encoders: how much of the picture they keep.

use crate::fixture::{Pixels, SOURCE, Studio};
use crate::measure::psnr_db;
use std::io::Cursor;
use zune_jpeg::JpegDecoder;

const FULL: Pixels = Pixels::new("rgb24", 1280, 720);

#[test]
fn a_png_thumbnail_has_the_pixels_of_its_frame() {
    let studio = Studio::new();
    studio.make(format!("-ss 2 -i {SOURCE} -frames:v 1 thumbnail.png"));
    let file = studio.read("thumbnail.png");
    let mut picture = png::Decoder::new(Cursor::new(file)).read_info().unwrap();
    let info = picture.info();
    assert_eq!(
        (info.color_type, info.bit_depth),
        (png::ColorType::Rgb, png::BitDepth::Eight)
    );
    assert_eq!((info.width, info.height), (1280, 720));
    let mut pixels = vec![0; picture.output_buffer_size().unwrap()];
    picture.next_frame(&mut pixels).unwrap();
    let wanted = studio.frames(format!("-i {SOURCE} -vf trim=start_frame=50:end_frame=51"), FULL);
    assert_eq!(wanted.len(), 1);
    assert!(pixels == wanted[0], "the pixels differ");
}

#[test]
fn a_jpeg_thumbnail_looks_like_its_frame() {
    let studio = Studio::new();
    studio.make(format!("-ss 2 -i {SOURCE} -frames:v 1 -q:v 2 thumbnail.jpg"));
    let mut picture = JpegDecoder::new(Cursor::new(studio.read("thumbnail.jpg")));
    let pixels = picture.decode().unwrap();
    assert_eq!(picture.dimensions(), Some((1280, 720)));
    let wanted = studio.frames(format!("-ss 2 -i {SOURCE} -frames:v 1"), FULL);
    let psnr = psnr_db(&wanted, [&pixels]);
    println!("{psnr:.2} dB");
    assert!(psnr > 30.0, "{psnr} dB");
}

#[test]
fn a_sequence_of_stills_is_read_back_as_it_was_written() {
    let studio = Studio::new();
    let small = Pixels::new("rgb24", 160, 90);
    studio.make(format!("-i {SOURCE} -frames:v 12 -vf scale=160:90 still%03d.png"));
    assert_eq!(studio.files("still").len(), 12);
    let wanted = studio.frames(format!("-i {SOURCE} -frames:v 12 -vf scale=160:90"), small);
    assert!(
        studio.frames("-framerate 25 -i still%03d.png", small) == wanted,
        "the pixels differ"
    );
    assert!(
        studio.frames("-start_number 5 -i still%03d.png", small) == wanted[4..],
        "the pixels differ"
    );
}

#[test]
fn native_encoders_keep_the_picture() {
    const FRAMES: usize = 10;
    let studio = Studio::new();
    let small = Pixels::new("yuv420p", 320, 180);
    let input = format!("-i {SOURCE} -frames:v {FRAMES} -vf scale=320:180");
    let wanted = studio.frames(&input, small);
    let lossless = f64::INFINITY;
    for (options, file, codec, psnr_min_db) in [
        ("-c:v ffv1", "ffv1.mkv", "ffv1", lossless),
        (
            "-c:v ffv1 -level 3 -coder 1 -slices 4 -slicecrc 1 -threads 4",
            "ffv1-slices.mkv",
            "ffv1",
            lossless,
        ),
        ("-c:v ffvhuff", "ffvhuff.avi", "ffvhuff", lossless),
        ("-c:v utvideo", "utvideo.mkv", "utvideo", lossless),
        ("-c:v rawvideo", "raw.nut", "rawvideo", lossless),
        ("-c:v mjpeg -q:v 2", "mjpeg.avi", "mjpeg", 41.0),
        ("-c:v prores", "prores.mov", "prores", 43.0),
        ("-c:v prores_ks -profile:v 3", "prores-hq.mov", "prores", 45.0),
        (
            "-c:v dnxhd -profile:v dnxhr_hq -pix_fmt yuv422p",
            "dnxhr.mxf",
            "dnxhd",
            42.0,
        ),
        ("-c:v mpeg4 -q:v 2", "mpeg4.mp4", "mpeg4", 41.0),
        ("-c:v mpeg2video -q:v 2", "mpeg2.mpg", "mpeg2video", 41.0),
        ("-c:v msmpeg4 -q:v 2", "msmpeg4.avi", "msmpeg4v3", 41.0),
    ] {
        studio.make(format!("{input} -an {options} {file}"));
        let probe = studio.probe(file);
        assert_eq!(probe["streams"][0]["codec_name"], codec);
        assert_eq!(probe["streams"][0]["nb_read_frames"], FRAMES.to_string(), "{file}");
        let psnr = psnr_db(
            &wanted,
            &studio.frames(format!("-i {file} -vf scale=out_range=limited"), small),
        );
        println!("{file}: {psnr:.2} dB");
        assert!(psnr >= psnr_min_db, "{file}: {psnr} dB");
    }
}

#[test]
fn a_gif_has_its_own_palette() {
    let studio = Studio::new();
    let small = Pixels::new("rgb24", 160, 90);
    let input = format!("-i {SOURCE} -frames:v 20");
    let graph = "scale=160:90,split[palette][picture];[palette]palettegen[colours];[picture][colours]paletteuse";
    studio.make(format!("{input} -vf {graph} small.gif"));
    let wanted = studio.frames(format!("{input} -vf scale=160:90"), small);
    let got = studio.frames("-i small.gif", small);
    let psnr = psnr_db(&wanted, &got);
    println!("{psnr:.2} dB");
    assert!(psnr > 28.0, "{psnr} dB");
    let probe = studio.probe("small.gif");
    assert_eq!(probe["streams"][0]["codec_name"], "gif");
    assert_eq!(probe["streams"][0]["r_frame_rate"], "25/1");
}
