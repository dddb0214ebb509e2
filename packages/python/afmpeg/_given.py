# SPDX-License-Identifier: MIT OR Apache-2.0
# Copyright (c) 2026 the afmpeg authors

"""What a caller gives to a job, checked and made into what the crate takes."""

from __future__ import annotations

import _thread
import errno
import io
import os
import posixpath
import stat
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from concurrent.futures import Future
    from typing import Any

    from . import _native

_CHUNK_SIZE_BYTES = 1 << 16

#: The largest of C's unsigned types with 64 bits.
_MAX = (1 << 64) - 1

_COUNTS = (
    "memory_max_bytes",
    "host_memory_max_bytes",
    "written_max_bytes",
    "files_max_bytes",
    "names_max",
    "open_files_max",
    "random_seed",
)
_COMMON = (*_COUNTS, "files", "dirs", "dirs_read_only", "fonts", "env", "timeout", "priority", "fixed_clock")
_OF_RUN = ("outputs", "stdin", "stdout", "stderr", "pipes", "stdout_max_bytes", "stderr_max_bytes", "progress", "parallel")

#: The crate keeps the end of a stream in memory of the host, which has a limit of its own.
_STDOUT_MAX_BYTES = 4 << 30
_STDERR_MAX_BYTES = 1 << 20


def wrong_type(name: str, wanted: str, value: object) -> TypeError:
    return TypeError(f"{name} must be {wanted}, not {type(value).__name__}")


def count(name: str, value: object, least: int = 0, most: int = _MAX) -> int:
    """A whole number in its range."""
    if isinstance(value, bool) or not hasattr(value, "__index__"):
        raise wrong_type(name, "an int", value)
    number: int = value.__index__()
    if not least <= number <= most:
        raise ValueError(f"{name} must be from {least} to {most}, not {number}")
    return number


def seconds(name: str, value: object) -> float:
    """A time in seconds, given as a number or a timedelta."""
    total = getattr(value, "total_seconds", None)
    number = total() if total is not None else value
    if isinstance(number, bool) or not (hasattr(number, "__float__") or hasattr(number, "__index__")):
        raise wrong_type(name, "a number of seconds or a timedelta", value)
    result = float(number)
    if not 0 <= result < _MAX:
        raise ValueError(f"{name} must not be negative or without end, but is {result}")
    return result


def path(name: str, value: object) -> str:
    if isinstance(value, (str, os.PathLike)):
        text = os.fspath(value)
        if isinstance(text, str):
            return text
    raise wrong_type(name, "a path", value)


def guest_name(name: str, value: object) -> str:
    """A name below the job's own folder."""
    if not isinstance(value, str):
        raise wrong_type(f"a name in {name}", "a str", value)
    plain = posixpath.normpath(value)
    if not value or plain.startswith(("/", "..")) or plain == ".":
        raise ValueError(f"{name}: {value!r} is no name below the job's folder, such as 'in.mp4' or 'in/1.mp4'")
    return plain


def _mapping(name: str, value: object) -> Mapping[Any, Any]:
    if value is None:
        return {}
    if not hasattr(value, "items") or not hasattr(value, "keys"):
        raise wrong_type(name, "a mapping", value)
    return value  # type: ignore[return-value]


def as_bytes(value: object) -> bytes | None:
    """The bytes of what has any. Those that may change while a job runs are copied."""
    if isinstance(value, bytes):
        return value
    try:
        view = memoryview(value)  # type: ignore[arg-type]
    except TypeError:
        return None
    whole = view.obj
    if isinstance(whole, bytes) and view.nbytes == len(whole):
        return whole
    return view.tobytes()


def _can(value: object, question: str) -> bool:
    """Whether a file object says yes to this; one without such a method says nothing."""
    answer = getattr(value, question, None)
    return bool(answer()) if callable(answer) else False


