//! Pictures as the library and the command make them, beside those that ffmpeg itself makes: of real files, and of those
//! that are not as simple as they look.

use crate::fixture::{SOURCE, Studio, real_media, runtime};
use crate::measure::psnr_db;
use afmpeg::{Cancellation, Error, Frame, Frames, Job, Limit, MemoryFs};
use serde_json::Value;
use std::fs::File;
use std::io::Cursor;
use std::path::Path;
use std::process::Stdio;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};
use zune_jpeg::JpegDecoder;

/// A file alone, under a name with its own ending.
fn alone(path: &Path) -> (MemoryFs, String) {
    let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or("media");
    let name = format!("in.{ending}");
    let files = MemoryFs::new(1 << 30);
    files.add_reader(&name, Arc::new(File::open(path).unwrap())).unwrap();
    (files, name)
}

/// The picture that ffmpeg shows, as red, green, blue and alpha, and its size.
fn reference(files: &MemoryFs, name: &str, filters: Option<&str>) -> Option<(u32, u32, Vec<u8>)> {
    let mut job = Job::new(["ffmpeg", "-nostdin", "-v", "error", "-y", "-i", name, "-frames:v", "1"]);
    if let Some(filters) = filters {
        job = job.arg("-vf").arg(filters);
    }
    for argument in "-c:v pam -pix_fmt rgba -f image2 -update 1 reference".split(' ') {
        job = job.arg(argument);
    }
    let output = runtime().run(job.file_system(".", Arc::new(files.clone()))).unwrap();
    let file = files.take_file("reference").ok().filter(|_| output.success())?;
    let end = file.windows(7).position(|bytes| bytes == b"ENDHDR\n")?;
    let header = String::from_utf8(file[..end].to_vec()).unwrap();
    let field = |name| {
        header
            .lines()
            .find_map(|line: &str| line.strip_prefix(name))
            .unwrap()
            .parse()
            .unwrap()
    };
    Some((field("WIDTH "), field("HEIGHT "), file[end + 7..].to_vec()))
}

fn frames(files: &MemoryFs, frames: &Frames) -> Result<Vec<Frame>, Error> {
    runtime().frames(frames, |job| job.file_system(".", Arc::new(files.clone())))
}

fn rgb(rgba: &[u8]) -> Vec<u8> {
    rgba.chunks_exact(4).flat_map(|pixel| &pixel[..3]).copied().collect()
}

/// Returns the faults of a file's pictures, and whether ffmpeg shows any.
fn compare(path: &Path) -> (bool, Vec<String>) {
    let (files, name) = alone(path);
    let mut wrong = Vec::new();
    let made = frames(&files, &Frames::of(&name).rgba());
    let Some((mut width, mut height, mut pixels)) = reference(&files, &name, None) else {
        if let Ok(made) = made {
            wrong.push(format!(
                "{}x{} where ffmpeg shows nothing",
                made[0].width, made[0].height
            ));
        }
        return (false, wrong);
    };
    let made = match made {
        Ok(made) => made,
        Err(error) => return (true, vec![format!("{error}: {:?}", std::error::Error::source(&error))]),
    };
    let probe = runtime()
        .probe(Job::probe(&*name).file_system(".", Arc::new(files.clone())))
        .unwrap();
    // Where pixels are not square, they are made so.
    let is_square = |ratio: f64| ratio == 1.0 || ratio == 0.0;
    let ratios = probe
        .streams
        .iter()
        .filter_map(|stream| stream.sample_aspect_ratio?.value());
    if probe.stream_groups.is_empty() && !ratios.clone().all(is_square) {
        (width, height, pixels) = reference(&files, &name, Some("scale=round(iw*sar):ih")).unwrap();
    }
    if (made[0].width, made[0].height) != (width, height) {
        wrong.push(format!("{}x{} and not {width}x{height}", made[0].width, made[0].height));
        return (true, wrong);
    }
    if made[0].image != pixels {
        // Rotated pictures with other colours than FFmpeg's filters rotate are converted in another order.
        let psnr = psnr_db(&[rgb(&pixels)], [&rgb(&made[0].image)]);
        if psnr < 45.0 {
            wrong.push(format!("other pixels, {psnr:.1} dB"));
        }
    }
    let described = (probe
        .streams
        .iter()
        .map(|stream| (stream.display_width, stream.display_height)))
    .chain(probe.stream_groups.iter().filter_map(|group| {
        let grid = group.tile_grid()?;
        Some((grid.display_width, grid.display_height))
    }))
    .any(|size| size == (Some(width), Some(height)));
    if !described {
        wrong.push(format!("probe does not know of {width}x{height}"));
    }
    match frames(&files, &Frames::of(&name).jpeg()) {
        Ok(made) => {
            let mut decoder = JpegDecoder::new(Cursor::new(made[0].image.to_vec()));
            let decoded = decoder.decode().unwrap();
            let psnr = psnr_db(&[rgb(&pixels)], [&decoded]);
            if psnr < 24.0 {
                wrong.push(format!("a JPEG of {psnr:.1} dB"));
            }
        }
        Err(error) => wrong.push(format!("no JPEG: {error}")),
    }
    // A still is there at any time, and whatever has a picture has a sheet.
    for wanted in [
        Frames::of(&name).contact_sheet(3, 2).width(64).rgba(),
        Frames::of(&name).every(Duration::from_secs(1)).width(64),
    ] {
        if let Err(error) = frames(&files, &wanted) {
            wrong.push(format!("{wanted:?}: {error}: {:?}", std::error::Error::source(&error)));
        }
    }
    (true, wrong)
}

