# SPDX-License-Identifier: MIT OR Apache-2.0
# Copyright (c) 2026 the afmpeg authors

"""Runtimes, jobs and their results."""

from __future__ import annotations

import _thread
import atexit
import os
import time

from . import _native
from ._errors import Cancelled, Deadline, ProgramFailed
from ._given import (
    Given,
    alone,
    check_names,
    count,
    join,
    join_aside,
    path,
    positive_sequence,
    seconds,
    settings,
    stream_of,
    wrong_type,
)
from ._modules import cache_folder, find
from ._probe import Probe

TYPE_CHECKING = False
if TYPE_CHECKING:
    import io
    from collections.abc import AsyncIterator, Generator, Iterable, Iterator, Sequence
    from threading import Thread
    from types import TracebackType
    from typing import Any, Literal, Unpack

    from ._types import InputFile, InputStream, Options, RunOptions, RuntimeOptions

    Source = str | InputFile | InputStream
    _Pictures = tuple[
        list[float] | None, float | None, tuple[int, int] | None, int | None, int | None, str, int | None
    ]

atexit.register(_native.shut_down)

#: How long what a failed job has written may take to come to where it goes, which may never take it.
_PATIENCE_SECONDS = 1.0

#: The most of a stream that is kept where an input must be sought in.
_STREAM_MAX_BYTES = 4 << 30


class Result:
    """What came of a job."""

    __slots__ = (
        "exit_code",
        "stdout",
        "stderr",
        "files",
        "stdout_dropped_bytes",
        "stderr_dropped_bytes",
        "error_message",
        "queue_seconds",
        "run_seconds",
        "cpu_seconds",
        "memory_peak_bytes",
        "host_memory_peak_bytes",
        "bytes_read",
        "bytes_written",
        "segments",
        "whole",
    )

    #: The program's own exit code: 0 is success, and a failure is no exception.
    exit_code: int
    #: What it wrote to standard output, such as what ffprobe says, unless that went elsewhere.
    stdout: bytes
    #: Its messages.
    stderr: str
    #: The files that it wrote, by name, but for those of ``outputs``.
    files: dict[str, bytes]
    #: What came before the kept end of a stream.
    stdout_dropped_bytes: int
    stderr_dropped_bytes: int
    #: The cause of a failure, from the messages.
    error_message: str
    queue_seconds: float
    run_seconds: float
    cpu_seconds: float
    memory_peak_bytes: int
    host_memory_peak_bytes: int
    bytes_read: int
    bytes_written: int
    #: With ``parallel``, how many segments the output was made of.
    segments: int
    #: With ``parallel``, why it was made by one job, if it was.
    whole: str | None

    def __init__(self, fields: dict[str, Any]) -> None:
        self.files = {}
        self.segments = 1
        self.whole = None
        for name, value in fields.items():
            setattr(self, name, value)

    def check(self) -> Result:
        """Returns this, or raises ``ProgramFailed`` with the program's own words if it failed."""
        if self.exit_code != 0:
            error = ProgramFailed(f"the program failed with exit code {self.exit_code}: {self.error_message}")
            error.message = self.error_message
            error.output = self
            raise error
        return self

    def __repr__(self) -> str:
        files = ", ".join(f"{name!r}: {len(data)} bytes" for name, data in self.files.items())
        return f"Result(exit_code={self.exit_code}, stdout={len(self.stdout)} bytes, files={{{files}}})"


class Stats:
    """The numbers of a runtime's jobs."""

    __slots__ = ("running", "waiting", "left_behind", "left_behind_memory_bytes")

    def __init__(self, running: int, waiting: int, left_behind: int, left_behind_memory_bytes: int) -> None:
        self.running = running
        self.waiting = waiting
        #: Jobs whose callers went on while they were in a call of a file object that did not return.
        self.left_behind = left_behind
        self.left_behind_memory_bytes = left_behind_memory_bytes

    def __repr__(self) -> str:
        return f"Stats(running={self.running}, waiting={self.waiting}, left_behind={self.left_behind})"