def input_file(name: str, guest: str, value: object) -> tuple[str, str, object, int]:
    """An input as the crate takes it: its name, its kind, where it is, and the size of a file object."""
    if isinstance(value, str):
        raise TypeError(
            f"{name} must be bytes, a pathlib.Path or a file object, not str; for a path, give Path({value!r})"
        )
    if isinstance(value, os.PathLike):
        return guest, "path", path(name, value), 0
    data = as_bytes(value)
    if data is not None:
        return guest, "bytes", data, 0
    if not hasattr(value, "read"):
        raise wrong_type(name, "bytes, a pathlib.Path or a file object", value)
    if isinstance(value, io.TextIOBase):
        raise TypeError(f"{name} is a file of text: open it with mode 'rb'")
    if not _can(value, "seekable"):
        raise TypeError(f"{name} cannot seek: give it as stdin, for `-i pipe:0`, or in pipes")
    return guest, "reader", value, value.seek(0, os.SEEK_END)  # type: ignore[attr-defined]


def _output_file(name: str, guest: str, value: object) -> tuple[str, str, object]:
    if isinstance(value, str):
        raise TypeError(f"{name} must be a pathlib.Path or a file object, not str; for a path, give Path({value!r})")
    if isinstance(value, os.PathLike):
        return guest, "path", path(name, value)
    if not hasattr(value, "write"):
        raise wrong_type(name, "a pathlib.Path or a file object", value)
    if isinstance(value, io.TextIOBase):
        raise TypeError(f"{name} is a file of text: open it with mode 'wb'")
    if not _can(value, "seekable"):
        raise TypeError(f"{name} cannot seek: give it as stdout, for `pipe:1`, or in pipes")
    return guest, "writer", value


def _folders(name: str, value: object, may_write: bool) -> list[tuple[str, str, bool]]:
    if value is None:
        return []
    if isinstance(value, (str, bytes)):
        raise wrong_type(name, "a list of folders, or a mapping of names to folders", value)
    if hasattr(value, "items"):
        pairs = [(key, path(f"{name}[{key!r}]", folder)) for key, folder in value.items()]
        for key, _ in pairs:
            if not isinstance(key, str) or not key or "\0" in key:
                raise wrong_type(f"a name in {name}", "a str", key)
    else:
        try:
            folders = [path(name, folder) for folder in value]  # type: ignore[attr-defined]
        except TypeError as error:
            raise TypeError(f"{name} must be a list of folders, or a mapping of names to folders: {error}") from None
        pairs = [(os.path.abspath(folder).replace(os.sep, "/"), folder) for folder in folders]
    return [(key, folder, may_write) for key, folder in pairs]


def check_names(function: str, options: Mapping[str, object], of_run: bool = True) -> None:
    for name in options:
        if name not in _COMMON and not (of_run and name in _OF_RUN):
            raise TypeError(f"{function}() got an unexpected keyword argument {name!r}")


def settings(options: Mapping[str, Any]) -> dict[str, Any]:
    """What all jobs have in common."""
    made: dict[str, Any] = {name: None for name in _COUNTS}
    for name in _COUNTS:
        value = options.get(name)
        if value is not None:
            made[name] = count(name, value, most=(1 << 63) - 1 if name == "open_files_max" else _MAX)
    files = _mapping("files", options.get("files"))
    made["files"] = [input_file(f"files[{name!r}]", guest_name("files", name), value) for name, value in files.items()]
    made["outputs"] = []
    made["pipes"] = []
    made["dirs"] = [
        *_folders("dirs", options.get("dirs"), True),
        *_folders("dirs_read_only", options.get("dirs_read_only"), False),
    ]
    env = _mapping("env", options.get("env"))
    for name, value in env.items():
        if not isinstance(name, str) or not isinstance(value, str):
            raise wrong_type(f"env[{name!r}]", "a str", value)
    made["env"] = list(env.items())
    fonts, timeout, priority = options.get("fonts"), options.get("timeout"), options.get("priority")
    made["fonts"] = None if fonts is None else path("fonts", fonts)
    made["timeout"] = None if timeout is None else seconds("timeout", timeout)
    made["priority"] = None if priority is None else count("priority", priority, -(1 << 31), (1 << 31) - 1)
    clock = options.get("fixed_clock")
    if clock is not None and hasattr(clock, "timestamp"):
        clock = clock.timestamp()
    made["fixed_clock"] = None if clock is None else seconds("fixed_clock", clock)
    made["parallel"] = None
    return made