#[test]
fn pictures_of_real_files_are_those_that_ffmpeg_shows() {
    // Of this one, 800 MB of pixels would be compared.
    let is_huge = |path: &Path| path.ends_with("200MP.heic");
    let all = real_media();
    assert!(all.len() > 200, "{} files", all.len());
    let (huge, files): (Vec<_>, Vec<_>) = all.into_iter().partition(|path| is_huge(path));
    let next = AtomicUsize::new(0);
    let wrong = Mutex::new(Vec::new());
    let shown = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                while let Some(path) = files.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let (is_shown, faults) = compare(path);
                    shown.fetch_add(usize::from(is_shown), Ordering::Relaxed);
                    let faults = faults.into_iter().map(|fault| format!("{}: {fault}", path.display()));
                    wrong.lock().unwrap().extend(faults);
                }
            });
        }
    });
    let wrong = wrong.into_inner().unwrap();
    assert!(wrong.is_empty(), "{} faults:\n{}", wrong.len(), wrong.join("\n"));
    let shown = shown.into_inner();
    println!("{shown} of {} files show a picture", files.len());
    assert!(shown >= 90, "only {shown} files show a picture");

    let (files, name) = alone(&huge[0]);
    let small = frames(&files, &Frames::of(name).width(320).rgba()).unwrap();
    assert_eq!((small[0].width, small[0].height), (320, 427));
}

/// A source whose picture number n is of one grey, lighter with n, as far as 30.
fn greys(rate: u32, seconds: u32) -> String {
    format!("-f lavfi -i color=black:s=64x36:r={rate}:d={seconds},geq=lum=20+7*N:cb=128:cr=128")
}

/// The number of the picture in the middle of a cell.
fn number_in(sheet: &Frame, column: u32, row: u32, columns: u32, rows: u32) -> u32 {
    let (width, height) = (sheet.width / columns, sheet.height / rows);
    let pixel = (row * height + height / 2) * sheet.width + column * width + width / 2;
    let grey = f64::from(sheet.image[pixel as usize * 4]);
    ((grey * 219.0 / 255.0 - 4.0) / 7.0).round() as u32
}

fn numbers(studio: &Studio, file: &str, columns: u32, rows: u32) -> Vec<u32> {
    let (files, name) = alone(&studio.path(file));
    let made = frames(&files, &Frames::of(name).contact_sheet(columns, rows).width(64).rgba());
    let sheet = &made.unwrap_or_else(|error| panic!("{file}: {error}"))[0];
    let cells = (0..rows).flat_map(|row| (0..columns).map(move |column| (column, row)));
    cells
        .map(|(column, row)| number_in(sheet, column, row, columns, rows))
        .collect()
}

/// The pictures at even intervals of a video of `last + 1` pictures: for each the next one, or the last.
fn wanted(count: u32, rate: f64, seconds: f64, last: u32) -> Vec<u32> {
    let time = |index| seconds * (f64::from(index) + 0.5) / f64::from(count);
    (0..count)
        .map(|index| ((time(index) * rate).ceil() as u32).min(last))
        .collect()
}

