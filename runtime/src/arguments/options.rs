//! The options of ffmpeg and ffprobe: which have a value, and which of these name files.

use super::Program;

/// What an option's value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Takes {
    Input,
    Output,
    Reads,
    /// A filter graph, or a file with one.
    Graph,
    GraphFile,
    /// HLS's file of keys.
    KeyFile,
    EncoderOptions,
    /// What decides how the next file is understood.
    NextFile,
}

/// Options without a value that both programs have.
const FLAGS: &[&str] = &[
    "L",
    "?",
    "bitexact",
    "bsfs",
    "buildconf",
    "codecs",
    "colors",
    "decoders",
    "demuxers",
    "devices",
    "dispositions",
    "encoders",
    "filters",
    "find_stream_info",
    "formats",
    "hide_banner",
    "layouts",
    "muxers",
    "pix_fmts",
    "protocols",
    "report",
    "sample_fmts",
    "version",
];

const FLAGS_OF_FFMPEG: &[&str] = &[
    "accurate_seek",
    "an",
    "autorotate",
    "autoscale",
    "benchmark",
    "benchmark_all",
    "copy_unknown",
    "copyinkf",
    "copyts",
    "debug_ts",
    "display_hflip",
    "display_vflip",
    "dn",
    "dump",
    "fix_sub_duration",
    "fix_sub_duration_heartbeat",
    "force_fps",
    "hex",
    "hwaccels",
    "ignore_unknown",
    "n",
    "print_graphs",
    "re",
    "recast_media",
    "shortest",
    "sn",
    "start_at_zero",
    "stats",
    "stdin",
    "vn",
    "vstats",
    "xerror",
    "y",
    "auto_conversion_filters",
];

const FLAGS_OF_FFPROBE: &[&str] = &[
    "analyze_frames",
    "byte_binary_prefix",
    "count_frames",
    "count_packets",
    "pretty",
    "prefix",
    "private",
    "sections",
    "sexagesimal",
    "show_chapters",
    "show_data",
    "show_error",
    "show_format",
    "show_frames",
    "show_library_versions",
    "show_packets",
    "show_pixel_formats",
    "show_private_data",
    "show_program_version",
    "show_programs",
    "show_stream_groups",
    "show_streams",
    "show_versions",
    "unit",
];

/// Whether the word after an option is its value. FFmpeg takes one for every option that it does not know itself, as
/// those of codecs and formats have one.
pub fn has_value(program: Program, name: &str) -> bool {
    let name = name.split(':').next().unwrap_or(name);
    let own = match program {
        Program::Ffmpeg => FLAGS_OF_FFMPEG,
        Program::Ffprobe => FLAGS_OF_FFPROBE,
    };
    let is_flag = |name: &str| FLAGS.contains(&name) || own.contains(&name);
    // Help takes a topic only if there is one, and no file follows.
    !is_flag(name) && !name.strip_prefix("no").is_some_and(is_flag) && !matches!(name, "h" | "help" | "-help")
}

/// What the value of an option names, its stream specifier left out.
pub fn takes(program: Program, name: &str) -> Option<Takes> {
    Some(match (program, name) {
        (_, "i") => Takes::Input,
        (Program::Ffprobe, "o") => Takes::Output,
        (_, "f" | "safe" | "pattern_type" | "fd") => Takes::NextFile,
        (_, "filter" | "vf" | "af" | "filter_complex" | "lavfi") => Takes::Graph,
        (_, "filter_script" | "filter_complex_script" | "graph_file") => Takes::GraphFile,
        (_, "hls_key_info_file") => Takes::KeyFile,
        (_, "x264-params" | "x264opts" | "x265-params" | "svtav1-params") => Takes::EncoderOptions,
        (_, "attach" | "fpre" | "ca_file" | "cert_file" | "key_file" | "cookies_file") => Takes::Reads,
        (_, "passlogfile" | "vstats_file" | "progress" | "sdp_file" | "print_graphs_file" | "dump_attachment") => {
            Takes::Output
        }
        (_, "stats_enc_pre" | "stats_enc_post" | "stats_mux_pre") => Takes::Output,
        (_, "sub_name" | "ifo_palette" | "assetmaps") => Takes::Reads,
        (_, "hls_segment_filename" | "hls_subtitle_path" | "segment_list" | "segment_header_filename") => Takes::Output,
        _ => return None,
    })
}
