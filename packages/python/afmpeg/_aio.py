# SPDX-License-Identifier: MIT OR Apache-2.0
# Copyright (c) 2026 the afmpeg authors

"""Waiting for jobs in asyncio."""

from __future__ import annotations

import asyncio
import os

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


def start_feed(source: Any, descriptor: int, job: _native.Job) -> asyncio.Task[None]:
    return asyncio.get_running_loop().create_task(_feed(source, descriptor, job))


async def _feed(source: Any, descriptor: int, job: _native.Job) -> None:
    """Writes what an asynchronous iterable gives to a job's standard input."""
    try:
        async for chunk in source:
            await asyncio.to_thread(write_all, "stdin", descriptor, chunk)
    except BrokenPipeError:
        pass
    except asyncio.CancelledError:
        raise
    except BaseException as error:
        job.fail(error)
    finally:
        os.close(descriptor)


async def chunks(read: Callable[[], bytes]) -> AsyncIterator[bytes]:
    while chunk := await asyncio.to_thread(read):
        yield chunk