#[test]
fn sheets_of_ordinary_videos_have_the_pictures_of_their_times() {
    let studio = Studio::new();
    let sound = "-f lavfi -i sine=duration=7";
    for (file, codecs) in [
        ("long.mkv", "-c:v mpeg4 -q:v 1"),
        ("long.mp4", "-c:v mpeg4 -q:v 1"),
        ("long.mov", "-c:v mpeg4 -q:v 1"),
        ("long.avi", "-c:v mpeg4 -q:v 1 -c:a mp2"),
        ("long.ts", "-c:v mpeg4 -q:v 1 -c:a mp2"),
        ("long.flv", "-c:v flv -q:v 1 -ar 44100"),
    ] {
        studio.make(format!("-v error {} {sound} {codecs} {file}", greys(5, 4)));
        assert_eq!(numbers(&studio, file, 4, 2), wanted(8, 5.0, 4.0, 19), "{file}");
    }
    studio.make(format!("-v error {} -c:v mpeg4 -q:v 1 slides.mkv", greys(1, 30)));
    assert_eq!(numbers(&studio, "slides.mkv", 6, 4), wanted(24, 1.0, 30.0, 29));
    studio.make("-v error -i long.mkv -c copy -f matroska -live 1 live.webm");
    assert_eq!(numbers(&studio, "live.webm", 4, 2), wanted(8, 5.0, 4.0, 19));
    studio.make("-v error -i long.ts -c copy -output_ts_offset 5000 far.ts");
    assert_eq!(numbers(&studio, "far.ts", 4, 2), wanted(8, 5.0, 4.0, 19));
    studio.make("-v error -i slides.mkv -frames:v 1 -c copy one.mkv");
    assert_eq!(numbers(&studio, "one.mkv", 3, 2), [0; 6]);
    // Of every ten pictures one is left, and only in the first half.
    studio.make("-v error -i slides.mkv -vf select='lt(n,10)+not(mod(n,10))' -fps_mode vfr -c:v mpeg4 -q:v 1 vfr.mkv");
    let seen = numbers(&studio, "vfr.mkv", 5, 1);
    assert!(seen.windows(2).all(|pair| pair[0] <= pair[1]), "{seen:?}");
    assert_eq!((seen[0], seen[4]), (3, 20), "{seen:?}");

    // In a longer video, each picture is sought.
    studio.make(format!("-v error {} -c:v mpeg4 -q:v 1 silent.mkv", greys(5, 4)));
    studio.make("-v error -stream_loop 40 -i silent.mkv -c copy longer.mkv");
    let (files, name) = alone(&studio.path("longer.mkv"));
    let sheet = &frames(&files, &Frames::of(&name).contact_sheet(2, 2).rgba()).unwrap()[0];
    assert_eq!((sheet.width, sheet.height), (640, 360));
    let times = [20.5, 61.5, 102.5, 143.5].map(Duration::from_secs_f64);
    let single = frames(&files, &Frames::of(&name).at(times).width(320).rgba()).unwrap();
    for (index, frame) in (0..).zip(&single) {
        let number = number_in(sheet, index % 2, index / 2, 2, 2);
        assert_eq!(number, number_in(frame, 0, 0, 1, 1), "{index}");
    }
}

#[test]
fn a_time_within_the_file_and_after_its_last_picture_shows_that() {
    let studio = Studio::new();
    studio.make(format!(
        "-v error {} -f lavfi -i sine=duration=9 -c:v mpeg4 -q:v 1 short.mkv",
        greys(5, 2)
    ));
    let (files, name) = alone(&studio.path("short.mkv"));
    let at = |seconds: f64| Frames::of(&name).at([Duration::from_secs_f64(seconds)]).rgba();
    let number = |seconds| number_in(&frames(&files, &at(seconds)).unwrap()[0], 0, 0, 1, 1);
    assert_eq!([0.0, 1.0, 1.99, 5.0, 8.9].map(number), [0, 5, 9, 9, 9]);
    let late = frames(&files, &at(60.0)).unwrap_err();
    assert!(
        matches!(late, Error::NoFrame { time } if time.as_secs() == 60),
        "{late}"
    );
    // The first of each interval, by the time that it was asked for.
    let every = frames(&files, &Frames::of(&name).every(Duration::from_secs_f64(0.3)).rgba()).unwrap();
    let seen: Vec<u32> = every.iter().map(|frame| number_in(frame, 0, 0, 1, 1)).collect();
    assert_eq!(seen, [0, 2, 3, 5, 6, 8, 9]);
    assert_eq!(every[2].time, Duration::from_secs_f64(0.6));
}