class Job:
    """A job that runs: to be waited for, read from, or ended. One that nobody holds any more is cancelled.

    ``with`` cancels it when the block is left by an exception, and waits for it otherwise. With ``stdout="pipe"``, the job gives what it writes when it is iterated over, and raises if it fails; ``stdout`` is a
    file object to read from instead.
    """

    def __init__(self, native: _native.Job, given: Given) -> None:
        self._native = native
        self._given = given
        self._lock = _thread.allocate_lock()
        #: What the crate makes of the job, once it is taken.
        self._fields: dict[str, Any] | None = None
        self._result: Result | None = None
        self._error: BaseException | None = None
        #: Until when what a failed job has written is waited for.
        self._left_at: float | None = None
        #: The task that feeds it from an asynchronous iterable.
        self._feeding: Any = None
        if given.async_feed is not None:
            from . import _aio

            self._feeding = _aio.start_feed(*given.async_feed, native)
            given.async_feed = None
        #: To read standard output from, with ``stdout="pipe"``.
        self.stdout: io.BufferedReader | None = None
        if given.reading is not None:
            self.stdout = open(given.reading, "rb")

    def cancel(self) -> None:
        """Ends the job; whoever waits for it gets ``Cancelled``."""
        self._native.cancel()

    def finish(self) -> bool:
        """Lets ffmpeg end its outputs as if the input ended here; returns whether the program listens."""
        return self._native.finish()

    def done(self) -> bool:
        return self._native.done()

    def wait(self, timeout: float | None = None) -> Result:
        """Waits for the end, and returns the result. After ``timeout`` it raises TimeoutError, and the job goes on."""
        return self._wait(timeout, False)

    def _wait(self, timeout: float | None, is_own: bool) -> Result:
        limit = None if timeout is None else seconds("timeout", timeout)
        until = None if limit is None else time.monotonic() + limit
        if not self._native.wait(limit, is_own):
            raise TimeoutError(f"the job was still running after {timeout} s")
        # What was written must arrive before the job counts as done.
        if not self._given.end(self._patience(until)) and self._error is None:
            raise TimeoutError(f"what the job has written had not all arrived after {timeout} s")
        return self._take()

    def _patience(self, until: float | None) -> float | None:
        """Until when a job that is done is waited for. One that has failed has no use for what it has written."""
        with self._lock:
            if self._fields is None and self._error is None:
                try:
                    self._fields = self._native.take_result()
                except BaseException as error:
                    self._error = error
                    self._left_at = time.monotonic() + _PATIENCE_SECONDS
                    self._given.put_in_place(False)
        return min((end for end in (until, self._left_at) if end is not None), default=None)

    def _take(self) -> Result:
        """The result of a job that is done, or why there is none."""
        with self._lock:
            if self._result is None and self._error is None:
                try:
                    self._result = self._make_result(self._fields or {})
                except BaseException as error:
                    self._error = error
                    self._given.put_in_place(False)
            if self._error is not None:
                self._given.is_left = True
                raise self._error
            assert self._result is not None
            return self._result

    def _make_result(self, fields: dict[str, Any]) -> Result:
        given = self._given
        if given.failures:
            raise given.failures[0]
        result = Result(fields)
        if given.messages is not None:
            result.stderr = given.messages.text()
        given.put_in_place(result.exit_code == 0)
        return result

    def __del__(self) -> None:
        given = getattr(self, "_given", None)
        if given is None:
            return
        given.put_in_place(False)
        try:
            # The threads that carry its streams hold the crate's job, which would go on.
            self._native.cancel()
        except Exception:
            # A child of a fork cannot, and at its end has no classes of exceptions to say so.
            pass

    def __enter__(self) -> Job:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.stdout is not None:
            self.stdout.close()
        try:
            if kind is not None:
                self.cancel()
            self._wait(None, True)
        except Cancelled:
            pass
        except Exception:
            # The exception that leaves the block comes first, also in a child of a fork, which cannot cancel.
            if kind is None:
                raise

    def _read(self) -> bytes:
        if self.stdout is None:
            raise ValueError("the job's output is not read from: start it with stdout='pipe'")
        return self.stdout.read1(1 << 16)

    def __iter__(self) -> Iterator[bytes]:
        while chunk := self._read():
            yield chunk
        self.wait().check()

    async def _done(self) -> Result:
        from . import _aio

        try:
            await _aio.done(self._native)
        except BaseException:
            self._given.put_in_place(False)
            raise
        finally:
            if self._feeding is not None:
                self._feeding.cancel()
        await _aio.arrived(self._given.has_arrived, self._patience(None))
        return self._take()

    def __await__(self) -> Generator[Any, None, Result]:
        return self._done().__await__()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        from . import _aio

        async for chunk in _aio.chunks(self._read):
            yield chunk
        (await self).check()

    async def __aenter__(self) -> Job:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            self.cancel()
        elif self.stdout is not None:
            self.stdout.close()
        try:
            await self
        except Cancelled:
            pass
        except Exception:
            if kind is None:
                raise
        finally:
            # Not before, where a thread may still read from it.
            if self.stdout is not None:
                self.stdout.close()