def _parallel(value: object, args: Sequence[Any]) -> tuple[int, bool] | None:
    """How many segments of a command are made at a time, 0 for one a core; and whether it must be cut."""
    if value is None or value is False:
        return None
    if not args or args[0] != "ffmpeg":
        raise ValueError("parallel is for ffmpeg alone")
    if value is True or value == "require":
        return 0, value == "require"
    if isinstance(value, str):
        raise ValueError(f"parallel must be True, a number of workers or 'require', not {value!r}")
    return count("parallel", value, 1, 1 << 16), False


def _handle(descriptor: int) -> int:
    """What the system calls a descriptor of Python's."""
    if os.name != "nt":
        return descriptor
    import msvcrt

    return msvcrt.get_osfhandle(descriptor)  # type: ignore[attr-defined,no-any-return]


def _descriptor(value: object, writes: bool) -> int | None:
    """The descriptor of a plain file object, which the program can use itself."""
    kinds = (io.FileIO, io.BufferedWriter, io.BufferedRandom) if writes else (io.FileIO,)
    if type(value) not in kinds or (isinstance(value, io.FileIO) and not (value.writable() if writes else True)):
        return None
    try:
        descriptor: int = value.fileno()  # type: ignore[attr-defined]
    except io.UnsupportedOperation:
        # What is buffered is an object of Python's own.
        return None
    if writes:
        value.flush()  # type: ignore[attr-defined]
    return descriptor


def _chunks(name: str, value: object) -> Iterator[bytes] | None:
    """What comes out of a file object or an iterable, piece by piece."""
    if isinstance(value, io.TextIOBase):
        raise TypeError(f"{name} is a file of text: open it with mode 'rb'")
    read = getattr(value, "read1", None) or getattr(value, "read", None)
    if read is not None:
        return iter(lambda: read(_CHUNK_SIZE_BYTES), b"")
    if isinstance(value, (str, dict)) or not hasattr(value, "__iter__"):
        return None
    pieces: Iterator[bytes] = iter(value)
    return pieces


def write_all(name: str, descriptor: int, chunk: object) -> None:
    try:
        view = memoryview(chunk).cast("B")  # type: ignore[arg-type]
    except TypeError:
        raise TypeError(f"{name} must give bytes, not {type(chunk).__name__}") from None
    while view:
        view = view[os.write(descriptor, view) :]


def _writing(name: str, file: Any) -> Callable[[bytes], None]:
    """Gives all of a chunk to a file object, some of which take a part at a time."""

    def put(chunk: bytes) -> None:
        left = chunk
        while left:
            taken = file.write(left)
            if taken is None and isinstance(file, io.RawIOBase):
                _wait_for_room(name, file)
            elif isinstance(taken, int) and not isinstance(taken, bool):
                if taken <= 0:
                    raise OSError(f"{name}: write() has taken {taken} of {len(left)} bytes")
                left = left[taken:]
            else:
                # Others do not say how much they have taken, and take all.
                return

    return put


def _wait_for_room(name: str, file: io.RawIOBase) -> None:
    """Waits until a file object that does not block can be written to again."""
    import selectors

    try:
        with selectors.DefaultSelector() as selector:
            selector.register(file, selectors.EVENT_WRITE)
            selector.select()
    except (ValueError, PermissionError):
        # It has no descriptor, or one that cannot be waited for.
        raise BlockingIOError(errno.EAGAIN, f"{name}: write() has taken nothing, and cannot be waited for") from None


