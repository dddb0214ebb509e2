//! The kinds of pictures that are handed out, and how large they are.

use crate::command::Output;
use bytes::Bytes;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    Jpeg,
    Png,
    Rgba,
}

/// An image format that states its size in a few bytes of text, followed by the pixels.
pub const PAM: &str = "pam";

impl Format {
    /// The encoder, with the options that make a good picture of it.
    pub fn apply(self, output: Output) -> Output {
        match self {
            // FFmpeg's scale of quality for JPEG goes from 2, the best, to 31.
            Format::Jpeg => output.video_codec("mjpeg").option("q:v", "3"),
            Format::Png => output.video_codec("png"),
            Format::Rgba => output.video_codec(PAM),
        }
    }

    /// The filters that come before the encoder, given the size that they are to scale to.
    pub fn filters(self, scale: &str) -> String {
        match self {
            // JPEG readers assume these, whatever the encoding of the video.
            Format::Jpeg => format!("scale={scale}:out_color_matrix=bt601:out_range=full,setsar=1,format=yuv420p"),
            Format::Png => format!("scale={scale},setsar=1"),
            Format::Rgba => format!("scale={scale},setsar=1,format=rgba"),
        }
    }

    /// Returns the largest size, in bytes, of the file of a picture with this many pixels.
    pub fn size_max_bytes(self, pixels: u64) -> u64 {
        /// Headers, and what the picture brings along, such as a colour profile.
        const EXTRA_SIZE_BYTES: u64 = 4 << 20;
        let bytes_per_pixel = match self {
            Format::Jpeg | Format::Rgba => 4,
            // Four channels of 16 bits, if nothing of it can be compressed.
            Format::Png => 9,
        };
        pixels.saturating_mul(bytes_per_pixel).saturating_add(EXTRA_SIZE_BYTES)
    }

    /// The size of a picture, and its bytes as they are handed out; nothing if it does not say, or has other pixels than it says.
    pub fn read(self, file: Bytes) -> Option<(u32, u32, Bytes)> {
        let number = |at: usize| {
            let bytes = file.get(at..at + 4)?;
            Some(u32::from_be_bytes(bytes.try_into().ok()?))
        };
        match self {
            // The header chunk is the first, after a signature of 8 bytes, a length and a name of 4 each.
            Format::Png => Some((number(16)?, number(20)?, file.clone())),
            Format::Jpeg => {
                let (width, height) = jpeg_size(&file)?;
                Some((width, height, file))
            }
            Format::Rgba => {
                const END: &[u8] = b"ENDHDR\n";
                let end = file.windows(END.len()).position(|bytes| bytes == END)?;
                let header = std::str::from_utf8(&file[..end]).ok()?;
                let field = |name: &str| {
                    let mut lines = header.lines();
                    lines.find_map(|line| line.strip_prefix(name)?.trim().parse::<u32>().ok())
                };
                let (width, height) = (field("WIDTH ")?, field("HEIGHT ")?);
                let pixels = file.slice(end + END.len()..);
                let size_bytes = (u64::from(width) * u64::from(height)).checked_mul(4)?;
                (size_bytes == pixels.len() as u64).then_some((width, height, pixels))
            }
        }
    }
}

/// The size in a JPEG file's frame header, which follows any number of other segments.
fn jpeg_size(file: &[u8]) -> Option<(u32, u32)> {
    let mut at = 2;
    loop {
        let segment = file.get(at..)?;
        let (marker, length) = (
            *segment.get(1)?,
            u16::from_be_bytes([*segment.get(2)?, *segment.get(3)?]),
        );
        // The markers of frame headers, less the three in their midst that mean something else.
        if matches!(marker, 0xc0..=0xcf) && !matches!(marker, 0xc4 | 0xc8 | 0xcc) {
            let side = |at: usize| {
                Some(u32::from(u16::from_be_bytes([
                    *segment.get(at)?,
                    *segment.get(at + 1)?,
                ])))
            };
            return Some((side(7)?, side(5)?));
        }
        at += 2 + usize::from(length);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pixels_are_as_many_as_the_picture_says() {
        let picture = |width: u32, height: u32, size_bytes: usize| {
            let header =
                format!("P7\nWIDTH {width}\nHEIGHT {height}\nDEPTH 4\nMAXVAL 255\nTUPLTYPE RGB_ALPHA\nENDHDR\n");
            let file = [header.into_bytes(), vec![7; size_bytes]].concat();
            let read = Format::Rgba.read(file.into())?;
            Some((read.0, read.1, read.2.len()))
        };
        assert_eq!(picture(3, 2, 24), Some((3, 2, 24)));
        for (width, height, size_bytes) in [
            (3, 2, 23),
            (3, 2, 25),
            (3, 2, 0),
            (u32::MAX, u32::MAX, 4),
            (1 << 31, 2, 0),
        ] {
            assert_eq!(picture(width, height, size_bytes), None, "{width}x{height}");
        }
    }
}
