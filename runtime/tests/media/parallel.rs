//! One command in segments, beside the same command as one job: times, sound and description are the same, and the picture is as
//! good.

use crate::fixture::{Studio, module, runtime};
use afmpeg::{Access, Job, Parallel};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

/// Sources, each by what makes it of those before.
const SOURCES: &[(&str, &str)] = &[
    (
        "cfr.mkv",
        "-f lavfi -i testsrc2=size=192x108:rate=25:duration=18 -f lavfi -i sine=frequency=440:duration=18 -c:v libx264 \
         -preset ultrafast -bf 2 -b_strategy 0 -g 50 -c:a aac",
    ),
    (
        "gaps.mkv",
        "-i cfr.mkv -vf select=mod(n\\,7)*mod(n\\,11) -fps_mode vfr -c:v libx264 -preset ultrafast -g 40 -c:a copy",
    ),
    ("late.ts", "-i cfr.mkv -c:v copy -c:a mp2 -output_ts_offset 5.3"),
    (
        "sound-first.ts",
        "-itsoffset 0.73 -i cfr.mkv -i cfr.mkv -map 0:v -map 1:a -c:v copy -c:a mp2",
    ),
    (
        "picture-first.ts",
        "-i cfr.mkv -itsoffset 0.73 -i cfr.mkv -map 0:v -map 1:a -c:v copy -c:a mp2",
    ),
    (
        "film.mp4",
        "-f lavfi -i testsrc2=size=192x108:rate=24000/1001:duration=16 -f lavfi -i sine=duration=16 -c:v libx264 -preset ultrafast \
         -g 48 -c:a aac",
    ),
    (
        "open.mkv",
        "-i cfr.mkv -c:v libx264 -preset veryfast -x264-params open-gop=1:keyint=50:bframes=3 -c:a copy",
    ),
    (
        "laced.mkv",
        "-i cfr.mkv -c:v mpeg2video -q:v 3 -flags +ilme+ildct -top 1 -g 15 -bf 2 -c:a copy",
    ),
    ("turned.mp4", "-display_rotation 90 -i cfr.mkv -c copy"),
    (
        "web.webm",
        "-i film.mp4 -c:v libvpx-vp9 -deadline realtime -cpu-used 8 -b:v 300k -g 60 -c:a libopus",
    ),
    (
        "tracks.mkv",
        "-i cfr.mkv -i text.srt -i meta.txt -map 0:v -map 0:a -map 0:a -map 1 -map_metadata 2 -map_chapters 2 -c copy \
         -metadata:s:v:0 language=ger -metadata:s:a:1 language=fre -disposition:a:1 comment",
    ),
    (
        "cover.mp4",
        "-i cfr.mkv -f lavfi -i color=red:size=64x64:duration=0.04 -map 0 -map 1 -c copy -c:v:1 png -disposition:v:1 attached_pic",
    ),
    (
        "refresh.ts",
        "-i cfr.mkv -c:v libx264 -preset ultrafast -g 40 -x264-params intra-refresh=1 -c:a mp2",
    ),
    (
        "harder.mkv",
        "-f lavfi -i testsrc2=size=320x180:rate=25:duration=16,noise=alls=60:allf=t:enable='gt(t,8)' -c:v libx264 -preset ultrafast \
         -crf 20 -g 25",
    ),
    ("sound.mkv", "-t 11 -i cfr.mkv -i cfr.mkv -map 0:v -map 1:a -c copy"),
    ("avi.avi", "-i cfr.mkv -c:v mpeg4 -q:v 4 -g 25 -c:a mp3"),
];

const TEXT: &str = "1\n00:00:01,000 --> 00:00:03,000\nfirst\n\n2\n00:00:12,000 --> 00:00:14,000\nsecond\n";
const META: &str = ";FFMETADATA1\ntitle=A title\n[CHAPTER]\nTIMEBASE=1/1000\nSTART=0\nEND=9000\ntitle=One\n[CHAPTER]\nTIMEBASE=1/1000\n\
                    START=9000\nEND=18000\ntitle=Two\n";