class Given:
    """The arguments, settings and streams of one job, and the threads that carry its streams."""

    def __init__(self, args: object, options: Mapping[str, Any], of_start: bool) -> None:
        self.args = _arguments(args)
        self.settings = settings(options)
        self.settings["parallel"] = _parallel(options.get("parallel"), self.args)
        self.stdin: bytes | int | str | None = None
        self.progress = options.get("progress")
        if self.progress is not None and not callable(self.progress):
            raise wrong_type("progress", "a callable", self.progress)
        #: Descriptors that are the job's once it has started.
        self._passed: list[int] = []
        self._feeds: list[tuple[str, Iterator[bytes], int]] = []
        self._pumps: list[tuple[Callable[[bytes], object], int]] = []
        self._threads: list[threading.Thread] = []
        #: What the caller's own objects have raised for what the job had written.
        self.failures: list[BaseException] = []
        #: Nobody wants any more of what the job has written.
        self.is_left = False
        #: An asynchronous iterable, and the descriptor that it is to be written to.
        self.async_feed: tuple[object, int] | None = None
        #: The descriptor that standard output can be read from.
        self.reading: int | None = None
        self.messages: _Messages | None = None
        #: Files that are written beside their places, and those.
        self._replacing: list[tuple[str, str]] = []
        try:
            self._open(options, of_start)
        except BaseException:
            self.abandon()
            raise

    def _open(self, options: Mapping[str, Any], of_start: bool) -> None:
        outputs = _mapping("outputs", options.get("outputs"))
        self.settings["outputs"] = [
            _output_file(f"outputs[{name!r}]", guest_name("outputs", name), value) for name, value in outputs.items()
        ]
        self._name_paths()
        self._open_stdin(options.get("stdin"))
        limit = options.get("stdout_max_bytes")
        limit = _STDOUT_MAX_BYTES if limit is None else count("stdout_max_bytes", limit, most=(1 << 62))
        self.stdout = self._open_output("stdout", options.get("stdout"), limit, of_start)
        limit = options.get("stderr_max_bytes")
        limit = _STDERR_MAX_BYTES if limit is None else count("stderr_max_bytes", limit, most=(1 << 62))
        stderr = options.get("stderr")
        if callable(stderr) and not hasattr(stderr, "write"):
            self.messages = _Messages(stderr, limit)
            stderr = self.messages.put
        self.stderr = self._open_output("stderr", stderr, limit, False)
        for number, value in _mapping("pipes", options.get("pipes")).items():
            number = count("a number in pipes", number, 3, 1 << 16)
            self.settings["pipes"].append((number, self._open_pipe(f"pipes[{number}]", value)))

    def _name_paths(self) -> None:
        """Gives the program files whose paths are arguments: what follows `-i` to be read, others to be written."""
        taken = {name for name, *_ in self.settings["files"]} | {name for name, *_ in self.settings["outputs"]}
        is_probe = bool(self.args) and str(self.args[0]) == "ffprobe"
        for index, argument in enumerate(self.args):
            if isinstance(argument, str):
                continue
            text = path(f"args[{index}]", argument)
            name = os.path.basename(text) or "file"
            if name in taken or name.startswith(("-", ".")) or ":" in name:
                name = f"args/{index}/{name}"
            taken.add(name)
            if is_probe or self.args[index - 1] == "-i":
                self.settings["files"].append((name, "path", text, 0))
            elif "-n" in self.args and os.path.exists(text):
                raise FileExistsError(17, "the output is there already, and args have -n", text)
            else:
                self.settings["outputs"].append((name, "path", text))
            self.args[index] = name if ":" not in name else f"file:{name}"

    def _open_stdin(self, stdin: object) -> None:
        if stdin is None:
            return
        if isinstance(stdin, str):
            if stdin != "inherit":
                raise ValueError(f"stdin must be bytes, a path, a file object, an iterable or 'inherit', not {stdin!r}")
            self.stdin = stdin
            return
        if isinstance(stdin, os.PathLike):
            descriptor = os.open(path("stdin", stdin), os.O_RDONLY | getattr(os, "O_BINARY", 0))
            self._passed.append(descriptor)
            self.stdin = _handle(descriptor)
            return
        data = as_bytes(stdin)
        if data is not None:
            self.stdin = data
            return
        descriptor_or_none = _descriptor(stdin, writes=False)
        if descriptor_or_none is not None:
            self.stdin = _handle(descriptor_or_none)
            return
        is_async = hasattr(stdin, "__aiter__")
        if is_async:
            import asyncio

            try:
                asyncio.get_running_loop()
            except RuntimeError:
                raise TypeError(
                    "stdin is an asynchronous iterable: give it to arun(), or to start() in a loop"
                ) from None
        chunks = None if is_async else _chunks("stdin", stdin)
        if chunks is None and not is_async:
            raise wrong_type("stdin", "bytes, a path, a file object, an iterable of bytes or 'inherit'", stdin)
        read_end, write_end = os.pipe()
        self._passed.append(read_end)
        self.stdin = _handle(read_end)
        if chunks is None:
            self.async_feed = (stdin, write_end)
        else:
            self._feeds.append(("stdin", chunks, write_end))

    def _open_output(self, name: str, value: object, limit: int, may_pipe: bool) -> tuple[str, int]:
        if value is None:
            return "capture", limit
        if isinstance(value, str):
            if value in ("discard", "inherit"):
                return value, 0
            if value != "pipe" or name != "stdout":
                raise ValueError(
                    f"{name} must be a path, a file object, a callable, 'discard' or 'inherit', not {value!r}"
                )
            if not may_pipe:
                raise ValueError("stdout='pipe' is for start(), whose job can be read from")
            self.reading, write_end = os.pipe()
            self._passed.append(write_end)
            return "handle", _handle(write_end)
        if isinstance(value, os.PathLike):
            return "handle", _handle(self._replace(path(name, value)))
        return "handle", self._open_writer(name, value)

    def _replace(self, place: str) -> int:
        """Opens a file beside its place, which it takes when the job has succeeded; a device or pipe is opened itself."""
        import tempfile

        try:
            mode = os.stat(place).st_mode
        except FileNotFoundError:
            mode = stat.S_IFREG
        if stat.S_ISDIR(mode):
            raise IsADirectoryError(21, "Is a directory", place)
        if not stat.S_ISREG(mode):
            # A device or pipe would be gone for all others, and a file in its place.
            descriptor = os.open(place, os.O_WRONLY | getattr(os, "O_BINARY", 0))
            self._passed.append(descriptor)
            return descriptor
        place = os.path.realpath(place)
        descriptor, written = tempfile.mkstemp(prefix=".afmpeg-", dir=os.path.dirname(place))
        self._passed.append(descriptor)
        self._replacing.append((written, place))
        if os.name != "nt":
            mask = os.umask(0)
            os.umask(mask)
            os.fchmod(descriptor, 0o666 & ~mask)
        return descriptor

    def _open_writer(self, name: str, value: object) -> int:
        if isinstance(value, io.TextIOBase):
            raise TypeError(f"{name} is a file of text: open it with mode 'wb'")
        descriptor = _descriptor(value, writes=True)
        if descriptor is not None:
            return _handle(descriptor)
        write = getattr(value, "write", None)
        put = _writing(name, value) if callable(write) else value
        if not callable(put):
            raise wrong_type(name, "a path, a file object or a callable", value)
        read_end, write_end = os.pipe()
        self._passed.append(write_end)
        self._pumps.append((put, read_end))
        return _handle(write_end)

    def _open_pipe(self, name: str, value: object) -> int:
        is_output = hasattr(value, "write") and not _can(value, "readable")
        is_call = callable(value) and not hasattr(value, "read") and not hasattr(value, "__iter__")
        if is_output or is_call:
            return self._open_writer(name, value)
        descriptor = _descriptor(value, writes=False)
        if descriptor is not None:
            return _handle(descriptor)
        data = as_bytes(value)
        chunks = iter((data,)) if data is not None else _chunks(name, value)
        if chunks is None:
            raise wrong_type(name, "a file object, an iterable of bytes or a callable", value)
        read_end, write_end = os.pipe()
        self._passed.append(read_end)
        self._feeds.append((name, chunks, write_end))
        return _handle(read_end)

    def abandon(self) -> None:
        """Closes all of it, since there is no job."""
        self.passed_on()
        ends = [end for *_, end in self._feeds] + [end for _, end in self._pumps]
        for end in ends:
            os.close(end)
        if self.async_feed is not None:
            os.close(self.async_feed[1])
        if self.reading is not None:
            os.close(self.reading)
        self._feeds, self._pumps, self.async_feed, self.reading = [], [], None, None
        self.put_in_place(False)

    def passed_on(self) -> None:
        """Closes what the job has handles of its own on."""
        for descriptor in self._passed:
            os.close(descriptor)
        self._passed = []

    def begin(self, job: _native.Job) -> list[threading.Thread]:
        """Starts what carries the streams of a job; returns what feeds it."""
        feeds: list[threading.Thread] = []
        if not self._feeds and not self._pumps:
            return feeds
        import threading

        for name, chunks, descriptor in self._feeds:
            # Nobody waits for it: what it reads from may never end.
            feed = threading.Thread(target=_feed, args=(name, chunks, descriptor, job), daemon=True, name="afmpeg feed")
            feed.start()
            feeds.append(feed)
        for put, descriptor in self._pumps:
            pump = threading.Thread(target=_pump, args=(put, descriptor, job, self), daemon=True, name="afmpeg pump")
            pump.start()
            self._threads.append(pump)
        self._feeds, self._pumps = [], []
        return feeds

    def has_arrived(self) -> bool:
        """Whether all that the job has written has come to where it goes."""
        return not any(thread.is_alive() for thread in self._threads)

    def end(self, until: float | None) -> bool:
        """Waits for that, at most until this time of the monotonic clock."""
        for thread in self._threads:
            left = None if until is None else min(max(0.0, until - time.monotonic()), _thread.TIMEOUT_MAX)
            thread.join(left)
        return self.has_arrived()

    def put_in_place(self, succeeded: bool) -> None:
        while self._replacing:
            written, place = self._replacing.pop()
            is_placed = False
            try:
                if succeeded:
                    os.replace(written, place)
                    is_placed = True
            finally:
                if not is_placed:
                    _remove(written)


