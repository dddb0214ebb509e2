# SPDX-License-Identifier: MIT OR Apache-2.0
# Copyright (c) 2026 the afmpeg authors

"""Jobs on real media, which the module makes itself."""

from __future__ import annotations

import asyncio
import copy
import ctypes
import io
import math
import os
import pathlib
import pickle
import subprocess
import sys
import tempfile
import threading
import time
import unittest
from fractions import Fraction

import afmpeg
import numpy

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from typing_extensions import Buffer

#: More work than any test waits for.
ENDLESS = ["ffmpeg", "-v", "error", "-f", "lavfi", "-i", "testsrc=d=100000", "-f", "null", "-"]
RED = "color=red:s=64x48:d=2:r=10"


def media() -> bytes:
    """Two seconds of red with sound, as Matroska that is written from start to end."""
    args = ["ffmpeg", "-v", "error", "-f", "lavfi", "-i", RED, "-f", "lavfi", "-i", "sine=d=2"]
    made = afmpeg.run([*args, "-c:v", "mpeg4", "-c:a", "aac", "out.mkv"], fixed_clock=0, random_seed=1)
    return made.check().files["out.mkv"]


class Parts(io.RawIOBase):
    """A file object that takes no more than some bytes at a time, and has no descriptor."""

    def __init__(self) -> None:
        self.taken = b""

    def writable(self) -> bool:
        return True

    def write(self, data: Buffer) -> int:
        part = bytes(data)[:1000]
        self.taken += part
        return len(part)


class Case(unittest.TestCase):
    data: bytes

    @classmethod
    def setUpClass(cls) -> None:
        cls.data = media()

    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)

    def copying(self, *arguments: str, program: str = "ffmpeg") -> list[str]:
        return [program, "-v", "error", "-i", "in.mkv", "-c", "copy", *arguments]

    def names(self) -> list[str]:
        return sorted(path.name for path in self.folder.iterdir())

    def stalling(self, *pieces: bytes) -> Iterator[bytes]:
        """These pieces, and then nothing, but no end either, for longer than any test may take."""
        gate = threading.Event()
        self.addCleanup(gate.set)

        def stream() -> Iterator[bytes]:
            yield from pieces
            gate.wait(100)

        return stream()

    def stuck(self) -> Callable[[object], None]:
        """A callback that does not return for longer than any test may take."""
        gate = threading.Event()
        self.addCleanup(gate.set)

        def call(_: object) -> None:
            gate.wait(100)

        return call


