//! Text drawn into the picture: drawtext and subtitles, with the module's own font and with others.
//!
//! support/square.ttf is a font of one glyph, a square of its whole height, for U+4E2D.

use crate::fixture::{Pixels, Studio};
use std::fs;

const SMALL: Pixels = Pixels::new("rgb24", 320, 180);
const BLACK: &str = "-f rawvideo -pixel_format gray -video_size 320x180 -i black";

fn studio() -> Studio {
    let studio = Studio::new();
    studio.write("black", vec![0; 320 * 180]);
    studio
}

/// How many pixels of the only frame are lit, and what was said of the text.
fn lit(studio: &Studio, options: &str, filter: &str) -> (usize, String) {
    let command = format!("ffmpeg -v warning {BLACK} -vf {filter} -f rawvideo -pix_fmt rgb24 pipe:1");
    let ended = studio.afmpeg(options, &command).ok();
    assert_eq!(ended.stdout.len(), SMALL.frame_size_bytes());
    let (pixels, _) = ended.stdout.as_chunks::<3>();
    let lit = pixels.iter().filter(|pixel| pixel[1] > 100).count();
    (lit, of_filters(&ended.stderr))
}

/// What filters have said: inputs may have something to say, too.
fn of_filters(stderr: &str) -> String {
    let lines = stderr.lines().filter(|line| line.contains("[Parsed_"));
    lines.map(|line| format!("{line}\n")).collect()
}

fn srt(text: &str) -> String {
    format!("1\n00:00:00,000 --> 00:00:01,000\n{text}\n")
}

fn with_square() -> Studio {
    let studio = studio();
    fs::create_dir_all(studio.path("fonts/of/mine")).unwrap();
    studio.write("fonts/of/mine/square", include_bytes!("../support/square.ttf"));
    studio.write("fonts/README", "no font");
    studio
}

#[test]
fn text_needs_nothing_set_up() {
    let studio = studio();
    studio.write("in.srt", srt("Hello"));
    for filter in ["drawtext=text=Hello:fontsize=60:fontcolor=white", "subtitles=in.srt"] {
        let (lit, said) = lit(&studio, "", filter);
        assert!((20..20_000).contains(&lit), "{filter}: {lit} pixels");
        assert_eq!(said, "", "{filter}");
    }
}

#[test]
fn scripts_of_the_own_font_are_shaped() {
    let studio = studio();
    let picture = |text: &str, options: &str| {
        studio.write("text", text);
        let filter = format!("drawtext=textfile=text:fontsize=40:fontcolor=white{options}");
        let command = format!("ffmpeg -v warning {BLACK} -vf {filter} -f rawvideo -pix_fmt rgb24 pipe:1");
        let ended = studio.afmpeg("", &command).ok();
        assert_eq!(of_filters(&ended.stderr), "", "{text}");
        ended.stdout
    };
    let width = |text: &str| {
        let pixels = picture(text, "");
        let rows = pixels.chunks_exact(320 * 3);
        let ends = rows.filter_map(|row| row.iter().rposition(|value| *value > 100));
        ends.max().unwrap_or(0) / 3
    };
    for text in ["Tiếng Việt", "Ελληνικά", "Русский", "עברית", "العربية", "Հայերեն"]
    {
        assert!(width(text) > 100, "{text}");
    }
    // Joined letters are narrower than single ones, a ligature than its letters, and an accent has no width.
    assert!(width("ببب") + 10 < width("ب ب ب"));
    assert!(width("لا") < width("لد"));
    assert_eq!(width("e\u{301}e"), width("ée"));
    // From right to left, as it would be written in the order of the picture.
    assert!(
        picture("שב", "") == picture("בש", ":text_shaping=0"),
        "the order differs"
    );
}

#[test]
fn a_character_without_a_glyph_is_told_of_once_each() {
    let studio = studio();
    studio.write("in.srt", srt("中中 文"));
    for filter in ["drawtext=text=中中文:fontsize=60:fontcolor=white", "subtitles=in.srt"] {
        let (lit, said) = lit(&studio, "", filter);
        assert!(lit > 0, "{filter}");
        assert_eq!(said.matches("U+4E2D").count(), 1, "{said}");
        assert_eq!(said.matches("U+6587").count(), 1, "{said}");
        assert_eq!(said.matches("--fonts DIR").count(), 1, "{said}");
    }
}

#[test]
fn fonts_of_a_folder_fill_the_gaps() {
    let studio = with_square();
    studio.write("in.srt", srt("中"));
    let drawn = "drawtext=text=中:fontsize=60:fontcolor=white";
    for (filter, least) in [(drawn, 3500), ("subtitles=in.srt", 60)] {
        let (lit, said) = lit(&studio, "--fonts fonts", filter);
        assert!(lit >= least, "{filter}: {lit} pixels");
        assert_eq!(said, "", "{filter}");
    }
    // The same by the name that the folder has in the program, as other engines give it.
    assert_eq!(
        lit(&studio, "--dir-read-only fonts::/usr/share/fonts", drawn),
        lit(&studio, "--fonts fonts", drawn)
    );
}

#[test]
fn fonts_are_taken_by_their_names() {
    let studio = with_square();
    let by_name = |name: &str| format!("drawtext=text=中a:fontsize=60:fontcolor=white:font={name}");
    let (square, said) = lit(&studio, "--fonts fonts", &by_name("square"));
    assert!(square >= 3600, "{square} pixels");
    assert_eq!(said, "");
    let (_, said) = lit(&studio, "--fonts fonts", &by_name("Nobody"));
    assert!(said.contains("no font \"Nobody\" in /usr/share/fonts"), "{said}");
    assert!(said.contains("DejaVu Sans is taken"), "{said}");
    let (_, said) = lit(&studio, "--fonts fonts", "drawtext=text=a:font=Sans");
    assert_eq!(said, "");
}

#[test]
fn fonts_that_are_attached_or_given_with_the_subtitles_are_taken() {
    let studio = with_square();
    studio.write("in.srt", srt("中"));
    studio.write("square.ttf", include_bytes!("../support/square.ttf"));
    let attach = "-attach square.ttf -metadata:s:t mimetype=application/x-truetype-font";
    studio.make(format!("-i in.srt {attach} -c:s ass attached.mkv"));
    for filter in ["subtitles=attached.mkv", "subtitles=in.srt:fontsdir=fonts/of/mine"] {
        let (lit, said) = lit(&studio, "", filter);
        assert!(lit >= 60, "{filter}: {lit} pixels");
        assert_eq!(said, "", "{filter}");
    }
}

#[test]
fn damaged_fonts_are_errors_or_left_out() {
    let studio = studio();
    let font = include_bytes!("../support/square.ttf");
    fs::create_dir(studio.path("fonts")).unwrap();
    for length in (12..font.len()).step_by(16) {
        studio.write(&format!("fonts/cut{length}.ttf"), &font[..length]);
        let mut changed = font.to_vec();
        changed[length..].iter_mut().step_by(3).for_each(|byte| *byte ^= 0xff);
        studio.write(&format!("fonts/changed{length}.ttf"), changed);
    }
    let drawn = "drawtext=text=中a:fontsize=60:fontcolor=white";
    lit(&studio, "--fonts fonts", drawn);
    studio.write("in.srt", srt("中a"));
    lit(&studio, "--fonts fonts", "subtitles=in.srt");
    studio
        .ffmpeg(format!("{BLACK} -vf {drawn}:fontfile=fonts/cut28.ttf -f null -"))
        .fails(234, "Could not load font");
}