def _remove(file: str) -> None:
    try:
        os.unlink(file)
    except OSError:
        # What it is removed for has an error of its own to tell.
        pass


def _arguments(args: object) -> list[Any]:
    if isinstance(args, (str, bytes, os.PathLike)) or not hasattr(args, "__iter__"):
        raise wrong_type("args", "a list such as ['ffmpeg', '-version']", args)
    listed = list(args)
    for index, argument in enumerate(listed):
        if not isinstance(argument, (str, os.PathLike)):
            raise wrong_type(f"args[{index}]", "a str or a path", argument)
    if not listed or os.fspath(listed[0]) not in ("ffmpeg", "ffprobe"):
        raise ValueError("args must begin with 'ffmpeg' or 'ffprobe'")
    return listed


def _feed(name: str, chunks: Iterable[bytes], descriptor: int, job: _native.Job) -> None:
    try:
        for chunk in chunks:
            write_all(name, descriptor, chunk)
    except BrokenPipeError:
        # The program needs no more of it.
        pass
    except BaseException as error:
        job.fail(error)
    finally:
        os.close(descriptor)


def _pump(put: Callable[[bytes], object], descriptor: int, job: _native.Job, given: Given) -> None:
    try:
        while chunk := os.read(descriptor, _CHUNK_SIZE_BYTES):
            if given.is_left:
                break
            put(chunk)
    except BaseException as error:
        # The job may have ended well by now.
        given.failures.append(error)
        job.fail(error)
    finally:
        os.close(descriptor)