def _take_probe(native: _native.Job) -> Probe:
    return Probe(native.take_result())


def _take_frames(native: _native.Job) -> list[_native.Frame]:
    frames: list[_native.Frame] = native.take_result()
    return frames


class _ProbeSource:
    """An input to describe: a file, or a stream whose beginning is enough for most formats."""

    def __init__(self, source: object) -> None:
        self.chunks = stream_of("source", source)
        self.kept: list[bytes] = []

    def tee(self) -> Iterator[bytes]:
        for chunk in self.chunks or ():
            self.kept.append(chunk)
            yield chunk

    def whole(self) -> Iterator[bytes]:
        """All of it, once nobody reads from the beginning any more."""
        kept, self.kept = self.kept, []
        yield from kept
        yield from self.chunks or ()


class _Reading:
    """What is read of a stream for a call: how much, and until when."""

    def __init__(self, options: Any) -> None:
        self._options = options
        self._limit: int = options.get("files_max_bytes") or _STREAM_MAX_BYTES
        timeout = options.get("timeout")
        self._until = None if timeout is None else time.monotonic() + seconds("timeout", timeout)

    def _left(self) -> float | None:
        return None if self._until is None else max(0.0, self._until - time.monotonic())

    def options(self) -> Any:
        """Those of the job that comes after it, which has the rest of the time."""
        return self._options if self._until is None else {**self._options, "timeout": self._left()}

    def read(self, chunks: Iterable[bytes], feeds: Sequence[Thread] = ()) -> bytes:
        """The whole stream, once these have left it."""
        if self._until is None:
            for feed in feeds:
                feed.join()
            return join(chunks, "source", self._limit)
        future = join_aside(chunks, "source", self._limit, feeds)
        try:
            return future.result(min(self._left() or 0.0, _thread.TIMEOUT_MAX))
        except TimeoutError:
            if future.cancel():
                raise _stalled() from None
            # It is the stream's own, or all has come at the last moment.
            return future.result()
        finally:
            future.cancel()

    async def aread(self, chunks: Iterable[bytes], feeds: Sequence[Thread] = ()) -> bytes:
        import asyncio

        future = join_aside(chunks, "source", self._limit, feeds)
        try:
            return await asyncio.wait_for(asyncio.wrap_future(future), self._left())
        except TimeoutError:
            if future.cancel():
                raise _stalled() from None
            return future.result()


def _stalled() -> Deadline:
    error = Deadline("the stream had not ended at the deadline")
    numbers = {name: 0 for name in Result.__slots__ if name not in ("stdout", "stderr", "error_message", "files")}
    error.output = Result({**numbers, "stdout": b"", "stderr": "", "error_message": "", "segments": 1, "whole": None})
    return error


