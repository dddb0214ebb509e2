//! Graphs of filters as text: which of their filters are connected, and what comes out of them.

use crate::parallel::whole::Whole;

/// Filters, in the order in which they are written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Graph {
    filters: Vec<Filter>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Filter {
    name: String,
    /// With its options, as they are written.
    text: String,
    /// The labels before and after it.
    inputs: Vec<String>,
    outputs: Vec<String>,
    /// It takes what the one before it makes.
    follows: bool,
}

/// An output that no filter takes: of the filter at this place, under this label if it has one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Open {
    filter: usize,
    pub label: Option<String>,
}

/// Filters that take and make nothing but sound.
const SOUND: &[&str] = &[
    "acompressor",
    "acrossfade",
    "adelay",
    "aecho",
    "aevalsrc",
    "afade",
    "aformat",
    "agate",
    "alimiter",
    "allpass",
    "aloop",
    "amerge",
    "amix",
    "anequalizer",
    "anull",
    "anullsrc",
    "apad",
    "aresample",
    "areverse",
    "asetnsamples",
    "asetpts",
    "asetrate",
    "asettb",
    "asplit",
    "atempo",
    "atrim",
    "bandpass",
    "bandreject",
    "bass",
    "channelmap",
    "channelsplit",
    "chorus",
    "compand",
    "crossfeed",
    "dynaudnorm",
    "equalizer",
    "extrastereo",
    "flanger",
    "highpass",
    "highshelf",
    "join",
    "loudnorm",
    "lowpass",
    "lowshelf",
    "pan",
    "sidechaincompress",
    "silenceremove",
    "sine",
    "speechnorm",
    "stereotools",
    "stereowiden",
    "treble",
    "tremolo",
    "vibrato",
    "volume",
];

/// Filters that are there for what they print or write.
const REPORTS: &[&str] = &[
    "bbox",
    "blackdetect",
    "blackframe",
    "bitplanenoise",
    "blockdetect",
    "blurdetect",
    "corr",
    "cropdetect",
    "ebur128",
    "freezedetect",
    "identity",
    "idet",
    "libvmaf",
    "metadata",
    "msad",
    "psnr",
    "scdet",
    "showinfo",
    "showpalette",
    "signature",
    "siti",
    "ssim",
    "ssim360",
    "vfrdet",
    "vidstabdetect",
    "vif",
    "vmafmotion",
    "xpsnr",
];

impl Graph {
    pub fn read(text: &str) -> Result<Graph, Whole> {
        let damaged = || Whole::new("its filters are not such as a plan reads");
        let mut graph = Graph::default();
        let mut rest = text.trim_start();
        if rest.starts_with("sws_flags=") {
            return Err(Whole::new("its filters begin with options of the scaler"));
        }
        let mut follows = false;
        while !rest.is_empty() {
            let mut filter = Filter {
                follows,
                ..Filter::default()
            };
            (filter.inputs, rest) = labels(rest).ok_or_else(damaged)?;
            let end = end(rest).ok_or_else(damaged)?;
            filter.text = rest[..end].trim().to_owned();
            (filter.outputs, rest) = labels(&rest[end..]).ok_or_else(damaged)?;
            let name = filter.text.split('=').next().unwrap_or_default();
            filter.name = name.split('@').next().unwrap_or_default().trim().to_owned();
            if filter.name.is_empty() {
                return Err(damaged());
            }
            graph.filters.push(filter);
            let mut characters = rest.chars();
            follows = match characters.next() {
                None => false,
                Some(',') => true,
                Some(';') => false,
                Some(_) => return Err(damaged()),
            };
            rest = characters.as_str().trim_start();
        }
        // A comma at the end leads nowhere.
        match graph.filters.is_empty() || (follows && rest.is_empty()) {
            true => Err(damaged()),
            false => Ok(graph),
        }
    }