#[test]
fn what_is_turned_or_has_oblong_pixels_is_shown_as_it_is_meant() {
    let studio = Studio::new();
    studio.make("-v error -f lavfi -i testsrc2=s=96x64:d=1 -c:v mpeg4 -q:v 2 plain.mp4");
    studio.make("-v error -display_rotation 90 -i plain.mp4 -c copy turned.mp4");
    studio.make("-v error -f lavfi -i testsrc2=s=96x64:d=1 -vf setsar=4/3 -c:v mpeg4 -q:v 2 oblong.mp4");
    studio.make("-v error -display_rotation 270 -i oblong.mp4 -c copy both.mp4");
    for (file, size, rotation) in [
        ("plain.mp4", (96, 64), 0),
        ("turned.mp4", (64, 96), 270),
        ("oblong.mp4", (128, 64), 0),
        ("both.mp4", (48, 96), 90),
    ] {
        let (files, name) = alone(&studio.path(file));
        let probe = runtime()
            .probe(Job::probe(&*name).file_system(".", Arc::new(files.clone())))
            .unwrap();
        let video = &probe.streams[0];
        assert_eq!(video.display_width.zip(video.display_height), Some(size), "{file}");
        assert_eq!(video.rotation_degrees, rotation, "{file}");
        let made = &frames(&files, &Frames::of(&name).rgba()).unwrap()[0];
        let (width, height, pixels) = reference(&files, &name, Some(&format!("scale={}:{}", size.0, size.1))).unwrap();
        assert_eq!(
            (made.width, made.height, &made.image[..]),
            (width, height, &pixels[..]),
            "{file}"
        );
        let half = &frames(&files, &Frames::of(&name).width(size.0 / 2)).unwrap()[0];
        assert_eq!((half.width, half.height), (size.0 / 2, size.1 / 2), "{file}");
    }
    let text = studio.afmpeg("", "probe both.mp4").ok().text();
    assert!(
        text.contains("48x96 (stored 96x64, rotated 90 degrees clockwise, pixels 4:3)"),
        "{text}"
    );
    let json: Value = serde_json::from_slice(&studio.afmpeg("", "probe --json both.mp4").ok().stdout).unwrap();
    let video = &json["streams"][0];
    assert_eq!(
        (
            &video["display_width"],
            &video["rotation_degrees"],
            &video["sample_aspect_ratio"]
        ),
        (&48.into(), &90.into(), &"4:3".into())
    );
}

#[test]
fn an_iphones_photo_is_one_picture_and_not_its_tiles() {
    let studio = Studio::new();
    let media = real_media();
    let pug = media.iter().find(|path| path.ends_with("pug.heic")).unwrap();
    std::fs::copy(pug, studio.path("pug.heic")).unwrap();
    let text = studio.afmpeg("", "probe pug.heic").ok().text();
    assert!(text.contains("4032x3024") && text.lines().count() < 12, "{text}");
    let json: Value = serde_json::from_slice(&studio.afmpeg("", "probe --json pug.heic").ok().stdout).unwrap();
    assert_eq!(json["stream_groups"][0]["components"][0]["display_width"], 4032);
    studio.afmpeg("", "frames pug.heic pug.jpg --width 640").ok();
    let mut decoder = JpegDecoder::new(Cursor::new(studio.read("pug.jpg")));
    decoder.decode_headers().unwrap();
    assert_eq!(decoder.dimensions(), Some((640, 480)));
}

#[test]
fn one_set_of_limits_holds_for_a_whole_call() {
    let studio = Studio::new();
    let (files, name) = alone(&studio.path(SOURCE));
    let give = |job: Job| job.file_system(".", Arc::new(files.clone()));
    let sheet = Frames::of(&name).contact_sheet(20, 20);

    let started = Instant::now();
    let timeout = Duration::from_millis(1500);
    let many = Frames::of(&name).at((0..400).map(|index| Duration::from_millis(index * 13)));
    let error = runtime().frames(&many, |job| give(job).timeout(timeout)).unwrap_err();
    assert!(matches!(error, Error::Deadline { .. }), "{error}");
    assert!(started.elapsed() < 2 * timeout, "{:?}", started.elapsed());

    // Each job is set up, that which makes the sheet too, and the first failure is the last.
    let count = AtomicUsize::new(0);
    let small = Frames::of(&name).contact_sheet(2, 2);
    let counted = |job: Job| {
        count.fetch_add(1, Ordering::Relaxed);
        give(job)
    };
    runtime().frames(&small, counted).unwrap();
    let jobs = count.swap(0, Ordering::Relaxed);
    let refused = |job: Job| match count.fetch_add(1, Ordering::Relaxed) + 1 {
        number if number == jobs => Err(Error::Closed),
        _ => Ok(give(job)),
    };
    let error = runtime().frames(&small, refused).unwrap_err();
    assert!(matches!(error, Error::Closed), "{error}");
    count.store(0, Ordering::Relaxed);
    let missing = Frames::of("missing.mp4").at((0..200).map(Duration::from_secs));
    assert!(runtime().frames(&missing, counted).is_err());
    assert!(count.load(Ordering::Relaxed) < 5, "{count:?}");

    let cancellation = Cancellation::new();
    thread::scope(|scope| {
        scope.spawn(|| {
            thread::sleep(Duration::from_millis(300));
            cancellation.cancel();
        });
        let started = Instant::now();
        let error = runtime()
            .frames(&sheet, |job| give(job).cancellation(&cancellation))
            .unwrap_err();
        assert!(matches!(error, Error::Cancelled { .. }), "{error}");
        assert!(started.elapsed() < Duration::from_secs(2), "{:?}", started.elapsed());
    });

    let error = runtime()
        .frames(&small, |job| give(job).memory_max_bytes(24 << 20))
        .unwrap_err();
    assert!(
        matches!(
            error,
            Error::Limit {
                limit: Limit::Memory,
                ..
            }
        ),
        "{error}"
    );
}