def _pictures(
    at: object,
    every: object,
    sheet: object,
    width: object,
    height: object,
    format: object,
    array: bool,
    size_max_bytes: object,
) -> _Pictures:
    """Which pictures are to be made, as the crate takes it."""
    if sum(which is not None for which in (at, every, sheet)) > 1:
        raise TypeError("only one of at, every and sheet can be given")
    if array and format not in (None, "rgba"):
        raise ValueError(f"array=True gives pixels, and format is {format!r}")
    chosen = format or ("rgba" if array else "png")
    if chosen not in ("png", "jpeg", "rgba"):
        raise ValueError(f"format must be 'png', 'jpeg' or 'rgba', not {format!r}")
    sides = None
    if sheet is not None:
        if not isinstance(sheet, (tuple, list)) or len(sheet) != 2:
            raise wrong_type("sheet", "a pair of columns and rows", sheet)
        sides = (count("sheet", sheet[0], 1, (1 << 32) - 1), count("sheet", sheet[1], 1, (1 << 32) - 1))
    return (
        None if at is None else list(positive_sequence("at", at)),
        None if every is None else seconds("every", every),
        sides,
        None if width is None else count("width", width, 1, (1 << 32) - 1),
        None if height is None else count("height", height, 1, (1 << 32) - 1),
        str(chosen),
        None if size_max_bytes is None else count("size_max_bytes", size_max_bytes),
    )


