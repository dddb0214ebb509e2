# SPDX-License-Identifier: MIT OR Apache-2.0
# Copyright (c) 2026 the afmpeg authors

"""The command `afmpeg`, which comes with this package, and programs of FFmpeg's names that are this command."""

from __future__ import annotations

import os
import sys

from ._errors import Error
from ._modules import cache_folder, find

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence


def command() -> str:
    """The path of the command."""
    name = "afmpeg.exe" if os.name == "nt" else "afmpeg"
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "bin", name)
    if not os.path.isfile(path):
        raise Error(f"this installation has no command: {path} is not there; install a wheel of afmpeg")
    return path


def shims(folder: str | os.PathLike[str] | None = None, *, module: str | os.PathLike[str] | None = None) -> str:
    """Makes a folder with ``ffmpeg`` and ``ffprobe`` for programs that call them, and returns its path.

    They reach the files that their arguments name, and nothing else of the machine; ``afmpeg.toml`` in the folder says
    what they may do. Without ``folder`` it is one in the user's cache.
    """
    import hashlib
    import subprocess

    program = command()
    path = os.path.abspath(find(module))
    if folder is None:
        base = cache_folder("shims")
        if base is None:
            raise Error("there is no folder for caches: name one with shims(FOLDER)")
        # Another version or module has a folder of its own, so that running programs keep theirs.
        key = hashlib.sha256(f"{program}\0{path}".encode()).hexdigest()
        folder = os.path.join(base, key[:16])
    place = os.path.abspath(os.fspath(folder))
    made = subprocess.run([program, "--module", path, "shims", place], capture_output=True, text=True, check=False)
    if made.returncode != 0:
        raise Error(made.stderr.strip().removeprefix("afmpeg: "))
    return place


def execute(args: Sequence[str]) -> int:
    """Runs the command with the installed module, in the place of this process where that can be."""
    program = command()
    environment = dict(os.environ)
    if not environment.get("AFMPEG_MODULE"):
        try:
            environment["AFMPEG_MODULE"] = os.path.abspath(find(None))
        except Error:
            # It says itself what it lacks, and some of its words need no module.
            pass
    if os.name == "nt":
        import subprocess

        return subprocess.run([program, *args], env=environment, check=False).returncode
    sys.stdout.flush()
    sys.stderr.flush()
    os.execve(program, ["afmpeg", *args], environment)


def main() -> int:
    """The console script ``afmpeg``."""
    try:
        return execute(sys.argv[1:])
    except Error as error:
        print(f"afmpeg: {error}", file=sys.stderr)
        return 3
