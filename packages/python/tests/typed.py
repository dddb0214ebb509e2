# SPDX-License-Identifier: MIT OR Apache-2.0
# Copyright (c) 2026 the afmpeg authors

"""What a checker of types sees of the package: it is checked, and not run."""

import io
from collections.abc import AsyncIterator, Iterator
from fractions import Fraction
from pathlib import Path
from typing import assert_type

import afmpeg
import numpy
from numpy.typing import NDArray


def results(data: bytes) -> None:
    result = afmpeg.run(
        ["ffmpeg", "-i", "in.mov", Path("out.mp4")],
        files={"in.mov": data, "view": memoryview(data), "path": Path("in.mov"), "object": io.BytesIO(data)},
        outputs={"out.mkv": io.BytesIO(), "out.ts": Path("out.ts")},
        dirs=["/srv/out"],
        dirs_read_only={"/media": Path("/srv/media")},
        timeout=60,
        memory_max_bytes=1 << 30,
        progress=lambda progress: print(progress.fraction(10.0)),
        stderr=print,
    )
    assert_type(result, afmpeg.Result)
    assert_type(result.files, dict[str, bytes])
    assert_type(result.check().stdout, bytes)
    assert_type(result.stderr, str)


def pieces() -> Iterator[bytes]:
    yield b""


async def later() -> AsyncIterator[bytes]:
    yield b""


def jobs() -> None:
    with afmpeg.start(["ffmpeg", "-version"], stdin=pieces(), stdout="pipe", pipes={3: pieces(), 4: print}) as job:
        for chunk in job:
            assert_type(chunk, bytes)
        assert_type(job.wait(1.5), afmpeg.Result)
        assert_type(job.finish(), bool)


async def tasks(runtime: afmpeg.Runtime) -> None:
    assert_type(await runtime.arun(["ffmpeg", "-version"], stdin=later()), afmpeg.Result)
    assert_type(await afmpeg.aprobe("in.mp4"), afmpeg.Probe)
    assert_type(await afmpeg.aframes(b"", every=1.0), list[afmpeg.Frame])
    async with runtime.start(["ffmpeg", "-version"], stdout="pipe") as job:
        async for chunk in job:
            assert_type(chunk, bytes)
        assert_type(await job, afmpeg.Result)


def descriptions() -> None:
    probe = afmpeg.probe(Path("in.mp4"), timeout=1)
    assert_type(probe.format.duration, float | None)
    assert_type(probe.streams[0].avg_frame_rate, Fraction | None)
    frame = afmpeg.frames("in.mp4", at=[1, 2.5], array=True, width=320)[0]
    assert_type(frame.array, NDArray[numpy.uint8])
    assert_type(frame.image, bytes)


def failures(runtime: afmpeg.Runtime) -> None:
    try:
        runtime.run(["ffmpeg", "-version"])
    except afmpeg.LimitReached as error:
        assert_type(error.limit, str)
        assert_type(error.output, afmpeg.Result)
    except afmpeg.Trap as error:
        assert_type(error.function, str | None)


def mistakes(runtime: afmpeg.Runtime) -> None:
    runtime.run("ffmpeg -version", timeout="1 s")  # type: ignore[arg-type]
    runtime.run(["ffmpeg"], memory=1)  # type: ignore[call-arg]
    runtime.run(["ffmpeg"], files={"a": "text"})  # type: ignore[dict-item]
    runtime.probe("in.mp4", stdout="pipe")  # type: ignore[call-arg]
    runtime.frames("in.mp4", format="gif")  # type: ignore[arg-type]