/// A source, with options before it if there are any, options and an output.
const COMMANDS: &[(&str, &str, &str)] = &[
    ("cfr.mkv", "-c:v libx264 -preset veryfast -crf 26 -c:a aac", "plain.mp4"),
    (
        "cfr.mkv",
        "-c:v libx264 -preset veryfast -crf 26 -x264-params bframes=5:b-pyramid=normal -c:a copy",
        "deep.mkv",
    ),
    (
        "cfr.mkv",
        "-vf scale=96:-2,eq=contrast=1.1 -preset ultrafast -movflags +faststart -c:a aac -ac 1",
        "small.mp4",
    ),
    (
        "cfr.mkv",
        "-vf drawtext=text=%{pts}:fontsize=20,format=yuv420p -c:v libx264 -preset ultrafast -an",
        "drawn.mov",
    ),
    ("gaps.mkv", "-c:v libx264 -preset ultrafast -bf 3 -c:a aac", "gaps.mp4"),
    (
        "sound-first.ts",
        "-c:v libx264 -preset ultrafast -c:a aac",
        "sound-first.mp4",
    ),
    (
        "picture-first.ts",
        "-c:v libx264 -preset ultrafast -c:a copy",
        "picture-first.mkv",
    ),
    ("late.ts", "-c:v libx264 -preset ultrafast -c:a aac", "late.mp4"),
    ("film.mp4", "-c:v libopenh264 -b:v 400k -c:a copy", "film.mp4.mp4"),
    ("open.mkv", "-c:v libx264 -preset ultrafast -c:a copy", "open.mp4"),
    ("laced.mkv", "-c:v mpeg4 -q:v 5 -c:a copy", "laced.mp4"),
    ("web.webm", "-c:v libx264 -preset ultrafast -c:a aac", "web.mp4"),
    (
        "cfr.mkv",
        "-c:v libvpx-vp9 -deadline realtime -cpu-used 8 -crf 40 -b:v 0 -c:a libopus",
        "new.webm",
    ),
    ("tracks.mkv", "-c:v libx264 -preset ultrafast -c:a aac", "tracks.mp4"),
    (
        "tracks.mkv",
        "-map 0 -c:v libx264 -preset ultrafast -c:a copy -c:s copy",
        "tracks-again.mkv",
    ),
    (
        "tracks.mkv",
        "-map_chapters -1 -c:v libx264 -preset ultrafast -c:a aac -c:s mov_text",
        "tracks-text.mp4",
    ),
    (
        "tracks.mkv",
        "-map_metadata:g -1 -c:v libx264 -preset ultrafast -c:a copy",
        "tracks-untitled.mp4",
    ),
    (
        "cover.mp4",
        "-c:v libx264 -preset ultrafast -c:a copy",
        "cover-less.mp4",
    ),
    ("sound.mkv", "-c:v libx264 -preset ultrafast -c:a copy", "sound.mp4"),
    (
        "cfr.mkv",
        "-c:v libx265 -preset ultrafast -crf 28 -tag:v hvc1 -c:a copy",
        "hevc.mp4",
    ),
    ("cfr.mkv", "-c:v prores_ks -profile:v 0 -c:a pcm_s16le", "edit.mov"),
    ("cfr.mkv", "-c:v ffv1 -level 3 -g 1 -c:a flac", "archive.mkv"),
    ("cfr.mkv", "-c:v mjpeg -q:v 5 -pix_fmt yuvj420p -an", "pictures.mov"),
    (
        "-ss 3.01 -t 12.01 -i cfr.mkv",
        "-c:v libx264 -preset ultrafast -c:a copy",
        "middle.mp4",
    ),
    (
        "-ss 1 -i film.mp4",
        "-c:v libx264 -preset ultrafast -c:a aac -to 14",
        "film-middle.mkv",
    ),
    (
        "cfr.mkv",
        "-c:v libx264 -preset ultrafast -bf 3 -an -ss 3.33 -t 11",
        "silent.mp4",
    ),
    (
        "laced.mkv",
        "-vf yadif=1,scale=96:-2 -c:v libx264 -preset ultrafast -c:a aac",
        "fields.mkv",
    ),
    (
        "-ss 1.02 -i film.mp4",
        "-vf fps=12 -c:v libx264 -preset ultrafast -c:a aac",
        "twelve.mp4",
    ),
    (
        "cfr.mkv",
        "-c:v libx264 -preset ultrafast -b:v 150k -c:a aac",
        "rate.mp4",
    ),
    (
        "cfr.mkv",
        "-c:v libx264 -preset ultrafast -hls_time 4 -hls_list_size 0 -c:a aac",
        "list.m3u8",
    ),
    ("cfr.mkv", "-c:v libx264 -preset ultrafast -c:a aac", "stream.ts"),
    (
        "tracks.mkv",
        "-filter_complex [0:v]hflip[v] -map [v] -map 0:a -c:v libx264 -preset ultrafast -c:a copy",
        "graph.mp4",
    ),
];