class _Messages:
    """Messages, line by line as they come, and the last of them."""

    def __init__(self, call: Callable[[str], object], limit: int) -> None:
        self._call = call
        self._limit = limit
        self._rest = b""
        self._kept = bytearray()

    def put(self, chunk: bytes) -> None:
        self._kept += chunk
        if len(self._kept) > self._limit:
            del self._kept[: len(self._kept) - self._limit]
        *lines, self._rest = (self._rest + chunk.replace(b"\r", b"\n")).split(b"\n")
        for line in lines:
            if line:
                self._call(line.decode("utf-8", "replace"))

    def text(self) -> str:
        """The end of all messages; the last line may lack its end."""
        if self._rest:
            rest, self._rest = self._rest, b""
            self._call(rest.decode("utf-8", "replace"))
        return self._kept.decode("utf-8", "replace")


def join(chunks: Iterable[object], name: str, limit: int) -> bytes:
    """All of a stream, for what must seek in it."""
    whole = bytearray()
    for chunk in chunks:
        data = as_bytes(chunk)
        if data is None:
            raise TypeError(f"{name} must give bytes, not {type(chunk).__name__}")
        whole += data
        if len(whole) > limit:
            raise ValueError(f"{name} has more than files_max_bytes, {limit} bytes: give a path")
    return bytes(whole)


