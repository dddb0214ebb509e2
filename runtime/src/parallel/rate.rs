//! Bit rates: what each segment has of the bits of the whole.
//!
//! An encoder that is asked for a bit rate spends more on what is harder to encode. How hard a segment is, the input says: its own
//! encoder spent so many bits on it. Each segment is then made in two passes, so that it has as many bits as it shall.

use super::units;
use super::whole::Whole;
use super::words::Words;

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rate {
    /// In bits a second.
    pub mean: f64,
    pub most: Option<f64>,
}

/// A segment's share is within these parts of the mean: an input may be encoded in an unusual way.
const LEAST: f64 = 0.3;
const MOST: f64 = 3.0;

/// Encoders that make what they are asked for in two passes.
const TWO_PASSES: &[&str] = &["libx264", "h264", "libvpx-vp9", "vp9"];

impl Rate {
    /// The rate of the whole video that is asked for, if any is. It is an error if a part of it cannot be made by itself.
    pub fn read(words: &Words, encoder: &str) -> Result<Option<Rate>, Whole> {
        // It looks at the last second or so.
        if encoder == "libopenh264" {
            return Ok(None);
        }
        let whole = || {
            Whole::new(format!(
                "its bit rate is one of the whole video, which {encoder} does not make of segments: -crf, -q:v and the like are not"
            ))
        };
        check_params(words)?;
        let number = |names: &[&str]| {
            let text = words.value(names).filter(|text| *text != "0");
            text.map(|text| units::bits(text).ok_or_else(whole)).transpose()
        };
        let (mean, most) = (number(&["b", "vb"])?, number(&["maxrate"])?);
        let is_x264 = matches!(encoder, "libx264" | "h264");
        let has_buffer = words.value(&["maxrate", "minrate", "bufsize"]).is_some();
        if has_buffer && (!is_x264 || words.value(&["minrate"]).is_some()) {
            return Err(whole());
        }
        // It makes no two passes in real time.
        let is_hasty = words.value(&["deadline", "quality"]) == Some("realtime");
        let has_quality = words.value(&["crf", "q", "qscale", "qp"]).is_some();
        match mean {
            // It takes the quality then.
            Some(_) if is_x264 && has_quality => Ok(None),
            Some(mean) if TWO_PASSES.contains(&encoder) && !has_quality && !is_hasty && mean >= 1.0 => {
                Ok(Some(Rate { mean, most }))
            }
            Some(_) => Err(whole()),
            None if matches!(encoder, "libvpx-vp9" | "vp9" | "mpeg4" | "mjpeg") && !has_quality => Err(Whole::new(
                format!("{encoder} has no -crf or -q:v, and so a bit rate of the whole video"),
            )),
            None => Ok(None),
        }
    }

    /// The rates of segments, in bits a second, of which each has a length in seconds and had so many bytes in the input.
    pub fn shares(self, segments: &[(f64, u64)]) -> Vec<u64> {
        let seconds: f64 = segments.iter().map(|(seconds, _)| seconds).sum();
        let bytes: u64 = segments.iter().map(|(_, bytes)| bytes).sum();
        let most = self
            .most
            .map_or(MOST * self.mean, |most| most.min(MOST * self.mean))
            .max(self.mean);
        let mut parts: Vec<f64> = segments
            .iter()
            .map(|(part, of_it)| match bytes > 0 && *part > 0.0 {
                true => self.mean * (*of_it as f64 / bytes as f64) * (seconds / part),
                false => self.mean,
            })
            .collect();
        // What bounds take from some the others have.
        for _ in 0..64 {
            let bits: f64 = parts.iter().zip(segments).map(|(rate, (part, _))| rate * part).sum();
            let factor = if bits > 0.0 { self.mean * seconds / bits } else { 1.0 };
            for rate in &mut parts {
                *rate = (*rate * factor).clamp(LEAST * self.mean, most);
            }
        }
        parts.into_iter().map(|rate| rate.round() as u64).collect()
    }
}

/// Parameters in the encoder's own words that are for the whole video.
fn check_params(words: &Words) -> Result<(), Whole> {
    const OF_THE_WHOLE: &[&str] = &[
        "bitrate",
        "nal-hrd",
        "hrd",
        "pass",
        "passes",
        "qpfile",
        "rc",
        "stats",
        "strict-cbr",
        "tbr",
        "vbv-bufsize",
        "vbv-maxrate",
        "zonefile",
        "zones",
    ];
    for option in ["x264-params", "x264opts", "x265-params", "svtav1-params"] {
        let text = words.value(&[option]).unwrap_or_default();
        let names = text.split(':').map(|pair| pair.split('=').next().unwrap_or_default());
        let mut names = names.map(|name| name.trim().replace('_', "-"));
        if let Some(name) = names.find(|name| OF_THE_WHOLE.contains(&name.as_str())) {
            return Err(Whole::new(format!("{name} in -{option} is for the whole video")));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments_share_the_bits_of_the_whole() {
        let rate = Rate { mean: 1e6, most: None };
        // As much as it had, within bounds; and in sum what is asked for.
        let segments = [(4.0, 1000), (4.0, 3000), (2.0, 1000), (4.0, 1), (1.0, 30_000)];
        let shares = rate.shares(&segments);
        let bits: f64 = shares
            .iter()
            .zip(segments)
            .map(|(share, (seconds, _))| *share as f64 * seconds)
            .sum();
        assert!((bits / 15e6 - 1.0).abs() < 0.001, "{shares:?}");
        assert!(
            shares.iter().all(|share| (300_000..=3_000_000).contains(share)),
            "{shares:?}"
        );
        assert!(
            shares[4] > shares[1] && shares[1] > shares[2] && shares[2] >= shares[0],
            "{shares:?}"
        );
        // A constant rate is the same everywhere, and so is that of an input that says nothing.
        let constant = Rate {
            most: Some(1e6),
            ..rate
        };
        assert_eq!(constant.shares(&[(4.0, 1), (2.0, 1000)]), [1_000_000, 1_000_000]);
        assert_eq!(rate.shares(&[(4.0, 0), (2.0, 0)]), [1_000_000, 1_000_000]);
    }
}