/// More of the same.
const MORE_COMMANDS: &[(&str, &str, &str)] = &[
    // Parts of inputs.
    (
        "-ss 2.5 -i cfr.mkv",
        "-c:v libx264 -preset ultrafast -c:a aac",
        "late-begin.mp4",
    ),
    (
        "-ss 0:02.2 -i film.mp4",
        "-c:v libx264 -preset ultrafast -c:a copy -t 11",
        "film-part.mp4",
    ),
    (
        "-t 13 -i gaps.mkv",
        "-c:v libx264 -preset ultrafast -bf 2 -c:a copy",
        "gaps-part.mkv",
    ),
    (
        "-ss 4 -to 15 -i gaps.mkv",
        "-c:v libx264 -preset ultrafast -c:a aac",
        "gaps-middle.mp4",
    ),
    (
        "late.ts",
        "-t 12 -c:v libx264 -preset ultrafast -c:a aac",
        "late-part.mp4",
    ),
    (
        "-t 12.5 -i late.ts",
        "-c:v libx264 -preset ultrafast -c:a copy",
        "late-read.mkv",
    ),
    (
        "-ss 1500ms -i open.mkv",
        "-c:v libx264 -preset ultrafast -c:a copy",
        "open-part.mp4",
    ),
    (
        "-ss 2 -i tracks.mkv",
        "-c:v libx264 -preset ultrafast -c:a aac",
        "chapters-part.mp4",
    ),
    (
        "-ss 1 -i sound.mkv",
        "-c:v libx264 -preset ultrafast -c:a copy",
        "sound-part.mp4",
    ),
    (
        "-ss 1 -i turned.mp4",
        "-c:v libx264 -preset ultrafast -an",
        "turned-part.mp4",
    ),
    (
        "-ss 2 -i web.webm",
        "-c:v libx264 -preset ultrafast -c:a aac -t 12",
        "web-part.mp4",
    ),
    (
        "cfr.mkv",
        "-c:v libx264 -preset ultrafast -an -ss 2 -to 16",
        "silent-part.mkv",
    ),
    // Filters.
    (
        "laced.mkv",
        "-vf yadif -c:v libx264 -preset ultrafast -c:a aac",
        "frames.mp4",
    ),
    (
        "laced.mkv",
        "-vf bwdif -c:v libx264 -preset ultrafast -c:a copy",
        "bwdif.mkv",
    ),
    (
        "laced.mkv",
        "-vf yadif=mode=send_frame:deint=interlaced,hflip -t 13 -c:v libx264 -preset ultrafast -c:a aac",
        "marked.mp4",
    ),
    (
        "cfr.mkv",
        "-vf fps=30 -c:v libx264 -preset ultrafast -c:a aac",
        "thirty.mp4",
    ),
    (
        "gaps.mkv",
        "-vf fps=50 -c:v libx264 -preset ultrafast -c:a aac",
        "fifty.mkv",
    ),
    (
        "gaps.mkv",
        "-vf fps=24000/1001,scale=96:-2 -c:v libx264 -preset ultrafast -c:a aac",
        "film-of-gaps.mp4",
    ),
    (
        "laced.mkv",
        "-vf bwdif,fps=25 -r 25 -c:v libx264 -preset ultrafast -c:a aac",
        "bwdif-fps.mp4",
    ),
    (
        "cfr.mkv",
        "-vf tmix=frames=4 -c:v libx264 -preset ultrafast -c:a aac",
        "mixed.mp4",
    ),
    (
        "cfr.mkv",
        "-vf hqdn3d -c:v libx264 -preset ultrafast -c:a aac",
        "clean.mp4",
    ),
    (
        "cfr.mkv",
        "-vf fade=t=in:st=3:d=2,fade=t=out:st=12:d=3 -c:v libx264 -preset ultrafast -c:a aac",
        "fades.mp4",
    ),
    (
        "cfr.mkv",
        "-vf gblur=2,cas,deband,crop=160:90,pad=192:108:16:9,transpose -c:v libx264 -preset ultrafast -an",
        "many.mp4",
    ),
    (
        "cfr.mkv",
        "-filter_complex hue=s=0,format=yuv420p -c:v libx264 -preset ultrafast -c:a aac",
        "grey.mkv",
    ),
    (
        "cfr.mkv",
        "-r 25 -fps_mode cfr -c:v libx264 -preset ultrafast -c:a aac",
        "constant.mp4",
    ),
    // Rates.
    (
        "cfr.mkv",
        "-c:v libx264 -preset veryfast -b:v 120k -maxrate 200k -bufsize 400k -c:a aac",
        "buffer.mp4",
    ),
    (
        "cfr.mkv",
        "-c:v libx264 -preset veryfast -crf 24 -maxrate 300k -bufsize 600k -c:a aac",
        "capped.mp4",
    ),
    (
        "gaps.mkv",
        "-c:v libx264 -preset ultrafast -b:v 150k -c:a copy",
        "gaps-rate.mkv",
    ),
    (
        "-ss 1 -i film.mp4",
        "-vf fps=12 -c:v libx264 -preset ultrafast -b:v 100k -an",
        "film-rate.mp4",
    ),
    (
        "cfr.mkv",
        "-c:v libvpx-vp9 -cpu-used 8 -b:v 150k -c:a libopus",
        "rate.webm",
    ),
    (
        "cfr.mkv",
        "-c:v libopenh264 -b:v 300k -maxrate 600k -c:a copy",
        "open.mkv.mp4",
    ),
    // Encoders and containers.
    ("cfr.mkv", "-c:v libsvtav1 -preset 12 -crf 40 -c:a libopus", "av1.mkv"),
    (
        "film.mp4",
        "-c:v libx265 -preset ultrafast -crf 28 -x265-params bframes=2 -c:a aac",
        "hevc.mkv",
    ),
    ("cfr.mkv", "-c:v libkvazaar -preset ultrafast -an", "kvazaar.mp4"),
    ("laced.mkv", "-c:v prores -c:a pcm_s16le", "laced.mov"),
    ("gaps.mkv", "-c:v ffv1 -c:a copy", "gaps-archive.mkv"),
    ("film.mp4", "-c:v mpeg4 -q:v 4 -bf 2 -c:a aac", "divx.mov"),
    (
        "film.mp4",
        "-c:v libx264 -preset ultrafast -hls_segment_type fmp4 -hls_playlist_type vod -an",
        "vod.m3u8",
    ),
    (
        "film.mp4",
        "-c:v libx264 -preset ultrafast -b:v 200k -maxrate 300k -bufsize 300k -hls_list_size 0 -an",
        "rated.m3u8",
    ),
    (
        "cfr.mkv",
        "-c:v libx264 -preset ultrafast -seg_duration 4 -c:a aac",
        "dash.mpd",
    ),
    (
        "film.mp4",
        "-c:v libx264 -preset ultrafast -c:a copy -f mpegts",
        "film-stream.ts",
    ),
    (
        "cfr.mkv",
        "-c:v libx264 -preset ultrafast -tune film -profile:v high -level 4.0 -g 30 -movflags +faststart -c:a aac",
        "tuned.m4v",
    ),
    ("gaps.mkv", "-c:v libx264 -preset ultrafast -c:a copy", "gaps-again.mkv"),
    ("late.ts", "-c:v libx264 -preset ultrafast -c:a copy", "late.mkv"),
    (
        "turned.mp4",
        "-c:v libx264 -preset ultrafast -c:a copy",
        "turned-again.mov",
    ),
    (
        "tracks.mkv",
        "-map 0:a:1 -map 0:v -map_metadata -1 -c:v libx264 -preset ultrafast -c:a copy",
        "order.mkv",
    ),
    (
        "avi.avi",
        "-c:v libx264 -preset ultrafast -bitexact -c:a aac",
        "avi.mp4",
    ),
];

/// Commands whose video is fed: inputs, what makes the picture, other streams, encoders, and an output.
const FED: &[(&str, &str, &str, &str, &str)] = &[
    (
        "cfr.mkv",
        "-vf minterpolate=fps=50:mi_mode=blend",
        "",
        "-c:v libx264 -preset ultrafast -c:a aac",
        "smooth.mp4",
    ),
    (
        "gaps.mkv",
        "-vf tblend=average,select=not(mod(n\\,3))",
        "",
        "-c:v libx264 -preset ultrafast -bf 2 -c:a copy",
        "picked.mkv",
    ),
    (
        "-i cfr.mkv -i film.mp4",
        "-filter_complex [1:v]scale=64:36[s];[0:v][s]overlay=8:8[v] -map [v]",
        "-map 0:a",
        "-c:v libx264 -preset ultrafast -c:a copy",
        "inset.mp4",
    ),
    (
        "-i cfr.mkv -i film.mp4",
        "-filter_complex [0:v]scale=96:54[a];[1:v]scale=96:54[b];[a][b]hstack,fps=25",
        "",
        "-c:v libx264 -preset ultrafast -c:a aac",
        "beside.mp4",
    ),
    (
        "gaps.mkv",
        "-r 30",
        "",
        "-c:v libx264 -preset ultrafast -c:a aac",
        "doubled.mp4",
    ),
    (
        "tracks.mkv",
        "-vf drawtext=text=%{n}:fontsize=20",
        "",
        "-c:v libx264 -preset ultrafast -c:a copy",
        "counted.mp4",
    ),
    (
        "one-key.mkv",
        "",
        "",
        "-c:v libx265 -preset ultrafast -crf 28 -c:a copy",
        "keys.mp4",
    ),
    (
        "cfr.mkv",
        "-ss 2.21 -t 12",
        "",
        "-c:v libx264 -preset ultrafast -c:a aac",
        "later.mp4",
    ),
    (
        "-i cfr.mkv -i film.mp4",
        "-filter_complex [0:v]split[a][b];[a]hflip[c];[b][c]blend=all_mode=average[v];[0:a][1:a]amix[s] -map [v]",
        "-map [s]",
        "-c:v libvpx-vp9 -deadline realtime -cpu-used 8 -crf 40 -b:v 0 -c:a libopus",
        "mixed.webm",
    ),
    (
        "-i cfr.mkv -loop 1 -i logo.png",
        "-filter_complex [0:v][1:v]overlay=shortest=1:x=n[v] -map [v]",
        "-map 0:a",
        "-c:v libx264 -preset ultrafast -c:a copy",
        "logo.mp4",
    ),
    (
        "laced.mkv",
        "-vf tblend=average,setparams=color_primaries=bt470bg:color_trc=bt470bg:colorspace=bt470bg",
        "",
        "-c:v prores_ks -profile:v 0 -c:a pcm_s16le",
        "laced-fed.mov",
    ),
    (
        "sound-first.ts",
        "-vf tblend=average",
        "",
        "-c:v libx264 -preset ultrafast -c:a copy",
        "sound-first-fed.mp4",
    ),
    (
        "-ss 1.02 -i film.mp4",
        "-vf tblend=average -s 96x54 -pix_fmt yuv422p -aspect 4:3 -color_range pc",
        "",
        "-c:v libx264 -preset ultrafast -c:a aac",
        "small-fed.mp4",
    ),
    (
        "film.mp4",
        "-vf tblend=average",
        "",
        "-c:v libx264 -preset ultrafast -hls_time 4 -hls_list_size 0 -c:a aac",
        "fed.m3u8",
    ),
];

