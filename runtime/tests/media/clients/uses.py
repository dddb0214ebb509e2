# SPDX-License-Identifier: MIT OR Apache-2.0
# Copyright (c) 2026 the afmpeg authors

"""A few real uses of Python's clients of ffmpeg: `uses.py CLIENT`, in a folder with source.mp4 and the shims on PATH."""

import io
import json
import subprocess
import sys

SOURCE = "source.mp4"
FRAMES, SECONDS, SIZE = 132, 5.28, (1280, 720)


def probe(name):
    line = ["ffprobe", "-v", "error", "-of", "json", "-show_format", "-show_streams", "-count_packets", name]
    found = json.loads(subprocess.check_output(line))
    return {stream["codec_type"]: stream for stream in found["streams"]}, found["format"]


def near(value, wanted, by):
    assert abs(value - wanted) <= by, (value, wanted)


def mean_difference(one, two):
    return abs(one.astype("int16") - two.astype("int16")).mean()


def pydub():
    from pydub import AudioSegment
    from pydub.utils import mediainfo

    sound = AudioSegment.from_file(SOURCE)
    assert (sound.frame_rate, sound.channels) == (48000, 6)
    near(sound.duration_seconds, SECONDS, 0.1)
    with open(SOURCE, "rb") as file:
        assert AudioSegment.from_file(io.BytesIO(file.read()), "mp4").raw_data == sound.raw_data

    part = sound.split_to_mono()[0][1000:3000]
    part.export("part.flac", format="flac")
    assert AudioSegment.from_file("part.flac").raw_data == part.raw_data
    for name, kind in [("part.mp3", "mp3"), ("part.ogg", "ogg")]:
        part.export(name, format=kind, tags={"title": "A part"})
        again = AudioSegment.from_file(name)
        near(again.duration_seconds, 2, 0.1)
        near(again.dBFS, part.dBFS, 1)
    assert mediainfo("part.mp3")["TAG"]["title"] == "A part"


def ffmpeg_python():
    import ffmpeg
    import numpy

    streams = {stream["codec_type"]: stream for stream in ffmpeg.probe(SOURCE)["streams"]}
    assert (streams["video"]["width"], streams["video"]["height"]) == SIZE
    video = ffmpeg.input(SOURCE).video.filter("scale", 320, 180).split()
    both = ffmpeg.filter([video[0], ffmpeg.filter(video[1], "hflip")], "hstack")
    line = both.output("pipe:", format="rawvideo", pix_fmt="rgb24", vframes=5)
    printed, _ = line.run(capture_stdout=True, quiet=True)
    frames = numpy.frombuffer(printed, "uint8").reshape(5, 180, 640, 3)
    assert frames.std() > 10
    assert mean_difference(frames[:, :, :320], frames[:, :, 639:319:-1]) < 1

    given = ffmpeg.input("pipe:", format="rawvideo", pix_fmt="rgb24", s="640x180")
    given.output("lossless.mkv", vcodec="ffv1", pix_fmt="bgr0").run(input=printed, quiet=True)
    stored = ffmpeg.input("lossless.mkv").output("pipe:", format="rawvideo", pix_fmt="rgb24")
    assert stored.run(capture_stdout=True, quiet=True)[0] == printed
    try:
        ffmpeg.input("missing.mp4").output("never.mp4").run(quiet=True)
    except ffmpeg.Error as error:
        assert b"No such file or directory" in error.stderr, error.stderr
    else:
        raise AssertionError("it read a file that is not there")


def imageio_ffmpeg():
    import imageio_ffmpeg
    import numpy

    assert imageio_ffmpeg.get_ffmpeg_version()[0].isdigit()
    frames, seconds = imageio_ffmpeg.count_frames_and_secs(SOURCE)
    assert frames == FRAMES
    near(seconds, SECONDS, 0.1)
    reader = imageio_ffmpeg.read_frames(SOURCE)
    told = next(reader)
    assert (told["source_size"], told["fps"], told["codec"]) == (SIZE, 25, "h264")
    pictures = [numpy.frombuffer(next(reader), "uint8").reshape(720, 1280, 3) for _ in range(8)]
    reader.close()

    writer = imageio_ffmpeg.write_frames("written.mp4", SIZE, fps=25, quality=9)
    writer.send(None)
    for picture in pictures:
        writer.send(numpy.ascontiguousarray(picture))
    writer.close()
    reader = imageio_ffmpeg.read_frames("written.mp4")
    assert next(reader)["source_size"] == SIZE
    again = [numpy.frombuffer(data, "uint8").reshape(720, 1280, 3) for data in reader]
    assert len(again) == len(pictures)
    assert all(mean_difference(one, two) < 4 for one, two in zip(again, pictures))


