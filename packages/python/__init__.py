# SPDX-License-Identifier: MIT OR Apache-2.0
# Copyright (c) 2026 the afmpeg authors

"""FFmpeg's own ffmpeg and ffprobe as one WebAssembly module, on files in memory, in a sandbox.

    from @PACKAGE@ import ffmpeg

    result = ffmpeg(["-i", "in.mp4", "-vf", "scale=640:-2", "out.mp4"], {"in.mp4": data})
    if result.exit_code != 0:
        raise RuntimeError(result.stderr)
    mp4 = result.files["out.mp4"]
"""

import gzip
import tempfile
import threading
from dataclasses import dataclass
from importlib import resources
from os import PathLike
from pathlib import Path, PurePosixPath
from typing import Dict, Mapping, Optional, Sequence, Union

from wasmtime import Config, Engine, Func, FuncType, Linker, Module, Store, ValType, WasiConfig

__all__ = ["Result", "ffmpeg", "ffprobe"]

_lock = threading.Lock()
_compiled = None


@dataclass(frozen=True)
class Result:
    """What came of a job."""

    #: The program's own exit code: 0 is success, and a failure is no exception.
    exit_code: int
    #: What it wrote to standard output, such as what ffprobe says, or a file sent to ``pipe:1``.
    stdout: bytes
    #: Its messages.
    stderr: str
    #: The files that it wrote, by name.
    files: Dict[str, bytes]


Folder = Union[str, "PathLike[str]"]


class _Exit(Exception):
    def __init__(self, code: int):
        self.code = code


def _module():
    """The engine and the module, compiled once; wasmtime keeps the code for other processes of this user."""
    global _compiled
    with _lock:
        if _compiled is None:
            config = Config()
            config.cache = True
            engine = Engine(config)
            packed = resources.files(__package__).joinpath("module.wasm.gz").read_bytes()
            _compiled = engine, Module(engine, gzip.decompress(packed))
    return _compiled


def _below(folder: Path, name: str) -> Path:
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or not path.parts:
        raise ValueError(f"`{name}` is not the name of a file below the job's folder")
    return folder.joinpath(*path.parts)


#: What files of fonts begin with: TrueType, OpenType, collections of these, WOFF, and PostScript's two forms.
_FONTS = (b"\0\x01\0\0", b"OTTO", b"true", b"ttcf", b"wOFF", b"\x80\x01", b"%!PS")


def _is_font(path: Path) -> bool:
    if path.name.startswith(".") or not path.is_file():
        return False
    with path.open("rb") as file:
        return file.read(4).startswith(_FONTS)


def _run(arguments: Sequence[str], files: Mapping[str, bytes], fonts: Optional[Folder]) -> Result:
    if fonts is not None and not any(_is_font(path) for path in Path(fonts).rglob("*")):
        raise ValueError(f"the folder {fonts} has no fonts (.ttf, .otf, .ttc, .woff, .pfb)")
    engine, module = _module()
    with tempfile.TemporaryDirectory() as place:
        folder, stdout, stderr = (Path(place, name) for name in ("files", "stdout", "stderr"))
        folder.mkdir()
        given = {}
        for name, data in files.items():
            path = _below(folder, name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
            given[path] = path.stat().st_mtime_ns, len(data)
        wasi = WasiConfig()
        wasi.argv = arguments
        wasi.preopen_dir(str(folder), ".")
        if fonts is not None:
            wasi.preopen_dir(str(fonts), "/usr/share/fonts", fs_mutable=False)
        wasi.stdout_file = str(stdout)
        wasi.stderr_file = str(stderr)
        store = Store(engine)
        store.set_wasi(wasi)
        linker = Linker(engine)
        linker.define_wasi()

        def leave(code: int) -> None:
            raise _Exit(code & 0xFF)

        # wasmtime's own takes no code above 125, and FFmpeg ends with such.
        linker.allow_shadowing = True
        linker.define(store, "wasi_snapshot_preview1", "proc_exit", Func(store, FuncType([ValType.i32()], []), leave))
        exit_code = 0
        try:
            linker.instantiate(store, module).exports(store)["_start"](store)
        except _Exit as end:
            exit_code = end.code
        # The streams' files are open until the store is gone.
        store.close()
        written = {}
        for path in sorted(folder.rglob("*")):
            if path.is_file() and given.get(path) != (path.stat().st_mtime_ns, path.stat().st_size):
                written[path.relative_to(folder).as_posix()] = path.read_bytes()
        return Result(exit_code, stdout.read_bytes(), stderr.read_text("utf-8", "replace"), written)


def ffmpeg(args: Sequence[str], files: Mapping[str, bytes] = {}, fonts: Optional[Folder] = None) -> Result:
    """Runs FFmpeg's ffmpeg with these arguments. It sees these files, by names such as ``in.mp4``, and nothing else.

    ``fonts`` is a folder of fonts for subtitles and drawtext, besides the module's own, DejaVu Sans. The program takes them
    by the names that they have themselves, and for characters that its own font lacks.
    """
    return _run(["ffmpeg", "-nostdin", *args], files, fonts)


def ffprobe(args: Sequence[str], files: Mapping[str, bytes] = {}, fonts: Optional[Folder] = None) -> Result:
    """Runs FFmpeg's ffprobe with these arguments."""
    return _run(["ffprobe", *args], files, fonts)
