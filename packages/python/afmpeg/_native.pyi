# SPDX-License-Identifier: MIT OR Apache-2.0
# Copyright (c) 2026 the afmpeg authors

from collections.abc import Callable, Sequence
from typing import Any, final

import numpy
from numpy.typing import NDArray

def shut_down() -> None: ...

@final
class Progress:
    """A progress report of ffmpeg."""

    @property
    def frame(self) -> int:
        """Video frames written."""
    @property
    def fps(self) -> float:
        """Frames a second."""
    @property
    def time(self) -> float:
        """The duration of the output so far, in seconds."""
    @property
    def speed(self) -> float | None:
        """Duration of the output per elapsed time."""
    @property
    def total_size_bytes(self) -> int | None: ...
    @property
    def finished(self) -> bool:
        """Whether the report is the last one."""
    def fraction(self, duration: float) -> float:
        """The completed part, from 0 to 1, of an output of this duration in seconds."""

@final
class Frame:
    """One picture; its bytes are a buffer, for ``memoryview(frame)`` and ``numpy.asarray(frame)``."""

    @property
    def time(self) -> float:
        """The time that was asked for, in seconds."""
    @property
    def width(self) -> int: ...
    @property
    def height(self) -> int: ...
    @property
    def format(self) -> str:
        """``png``, ``jpeg`` or ``rgba``."""
    @property
    def image(self) -> bytes:
        """A PNG or JPEG file, or the pixels, as a copy."""
    @property
    def array(self) -> NDArray[numpy.uint8]:
        """The pixels as an array of rows, columns and channels, without a copy."""
    def __buffer__(self, flags: int, /) -> memoryview: ...

@final
class Job:
    def cancel(self) -> None: ...
    def finish(self) -> bool: ...
    def done(self) -> bool: ...
    def fail(self, exception: BaseException) -> None: ...
    def on_done(self, callback: Callable[[], object]) -> None: ...
    def wait(self, timeout: float | None, is_own: bool) -> bool: ...
    def take_result(self) -> Any: ...

@final
class Runtime:
    def __new__(cls, config: dict[str, Any]) -> Runtime: ...
    def run(
        self,
        args: Sequence[str],
        settings: dict[str, Any],
        stdin: bytes | int | str | None,
        stdout: tuple[str, int],
        stderr: tuple[str, int],
        progress: Callable[[Progress], object] | None,
    ) -> Job: ...
    def probe(self, input: str, settings: dict[str, Any], stdin: bytes | int | str | None) -> Job: ...
    def frames(
        self,
        input: str,
        settings: dict[str, Any],
        at: list[float] | None,
        every: float | None,
        sheet: tuple[int, int] | None,
        width: int | None,
        height: int | None,
        format: str,
        size_max_bytes: int | None,
    ) -> Job: ...
    def cache_status(self) -> tuple[str, str | None]: ...
    def engine(self) -> str: ...
    def warm_up(self) -> float: ...
    def close(self) -> None: ...
    def drain(self, timeout: float) -> None: ...
    def stats(self) -> tuple[int, int, int, int]: ...