/// More of the same.
const MORE_FED: &[(&str, &str, &str, &str, &str)] = &[
    (
        "-f lavfi -i testsrc2=size=192x108:rate=30:duration=18 -i cfr.mkv",
        "-map 0:v",
        "-map 1:a",
        "-c:v libx264 -preset ultrafast -c:a copy",
        "made.mp4",
    ),
    (
        "cfr.mkv",
        "-vf deshake",
        "",
        "-c:v libx264 -preset ultrafast -c:a copy",
        "steady.mkv",
    ),
    ("raw.h264", "", "", "-c:v libx264 -preset ultrafast", "raw.mp4"),
    (
        "picture-first.ts",
        "-vf tblend=average -t 12",
        "",
        "-c:v libx264 -preset ultrafast -c:a aac",
        "picture-first-fed.mkv",
    ),
    (
        "-ss 2 -i tracks.mkv",
        "-vf tblend=average",
        "-map 0:v -map 0:a",
        "-c:v libx264 -preset ultrafast -c:a copy",
        "tracks-fed.mp4",
    ),
    (
        "cfr.mkv",
        "-vf tblend=average",
        "",
        "-c:v ffv1 -level 3 -g 1 -c:a flac",
        "archive-fed.mkv",
    ),
    (
        "cfr.mkv",
        "-vf tblend=average -pix_fmt yuv420p10le",
        "",
        "-c:v libx265 -preset ultrafast -crf 28 -c:a copy",
        "ten.mkv",
    ),
    (
        "-i cfr.mkv -i web.webm",
        "-filter_complex [0:v][1:v]scale2ref[a][b];[a][b]vstack[v] -map [v]",
        "-map 1:a",
        "-c:v libopenh264 -c:a copy",
        "above.mkv",
    ),
    (
        "turned.mp4",
        "-vf tblend=average",
        "",
        "-c:v libx264 -preset ultrafast -c:a copy",
        "turned-fed.mov",
    ),
    (
        "cfr.mkv",
        "-vf tblend=average",
        "",
        "-c:v mpeg4 -q:v 5 -c:a copy",
        "four.mp4",
    ),
    (
        "cfr.mkv",
        "-vf tblend=average -pix_fmt yuvj420p",
        "-an",
        "-c:v mjpeg -q:v 5",
        "pictures-fed.mov",
    ),
    (
        "-i cfr.mkv -i film.mp4",
        "-filter_complex [0:v][1:v]xfade=duration=2:offset=9,fps=25[v] -map [v]",
        "-map 0:a",
        "-c:v libx264 -preset ultrafast -c:a copy",
        "crossed.mp4",
    ),
    (
        "-i cfr.mkv -i cfr.mkv",
        "-filter_complex [0:v][1:v]concat=n=2:v=1[v] -map [v]",
        "-map 0:a",
        "-c:v libx264 -preset ultrafast -c:a copy",
        "twice.mp4",
    ),
    (
        "cfr.mkv",
        "-vf setpts=PTS/1.5",
        "-an",
        "-c:v libx264 -preset ultrafast",
        "faster.mp4",
    ),
    (
        "late.ts",
        "-vf tblend=average",
        "",
        "-c:v libx264 -preset ultrafast -seg_duration 4 -c:a aac",
        "fed.mpd",
    ),
    (
        "tracks.mkv",
        "-ss 3 -vf tblend=average",
        "",
        "-c:v libx264 -preset ultrafast -c:a copy",
        "chapters.mkv",
    ),
];

/// Commands that are left whole, and words of the reason.
const WHOLE: &[(&str, &str)] = &[
    ("-i cfr.mkv -c copy out.mkv", "the video is copied"),
    (
        "-y -i cfr.mkv -c:v libx264 ./cfr.mkv",
        "the output is one of the inputs",
    ),
    (
        "-y -i cfr.mkv -vf minterpolate -c:v libx264 cfr.mkv",
        "the output is one of the inputs",
    ),
    (
        "-i refresh.ts -c:v libx264 -preset ultrafast refresh.mp4",
        "decoding from a key frame on does not give all frames",
    ),
    (
        "-i sizes.ts -c:v libx264 -preset ultrafast sizes.mp4",
        "the segments have different parameters",
    ),
    ("-sseof -3 -i cfr.mkv -c:v libx264 out.mp4", "-sseof before the input"),
    (
        "-i cfr.mkv -vf minterpolate -c:v libx264 -b:v 1M out.mp4",
        "the filter minterpolate is not known to act on each frame by itself; nor can it be fed: its bit rate needs two passes",
    ),
    (
        "-i cfr.mkv -vf cropdetect -c:v libx264 out.mp4",
        "nor can it be fed: the filter cropdetect is for what it prints",
    ),
    (
        "-i cfr.mkv -filter_complex split[a][b];[a]hflip[c] -map [b] -map [c] -c:v libx264 out.mp4",
        "more than one video",
    ),
    ("-i cfr.mkv -i cfr.mkv -c:v libx264 out.mp4", "there are several videos"),
    ("-i cfr.mkv -i pipe:0 -c:v libx264 out.mp4", "can be read only once"),
    (
        "-i cfr.mkv -vf tblend -c:v libx264 -pix_fmt +yuv420p out.mp4",
        "-pix_fmt +yuv420p",
    ),
    (
        "-i cfr.mkv -c:v libx264 one.mp4 -c:v libx264 two.mp4",
        "several outputs",
    ),
    ("-i cfr.mkv -c:v libx265 -b:v 1M out.mp4", "bit rate"),
    ("-i cfr.mkv -vn out.m4a", "-vn is not known"),
    ("-i cfr.mkv -c:v gif out.gif", "is none of mp4"),
    (
        "-i cfr.mkv -c:v libx264 -pass 1 -b:v 100k out.mp4",
        "-pass is not known",
    ),
    ("-t 3 -i cfr.mkv -c:v libx264 out.mp4", "too short"),
    ("-i frame.mkv -c:v libx264 out.mp4", "too short"),
    ("-i nothing.mkv -c:v libx264 out.mp4", "No such file"),
    ("-i cfr.mkv -c:v libx264 nowhere/out.mp4", "No such file"),
];

