# SPDX-License-Identifier: MIT OR Apache-2.0
# Copyright (c) 2026 the afmpeg authors

"""Libraries that call an ffmpeg, on the shims of this package."""

from __future__ import annotations

import os
import pathlib
import shutil
import tempfile
import unittest

import afmpeg
import numpy

FOLDER = afmpeg.shims()
os.environ["PATH"] = FOLDER + os.pathsep + os.environ["PATH"]
os.environ["IMAGEIO_FFMPEG_EXE"] = os.path.join(FOLDER, "ffmpeg")


class Clients(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)

    def test_shims_are_made_once(self) -> None:
        self.assertEqual(shutil.which("ffmpeg"), os.path.join(FOLDER, "ffmpeg"))
        self.assertEqual(afmpeg.shims(), FOLDER)
        other = afmpeg.shims(self.folder / "shims")
        self.assertEqual(sorted(os.listdir(other)), ["afmpeg.toml", "ffmpeg", "ffprobe"])
        (self.folder / "taken").mkdir()
        (self.folder / "taken" / "ffmpeg").write_text("another program")
        with self.assertRaisesRegex(afmpeg.Error, "is there already"):
            afmpeg.shims(self.folder / "taken")

    def test_pydub_converts(self) -> None:
        from pydub import AudioSegment
        from pydub.generators import Sine

        tone = Sine(440).to_audio_segment(duration=1000)
        tone.export(self.folder / "tone.flac", format="flac").close()
        read = AudioSegment.from_file(self.folder / "tone.flac")
        self.assertEqual((len(read), read.frame_rate, read.channels), (1000, 44100, 1))
        self.assertEqual(read.raw_data, tone.raw_data)

    def test_imageio_writes_and_reads(self) -> None:
        import imageio_ffmpeg

        self.assertEqual(imageio_ffmpeg.get_ffmpeg_exe(), os.path.join(FOLDER, "ffmpeg"))
        path = str(self.folder / "out.mkv")
        writer = imageio_ffmpeg.write_frames(path, (64, 48), codec="ffv1", pix_fmt_out="bgr0")
        writer.send(None)
        picture = numpy.zeros((48, 64, 3), numpy.uint8)
        picture[..., 0] = 255
        for _ in range(5):
            writer.send(picture.tobytes())
        writer.close()
        self.assertEqual(imageio_ffmpeg.count_frames_and_secs(path)[0], 5)
        reader = imageio_ffmpeg.read_frames(path)
        self.assertEqual(next(reader)["size"], (64, 48))
        frames = list(reader)
        self.assertEqual((len(frames), frames[0]), (5, picture.tobytes()))


if __name__ == "__main__":
    unittest.main()
