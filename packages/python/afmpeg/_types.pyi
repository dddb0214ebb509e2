# SPDX-License-Identifier: MIT OR Apache-2.0
# Copyright (c) 2026 the afmpeg authors

"""The types of what jobs are given. They are for checkers alone, and no module when the package is used."""

import os
from collections.abc import AsyncIterable, Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Literal, Protocol, TypeAlias, TypedDict

from typing_extensions import Buffer

from ._native import Progress

class Readable(Protocol):
    def read(self, size: int, /) -> Any: ...

class Writable(Protocol):
    def write(self, data: bytes, /) -> Any: ...

Path: TypeAlias = os.PathLike[str]
#: An input: its bytes, the path of its file, or a file object that can seek.
InputFile: TypeAlias = "Buffer | Path | Readable"
OutputFile: TypeAlias = "Path | Writable"
InputStream: TypeAlias = "Buffer | Path | Readable | Iterable[Buffer] | AsyncIterable[Buffer] | Literal['inherit']"
OutputStream: TypeAlias = "Path | Writable | Callable[[bytes], object] | Literal['pipe', 'discard', 'inherit']"
MessageStream: TypeAlias = "Path | Writable | Callable[[str], object] | Literal['discard', 'inherit']"
Pipe: TypeAlias = "Readable | Iterable[Buffer] | Writable | Callable[[bytes], object]"
Folders: TypeAlias = "Sequence[str | Path] | Mapping[str, str | Path]"

class Options(TypedDict, total=False):
    """What every job may be given."""

    #: Inputs by the names that the program has for them; its other files come back in ``Result.files``.
    files: Mapping[str, InputFile]
    #: Folders of the machine under their own or other names, to be read and written, or read alone.
    dirs: Folders
    dirs_read_only: Folders
    #: A folder of fonts for subtitles and drawtext, besides the module's own.
    fonts: str | Path
    env: Mapping[str, str]
    #: In seconds, the time in line included.
    timeout: float | timedelta
    memory_max_bytes: int
    host_memory_max_bytes: int
    written_max_bytes: int
    #: What the program may write to files of its own.
    files_max_bytes: int
    names_max: int
    open_files_max: int
    priority: int
    #: With both of these the same input gives the same bytes.
    fixed_clock: float | datetime
    random_seed: int

class RunOptions(Options, total=False):
    """What a job of ffmpeg or ffprobe may be given besides."""

    #: Where files that the program writes under these names go, instead of into ``Result.files``.
    outputs: Mapping[str, OutputFile]
    stdin: InputStream
    stdout: OutputStream
    stderr: MessageStream
    #: More streams, by their numbers: ``pipe:3``.
    pipes: Mapping[int, Pipe]
    #: The last bytes of the streams that are kept.
    stdout_max_bytes: int
    stderr_max_bytes: int
    progress: Callable[[Progress], object]
    #: Makes a video in segments on all cores, or so many at a time, if the command can be cut: ``Result.whole`` says why it
    #: could not be. With 'require' that is the exception NotCut.
    parallel: bool | int | Literal["require"]

class RuntimeOptions(TypedDict, total=False):
    #: Where compiled code is kept: by default in the user's cache, and nowhere with None.
    cache_folder: str | Path | None
    verify_cached_code: bool
    max_concurrency: int
    max_waiting: int
    max_left_behind: int
    open_files_max: int
    preemption: Literal["signals", "epochs"]
    #: What runs the module: wasmtime, the default; its pack, native code that lies beside the module's file; or the pack if
    #: there is one that can be used.
    engine: Literal["wasmtime", "pack", "auto"]
    #: The record of a pack of this module, NAME.MACHINE.json. It is native code: take it only from where you take programs.
    pack: str | Path
