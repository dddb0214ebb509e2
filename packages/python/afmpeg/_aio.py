# SPDX-License-Identifier: MIT OR Apache-2.0
# Copyright (c) 2026 the afmpeg authors

"""Waiting for jobs in asyncio."""

from __future__ import annotations

import asyncio
import os
import threading
import time

from ._given import write_all

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from typing import Any

    from . import _native
    from ._native import Progress


def on_loop(progress: Callable[[Progress], object]) -> Callable[[Progress], object]:
    """Has reports of progress come on the loop's own thread."""
    loop = asyncio.get_running_loop()
    return lambda report: loop.call_soon_threadsafe(progress, report)


async def done(job: _native.Job) -> None:
    """Waits for a job. When the task is cancelled the job is, too, and has ended before the task goes on."""
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()

    def wake() -> None:
        try:
            loop.call_soon_threadsafe(ended.set)
        except RuntimeError:
            # The loop is closed, and nobody waits.
            pass

    job.on_done(wake)
    cancelled: asyncio.CancelledError | None = None
    while not ended.is_set():
        try:
            await ended.wait()
        except asyncio.CancelledError as error:
            cancelled = error
            job.cancel()
    if cancelled is not None:
        raise cancelled


class _End:
    """The end of a pipe that threads write to. It is closed by who is the last to use it: a descriptor that is closed under a
    thread's write may be another file's by then."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._lock = threading.Lock()
        self._is_writing = False
        self._is_left = False

    def write(self, chunk: object) -> None:
        with self._lock:
            if self._is_left:
                return
            self._is_writing = True
        try:
            write_all("stdin", self._descriptor, chunk)
        finally:
            with self._lock:
                self._is_writing = False
                if self._is_left:
                    os.close(self._descriptor)

    def leave(self) -> None:
        with self._lock:
            was_left, self._is_left = self._is_left, True
            if not was_left and not self._is_writing:
                os.close(self._descriptor)


async def arrived(has_arrived: Callable[[], bool], until: float | None) -> None:
    """Waits until this holds, at most until this time of the monotonic clock."""
    # Not on a thread, which a loop that ends would wait for.
    pause = 0.001
    while not has_arrived() and (until is None or time.monotonic() < until):
        await asyncio.sleep(pause)
        pause = min(pause * 2, 0.05)


def start_feed(source: Any, descriptor: int, job: _native.Job) -> asyncio.Task[None]:
    end = _End(descriptor)
    task = asyncio.get_running_loop().create_task(_feed(source, end, job))
    # A task that is cancelled before it begins does nothing.
    task.add_done_callback(lambda _: end.leave())
    return task


async def _feed(source: Any, end: _End, job: _native.Job) -> None:
    """Writes what an asynchronous iterable gives to a job's standard input."""
    try:
        async for chunk in source:
            await asyncio.to_thread(end.write, chunk)
    except BrokenPipeError:
        pass
    except asyncio.CancelledError:
        raise
    except BaseException as error:
        job.fail(error)
    finally:
        end.leave()


async def chunks(read: Callable[[], bytes]) -> AsyncIterator[bytes]:
    while chunk := await asyncio.to_thread(read):
        yield chunk
