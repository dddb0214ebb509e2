//! What a command writes.

use super::contradiction::Contradiction;
use std::time::Duration;

/// Something that ffmpeg writes.
#[derive(Clone, Debug, PartialEq)]
pub struct Output {
    pub(super) url: String,
    pub(super) is_file: bool,
    pub(super) duration: Option<Duration>,
    pub(super) format: Option<String>,
    pub(super) maps: Vec<String>,
    pub(super) video: Streams,
    pub(super) audio: Streams,
    pub(super) subtitles: Streams,
    pub(super) metadata: Vec<(String, String)>,
    pub(super) frames_max: Option<u64>,
    pub(super) options: Vec<(String, String)>,
}

/// The options for an output's streams of one kind.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Streams {
    pub(super) without: bool,
    pub(super) codec: Option<String>,
    pub(super) filter: Option<String>,
}

impl Output {
    fn new(url: String, is_file: bool) -> Output {
        Output {
            url,
            is_file,
            duration: None,
            format: None,
            maps: Vec::new(),
            video: Streams::default(),
            audio: Streams::default(),
            subtitles: Streams::default(),
            metadata: Vec::new(),
            frames_max: None,
            options: Vec::new(),
        }
    }

    /// A file, even if its name looks like an option or URL.
    pub fn file(path: impl Into<String>) -> Output {
        Output::new(path.into(), true)
    }

    /// Standard output, in a format that needs no seeking.
    pub fn stdout(format: impl Into<String>) -> Output {
        Output::url("pipe:1").format(format)
    }

    /// Anything that ffmpeg knows by a name: a pattern of images, `pipe:1`.
    pub fn url(url: impl Into<String>) -> Output {
        Output::new(url.into(), false)
    }

    /// Nowhere: for what the filters find out.
    pub fn null() -> Output {
        Output::url("-").format("null")
    }

    /// Limits the duration of the output.
    pub fn duration(mut self, duration: Duration) -> Output {
        self.duration = Some(duration);
        self
    }

    /// The format, where the name's ending does not tell.
    pub fn format(mut self, name: impl Into<String>) -> Output {
        self.format = Some(name.into());
        self
    }

    /// Takes these streams, and no others: `0:v`, `1:a:0?`, or a label of the complex filter such as `[out]`.
    pub fn map(mut self, streams: impl Into<String>) -> Output {
        self.maps.push(streams.into());
        self
    }

    /// An encoder's name, or `copy`.
    pub fn video_codec(mut self, name: impl Into<String>) -> Output {
        self.video.codec = Some(name.into());
        self
    }

    pub fn audio_codec(mut self, name: impl Into<String>) -> Output {
        self.audio.codec = Some(name.into());
        self
    }

    pub fn subtitle_codec(mut self, name: impl Into<String>) -> Output {
        self.subtitles.codec = Some(name.into());
        self
    }

    /// All streams as they are, in another container.
    pub fn copy(self) -> Output {
        self.video_codec("copy").audio_codec("copy").subtitle_codec("copy")
    }

    /// Filters that video goes through: `scale=640:-2,fps=25`.
    pub fn video_filter(mut self, graph: impl Into<String>) -> Output {
        self.video.filter = Some(graph.into());
        self
    }

    pub fn audio_filter(mut self, graph: impl Into<String>) -> Output {
        self.audio.filter = Some(graph.into());
        self
    }

    pub fn without_video(mut self) -> Output {
        self.video.without = true;
        self
    }

    pub fn without_audio(mut self) -> Output {
        self.audio.without = true;
        self
    }

    pub fn without_subtitles(mut self) -> Output {
        self.subtitles.without = true;
        self
    }

    /// A title, an author, and so on.
    pub fn metadata(mut self, key: impl Into<String>, value: impl Into<String>) -> Output {
        self.metadata.push((key.into(), value.into()));
        self
    }

    /// Limits the number of video frames that are written.
    pub fn frames_max(mut self, count: u64) -> Output {
        self.frames_max = Some(count);
        self
    }

    /// Any other option of an output, its name without the dash: `("crf", "23")`, `("b:a", "128k")`.
    pub fn option(mut self, name: impl Into<String>, value: impl Into<String>) -> Output {
        self.options.push((name.into(), value.into()));
        self
    }
}

impl Output {
    pub(super) fn check(&self, inputs: usize) -> Result<(), Contradiction> {
        let url = || self.url.clone();
        if self.url.is_empty() {
            return Err(Contradiction::EmptyName);
        }
        if self.duration == Some(Duration::ZERO) || self.frames_max == Some(0) {
            return Err(Contradiction::Empty { url: url() });
        }
        let kinds = [
            (&self.video, "video"),
            (&self.audio, "audio"),
            (&self.subtitles, "subtitles"),
        ];
        for (streams, kind) in kinds {
            if streams.without && (streams.codec.is_some() || streams.filter.is_some()) {
                return Err(Contradiction::WithoutAndWith { url: url(), kind });
            }
            if streams.codec.as_deref() == Some("copy") && streams.filter.is_some() {
                return Err(Contradiction::CopiedAndFiltered { url: url(), kind });
            }
        }
        if kinds.iter().all(|(streams, _)| streams.without) && self.maps.is_empty() {
            return Err(Contradiction::Nothing { url: url() });
        }
        for map in &self.maps {
            let number: String = map
                .trim_start_matches('-')
                .chars()
                .take_while(char::is_ascii_digit)
                .collect();
            if number.parse().is_ok_and(|number: usize| number >= inputs) {
                return Err(Contradiction::UnknownInput {
                    url: url(),
                    map: map.clone(),
                    inputs,
                });
            }
        }
        Ok(())
    }
}
