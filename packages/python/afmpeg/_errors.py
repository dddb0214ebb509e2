# SPDX-License-Identifier: MIT OR Apache-2.0
# Copyright (c) 2026 the afmpeg authors

"""Exceptions: one class for each reason, with its message and what to do next."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ._runtime import Result


class Error(Exception):
    """A job or a runtime has failed. A program's own failure is none: its exit code is in the ``Result``."""

    #: What to do about it; empty if the message says it all.
    next_step = ""

    def __str__(self) -> str:
        message = super().__str__()
        return f"{message}. {self.next_step}" if self.next_step else message


class ModuleError(Error):
    """The module cannot be used."""


class ModuleMissing(ModuleError):
    """No module is installed, or none of that name."""

    next_step = "Install one, as with `pip install afmpeg-o3-gpl`, or name a file with Runtime(module=PATH)"


class ModuleUnreadable(ModuleError):
    next_step = "Check the path and its permissions"
    path: str


class ModuleFormat(ModuleError):
    next_step = "Give a .wasm file of afmpeg's, or one compressed with gzip or brotli"


class ModuleCompression(ModuleError):
    next_step = "Install the package of the module again"


class ModuleInvalid(ModuleError):
    next_step = "Install the package of the module again, or a newer afmpeg"


class NotAProgram(ModuleError):
    next_step = "Give a module of afmpeg's"


class PackRefused(ModuleError):
    """There is no pack of the module for this machine, or it is not what its record says."""

    next_step = "Give the pack's record with Runtime(pack=PATH), or use engine='wasmtime'"
    path: str


class EngineFailed(ModuleError):
    """The WebAssembly engine does not work on this machine."""


class SetupError(Error):
    """A job could not be started."""


class ZeroByte(SetupError):
    next_step = "Take the zero byte out of args or env"


class DirectoryUnreadable(SetupError):
    next_step = "Check that dirs and dirs_read_only name folders that this user may open"
    path: str


class NoFonts(SetupError):
    next_step = "Give fonts a folder with fonts in it"
    path: str


class StdioFailed(SetupError):
    next_step = "Check that what is given as stdin, stdout and stderr is open"


class TooManyDirectories(SetupError):
    next_step = "Raise open_files_max"


class ThreadFailed(SetupError):
    next_step = "Run fewer jobs at a time, or raise the limit of threads"


class InstantiateFailed(SetupError):
    next_step = "Free memory, or raise the limit of address space"


class NotCut(SetupError):
    """The command cannot be cut into segments, as ``parallel="require"`` asks."""

    next_step = "Leave parallel out, or say parallel=True, which then runs it as one job"
    reason: str


class JobError(Error):
    """A job was ended, or has failed. ``output`` is what there was until then, without files."""

    output: Result


class Trap(JobError):
    """The program has crashed in its sandbox."""

    next_step = "The input may be damaged, or made to do harm"
    reason: str
    function: str | None


class Deadline(JobError, TimeoutError):
    """The job was still running at the end of its ``timeout``."""

    next_step = "Raise timeout, or ask for less work"


class Cancelled(JobError):
    """The job was cancelled."""


class LimitReached(JobError):
    """The program failed after it was refused more of a limited resource."""

    #: The argument that sets the limit.
    limit: str
    allowed: int
    wanted: int

    @property
    def next_step(self) -> str:  # type: ignore[override]
        return f"Raise {self.limit} if the media is to be trusted with more"


class ProgramFailed(JobError):
    """The program has failed, for a caller that needs its result."""

    #: FFmpeg's own words.
    message: str


class ProbeUnreadable(Error):
    next_step = "Use a module of the same release as this package"


class ProbeTooLarge(Error):
    """The description of the media is larger than that of any usual file."""


class FrameFailed(Error):
    """The pictures cannot be made."""


class NoFrame(FrameFailed):
    """The video shows nothing at that time."""

    next_step = "Ask for a time before the end"
    #: In seconds.
    time: float


class RuntimeStateError(Error):
    """The runtime takes no job now."""


class Closed(RuntimeStateError):
    next_step = "Make another Runtime"


class Busy(RuntimeStateError):
    next_step = "Try again later, or raise max_waiting"
    running: int
    waiting: int


class Stuck(RuntimeStateError):
    next_step = "Find the file object whose calls do not return"
    left_behind: int


class Draining(RuntimeStateError):
    next_step = "Cancel the jobs, or wait longer"
    running: int


class Forked(RuntimeStateError):
    next_step = (
        "Start workers with multiprocessing's methods `spawn` or `forkserver`, or use afmpeg in the workers alone"
    )


def make(kind: str, message: str, fields: dict[str, object]) -> Error:
    """Makes the exception of this name; one of a newer crate is an ``Error``."""
    found = globals().get(kind)
    error: Error = (found if isinstance(found, type) and issubclass(found, Error) else Error)(message)
    output = fields.pop("output", None)
    if isinstance(output, dict):
        from ._runtime import Result

        fields["output"] = Result(output)
    for name, value in fields.items():
        setattr(error, name, value)
    return error