/// Whether the module has the libraries' encoders of these options.
fn has(encoders: &str) -> bool {
    let mut named = encoders.split(' ').filter(|word| word.starts_with("lib"));
    named.all(|name| module().encoders.contains(name))
}

/// Makes the first so many sources.
fn make_sources(studio: &Studio, count: usize) {
    studio.write("text.srt", TEXT);
    studio.write("meta.txt", META);
    for (name, how) in &SOURCES[..count] {
        studio.make(format!("-v error -y {how} {name}"));
    }
    studio.make("-v error -i cfr.mkv -frames:v 1 -c:v libx264 frame.mkv");
}

/// What fed videos are made of besides.
fn make_fed_sources(studio: &Studio) {
    make_sources(studio, SOURCES.len());
    studio.make("-v error -i cfr.mkv -frames:v 1 -vf scale=32:32 logo.png");
    studio.make("-v error -i cfr.mkv -c:v libx264 -preset ultrafast -g 600 -c:a copy one-key.mkv");
    studio.make("-v error -i cfr.mkv -c:v copy -an -f h264 raw.h264");
}

/// What must be the same, by name.
fn facts(studio: &Studio, file: &str) -> BTreeMap<&'static str, String> {
    let list = |entries: &str, streams: &str| {
        let command = format!("ffprobe -v error -select_streams {streams} -show_entries {entries} -of csv=p=0 {file}");
        studio.afmpeg("", &command).ok().text()
    };
    // A stream has a time for several packets of sound, and how many depends on the picture.
    let is_stream = file.ends_with(".ts") || file.ends_with(".m3u8");
    let mut times: Vec<String> = list("packet=pts", "v:0").lines().map(str::to_owned).collect();
    times.sort_by_key(|time| time.trim_end_matches(',').parse::<i64>().unwrap());
    let mut probe = studio.probe(file);
    for stream in probe["streams"].as_array_mut().unwrap() {
        let stream = stream.as_object_mut().unwrap();
        // The picture's encoder, and what depends on how much it made of it.
        for name in [
            "bit_rate",
            "max_bit_rate",
            "extradata_size",
            "has_b_frames",
            "level",
            "refs",
        ] {
            stream.remove(name);
        }
        // What fragments do not say of a picture that is like most.
        for (name, value) in [("color_range", "tv"), ("chroma_location", "left")] {
            if stream.get(name).is_some_and(|one| one == value) {
                stream.remove(name);
            }
        }
        // Chapters are a track, in units that depend on the others.
        if stream["codec_type"] == "data" {
            stream.remove("time_base");
        }
        // The end of copied sound is half a millisecond off.
        let duration = stream.remove("duration");
        let duration = duration.and_then(|text| text.as_str()?.parse::<f64>().ok());
        stream.remove("duration_ts");
        let hundredths = duration.map(|duration| (duration * 100.0).round());
        stream.insert("hundredths".to_owned(), hundredths.into());
        if let Some(tags) = stream.get_mut("tags").and_then(Value::as_object_mut) {
            tags.retain(|name, _| !matches!(name.to_lowercase().as_str(), "encoder" | "variant_bitrate"));
        }
        stream.retain(|name, value| name != "tags" || value.as_object().is_some_and(|tags| !tags.is_empty()));
    }
    let format = probe["format"].as_object_mut().unwrap();
    for name in ["filename", "size", "bit_rate", "duration"] {
        format.remove(name);
    }
    for chapter in probe["chapters"].as_array_mut().unwrap() {
        // In units of the container's.
        let chapter = chapter.as_object_mut().unwrap();
        chapter.retain(|name, _| !matches!(name.as_str(), "time_base" | "start" | "end"));
    }
    // A comma at a line's end tells that the packet is cut short, where the track ends half a millisecond earlier.
    let sound = list(
        if is_stream {
            "packet=size"
        } else {
            "packet=pts,duration,size"
        },
        "a",
    );
    let sound: Vec<&str> = sound.lines().map(|line| line.trim_end_matches(',')).collect();
    BTreeMap::from([
        ("times of the picture", times.join(" ")),
        ("sound", sound.join("\n")),
        ("subtitles", list("packet=pts,duration,size", "s")),
        ("description", serde_json::to_string_pretty(&probe).unwrap()),
    ])
}

/// What a source is as an input.
fn input(source: &str) -> String {
    match source.starts_with('-') {
        true => source.to_owned(),
        false => format!("-i {source}"),
    }
}

/// How like its source the picture is, in decibels.
fn likeness(studio: &Studio, file: &str, source: &str) -> f64 {
    let filters = "[0:v]scale=192:108,settb=1/1000,setpts=N[a];[1:v]scale=192:108,settb=1/1000,setpts=N[b];[a][b]psnr";
    let said = studio.make(format!("-i {file} {} -lavfi {filters} -f null -", input(source)));
    let average = said.said_after("average:").parse::<f64>();
    average.map_or(100.0, |average| average.min(100.0))
}

/// The bytes of an output, of all files of it.
fn size(studio: &Studio, output: &str) -> f64 {
    let (stem, ending) = output.rsplit_once('.').unwrap();
    let names = match ending {
        "m3u8" => studio.files(stem),
        "mpd" => studio.files("chunk"),
        _ => vec![output.to_owned()],
    };
    names.iter().map(|name| studio.read(name).len() as f64).sum()
}

/// The rate in bits a second that these options ask for, if each segment has a share of it.
fn rate(options: &str) -> Option<f64> {
    let (_, rate) = options.split_once("-b:v ")?;
    let (rate, _) = rate.split_once('k')?;
    let rate: f64 = rate.parse().ok()?;
    (!options.contains("libopenh264")).then_some(rate * 1000.0)
}