    /// Checks that running it out of the caller's sight takes nothing from them.
    pub fn check(&self) -> Result<(), Whole> {
        match self.filters.iter().find(|filter| REPORTS.contains(&&*filter.name)) {
            Some(filter) => Err(Whole::new(format!("the filter {} is for what it prints", filter.name))),
            None => Ok(()),
        }
    }

    pub fn is_sound(&self) -> bool {
        self.filters.iter().all(|filter| SOUND.contains(&&*filter.name))
    }

    /// What is connected, each as a graph of its own.
    pub fn parts(&self) -> Vec<Graph> {
        // Each filter has the number of its part.
        let mut parts: Vec<usize> = (0..self.filters.len()).collect();
        let mut connect = |one: usize, other: usize| {
            let (kept, gone) = (parts[one].min(parts[other]), parts[one].max(parts[other]));
            for part in &mut parts {
                if *part == gone {
                    *part = kept;
                }
            }
        };
        for (at, filter) in self.filters.iter().enumerate() {
            if filter.follows && at > 0 {
                connect(at - 1, at);
            }
            for label in &filter.inputs {
                let makes = |other: &Filter| other.outputs.contains(label);
                if let Some(other) = self.filters.iter().position(makes) {
                    connect(other, at);
                }
            }
        }
        let mut numbers = parts.clone();
        numbers.sort_unstable();
        numbers.dedup();
        let part = |number: usize| {
            let of_it = self.filters.iter().zip(&parts).filter(|(_, part)| **part == number);
            Graph {
                filters: of_it.map(|(filter, _)| filter.clone()).collect(),
            }
        };
        numbers.into_iter().map(part).collect()
    }

    /// The labels that no filter makes: streams of the inputs.
    pub fn streams(&self) -> Vec<&str> {
        let makes = |label: &String| self.filters.iter().any(|filter| filter.outputs.contains(label));
        let inputs = self.filters.iter().flat_map(|filter| &filter.inputs);
        inputs.filter(|label| !makes(label)).map(String::as_str).collect()
    }

    /// Whether a filter at the beginning of a chain has no label, so that ffmpeg looks for a stream.
    pub fn has_unlabelled_input(&self) -> bool {
        let begins = |filter: &&Filter| !filter.follows && filter.inputs.is_empty();
        self.filters.iter().any(|filter| begins(&filter))
    }

    pub fn open(&self) -> Vec<Open> {
        let takes = |label: &String| self.filters.iter().any(|filter| filter.inputs.contains(label));
        let mut open = Vec::new();
        for (at, filter) in self.filters.iter().enumerate() {
            let labels = filter.outputs.iter().filter(|label| !takes(label));
            open.extend(labels.map(|label| Open {
                filter: at,
                label: Some(label.clone()),
            }));
            let is_last = self.filters.get(at + 1).is_none_or(|next| !next.follows);
            if is_last && filter.outputs.is_empty() && !filter.name.ends_with("sink") {
                open.push(Open {
                    filter: at,
                    label: None,
                });
            }
        }
        open
    }

    /// With more filters after an output, which then has the label, or none.
    pub fn followed_by(&self, open: &Open, filters: &str, label: &str) -> String {
        const BETWEEN: &str = "afmpeg_made";
        let mut graph = self.clone();
        let of_graph = match &open.label {
            Some(label) => label.as_str(),
            None => {
                graph.filters[open.filter].outputs.push(BETWEEN.to_owned());
                BETWEEN
            }
        };
        format!("{};[{of_graph}]{filters}{label}", graph.text(str::to_owned))
    }

    /// As text, with other labels.
    pub fn text(&self, label: impl Fn(&str) -> String) -> String {
        let labels = |labels: &[String]| -> String { labels.iter().map(|one| format!("[{}]", label(one))).collect() };
        let mut text = String::new();
        for (at, filter) in self.filters.iter().enumerate() {
            if at > 0 {
                text.push(if filter.follows { ',' } else { ';' });
            }
            text += &labels(&filter.inputs);
            text += &filter.text;
            text += &labels(&filter.outputs);
        }
        text
    }