def moviepy():
    from moviepy import VideoFileClip, concatenate_videoclips

    with VideoFileClip(SOURCE) as clip:
        assert (clip.size, clip.fps) == (list(SIZE), 25)
        small = clip.resized(width=160)
        joined = concatenate_videoclips([small.subclipped(0, 0.4), small.subclipped(2, 2.6)])
        joined.write_videofile("joined.mp4", preset="ultrafast", audio_codec="aac", logger=None)
        small.save_frame("frame.png", t=1)
        small.audio.subclipped(0, 1).write_audiofile("sound.mp3", logger=None)
        streams, _ = probe("joined.mp4")
        video = streams["video"]
        assert (video["codec_name"], video["width"], video["height"]) == ("h264", 160, 90)
        assert video["nb_read_packets"] == "25" and streams["audio"]["codec_name"] == "aac", streams
        with VideoFileClip("joined.mp4") as again:
            assert mean_difference(again.get_frame(0.6), small.get_frame(2.2)) < 8
    assert probe("frame.png")[0]["video"]["width"] == 160
    near(float(probe("sound.mp3")[1]["duration"]), 1, 0.1)


def audioread():
    import audioread
    from audioread.ffdec import FFmpegAudioFile

    with audioread.audio_open(SOURCE, backends=[FFmpegAudioFile]) as sound:
        assert (sound.samplerate, sound.channels) == (48000, 6)
        near(sound.duration, SECONDS, 0.1)
        samples = b"".join(sound)
    line = ["ffmpeg", "-v", "error", "-i", SOURCE, "-vn", "-f", "s16le", "-"]
    assert samples == subprocess.check_output(line)


def yt_dlp():
    import shutil

    from yt_dlp import YoutubeDL
    from yt_dlp.postprocessor import FFmpegExtractAudioPP, FFmpegMergerPP, FFmpegMetadataPP, FFmpegVideoRemuxerPP

    downloader = YoutubeDL({"quiet": True, "keepvideo": True, "ffmpeg_location": shutil.which("ffmpeg")})

    def info(name, extension):
        return {"filepath": name, "ext": extension, "title": "A title", "duration": SECONDS}

    _, remuxed = FFmpegVideoRemuxerPP(downloader, "mkv").run(info(SOURCE, "mp4"))
    assert "matroska" in probe(remuxed["filepath"])[1]["format_name"]
    FFmpegMetadataPP(downloader).run(remuxed)
    assert probe(remuxed["filepath"])[1]["tags"]["title"] == "A title"
    _, sound = FFmpegExtractAudioPP(downloader, preferredcodec="mp3", preferredquality="5").run(info(SOURCE, "mp4"))
    streams, _ = probe(sound["filepath"])
    assert list(streams) == ["audio"] and streams["audio"]["codec_name"] == "mp3", streams

    parts = [
        {"vcodec": video, "acodec": audio, "protocol": "https", "filepath": name}
        for name, video, audio in [("video.mp4", "h264", "none"), ("audio.m4a", "none", "aac")]
    ]
    for name, choice in [("video.mp4", "v"), ("audio.m4a", "a")]:
        subprocess.check_call(["ffmpeg", "-v", "error", "-i", SOURCE, "-map", f"0:{choice}", "-c", "copy", name])
    merged = info("merged.mp4", "mp4") | {"__files_to_merge": ["video.mp4", "audio.m4a"], "requested_formats": parts}
    FFmpegMergerPP(downloader).run(merged)
    streams, _ = probe("merged.mp4")
    assert streams["video"]["nb_read_packets"] == str(FRAMES) and "audio" in streams


if __name__ == "__main__":
    client = sys.argv[1]
    # The functions have the names of the modules that they import.
    globals()[client]()
    print(client, "works")