/// The rate of an output's picture.
fn bits_a_second(studio: &Studio, file: &str) -> f64 {
    let show = "-show_entries packet=size,duration_time -of csv=p=0";
    let list = studio
        .afmpeg("", &format!("ffprobe -v error -select_streams v:0 {show} {file}"))
        .ok()
        .text();
    let packets = list.lines().filter_map(|line| line.split_once(','));
    let (mut bits, mut seconds) = (0.0, 0.0);
    for (duration, size) in packets {
        seconds += duration.parse::<f64>().unwrap();
        bits += 8.0 * size.trim_end_matches(',').parse::<f64>().unwrap();
    }
    bits / seconds
}

/// What is wrong with a command in segments, beside the same command as one job. The picture is like a reference, or its source.
fn faults(studio: &Studio, source: &str, options: &str, output: &str, reference: Option<&str>) -> Vec<String> {
    let command = |output: &str| format!("ffmpeg -v error -nostats -y {} {options} {output}", input(source));
    let whole = format!("whole-{output}");
    studio.afmpeg("", &command(&whole)).ok();
    // Files beside a playlist may have the same names.
    let one = facts(studio, &whole);
    let like = |file: &str| likeness(studio, file, reference.unwrap_or(source));
    let (whole_likeness, whole_size) = (like(&whole), size(studio, &whole));
    let ended = studio.afmpeg("--parallel=require", &command(output)).end();
    if ended.exit_code != Some(0) {
        return vec![ended.stderr];
    }
    let parts = facts(studio, output);
    let unlike = one.iter().filter(|(name, fact)| **fact != parts[*name]);
    let mut faults: Vec<String> = unlike
        .map(|(name, fact)| format!("{name}: {}", difference(fact, &parts[name])))
        .collect();
    let loss = whole_likeness - like(output);
    let growth = size(studio, output) / whole_size;
    println!("{source} {options} {output}: {loss:.3} dB less, {growth:.4} of the size");
    let faulty = match rate(options) {
        // Two passes spend the bits otherwise, and one misses its rate.
        Some(rate) => {
            let made = bits_a_second(studio, output) / rate;
            println!("{made:.4} of the rate");
            loss > 0.4 || (made - 1.0).abs() > 0.03
        }
        None => loss > 0.1 || growth > 1.03,
    };
    if faulty {
        faults.push(format!("{loss:.3} dB less, {growth:.4} of the size"));
    }
    faults
}