    /// The rate that the last filter which makes one makes, as it is written.
    pub fn rate(&self) -> Option<String> {
        self.filters.iter().rev().find_map(|filter| {
            let (_, options) = filter.text.split_once('=').unwrap_or(("", ""));
            let usual = match &*filter.name {
                "minterpolate" => "60",
                "framerate" => "50",
                "fps" => "25",
                _ => return None,
            };
            let named = options.split(':').find_map(|option| option.strip_prefix("fps="));
            let first = options.split(':').next().filter(|option| !option.contains('='));
            Some(
                named
                    .or(first)
                    .filter(|rate| !rate.is_empty())
                    .unwrap_or(usual)
                    .to_owned(),
            )
        })
    }
}

/// The labels that a text begins with, and what is behind them.
fn labels(text: &str) -> Option<(Vec<String>, &str)> {
    let mut labels = Vec::new();
    let mut rest = text.trim_start();
    while let Some(label) = rest.strip_prefix('[') {
        let (label, after) = label.split_once(']')?;
        labels.push(label.trim().to_owned());
        rest = after.trim_start();
    }
    Some((labels, rest))
}

/// Where a filter and its options end.
fn end(text: &str) -> Option<usize> {
    let (mut is_quoted, mut is_escaped) = (false, false);
    for (at, character) in text.char_indices() {
        match character {
            _ if is_escaped => is_escaped = false,
            '\\' if !is_quoted => is_escaped = true,
            '\'' => is_quoted = !is_quoted,
            '[' | ',' | ';' if !is_quoted => return Some(at),
            _ => {}
        }
    }
    (!is_quoted && !is_escaped).then_some(text.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn graphs_are_taken_apart_where_they_are_not_connected() {
        let text =
            "[0:v]split [a][b] ; [a]drawtext=text='x,;[y]':x=\\,[c];[c][b]hstack,scale=64:-2;[1:a]volume=2,anull[s]";
        let graph = Graph::read(text).unwrap();
        let parts = graph.parts();
        let shown: Vec<String> = parts.iter().map(|part| part.text(str::to_owned)).collect();
        assert_eq!(
            shown,
            [
                "[0:v]split[a][b];[a]drawtext=text='x,;[y]':x=\\,[c];[c][b]hstack,scale=64:-2",
                "[1:a]volume=2,anull[s]",
            ]
        );
        assert_eq!(parts.iter().map(Graph::is_sound).collect::<Vec<_>>(), [false, true]);
        assert_eq!((parts[0].streams(), parts[1].streams()), (vec!["0:v"], vec!["1:a"]));
        let open = parts[0].open();
        assert_eq!((open.len(), open[0].label.as_deref()), (1, None));
        assert!(
            parts[0]
                .followed_by(&open[0], "null", "[x]")
                .ends_with("scale=64:-2[afmpeg_made];[afmpeg_made]null[x]")
        );
        assert_eq!(parts[1].open()[0].label.as_deref(), Some("s"));
        assert_eq!(parts[1].text(|label| format!("{label}+")), "[1:a+]volume=2,anull[s+]");
    }

    #[test]
    fn what_is_no_graph_is_refused() {
        for text in [
            "",
            "[a",
            "scale,",
            "a;;b",
            "=1",
            "drawtext=text='x",
            "sws_flags=lanczos;null",
            "a]b[c]d",
        ] {
            assert!(Graph::read(text).is_err(), "{text}");
        }
        assert!(Graph::read("fps=30,blackdetect").unwrap().check().is_err());
        assert_eq!(Graph::read("minterpolate,hflip").unwrap().rate().as_deref(), Some("60"));
        assert_eq!(
            Graph::read("fps=fps=12:round=up").unwrap().rate().as_deref(),
            Some("12")
        );
    }
}
