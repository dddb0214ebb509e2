# SPDX-License-Identifier: MIT OR Apache-2.0
# Copyright (c) 2026 the afmpeg authors

"""FFmpeg in a sandbox: its own programs, on files in memory or of the machine.

import afmpeg

result = afmpeg.run(["ffmpeg", "-i", "in.mov", "out.mp4"], files={"in.mov": data}, timeout=60)
mp4 = result.check().files["out.mp4"]
"""

from __future__ import annotations

from ._command import command, shims
from ._errors import (
    Busy,
    Cancelled,
    Closed,
    Deadline,
    DirectoryUnreadable,
    Draining,
    EngineFailed,
    Error,
    Forked,
    FrameFailed,
    InstantiateFailed,
    JobError,
    LimitReached,
    ModuleCompression,
    ModuleError,
    ModuleFormat,
    ModuleInvalid,
    ModuleMissing,
    ModuleUnreadable,
    NoFonts,
    NoFrame,
    NotAProgram,
    NotCut,
    PackRefused,
    ProbeTooLarge,
    ProbeUnreadable,
    ProgramFailed,
    RuntimeStateError,
    SetupError,
    StdioFailed,
    Stuck,
    ThreadFailed,
    TooManyDirectories,
    Trap,
    ZeroByte,
)
from ._modules import modules
from ._native import Frame, Progress
from ._probe import Chapter, Format, Probe, Stream, StreamGroup
from ._runtime import (
    Job,
    Result,
    Runtime,
    Stats,
    aframes,
    aprobe,
    arun,
    frames,
    probe,
    run,
    start,
)

__version__: str


def __getattr__(name: str) -> str:
    # The version of a release, which finding takes longer than all else here.
    if name == "__version__":
        from importlib.metadata import version

        return version("afmpeg")
    raise AttributeError(f"module 'afmpeg' has no attribute {name!r}")


__all__ = [
    "Busy",
    "Cancelled",
    "Chapter",
    "Closed",
    "Deadline",
    "DirectoryUnreadable",
    "Draining",
    "EngineFailed",
    "Error",
    "Forked",
    "Format",
    "Frame",
    "FrameFailed",
    "InstantiateFailed",
    "Job",
    "JobError",
    "LimitReached",
    "ModuleCompression",
    "ModuleError",
    "ModuleFormat",
    "ModuleInvalid",
    "ModuleMissing",
    "ModuleUnreadable",
    "NoFonts",
    "NoFrame",
    "NotAProgram",
    "NotCut",
    "PackRefused",
    "Probe",
    "ProbeTooLarge",
    "ProbeUnreadable",
    "ProgramFailed",
    "Progress",
    "Result",
    "Runtime",
    "RuntimeStateError",
    "SetupError",
    "Stats",
    "StdioFailed",
    "Stream",
    "StreamGroup",
    "Stuck",
    "ThreadFailed",
    "TooManyDirectories",
    "Trap",
    "ZeroByte",
    "__version__",
    "aframes",
    "aprobe",
    "arun",
    "command",
    "frames",
    "modules",
    "probe",
    "run",
    "shims",
    "start",
]