fn compare(commands: &[(&str, &str, &str)]) {
    let studio = Studio::new();
    make_sources(&studio, SOURCES.len());
    let mut wrong = Vec::new();
    for (source, options, output) in commands.iter().filter(|(_, options, _)| has(options)) {
        let faults = faults(&studio, source, options, output, None);
        wrong.extend(
            faults
                .iter()
                .map(|fault| format!("{source} {options} {output}: {fault}")),
        );
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
    let unfinished = studio.files("");
    assert!(
        !unfinished.iter().any(|name| name.contains("partial")),
        "{unfinished:?}"
    );
}

fn compare_fed(commands: &[(&str, &str, &str, &str, &str)]) {
    let studio = Studio::new();
    make_fed_sources(&studio);
    let mut wrong = Vec::new();
    for (inputs, picture, others, encoders, output) in commands {
        if !has(encoders) {
            continue;
        }
        let options = format!("{picture} {others} {encoders}");
        let plan = studio.afmpeg(
            "--parallel=require --dry-run",
            &format!("ffmpeg -v error -y {} {options} {output}", input(inputs)),
        );
        let plan = plan.end();
        if !String::from_utf8_lossy(&plan.stdout).contains(r#""feed": {"#) {
            wrong.push(format!("{inputs} {options} {output} is not fed: {plan}"));
            continue;
        }
        // The frames before the encoder.
        let lossless = "-c:v ffv1 -c:a pcm_s16le -sn";
        studio.make(format!(
            "-v error -y {} {picture} {others} {lossless} reference.mkv",
            input(inputs)
        ));
        let faults = faults(&studio, inputs, &options, output, Some("reference.mkv"));
        wrong.extend(
            faults
                .iter()
                .map(|fault| format!("{inputs} {options} {output}: {fault}")),
        );
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
    let unfinished = studio.files("");
    assert!(
        !unfinished.iter().any(|name| name.contains("partial")),
        "{unfinished:?}"
    );
}

#[test]
fn what_is_fed_is_what_one_job_makes() {
    compare_fed(FED);
}

#[test]
#[ignore = "some minutes for more filters, inputs and encoders of the same kinds"]
fn more_that_is_fed_is_what_one_job_makes() {
    compare_fed(MORE_FED);
}

#[test]
fn what_is_made_in_segments_is_what_one_job_makes() {
    compare(COMMANDS);
}

#[test]
#[ignore = "some minutes for more encoders, containers and filters of the same kinds"]
fn more_that_is_made_in_segments_is_what_one_job_makes() {
    compare(MORE_COMMANDS);
}

#[test]
fn the_number_of_cores_does_not_change_a_byte() {
    let studio = Studio::new();
    make_sources(&studio, 2);
    for options in [
        "-vf hflip -c:v libx264 -preset ultrafast -c:a aac",
        "-vf fps=20 -c:v libx264 -preset ultrafast -b:v 100k -c:a copy",
        "-vf tblend=average -c:v libx264 -preset ultrafast -c:a copy",
        "-filter_complex split[a][b];[a]tblend[c];[b][c]hstack -c:v libx265 -preset ultrafast -crf 30 -c:a aac",
    ] {
        if !has(options) {
            continue;
        }
        let mut made = Vec::new();
        for count in [1, 2, 3, 5] {
            let command = format!("ffmpeg -v error -y -ss 1 -i gaps.mkv {options} out.mp4");
            studio.afmpeg(&format!("--parallel={count},require"), &command).ok();
            made.push(studio.read("out.mp4"));
        }
        assert!(made.iter().all(|other| *other == made[0]), "{options}");
    }
}

/// Segments of which each has another bit rate have the level of the whole.
#[test]
fn a_bit_rate_gives_segments_one_level() {
    let studio = Studio::new();
    let (name, how) = SOURCES.iter().find(|(name, _)| *name == "harder.mkv").unwrap();
    studio.make(format!("-v error -y {how} {name}"));
    let encode = |output| format!("ffmpeg -v error -y -i harder.mkv -c:v libx264 -preset veryfast -b:v 1M {output}");
    studio.afmpeg("--parallel=require", &encode("parts.mp4")).ok();
    studio.afmpeg("", &encode("one.mp4")).ok();
    let levels = ["parts.mp4", "one.mp4"].map(|name| studio.probe(name)["streams"][0]["level"].clone());
    assert_eq!(levels[0], levels[1]);
    assert_eq!(frames(&studio, "parts.mp4"), "400");
}

fn frames(studio: &Studio, name: &str) -> String {
    studio.probe(name)["streams"][0]["nb_read_frames"]
        .as_str()
        .unwrap()
        .to_owned()
}

#[test]
fn what_cannot_be_cut_is_one_job_and_says_why() {
    let studio = Studio::new();
    make_sources(&studio, 1);
    studio.write("there.mp4", "something");
    for source in ["late.ts", "refresh.ts"] {
        let (_, how) = SOURCES.iter().find(|(name, _)| *name == source).unwrap();
        studio.make(format!("-v error -y {how} {source}"));
    }
    let small =
        "-v error -i cfr.mkv -c:v libx264 -preset ultrafast -g 25 -vf scale=96:54 -an -output_ts_offset 30 small.ts";
    studio.make(small);
    studio.write("sizes.ts", [studio.read("late.ts"), studio.read("small.ts")].concat());
    let cfr = studio.read("cfr.mkv");
    for (command, reason) in WHOLE {
        let ended = studio
            .afmpeg("--parallel=require", &format!("ffmpeg -v error {command}"))
            .end();
        assert_eq!(ended.exit_code, Some(1), "{command}: {ended}");
        assert!(ended.stderr.contains(reason), "{command}: {ended}");
    }
    assert_eq!(studio.read("cfr.mkv"), cfr);
    assert_eq!(
        studio.files("refresh.").len() + studio.files("sizes.").len(),
        2,
        "{:?}",
        studio.files("")
    );
    // Without `require` one job makes it.
    let refreshed = "ffmpeg -v error -i refresh.ts -c:v libx264 -preset ultrafast -an refreshed.mp4";
    let ended = studio.afmpeg("--parallel", refreshed).ok();
    assert!(
        ended.stderr.contains("ran this as one job: decoding from a key frame"),
        "{ended}"
    );
    assert_eq!(frames(&studio, "refreshed.mp4"), frames(&studio, "refresh.ts"));
    // A link stays one.
    studio.write("behind.mp4", "");
    std::os::unix::fs::symlink("behind.mp4", studio.path("link.mp4")).unwrap();
    let linked = "ffmpeg -v error -y -i cfr.mkv -c:v libx264 -preset ultrafast -an link.mp4";
    studio
        .afmpeg("--parallel=require", linked)
        .fails(1, "the output is a link");
    studio.afmpeg("--parallel", linked).ok();
    assert!(studio.path("link.mp4").is_symlink());
    assert_eq!(frames(&studio, "behind.mp4"), frames(&studio, "cfr.mkv"));
    let new = "ffmpeg -v error -n -i cfr.mkv -c:v libx264 -preset ultrafast -an new-one.mp4";
    studio.afmpeg("--parallel=require", new).ok();
    let exists = "ffmpeg -v error -nostdin -i cfr.mkv -c:v libx264 there.mp4";
    studio.afmpeg("--parallel=require", exists).fails(1, "-y is not given");
    assert_eq!(studio.read_text("there.mp4"), "something");
    studio.write("new.partial.mp4", "somebody's");
    let in_the_way = "ffmpeg -v error -i cfr.mkv -c:v libx264 new.mp4";
    studio
        .afmpeg("--parallel=require", in_the_way)
        .fails(1, "new.partial.mp4 is there already");
    assert_eq!(studio.read_text("new.partial.mp4"), "somebody's");
    let ended = studio
        .afmpeg(
            "--parallel",
            "ffmpeg -v error -y -ss 16 -i cfr.mkv -c:v libx264 -an tail.mp4",
        )
        .ok();
    assert!(
        ended.stderr.contains("runs this as one job: the video is too short"),
        "{ended}"
    );
    assert!(!studio.read("tail.mp4").is_empty());
    // A script reads the same from the plan.
    let planned = studio
        .afmpeg(
            "--parallel --dry-run",
            "ffmpeg -v error -y -ss 16 -i cfr.mkv -c:v libx264 -an planned.mp4",
        )
        .ok();
    let plan: serde_json::Value = serde_json::from_slice(&planned.stdout).unwrap();
    assert!(
        plan["whole"].as_str().unwrap().contains("the video is too short"),
        "{plan}"
    );
    assert!(!studio.files("").contains(&"planned.mp4".to_owned()));
}

#[test]
fn a_panic_of_the_callers_own_code_ends_the_call() {
    let studio = Studio::new();
    make_sources(&studio, 1);
    for (filter, part) in [
        ("null", "end_pts"),
        ("null", "start_pts=12000"),
        ("null", "out.partial.mp4"),
        ("tblend", "rawvideo"),
        ("tblend", "enc_time_base"),
        ("tblend", "out.partial.mp4"),
    ] {
        let args = [
            "-v", "error", "-i", "cfr.mkv", "-vf", filter, "-c:v", "libx264", "out.mp4",
        ];
        let command = Parallel::new(args).required();
        let set_up = |job: Job| {
            assert!(!format!("{job:?}").contains(part), "a panic in the job with {part}");
            job.dir(".", studio.path(""), Access::ReadWrite)
        };
        let run = || runtime().run_parallel(&command, set_up);
        let ended = std::panic::catch_unwind(std::panic::AssertUnwindSafe(run));
        assert!(ended.is_err(), "{part}");
        assert!(studio.files("out").is_empty(), "{part}");
    }
}

#[test]
fn limits_and_failures_leave_no_half_of_an_output() {
    let studio = Studio::new();
    make_sources(&studio, 1);
    studio.write("out.mp4", "something");
    let command = "ffmpeg -v error -y -i cfr.mkv -c:v libx264 -preset placebo -c:a aac out.mp4";
    studio
        .afmpeg("--parallel=require --timeout 1", command)
        .fails(124, "deadline");
    let wrong = command.replace("-preset placebo", "-preset nonsense");
    studio
        .afmpeg("--parallel=require", &wrong)
        .fails(234, "Error setting preset");
    let little = command.replace("-preset placebo", "-crf 0 -preset ultrafast");
    studio
        .afmpeg("--parallel=require --host-memory-max 200K", &little)
        .fails(1, "limit");
    // That of written bytes is for the output, and not for what the plan reads of the input.
    studio
        .afmpeg("--parallel=require --written-max 1K", &little)
        .fails(134, "written");
    assert_eq!(studio.read_text("out.mp4"), "something");
    assert_eq!(studio.files("out"), ["out.mp4"]);
}

#[test]
fn feeding_ends_whole_or_not_at_all() {
    let studio = Studio::new();
    make_fed_sources(&studio);
    studio.write("out.mp4", "something");
    let fed = "ffmpeg -v error -y -i cfr.mkv -vf tblend -c:v libx264 -preset ultrafast -c:a aac out.mp4";
    // A segment's own message, and that of the job that feeds.
    for (from, to, exit_code, message) in [
        ("-preset ultrafast", "-preset nonsense", 234, "Error setting preset"),
        ("-vf tblend", "-vf tblend=nonsense", 234, "nonsense"),
        ("-c:a aac", "-c:a nonsense", 8, "Unknown encoder 'nonsense'"),
    ] {
        let command = fed.replace(from, to);
        studio.afmpeg("--parallel=require", &command).fails(exit_code, message);
    }
    let slow = fed.replace("ultrafast", "placebo");
    studio
        .afmpeg("--parallel=require --timeout 2", &slow)
        .fails(124, "deadline");
    let large = fed.replace("ultrafast", "ultrafast -crf 0");
    studio
        .afmpeg("--parallel=require --host-memory-max 300K", &large)
        .fails(1, "limit");
    // Frames of which some are interlaced lose that on their way, which shows when they come.
    let changes =
        "ffmpeg -v error -y -i cfr.mkv -i laced.mkv -filter_complex [0:v][1:v]concat -c:v libx264 -preset ultrafast";
    studio
        .afmpeg("--parallel=require", &format!("{changes} out.mp4"))
        .fails(1, "its frames change in the middle");
    assert_eq!(studio.read_text("out.mp4"), "something");
    assert_eq!(studio.files("out"), ["out.mp4"]);
    let ended = studio.afmpeg("--parallel", &format!("{changes} new.mp4")).ok();
    assert!(ended.stderr.contains("ran this as one job"), "{ended}");
    assert_eq!(studio.probe("new.mp4")["streams"][0]["nb_read_frames"], "900");
    // With as little memory as that they are made all the same, a few frames at a time.
    studio.afmpeg("--parallel=2,require --host-memory-max 2M", fed).ok();
}

/// The segments that are kept in this cache, by the folders of their plans.
fn kept(cache: &Path) -> Vec<PathBuf> {
    let plans = fs::read_dir(cache.join("afmpeg/segments")).into_iter().flatten();
    let files = plans.flat_map(|plan| fs::read_dir(plan.unwrap().path()).unwrap());
    let paths = files.map(|file| file.unwrap().path());
    paths
        .filter(|path| path.extension().is_some_and(|extension| extension == "mp4"))
        .collect()
}

#[test]
fn what_was_killed_goes_on_where_it_was() {
    let studio = Studio::new();
    make_sources(&studio, 1);
    let cache = tempfile::tempdir().unwrap();
    let start_with = |options: &str, output: &str| {
        let line = format!("{options} ffmpeg -v error -y -i cfr.mkv -c:v libx264 -preset placebo {output}");
        let mut command = studio.command();
        command
            .args(line.split_whitespace())
            .env("XDG_CACHE_HOME", cache.path());
        command
    };
    let start = |output: &str| start_with("--parallel=require,1 --resume", output);
    let whole = start("wanted.mp4").output().unwrap();
    assert!(
        whole.status.success() && whole.stdout.is_empty() && whole.stderr.is_empty(),
        "{whole:?}"
    );
    assert_eq!(kept(cache.path()), Vec::<PathBuf>::new());

    let mut killed = start("out.mp4").spawn().unwrap();
    let begun = Instant::now();
    while kept(cache.path()).len() < 2 {
        assert!(begun.elapsed() < Duration::from_secs(60) && killed.try_wait().unwrap().is_none());
        thread::sleep(Duration::from_millis(5));
    }
    killed.kill().unwrap();
    killed.wait().unwrap();
    assert_eq!(studio.files("out"), ["out.partial.mp4"]);
    let before = kept(cache.path());
    let made = |path: &PathBuf| fs::metadata(path).unwrap().modified().unwrap();
    let times: Vec<_> = before.iter().map(made).collect();

    // Nobody else's unfinished output is taken for this one's.
    let other = start_with("--parallel=require", "out.mp4").output().unwrap();
    assert!(
        String::from_utf8_lossy(&other.stderr).contains("there already"),
        "{other:?}"
    );

    // It is killed again, to see that the segments were not made a second time.
    let mut again = start("out.mp4").spawn().unwrap();
    while kept(cache.path()).len() == before.len() {
        assert!(begun.elapsed() < Duration::from_secs(60) && again.try_wait().unwrap().is_none());
        thread::sleep(Duration::from_millis(5));
    }
    // Two at a time would make a mess of it.
    let second = start("out.mp4").output().unwrap();
    assert!(
        String::from_utf8_lossy(&second.stderr).contains("another process"),
        "{second:?}"
    );
    again.kill().unwrap();
    again.wait().unwrap();
    assert_eq!(before.iter().map(made).collect::<Vec<_>>(), times);
    // What the disk has damaged is made again.
    fs::write(&before[0], b"damaged").unwrap();
    assert!(start("out.mp4").status().unwrap().success());
    assert_eq!(studio.files("out"), ["out.mp4"]);
    assert!(studio.read("out.mp4") == studio.read("wanted.mp4"));
    assert_eq!(kept(cache.path()), Vec::<PathBuf>::new());
}

/// The first lines, or words, that are not the same.
fn difference(one: &str, other: &str) -> String {
    let separator = if one.contains('\n') { '\n' } else { ' ' };
    let (ones, others): (Vec<&str>, Vec<&str>) = (one.split(separator).collect(), other.split(separator).collect());
    let pairs = ones.iter().zip(&others).filter(|(one, other)| one != other);
    let first: Vec<String> = pairs
        .take(6)
        .map(|(one, other)| format!("{} / {}", one.trim(), other.trim()))
        .collect();
    format!("{} and {} parts; {}", ones.len(), others.len(), first.join("; "))
}