#[test]
fn pictures_are_bounded_in_size_and_the_errors_have_the_figures() {
    let studio = Studio::new();
    let (files, name) = alone(&studio.path(SOURCE));
    let message = |wanted: &Frames| {
        let error = frames(&files, wanted).unwrap_err();
        let source = std::error::Error::source(&error).map(ToString::to_string);
        source.unwrap_or_else(|| panic!("{error}"))
    };
    let sheet = Frames::of(&name).contact_sheet(100, 100);
    let text = message(&sheet);
    assert!(
        text.contains("100x100 pictures of 320x180 has 576000000 pixels, and may have 67108864"),
        "{text}"
    );
    let small = &frames(&files, &sheet.width(16).jpeg()).unwrap()[0];
    assert_eq!((small.width, small.height), (1600, 900));
    let text = message(&Frames::of(&name).width(40_000));
    assert!(
        text.contains("40000x22500 has 900000000 pixels, and may have 268435456"),
        "{text}"
    );
    for wanted in [
        Frames::of(&name).every(Duration::from_millis(40)),
        Frames::of(&name).at((0..50).map(|index| Duration::from_millis(index * 100))),
        Frames::of(&name).contact_sheet(2, 2),
    ] {
        let text = message(&wanted.width(160).size_max_bytes(50_000));
        assert!(text.contains("more than 50000 bytes"), "{text}");
    }
    // A picture of 256 million pixels, in a file of a few kB.
    studio.make("-v error -f lavfi -i color=s=16000x16000:r=1 -frames:v 1 -c:v png -pix_fmt gray huge.mkv");
    let (files, name) = alone(&studio.path("huge.mkv"));
    let sheet = &frames(&files, &Frames::of(&name).contact_sheet(2, 2)).unwrap()[0];
    assert_eq!((sheet.width, sheet.height), (640, 640));
    let give = |job: Job| {
        job.file_system(".", Arc::new(files.clone()))
            .memory_max_bytes(256 << 20)
    };
    let error = runtime().frames(&Frames::of(&name), give).unwrap_err();
    assert!(
        matches!(
            error,
            Error::Limit {
                limit: Limit::Memory,
                ..
            }
        ),
        "{error}"
    );
}

#[test]
fn pipes_are_looked_at_as_files_are() {
    let studio = Studio::new();
    // Its index comes last, so that a stream of it cannot be read as it comes.
    studio.make(format!("-v error -i {SOURCE} -c copy end.mp4"));
    for file in ["-", "/dev/stdin"] {
        let probe = studio.afmpeg("", &format!("probe {file}"));
        let text = probe.stdin(studio.read("end.mp4")).ok().text();
        assert!(text.contains("1280x720"), "{text}");
        let sheet = studio.afmpeg("", &format!("frames {file} piped.png --sheet 2x2 --json"));
        let json: Value = serde_json::from_str(&sheet.stdin(studio.read("end.mp4")).ok().text()).unwrap();
        assert_eq!((&json[0]["width"], &json[0]["height"]), (&640.into(), &360.into()));
    }
    let run = studio.afmpeg("", "frames - piped.png --pipe-max 100K");
    run.stdin(studio.read("end.mp4")).fails(1, "longer than 102400 bytes");

    // The reader of the output may stop early.
    let mut command = studio.command();
    command.args(["probe", "--json"]).arg(studio.path("end.mp4"));
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let ended = command.stdout(writer).stderr(Stdio::piped()).output().unwrap();
    assert!(ended.status.success() && ended.stderr.is_empty(), "{ended:?}");
}