class Runtime:
    """A module, compiled once, that runs any number of jobs from any threads.

    ``module`` is the name of an installed module such as ``o3-gpl``, the path of a file, or its bytes; without it, the
    preferred one of those that are installed.
    """

    def __init__(self, module: str | os.PathLike[str] | bytes | None = None, **options: Unpack[RuntimeOptions]) -> None:
        given: dict[str, Any] = dict(options)
        config: dict[str, Any] = {"path": None, "bytes": None}
        if module is not None and not isinstance(module, (str, os.PathLike)):
            if not isinstance(module, (bytes, bytearray, memoryview)):
                raise wrong_type("module", "the name of a module, a path or bytes", module)
            config["bytes"] = bytes(module)
        folder = given.pop("cache_folder", cache_folder("aot"))
        config["cache_folder"] = None if folder is None else path("cache_folder", folder)
        config["verify_cached_code"] = bool(given.pop("verify_cached_code", False))
        for name in ("max_concurrency", "max_waiting", "max_left_behind", "open_files_max"):
            value = given.pop(name, None)
            config[name] = None if value is None else count(name, value, most=(1 << 63) - 1)
        preemption = given.pop("preemption", None)
        if preemption not in (None, "signals", "epochs"):
            raise ValueError(f"preemption must be 'signals' or 'epochs', not {preemption!r}")
        config["preemption"] = preemption
        engine = given.pop("engine", None)
        if engine not in (None, "wasmtime", "pack", "auto"):
            raise ValueError(f"engine must be 'wasmtime', 'pack' or 'auto', not {engine!r}")
        config["engine"] = engine
        pack = given.pop("pack", None)
        config["pack"] = None if pack is None else path("pack", pack)
        for name in given:
            raise TypeError(f"Runtime() got an unexpected keyword argument {name!r}")
        if config["bytes"] is None:
            config["path"] = find(module)  # type: ignore[arg-type]
        self._native = _native.Runtime(config)

    def start(self, args: Sequence[str | os.PathLike[str]], **options: Unpack[RunOptions]) -> Job:
        """Starts ffmpeg or ffprobe, chosen by the first argument, and returns at once."""
        check_names("start", options)
        return self._start(args, options, True)

    def _start(self, args: object, options: Any, of_start: bool) -> Job:
        given = Given(args, options, of_start)
        try:
            native = self._native.run(
                given.args, given.settings, given.stdin, given.stdout, given.stderr, given.progress
            )
        except BaseException:
            given.abandon()
            raise
        job = Job(native, given)
        given.passed_on()
        given.begin(native)
        return job

    def run(self, args: Sequence[str | os.PathLike[str]], **options: Unpack[RunOptions]) -> Result:
        """Runs ffmpeg or ffprobe, chosen by the first argument, to its end. Ctrl-C ends it.

        Paths among the arguments, as ``pathlib.Path``, are files of the machine: after ``-i`` one that is read, else
        one that is written and takes its place when the job has succeeded.
        """
        check_names("run", options)
        return self._start(args, options, False)._wait(None, True)

    async def arun(self, args: Sequence[str | os.PathLike[str]], **options: Unpack[RunOptions]) -> Result:
        """As ``run``, from a task of asyncio's. Cancelling it ends the job; ``progress`` is called by the loop."""
        from . import _aio

        check_names("arun", options)
        if callable(progress := options.get("progress")):
            options["progress"] = _aio.on_loop(progress)
        return await self._start(args, options, False)

    def probe(self, source: Source, **options: Unpack[Options]) -> Probe:
        """Describes a file: by its path, bytes, a file object, or a stream of bytes."""
        check_names("probe", options, of_run=False)
        given, reading = _ProbeSource(source), _Reading(options)
        if given.chunks is not None:
            native, feeds = self._start_stream(given, options)
            native.wait(None, True)
            try:
                return _take_probe(native)
            except ProgramFailed:
                pass
            # Some formats can only be read with the end of the file at hand.
            source = reading.read(given.whole(), feeds)
        native = self._start_probe(source, reading.options())
        native.wait(None, True)
        return _take_probe(native)

    def _start_stream(self, source: _ProbeSource, options: Any) -> tuple[_native.Job, list[Thread]]:
        """Starts describing the beginning of a stream; returns what feeds the job, too. It may stall."""
        streamed = Given(["ffprobe"], {**options, "stdin": source.tee()}, False)
        try:
            native = self._native.probe("pipe:0", streamed.settings, streamed.stdin)
        except BaseException:
            streamed.abandon()
            raise
        streamed.passed_on()
        return native, streamed.begin(native)

    def _start_probe(self, source: object, options: Any) -> _native.Job:
        made = settings(options)
        input = alone(source, "source")
        made["files"].append(input)
        return self._native.probe(input[0], made, None)

    async def aprobe(self, source: Source, **options: Unpack[Options]) -> Probe:
        """As ``probe``, from a task of asyncio's."""
        check_names("aprobe", options, of_run=False)
        from . import _aio

        given, reading = _ProbeSource(source), _Reading(options)
        if given.chunks is not None:
            native, feeds = self._start_stream(given, options)
            await _aio.done(native)
            try:
                return _take_probe(native)
            except ProgramFailed:
                pass
            source = await reading.aread(given.whole(), feeds)
        native = self._start_probe(source, reading.options())
        await _aio.done(native)
        return _take_probe(native)

    def frames(
        self,
        source: Source,
        *,
        at: float | Sequence[float] | None = None,
        every: float | None = None,
        sheet: tuple[int, int] | None = None,
        width: int | None = None,
        height: int | None = None,
        format: Literal["png", "jpeg", "rgba"] | None = None,
        array: bool = False,
        size_max_bytes: int | None = None,
        **options: Unpack[Options],
    ) -> list[_native.Frame]:
        """Makes pictures of a video: at some times in seconds, one of each interval of ``every`` seconds, or one
        contact sheet of ``sheet`` columns and rows; by default one picture of the beginning. They are as displayed.

        With ``array`` they are pixels, whose ``Frame.array`` is an array of numpy's without a copy.
        """
        check_names("frames", options, of_run=False)
        wanted = _pictures(at, every, sheet, width, height, format, array, size_max_bytes)
        chunks, reading = stream_of("source", source), _Reading(options)
        if chunks is not None:
            source = reading.read(chunks)
        native = self._start_frames(source, wanted, reading.options())
        native.wait(None, True)
        return _take_frames(native)

    async def aframes(
        self,
        source: Source,
        *,
        at: float | Sequence[float] | None = None,
        every: float | None = None,
        sheet: tuple[int, int] | None = None,
        width: int | None = None,
        height: int | None = None,
        format: Literal["png", "jpeg", "rgba"] | None = None,
        array: bool = False,
        size_max_bytes: int | None = None,
        **options: Unpack[Options],
    ) -> list[_native.Frame]:
        """As ``frames``, from a task of asyncio's."""
        check_names("aframes", options, of_run=False)
        from . import _aio

        wanted = _pictures(at, every, sheet, width, height, format, array, size_max_bytes)
        chunks, reading = stream_of("source", source), _Reading(options)
        if chunks is not None:
            # Not by the loop's own thread, which a stream may keep waiting.
            source = await reading.aread(chunks)
        native = self._start_frames(source, wanted, reading.options())
        await _aio.done(native)
        return _take_frames(native)

    def _start_frames(self, source: object, wanted: _Pictures, options: Any) -> _native.Job:
        made = settings(options)
        input = alone(source, "source")
        made["files"].append(input)
        return self._native.frames(input[0], made, *wanted)

    @property
    def cache_status(self) -> str:
        """``hit``, ``stored``, ``off``, or why compiled code is not kept."""
        word, reason = self._native.cache_status()
        return reason or word

    @property
    def engine(self) -> str:
        """What runs the module: wasmtime, or a pack with its machine and path; and why no pack, where one was to be used."""
        return self._native.engine()

    def warm_up(self) -> float:
        """Prepares what the first job would wait for; returns the seconds that it took."""
        return self._native.warm_up()

    def close(self) -> None:
        """Lets the running jobs finish, and refuses all others with ``Closed``."""
        self._native.close()

    def drain(self, timeout: float) -> None:
        """Closes, and waits for the running jobs; raises ``Draining`` if they are still running then."""
        self._native.drain(seconds("timeout", timeout))

    def stats(self) -> Stats:
        return Stats(*self._native.stats())


