"""Work for readers that would keep the event loop from the others: done aside, for all readers in turn."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

_executor = ThreadPoolExecutor(1, thread_name_prefix="reading")
"""One thread: of two at work the event loop, which wants the interpreter as well, would wait for each in turn."""


async def aside(work: Callable[P, T], *arguments: P.args, **more: P.kwargs) -> T:
    """What the work gives, once the thread has done it."""
    return await asyncio.get_running_loop().run_in_executor(_executor, lambda: work(*arguments, **more))