class Inputs(Case):
    def test_each_kind_of_input_gives_the_same(self) -> None:
        path = self.folder / "in.mkv"
        path.write_bytes(self.data)
        with open(path, "rb") as file:
            for given in (
                self.data,
                bytearray(self.data),
                memoryview(self.data),
                memoryview(b"xx" + self.data)[2:],
                numpy.frombuffer(self.data, numpy.uint8),
                path,
                file,
                io.BytesIO(self.data),
            ):
                with self.subTest(type(given).__name__):
                    result = afmpeg.run(self.copying("-f", "streamhash", "-"), files={"in.mkv": given}).check()
                    self.assertEqual(result.stdout.count(b"SHA256="), 2)
                    self.assertEqual(result.files, {})
                    self.assertEqual([s.codec_name for s in afmpeg.probe(given).streams], ["mpeg4", "aac"])
                    self.assertGreater(result.bytes_read, len(self.data) // 2)

    def test_streams_of_any_kind_are_inputs(self) -> None:
        path = self.folder / "in.mkv"
        path.write_bytes(self.data)
        pieces = [self.data[at : at + 999] for at in range(0, len(self.data), 999)]
        args = ["ffmpeg", "-v", "error", "-i", "pipe:0", "-c", "copy", "-f", "streamhash", "-"]
        want = afmpeg.run(args, stdin=self.data).check().stdout
        self.assertEqual(want.count(b"SHA256="), 2)
        with open(path, "rb") as buffered, open(path, "rb", buffering=0) as raw:
            for given in (iter(pieces), pieces, path, buffered, raw, io.BytesIO(self.data), bytearray(self.data)):
                with self.subTest(type(given).__name__):
                    self.assertEqual(afmpeg.run(args, stdin=given).check().stdout, want)
        args[4] = "pipe:3"
        for given in (iter(pieces), self.data, io.BytesIO(self.data)):
            self.assertEqual(afmpeg.run(args, pipes={3: given}).check().stdout, want)

    def test_an_endless_stream_is_left_when_the_program_has_enough(self) -> None:
        def endless():  # type: ignore[no-untyped-def]
            while True:
                yield bytes(1 << 16)

        args = ["ffmpeg", "-v", "error", "-f", "u8", "-ar", "8000", "-ac", "1", "-i", "pipe:0", "-t", "1", "out.wav"]
        self.assertGreater(len(afmpeg.run(args, stdin=endless(), timeout=60).check().files["out.wav"]), 8000)
        self.assertEqual(afmpeg.probe(iter([self.data])).streams[0].width, 64)

    def test_a_stream_that_must_be_sought_in_is_described(self) -> None:
        args = ["ffmpeg", "-v", "error", "-i", "in.mkv", "-c", "copy", "out.mp4"]
        mp4 = afmpeg.run(args, files={"in.mkv": self.data}).check().files["out.mp4"]
        pieces = [mp4[at : at + 500] for at in range(0, len(mp4), 500)]
        self.assertEqual(afmpeg.probe(iter(pieces)).format.duration, 2.0)
        self.assertEqual(len(afmpeg.frames(iter(pieces), at=[0, 1])), 2)

    def test_a_stream_that_stalls_is_left(self) -> None:
        args = ["ffmpeg", "-v", "error", "-f", "lavfi", "-i", "testsrc=d=60:s=640x480", "-c:v", "mpeg4", "out.ts"]
        video = afmpeg.run(args).check().files["out.ts"]
        started = time.monotonic()
        self.assertEqual(afmpeg.probe(self.stalling(video)).streams[0].width, 640)
        # FFmpeg gives up, and the end of the stream, which may tell, does not come.
        nothing = bytes(4 << 20)
        with self.assertRaises(afmpeg.Deadline) as caught:
            afmpeg.probe(self.stalling(nothing), timeout=3)
        self.assertIsInstance(caught.exception.output, afmpeg.Result)
        with self.assertRaises(afmpeg.Deadline):
            afmpeg.frames(self.stalling(video), timeout=0.5)
        self.assertLess(time.monotonic() - started, 50)

    def test_folders_are_reached_as_far_as_they_are_given(self) -> None:
        (self.folder / "in.mkv").write_bytes(self.data)
        args = ["ffmpeg", "-v", "error", "-i", "/media/in.mkv", "-c", "copy"]
        afmpeg.run([*args, "/media/out.mkv"], dirs={"/media": self.folder}).check()
        self.assertEqual(self.names(), ["in.mkv", "out.mkv"])
        refused = afmpeg.run([*args, "/media/2.mkv"], dirs_read_only={"/media": self.folder})
        self.assertNotEqual(refused.exit_code, 0)
        own = str(self.folder.resolve())
        afmpeg.run(["ffprobe", "-v", "error", f"{own}/in.mkv"], dirs_read_only=[own]).check()
        self.assertNotEqual(afmpeg.run(["ffprobe", "-v", "error", f"{own}/in.mkv"]).exit_code, 0)
        self.assertEqual(self.names(), ["in.mkv", "out.mkv"])

    def test_an_exception_of_a_file_object_is_raised(self) -> None:
        class Broken(io.BytesIO):
            def read(self, size: int | None = -1) -> bytes:
                raise RuntimeError("the disk is gone")

        def pieces():  # type: ignore[no-untyped-def]
            yield self.data[:100]
            raise RuntimeError("the line is gone")

        with self.assertRaisesRegex(RuntimeError, "the disk is gone"):
            afmpeg.run(self.copying("out.mkv"), files={"in.mkv": Broken(self.data)})
        with self.assertRaisesRegex(RuntimeError, "the disk is gone"):
            afmpeg.probe(Broken(self.data))
        args = ["ffmpeg", "-v", "error", "-i", "pipe:0", "-f", "null", "-"]
        with self.assertRaisesRegex(RuntimeError, "the line is gone"):
            afmpeg.run(args, stdin=pieces())
        with self.assertRaisesRegex(TypeError, "stdin must give bytes, not str"):
            afmpeg.run(args, stdin=iter(["text"]))


class Outputs(Case):
    def run_copy(self, output: object, *arguments: str) -> afmpeg.Result:
        return afmpeg.run(
            self.copying(*arguments, "out.mp4"),
            files={"in.mkv": self.data},
            outputs={"out.mp4": output},  # type: ignore[dict-item]
        )

    def test_each_kind_of_output_has_the_same(self) -> None:
        for arguments in ((), ("-movflags", "+faststart")):
            arguments = ("-fflags", "+bitexact", *arguments)
            want = afmpeg.run(self.copying(*arguments, "out.mp4"), files={"in.mkv": self.data}).check().files["out.mp4"]
            self.assertEqual(want[4:8], b"ftyp")
            path = self.folder / "out.mp4"
            self.assertEqual(self.run_copy(path, *arguments).check().files, {})
            self.assertEqual(path.read_bytes(), want)
            self.assertEqual(self.names(), ["out.mp4"])
            memory = io.BytesIO()
            self.run_copy(memory, *arguments).check()
            self.assertEqual(memory.getvalue(), want)
            longer = io.BytesIO(bytes(1 << 20))
            self.run_copy(longer, *arguments).check()
            self.assertEqual(longer.getvalue(), want)
            with open(self.folder / "2.mp4", "w+b") as file:
                self.run_copy(file, *arguments).check()
            self.assertEqual((self.folder / "2.mp4").read_bytes(), want)
            os.unlink(self.folder / "2.mp4")

    def test_paths_among_the_arguments_are_files_of_the_machine(self) -> None:
        source, place = self.folder / "-in.mkv", self.folder / "out: 1.mkv"
        source.write_bytes(self.data)
        args = ["ffmpeg", "-v", "error", "-i", source, "-c", "copy", place]
        afmpeg.run(args).check()
        self.assertEqual(len(afmpeg.probe(place).streams), 2)
        afmpeg.run(["ffprobe", "-v", "error", place]).check()
        with self.assertRaises(FileExistsError):
            afmpeg.run(["ffmpeg", "-n", *args[1:]])
        if os.name == "posix":
            mask = os.umask(0)
            os.umask(mask)
            self.assertEqual(place.stat().st_mode & 0o777, 0o666 & ~mask)

    def test_nothing_half_written_is_left(self) -> None:
        place = self.folder / "out.mkv"
        place.write_bytes(b"before")
        failing = ["ffmpeg", "-v", "error", "-i", "in.mkv", "-f", "lavfi", "-i", "nonsense", place]
        self.assertNotEqual(afmpeg.run(failing, files={"in.mkv": self.data}).exit_code, 0)
        lasting = ["ffmpeg", "-v", "error", "-f", "lavfi", "-i", "testsrc=d=100000", "-f", "matroska"]
        with self.assertRaises(afmpeg.Deadline):
            afmpeg.run([*lasting, place], timeout=0.3)
        with self.assertRaises(afmpeg.Deadline):
            afmpeg.run([*lasting, "pipe:1"], stdout=place, timeout=0.3)
        self.assertEqual(self.names(), ["out.mkv"])
        self.assertEqual(place.read_bytes(), b"before")
        afmpeg.run(self.copying("-f", "matroska", "pipe:1"), files={"in.mkv": self.data}, stdout=place).check()
        self.assertEqual(self.names(), ["out.mkv"])
        self.assertEqual(len(afmpeg.probe(place).streams), 2)
        with afmpeg.start(self.copying("-f", "nut", "pipe:1"), files={"in.mkv": self.data}, stdout=place):
            pass
        self.assertEqual(afmpeg.probe(place).format.format_name, "nut")
        job = afmpeg.start([*lasting, "pipe:1"], stdout=place)
        del job
        self.assertEqual(self.names(), ["out.mkv"])

    @unittest.skipUnless(hasattr(os, "mkfifo"), "the system has no named pipes")
    def test_pipes_of_the_system_stay_pipes(self) -> None:
        args, files = self.copying("-f", "nut", "pipe:1"), {"in.mkv": self.data}
        want = afmpeg.run(args, files=files).check().stdout
        place = self.folder / "pipe"
        os.mkfifo(place)
        read: list[bytes] = []
        reader = threading.Thread(target=lambda: read.append(place.read_bytes()), daemon=True)
        reader.start()
        afmpeg.run(args, files=files, stdout=place).check()
        reader.join(30)
        self.assertEqual(read, [want])
        for options in ({"outputs": {"out.mkv": place}}, {"outputs": {"out.mkv": place}, "parallel": True}):
            with self.assertRaisesRegex(OSError, "no regular file: give it as stdout"):
                afmpeg.run(self.copying("out.mkv"), files=files, **options)  # type: ignore[arg-type]
        self.assertTrue(place.is_fifo())
        self.assertEqual(self.names(), ["pipe"])

    def test_streams_go_where_they_are_sent(self) -> None:
        args = self.copying("-f", "nut", "pipe:1")
        files = {"in.mkv": self.data}
        want = afmpeg.run(args, files=files).check().stdout
        self.assertGreater(len(want), 1000)
        got: list[bytes] = []
        result = afmpeg.run(args, files=files, stdout=got.append)
        self.assertEqual((b"".join(got), result.stdout), (want, b""))
        memory = io.BytesIO()
        afmpeg.run(args, files=files, stdout=memory).check()
        self.assertEqual(memory.getvalue(), want)
        parts = Parts()
        afmpeg.run(args, files=files, stdout=parts).check()
        self.assertEqual(parts.taken, want)
        parts = Parts()
        with io.BufferedWriter(parts) as buffered:
            afmpeg.run(args, files=files, stdout=buffered).check()
            buffered.flush()
            self.assertEqual(parts.taken, want)
        with open(self.folder / "out", "wb") as file:
            afmpeg.run(args, files=files, stdout=file).check()
        self.assertEqual((self.folder / "out").read_bytes(), want)
        self.assertEqual(afmpeg.run(args, files=files, stdout="discard").check().stdout, b"")
        got = []
        afmpeg.run(self.copying("-f", "nut", "pipe:4"), files=files, pipes={4: got.append}).check()
        self.assertEqual(b"".join(got), want)
        end = afmpeg.run(args, files=files, stdout_max_bytes=100)
        self.assertEqual((end.stdout, end.stdout_dropped_bytes), (want[-100:], len(want) - 100))

    def test_messages_come_line_by_line(self) -> None:
        lines: list[str] = []
        result = afmpeg.run(
            ["ffmpeg", "-i", "in.mkv", "-f", "null", "-"], files={"in.mkv": self.data}, stderr=lines.append
        )
        self.assertTrue(lines[0].startswith("ffmpeg version"))
        self.assertTrue(any("Video: mpeg4" in line for line in lines))
        self.assertIn("Video: mpeg4", result.stderr)

    def test_a_job_is_iterated_over(self) -> None:
        args = self.copying("-f", "nut", "pipe:1")
        want = afmpeg.run(args, files={"in.mkv": self.data}).stdout
        with afmpeg.start(args, files={"in.mkv": self.data}, stdout="pipe") as job:
            self.assertEqual(b"".join(job), want)
        args = ["ffmpeg", "-v", "error", "-i", "in.mkv", "-f", "rawvideo", "-pix_fmt", "rgb24", "pipe:1"]
        pictures = 0
        with afmpeg.start(args, files={"in.mkv": self.data}, stdout="pipe") as job:
            assert job.stdout is not None
            while picture := job.stdout.read(64 * 48 * 3):
                red = numpy.frombuffer(picture, numpy.uint8).reshape(48, 64, 3).mean(axis=(0, 1))
                self.assertTrue(red[0] > 240 and red[1] < 15 and red[2] < 15, red)
                pictures += 1
            job.wait().check()
        self.assertEqual(pictures, 20)
        with self.assertRaises(afmpeg.ProgramFailed):
            with afmpeg.start(["ffmpeg", "-v", "error", "-i", "missing", "pipe:1"], stdout="pipe") as job:
                list(job)
        with self.assertRaises(afmpeg.Deadline):
            with afmpeg.start([*ENDLESS[:-2], "nut", "pipe:1"], stdout="pipe", timeout=0.3) as job:
                for _ in job:
                    pass

    def test_a_reader_that_leaves_ends_the_job(self) -> None:
        started = time.monotonic()
        with afmpeg.start([*ENDLESS[:-2], "nut", "pipe:1"], stdout="pipe", timeout=60) as job:
            next(iter(job))
        self.assertNotEqual(job.wait().exit_code, 0)
        self.assertLess(time.monotonic() - started, 30)

    def test_an_exception_of_a_callback_is_raised(self) -> None:
        def fail(_: object) -> None:
            raise LookupError("no room")

        for options in ({"progress": fail}, {"stderr": fail}):
            with self.assertRaisesRegex(LookupError, "no room"):
                afmpeg.run(["ffmpeg", *ENDLESS[3:]], **options, timeout=60)  # type: ignore[arg-type]
        with self.assertRaisesRegex(LookupError, "no room"):
            afmpeg.run([*ENDLESS[:-2], "nut", "pipe:1"], stdout=fail, timeout=60)


    def test_an_exception_for_the_last_of_an_output_is_raised(self) -> None:
        """The job has ended well by then."""

        def fail(_: object) -> None:
            time.sleep(0.5)
            raise LookupError("no room")

        job = afmpeg.start(["ffmpeg", "-version"], stdout=fail)
        for _ in range(2):
            with self.assertRaisesRegex(LookupError, "no room"):
                job.wait()

    def test_a_callback_that_does_not_return_keeps_nobody(self) -> None:
        started = time.monotonic()
        with self.assertRaises(afmpeg.Deadline):
            afmpeg.run([*ENDLESS[:-2], "nut", "pipe:1"], stdout=self.stuck(), timeout=0.5)
        job = afmpeg.start(["ffmpeg", "-version"], stdout=self.stuck())
        with self.assertRaisesRegex(TimeoutError, "had not all arrived"):
            job.wait(1)
        self.assertLess(time.monotonic() - started, 50)


class Answers(Case):
    def test_a_file_is_described(self) -> None:
        probe = afmpeg.probe(self.data)
        self.assertEqual(probe.format.format_name, "matroska,webm")
        self.assertAlmostEqual(probe.format.duration or 0, 2.0, delta=0.1)
        video, audio = probe.streams
        self.assertEqual((video.codec_type, video.width, video.display_height), ("video", 64, 48))
        self.assertEqual((video.avg_frame_rate, video.rotation_degrees), (Fraction(10), 0))
        self.assertEqual((audio.codec_name, audio.sample_rate, audio.width), ("aac", 44100, None))
        self.assertEqual(audio.data["codec_name"], "aac")
        self.assertEqual((probe.chapters, probe.stream_groups), ([], []))
        with self.assertRaises(AttributeError):
            getattr(video, "nonsense")
        self.assertEqual(pickle.loads(pickle.dumps(probe)), probe)
        self.assertEqual(copy.deepcopy(video), video)
        with self.assertRaises(afmpeg.ProgramFailed) as caught:
            afmpeg.probe(b"not media")
        self.assertIn("Invalid data", caught.exception.message)

    def test_pictures_are_files_or_arrays(self) -> None:
        first, second = afmpeg.frames(self.data, at=[0, 1.5], width=32)
        self.assertEqual((first.width, first.height, second.time), (32, 24, 1.5))
        self.assertTrue(first.image.startswith(b"\x89PNG"))
        self.assertEqual(bytes(first), first.image)  # type: ignore[call-overload]
        self.assertTrue(afmpeg.frames(self.data, format="jpeg")[0].image.startswith(b"\xff\xd8"))
        self.assertEqual(len(afmpeg.frames(self.data, every=0.5)), 4)
        sheet = afmpeg.frames(self.data, sheet=(2, 2), width=32)[0]
        self.assertEqual((sheet.width, sheet.height), (64, 48))
        with self.assertRaisesRegex(TypeError, "array=True"):
            getattr(first, "array")

    def test_arrays_share_the_memory_of_pictures(self) -> None:
        frame = afmpeg.frames(self.data, at=1, array=True)[0]
        array = frame.array
        self.assertEqual((array.shape, array.dtype), ((48, 64, 4), numpy.uint8))
        self.assertTrue(array[..., 0].min() > 240 and array[..., 1].max() < 15 and array[..., 3].min() == 255)
        view = memoryview(frame)
        self.assertEqual((view.shape, view.strides, view.format, view.readonly), ((48, 64, 4), (256, 4, 1), "B", False))
        array[3, 5] = (1, 2, 3, 4)
        self.assertEqual(view[3, 5, 2], 3)
        self.assertEqual(frame.array.__array_interface__["data"], array.__array_interface__["data"])
        address = ctypes.addressof(ctypes.c_char.from_buffer(view))
        self.assertEqual(array.__array_interface__["data"][0], address)
        del frame, view
        self.assertEqual(array[3, 5, 3], 4)

    def test_progress_is_reported(self) -> None:
        reports: list[afmpeg.Progress] = []
        args = ["ffmpeg", "-v", "error", "-f", "lavfi", "-i", "testsrc=d=20", "-c:v", "mpeg4", "-f", "null", "-"]
        afmpeg.run(args, progress=reports.append).check()
        self.assertTrue(reports[-1].finished)
        self.assertEqual((reports[-1].frame, reports[-1].fraction(20)), (500, 1.0))
        self.assertTrue(math.isclose(reports[-1].time, 20, abs_tol=0.1))
        self.assertEqual([report.frame for report in reports], sorted(report.frame for report in reports))

    def test_a_video_is_made_in_segments(self) -> None:
        source = "testsrc=d=24:s=320x240:r=25[out0];sine=d=24[out1]"
        make = ["ffmpeg", "-v", "error", "-f", "lavfi", "-i", source, "-c:v", "libopenh264", "-g", "50", "in.mkv"]
        files = {"in.mkv": afmpeg.run(make).check().files["in.mkv"]}
        args = ["ffmpeg", "-v", "error", "-i", "in.mkv", "-vf", "hflip", "-c:v", "mpeg4", "-q:v", "4", "out.mp4"]
        whole = afmpeg.run(args, files=files).check()
        self.assertEqual((whole.segments, whole.whole), (1, None))
        made = []
        for workers in (True, 1, 3):
            reports: list[afmpeg.Progress] = []
            result = afmpeg.run(args, files=files, parallel=workers, progress=reports.append).check()
            self.assertIsNone(result.whole)
            self.assertGreater(result.segments, 2)
            self.assertTrue(reports[-1].finished)
            self.assertEqual(list(result.files), ["out.mp4"])
            made.append(result.files["out.mp4"])
        self.assertEqual(made[0], made[1])
        self.assertEqual(made[0], made[2])
        probes = [afmpeg.probe(data) for data in (whole.files["out.mp4"], made[0])]
        self.assertEqual(*([stream.nb_frames for stream in probe.streams] for probe in probes))
        # Into a file of the machine's; what is there stays there if the job fails.
        with tempfile.TemporaryDirectory() as folder:
            place = pathlib.Path(folder) / "out.mp4"
            named = [*args[:-1], place]
            afmpeg.run(named, files=files, parallel=True).check()
            self.assertEqual(place.read_bytes(), made[0])
            with self.assertRaises(afmpeg.LimitReached):
                afmpeg.run(["ffmpeg", "-y", *named[1:]], files=files, parallel=True, written_max_bytes=1 << 10)
            self.assertEqual(place.read_bytes(), made[0])
            self.assertEqual(os.listdir(folder), ["out.mp4"])

    def test_what_cannot_be_cut_says_why(self) -> None:
        args = ["ffmpeg", "-v", "error", "-i", "in.mkv", "-c", "copy", "out.mkv"]
        result = afmpeg.run(args, files={"in.mkv": self.data}, parallel=2).check()
        self.assertEqual((result.segments, list(result.files)), (1, ["out.mkv"]))
        self.assertIn("copied", result.whole or "")
        with self.assertRaises(afmpeg.NotCut) as caught:
            afmpeg.run(args, files={"in.mkv": self.data}, parallel="require")
        self.assertEqual(caught.exception.reason, result.whole)
        for wrong, error in (("never", ValueError), (0, ValueError), (1.5, TypeError)):
            with self.assertRaises(error):
                afmpeg.run(args, files={"in.mkv": self.data}, parallel=wrong)  # type: ignore[arg-type]
        with self.assertRaises(ValueError):
            afmpeg.run(["ffprobe", "in.mkv"], files={"in.mkv": self.data}, parallel=True)

    def test_the_same_input_gives_the_same_bytes(self) -> None:
        self.assertEqual(media(), media())

    def test_variables_and_repeated_names_reach_the_program(self) -> None:
        result = afmpeg.run(["ffmpeg", "-i", "missing"], env={"AV_LOG_FORCE_COLOR": "1"})
        self.assertIn("\x1b[", result.stderr)
        overwritten = afmpeg.run(
            ["ffmpeg", "-y", "-v", "error", "-f", "lavfi", "-i", "sine=d=1", "in.mkv"], files={"in.mkv": self.data}
        )
        self.assertEqual(list(overwritten.check().files), ["in.mkv"])


class Ends(Case):
    def test_limits_are_named(self) -> None:
        for options, error, limit in (
            ({"memory_max_bytes": 1 << 20}, afmpeg.LimitReached, "memory_max_bytes"),
            ({"files_max_bytes": 1 << 20}, afmpeg.LimitReached, "files_max_bytes"),
            ({"written_max_bytes": 1 << 20}, afmpeg.LimitReached, "written_max_bytes"),
            ({"timeout": 0.2}, afmpeg.Deadline, None),
        ):
            with self.subTest(limit):
                with self.assertRaises(error) as caught:
                    afmpeg.run([*ENDLESS[:-2], "rawvideo", "out"], **options)  # type: ignore[arg-type]
                self.assertTrue(caught.exception.next_step)
                self.assertIn(caught.exception.next_step, str(caught.exception))
                self.assertIsInstance(caught.exception.output, afmpeg.Result)
                if limit:
                    self.assertEqual((caught.exception.limit, caught.exception.allowed), (limit, 1 << 20))
        self.assertTrue(issubclass(afmpeg.Deadline, TimeoutError))

    def test_jobs_are_cancelled_from_other_threads(self) -> None:
        job = afmpeg.start(ENDLESS)
        self.assertFalse(job.done())
        with self.assertRaises(TimeoutError):
            job.wait(0.1)
        threading.Timer(0.1, job.cancel).start()
        with self.assertRaises(afmpeg.Cancelled):
            job.wait()
        self.assertTrue(job.done())
        with self.assertRaises(afmpeg.Cancelled):
            job.wait()
        with self.assertRaises(LookupError):
            with afmpeg.start(ENDLESS) as job:
                raise LookupError
        self.assertTrue(job.done())

    def test_a_job_that_nobody_holds_is_cancelled(self) -> None:
        runtime = afmpeg.Runtime()
        writing = [*ENDLESS[:-2], "nut", "pipe:1"]
        for args, options in ((ENDLESS, {}), (writing, {"stdout": lambda _: None}), (ENDLESS, {"stdin": iter([b"x"])})):
            runtime.start(args, **options)  # type: ignore[arg-type]
            until = time.monotonic() + 10
            while runtime.stats().running and time.monotonic() < until:
                time.sleep(0.01)
            self.assertEqual(runtime.stats().running, 0)

    def test_jobs_run_while_others_compute(self) -> None:
        """The interpreter's lock is not held."""
        counted = 0
        with afmpeg.start(ENDLESS) as job:
            waiting = threading.Thread(target=lambda: self.assertRaises(afmpeg.Cancelled, job.wait))
            waiting.start()
            until = time.monotonic() + 0.3
            while time.monotonic() < until:
                counted += 1
            job.cancel()
            waiting.join()
        self.assertGreater(counted, 1000)

    def test_mistakes_are_named(self) -> None:
        for wanted, options in (
            (r"files\['in.mkv'\] must be bytes.*not str", {"files": {"in.mkv": "text"}}),
            (r"files\['in.mkv'\] must be bytes.*not int", {"files": {"in.mkv": 3}}),
            ("files must be a mapping, not list", {"files": []}),
            (r"outputs\['out'\] must be a pathlib.Path", {"outputs": {"out": 3}}),
            ("stdin must be bytes.*not int", {"stdin": 3}),
            ("stdin is a file of text", {"stdin": io.StringIO()}),
            ("stdout must be a path.*not int", {"stdout": 3}),
            ("timeout must be a number of seconds or a timedelta, not str", {"timeout": "1"}),
            ("memory_max_bytes must be an int, not float", {"memory_max_bytes": 1.5}),
            (r"env\['A'\] must be a str, not int", {"env": {"A": 1}}),
            ("dirs must be a list of folders", {"dirs": "/media"}),
            ("progress must be a callable", {"progress": 3}),
            (r"run\(\) got an unexpected keyword argument 'nonsense'", {"nonsense": 3}),
            (r"pipes\[3\] must be", {"pipes": {3: 3}}),
        ):
            with self.subTest(wanted), self.assertRaisesRegex(TypeError, wanted):
                afmpeg.run(["ffmpeg", "-version"], **options)  # type: ignore[arg-type]
        for wanted, options in (
            ("memory_max_bytes must be from 0", {"memory_max_bytes": -1}),
            ("timeout must not be negative", {"timeout": -1}),
            ("no name below the job's folder", {"files": {"/etc/passwd": b""}}),
            ("no name below the job's folder", {"files": {"../a": b""}}),
            ("stdout='pipe' is for start", {"stdout": "pipe"}),
            ("stdin must be bytes", {"stdin": "text"}),
            ("a number in pipes must be from 3", {"pipes": {1: b""}}),
        ):
            with self.subTest(wanted), self.assertRaisesRegex(ValueError, wanted):
                afmpeg.run(["ffmpeg", "-version"], **options)  # type: ignore[arg-type]
        with self.assertRaisesRegex(TypeError, "args must be a list"):
            afmpeg.run("ffmpeg -version")
        with self.assertRaisesRegex(TypeError, r"args\[1\] must be"):
            afmpeg.run(["ffmpeg", 1])  # type: ignore[list-item]
        with self.assertRaisesRegex(ValueError, "args must begin with"):
            afmpeg.run(["sox"])
        with self.assertRaisesRegex(TypeError, "source must be"):
            afmpeg.probe(3)  # type: ignore[arg-type]
        with self.assertRaisesRegex(TypeError, "only one of"):
            afmpeg.frames(self.data, at=1, every=1)
        with self.assertRaises(FileNotFoundError):
            afmpeg.probe(self.folder / "missing")
        with self.assertRaises(IsADirectoryError):
            afmpeg.probe(self.folder)
        with self.assertRaises(afmpeg.DirectoryUnreadable):
            afmpeg.run(["ffmpeg", "-version"], dirs=[self.folder / "missing"])
        with self.assertRaises(afmpeg.NoFonts):
            afmpeg.run(["ffmpeg", "-version"], fonts=self.folder)
        with self.assertRaises(afmpeg.ZeroByte):
            afmpeg.run(["ffmpeg", "a\0b"])
        with self.assertRaises(afmpeg.NoFrame):
            afmpeg.frames(self.data, at=100)

    def test_descriptors_are_closed_again(self) -> None:
        if not os.path.isdir("/proc/self/fd"):
            self.skipTest("the system does not list descriptors")
        for _ in range(2):
            before = len(os.listdir("/proc/self/fd"))
            for options in ({"stdin": 3}, {"stdout": 3, "stdin": iter([])}, {"stdin": iter([]), "pipes": {3: 3}}):
                with self.assertRaises(TypeError):
                    afmpeg.run(["ffmpeg", "-version"], **options)  # type: ignore[arg-type]
            afmpeg.run(["ffmpeg", "-version"], stdin=iter([b"x"]), stdout=[].append, stderr=[].append)
            until = time.monotonic() + 5
            while len(os.listdir("/proc/self/fd")) > before and time.monotonic() < until:
                time.sleep(0.01)
        self.assertEqual(len(os.listdir("/proc/self/fd")), before)


class Asyncio(Case):
    def test_tasks_run_jobs(self) -> None:
        async def work() -> None:
            loop_thread = threading.get_ident()
            threads: set[int] = set()
            args = self.copying("out.nut")
            one, two = await asyncio.gather(
                afmpeg.arun(args, files={"in.mkv": self.data}, progress=lambda _: threads.add(threading.get_ident())),
                afmpeg.arun(args, files={"in.mkv": self.data}),
            )
            self.assertEqual(len(one.check().files["out.nut"]), len(two.check().files["out.nut"]))
            await asyncio.sleep(0)
            self.assertEqual(threads, {loop_thread})
            self.assertEqual(len((await afmpeg.aprobe(self.data)).streams), 2)
            self.assertEqual(len(await afmpeg.aframes(self.data, at=[0, 1])), 2)

            async def pieces():  # type: ignore[no-untyped-def]
                for at in range(0, len(self.data), 999):
                    yield self.data[at : at + 999]

            args = ["ffmpeg", "-v", "error", "-i", "pipe:0", "-c", "copy", "-f", "nut", "pipe:1"]
            result = (await afmpeg.arun(args, stdin=pieces())).check()
            async with afmpeg.start(args, stdin=pieces(), stdout="pipe") as job:
                self.assertEqual(b"".join([chunk async for chunk in job]), result.stdout)
                self.assertEqual((await job).exit_code, 0)

        asyncio.run(work())

    def test_cancelling_a_task_ends_its_job(self) -> None:
        async def work() -> None:
            runtime = afmpeg.Runtime()
            place = self.folder / "out.mkv"
            task = asyncio.create_task(runtime.arun([*ENDLESS[:-2], "matroska", place]))
            await asyncio.sleep(0.2)
            self.assertEqual(runtime.stats().running, 1)
            task.cancel()
            with self.assertRaises(asyncio.CancelledError):
                await task
            self.assertEqual((runtime.stats().running, self.names()), (0, []))
            with self.assertRaises(TimeoutError):
                await asyncio.wait_for(runtime.arun(ENDLESS), 0.2)
            self.assertEqual(runtime.stats().running, 0)

        asyncio.run(work())


    def test_streams_that_stall_hold_up_neither_loop_nor_task(self) -> None:
        async def work() -> None:
            runtime = afmpeg.Runtime()
            turns = 0

            async def count() -> None:
                nonlocal turns
                while True:
                    turns += 1
                    await asyncio.sleep(0.01)

            def slow() -> Iterator[bytes]:
                time.sleep(1)
                yield self.data

            counting = asyncio.create_task(count())
            before = turns
            self.assertEqual(len(await runtime.aframes(slow())), 1)
            self.assertGreater(turns - before, 20)
            counting.cancel()
            for start in (
                lambda: runtime.aprobe(self.stalling()),
                lambda: runtime.aprobe(self.stalling(bytes(4 << 20))),
                lambda: runtime.aframes(self.stalling()),
                lambda: runtime.arun([*ENDLESS[:-2], "nut", "pipe:1"], stdout=self.stuck()),
            ):
                with self.assertRaises(TimeoutError):
                    await asyncio.wait_for(start(), 2)
                self.assertEqual(runtime.stats().running, 0)
            with self.assertRaises(afmpeg.Deadline):
                await runtime.arun([*ENDLESS[:-2], "nut", "pipe:1"], stdout=self.stuck(), timeout=0.5)

        started = time.monotonic()
        asyncio.run(work())
        self.assertLess(time.monotonic() - started, 50)

    def test_what_feeds_a_job_writes_to_no_other_file(self) -> None:
        async def much() -> AsyncIterator[bytes]:
            yield bytes(8 << 20)

        async def work() -> None:
            runtime = afmpeg.Runtime(max_concurrency=1)
            busy = runtime.start(ENDLESS)
            # It waits in line, and reads nothing of what it is given.
            job = runtime.start(["ffmpeg", "-i", "pipe:0", "-f", "null", "-"], stdin=much())
            await asyncio.sleep(0.5)
            feeds = asyncio.all_tasks() - {asyncio.current_task()}
            for feed in feeds:
                feed.cancel()
            await asyncio.wait(feeds)
            files = [open(self.folder / str(number), "wb") for number in range(8)]
            job.cancel()
            busy.cancel()
            for ended in (job, busy):
                with self.assertRaises(afmpeg.Cancelled):
                    await ended
            await asyncio.sleep(0.5)
            for file in files:
                file.close()
                self.assertEqual(os.path.getsize(file.name), 0)

        asyncio.run(work())


class Runtimes(Case):
    def test_modules_are_found_by_name_and_path(self) -> None:
        name, path = next(iter(afmpeg.modules().items()))
        for module in (name, path, pathlib.Path(path)):
            self.assertEqual(afmpeg.Runtime(module).cache_status, "hit")
        with self.assertRaisesRegex(afmpeg.ModuleMissing, "pip install afmpeg-o9-gpl"):
            afmpeg.Runtime("o9-gpl")
        with self.assertRaises(afmpeg.ModuleUnreadable) as caught:
            afmpeg.Runtime("/missing.wasm")
        self.assertEqual(os.fspath(caught.exception.path), "/missing.wasm")
        with self.assertRaises(afmpeg.ModuleFormat):
            afmpeg.Runtime(b"text")
        with self.assertRaisesRegex(TypeError, "module must be"):
            afmpeg.Runtime(3)  # type: ignore[arg-type]
        with self.assertRaisesRegex(ValueError, "'pack' or 'auto'"):
            afmpeg.Runtime(engine="gcc")  # type: ignore[arg-type]
        self.assertEqual(afmpeg.Runtime(engine="auto").engine, "wasmtime")
        with self.assertRaises(afmpeg.PackRefused) as refusal:
            afmpeg.Runtime(pack=pathlib.Path("/missing.json"))
        self.assertEqual(os.fspath(refusal.exception.path), "/missing.json")
        with self.assertRaises(afmpeg.PackRefused):
            afmpeg.Runtime(engine="pack")
        with self.assertRaisesRegex(TypeError, "'nonsense'"):
            afmpeg.Runtime(nonsense=3)  # type: ignore[call-arg]

    def test_the_version_is_that_of_the_release(self) -> None:
        self.assertRegex(afmpeg.__version__, r"^[0-9]+\.[0-9]+\.[0-9]+")

    def test_runtimes_are_closed(self) -> None:
        runtime = afmpeg.Runtime(max_concurrency=1, max_waiting=0)
        self.assertGreater(runtime.warm_up(), 0)
        with runtime.start(ENDLESS) as job:
            until = time.monotonic() + 10
            while not runtime.stats().running and time.monotonic() < until:
                time.sleep(0.01)
            with self.assertRaises(afmpeg.Busy) as caught:
                runtime.run(["ffmpeg", "-version"])
            self.assertEqual((caught.exception.running, caught.exception.waiting), (1, 0))
            with self.assertRaises(afmpeg.Draining):
                runtime.drain(0.1)
            job.cancel()
        with self.assertRaises(afmpeg.Closed):
            runtime.run(["ffmpeg", "-version"])


#: Each prints `fine` once, at its end, if all is as it should be.
PROGRAMS = {
    "Ctrl-C ends a job within 100 ms": """
import threading, time, os, signal
video = data()
sent = []
def send():
    time.sleep(0.5)
    sent.append(time.process_time())
    os.kill(os.getpid(), signal.SIGINT)
interrupted = []
for work in (lambda: afmpeg.run(ENDLESS), lambda: afmpeg.frames(video, every=0.001)):
    thread = threading.Thread(target=send)
    thread.start()
    has_ended = False
    try:
        work()
        has_ended = True
        thread.join()
    except KeyboardInterrupt:
        assert not has_ended, "it ended before the signal came"
        # By processor time, since other programs may run.
        interrupted.append(time.process_time() - sent.pop())
assert len(interrupted) == 2 and max(interrupted) < 0.1, interrupted
print("fine", end="")
""",
    "a job that runs at the interpreter's exit ends": """
job = afmpeg.start(ENDLESS, progress=lambda report: None, stderr=lambda line: None, stdout=lambda chunk: None)
print("fine", end="")
""",
    "a thread that waits at the interpreter's exit": """
import threading, time, sys
def work():
    try:
        afmpeg.run(ENDLESS, progress=lambda report: None)
    except afmpeg.Cancelled:
        pass
threading.Thread(target=work, daemon=True).start()
time.sleep(0.5)
print("fine", end="")
""",
    "a child of a process with a runtime says why it cannot": """
import os
with afmpeg.start(ENDLESS) as job:
    child = os.fork()
    if not child:
        for work in (lambda: afmpeg.run(["ffmpeg", "-version"]), job.cancel, job.wait, afmpeg.Runtime):
            try:
                work()
                os._exit(1)
            except afmpeg.Forked as error:
                assert "spawn" in str(error)
        sys.exit(0)
    assert os.waitpid(child, 0)[1] == 0
    assert not job.done()
    job.cancel()
print("fine", end="")
""",
    "a child of a process without one works": """
import os
child = os.fork()
if not child:
    afmpeg.run(["ffmpeg", "-version"]).check()
    sys.exit(0)
assert os.waitpid(child, 0)[1] == 0
print("fine", end="")
""",
}

PRELUDE = f"""
import afmpeg, signal, sys
# A shell that starts programs in the background has them ignore it.
signal.signal(signal.SIGINT, signal.default_int_handler)
ENDLESS = {ENDLESS!r}
def data():
    args = ["ffmpeg", "-v", "error", "-f", "lavfi", "-i", "testsrc=d=60", "-c:v", "mpeg4", "out.mkv"]
    return afmpeg.run(args).check().files["out.mkv"]
"""


class Processes(unittest.TestCase):
    def test_programs(self) -> None:
        for name, text in PROGRAMS.items():
            if "fork" in text and not hasattr(os, "fork"):
                continue
            with self.subTest(name):
                # Newer versions warn of any fork.
                python = [sys.executable, "-W", "ignore::DeprecationWarning", "-c"]
                done = subprocess.run([*python, PRELUDE + text], capture_output=True, text=True, timeout=120)
                self.assertEqual((done.returncode, done.stderr, done.stdout), (0, "", "fine"))

    def test_the_command_runs_in_its_place(self) -> None:
        done = subprocess.run(
            [sys.executable, "-m", "afmpeg", "ffprobe", "-version"], capture_output=True, text=True, timeout=60
        )
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertTrue(done.stdout.startswith("ffprobe version"))
        done = subprocess.run([afmpeg.command(), "--help"], capture_output=True, text=True, timeout=60)
        self.assertIn("shims", done.stdout)


if __name__ == "__main__":
    unittest.main()