_default: Runtime | None = None


def _runtime() -> Runtime:
    """The runtime of the module's own functions, made when it is first needed."""
    global _default
    if _default is None:
        # Two threads may both come here: each has a runtime, and one of them stays.
        _default = Runtime()
    return _default


async def _aruntime() -> Runtime:
    if _default is not None:
        return _default
    import asyncio

    # A first start compiles for seconds, in which the loop must go on.
    return await asyncio.to_thread(_runtime)


def run(args: Sequence[str | os.PathLike[str]], **options: Unpack[RunOptions]) -> Result:
    """``Runtime.run`` with the preferred module that is installed."""
    return _runtime().run(args, **options)


def start(args: Sequence[str | os.PathLike[str]], **options: Unpack[RunOptions]) -> Job:
    """``Runtime.start`` with the preferred module that is installed."""
    return _runtime().start(args, **options)


async def arun(args: Sequence[str | os.PathLike[str]], **options: Unpack[RunOptions]) -> Result:
    """``Runtime.arun`` with the preferred module that is installed."""
    return await (await _aruntime()).arun(args, **options)


def probe(source: Source, **options: Unpack[Options]) -> Probe:
    """``Runtime.probe`` with the preferred module that is installed."""
    return _runtime().probe(source, **options)


async def aprobe(source: Source, **options: Unpack[Options]) -> Probe:
    """``Runtime.aprobe`` with the preferred module that is installed."""
    return await (await _aruntime()).aprobe(source, **options)


def frames(
    source: Source,
    *,
    at: float | Sequence[float] | None = None,
    every: float | None = None,
    sheet: tuple[int, int] | None = None,
    width: int | None = None,
    height: int | None = None,
    format: Literal["png", "jpeg", "rgba"] | None = None,
    array: bool = False,
    size_max_bytes: int | None = None,
    **options: Unpack[Options],
) -> list[_native.Frame]:
    """``Runtime.frames`` with the preferred module that is installed."""
    return _runtime().frames(
        source,
        at=at,
        every=every,
        sheet=sheet,
        width=width,
        height=height,
        format=format,
        array=array,
        size_max_bytes=size_max_bytes,
        **options,
    )


async def aframes(
    source: Source,
    *,
    at: float | Sequence[float] | None = None,
    every: float | None = None,
    sheet: tuple[int, int] | None = None,
    width: int | None = None,
    height: int | None = None,
    format: Literal["png", "jpeg", "rgba"] | None = None,
    array: bool = False,
    size_max_bytes: int | None = None,
    **options: Unpack[Options],
) -> list[_native.Frame]:
    """``Runtime.aframes`` with the preferred module that is installed."""
    return await (await _aruntime()).aframes(
        source,
        at=at,
        every=every,
        sheet=sheet,
        width=width,
        height=height,
        format=format,
        array=array,
        size_max_bytes=size_max_bytes,
        **options,
    )
