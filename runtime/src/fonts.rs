//! Fonts for the text that ffmpeg draws.

use crate::error::Error;
use crate::fs::{Access, FileSystem, FileType, HostDir, OpenOptions, Opened};
use std::fmt;
use std::io;
use std::path::Path;
use std::sync::Arc;

/// A folder of fonts, for text in pictures: subtitles and the filter `drawtext`.
///
/// A module that draws text has one font, DejaVu Sans, which covers Latin, Greek, Cyrillic, Hebrew, Arabic and more.
/// With [`Job::fonts`](crate::Job::fonts) it takes others by their names, and for characters that its own font lacks,
/// such as Chinese ones.
///
/// ```no_run
/// use afmpeg::{Access, Fonts, Job, Runtime};
///
/// let runtime = Runtime::from_file("o3-gpl.wasm")?;
/// let fonts = Fonts::open("/usr/share/fonts")?;
/// let job = Job::new(["ffmpeg", "-i", "in.mp4", "-vf", "subtitles=zh.srt", "out.mp4"])
///     .dir(".", "/media", Access::ReadWrite)?
///     .fonts(&fonts);
/// runtime.run(job)?;
/// # Ok::<(), afmpeg::Error>(())
/// ```
#[derive(Clone)]
pub struct Fonts {
    folder: Arc<dyn FileSystem>,
}

/// What files of fonts begin with: TrueType, OpenType, collections of these, WOFF, and PostScript's two forms.
const BEGINNINGS: [&[u8]; 7] = [b"\0\x01\0\0", b"OTTO", b"true", b"ttcf", b"wOFF", b"\x80\x01", b"%!PS"];

/// How deep folders are looked into, as programs do.
const DEPTH_MAX: usize = 8;

impl Fonts {
    /// The name that the folder has for a job's program.
    pub const GUEST_NAME: &'static str = "/usr/share/fonts";

    /// Opens a folder, which must have a font in it, or in a folder in it; whether the font is whole is found out by
    /// the program.
    pub fn open(path: impl AsRef<Path>) -> Result<Fonts, Error> {
        let path = path.as_ref();
        let unreadable = |source| Error::Directory {
            path: path.to_owned(),
            source,
        };
        let folder = HostDir::open(path, Access::ReadOnly).map_err(unreadable)?;
        if !has_font(&folder, ".", 0).map_err(unreadable)? {
            return Err(Error::NoFonts { path: path.to_owned() });
        }
        Ok(Fonts {
            folder: Arc::new(folder),
        })
    }

    pub(crate) fn file_system(&self) -> Arc<dyn FileSystem> {
        self.folder.clone()
    }
}

impl fmt::Debug for Fonts {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.debug_struct("Fonts").finish_non_exhaustive()
    }
}

fn has_font(folder: &dyn FileSystem, path: &str, depth: usize) -> io::Result<bool> {
    for entry in folder.read_dir(path)? {
        if entry.name.starts_with('.') {
            continue;
        }
        let path = match path {
            "." => entry.name,
            path => format!("{path}/{}", entry.name),
        };
        // What cannot be read, such as a link that leads nowhere, is no font.
        let found = match folder.metadata(&path, true).map(|metadata| metadata.file_type) {
            Ok(FileType::File) => is_font(folder, &path).unwrap_or(false),
            Ok(FileType::Directory) if depth < DEPTH_MAX => has_font(folder, &path, depth + 1).unwrap_or(false),
            _ => false,
        };
        if found {
            return Ok(true);
        }
    }
    Ok(false)
}

fn is_font(folder: &dyn FileSystem, path: &str) -> io::Result<bool> {
    let options = OpenOptions {
        read: true,
        follow_links: true,
        ..OpenOptions::default()
    };
    let Opened::File(mut file) = folder.open(path, &options)? else {
        return Ok(false);
    };
    let mut beginning = [0; 4];
    let length = file.read_at(&mut beginning, 0)?;
    Ok(BEGINNINGS.iter().any(|one| beginning[..length].starts_with(one)))
}