def join_aside(
    chunks: Iterable[object], name: str, limit: int, feeds: Sequence[threading.Thread] = ()
) -> Future[bytes]:
    """``join`` on a thread of its own, once these have left the stream. Who waits no longer for a stream that stalls cancels
    the future; the thread ends then with the next piece."""
    import threading
    from concurrent.futures import Future, InvalidStateError
    from functools import partial

    future: Future[bytes] = Future()

    def pieces() -> Iterator[object]:
        for chunk in chunks:
            if future.cancelled():
                return
            yield chunk

    def work() -> None:
        for feed in feeds:
            feed.join()
        try:
            settle = partial(future.set_result, join(pieces(), name, limit))
        except BaseException as error:
            settle = partial(future.set_exception, error)
        try:
            settle()
        except InvalidStateError:
            # It is cancelled.
            pass

    threading.Thread(target=work, daemon=True, name="afmpeg read").start()
    return future


def stream_of(name: str, value: object) -> Iterator[bytes] | None:
    """The pieces of an input that cannot seek; None for any other."""
    if isinstance(value, (str, os.PathLike)) or as_bytes(value) is not None:
        return None
    if hasattr(value, "read") and _can(value, "seekable"):
        return None
    chunks = _chunks(name, value)
    if chunks is None:
        raise wrong_type(name, "a path, bytes, a file object or an iterable of bytes", value)
    return chunks


def alone(value: object, name: str) -> tuple[str, str, object, int]:
    """An input that is the only one: its name tells no more than its ending, by which FFmpeg knows some formats."""
    ending = ""
    if isinstance(value, (str, os.PathLike)):
        value = _Path(path(name, value))
        ending = posixpath.splitext(os.path.basename(os.fspath(value)))[1][1:]
    guest = f"input.{ending}" if ending.isalnum() and ending.isascii() else "input"
    return input_file(name, guest, value)


class _Path(os.PathLike):  # type: ignore[type-arg]
    """A path, and no text."""

    def __init__(self, text: str) -> None:
        self._text = text

    def __fspath__(self) -> str:
        return self._text


def positive_sequence(name: str, values: object) -> Sequence[float]:
    """Times in seconds: one, or several."""
    if hasattr(values, "__iter__"):
        return [seconds(name, value) for value in values]
    return [seconds(name, values)]
