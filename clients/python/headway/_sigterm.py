"""Sends what is pending when the process gets SIGTERM, and then lets happen what would have happened without this module.

Python runs signal handlers in the main thread, between any two of its instructions: also while that thread is inside of this
package and holds one of its locks, without which nothing can be sent. Then the signal is sent again a moment later.
"""

from __future__ import annotations

import _thread
import os
import signal
import sys
import threading
import time
from typing import TYPE_CHECKING, Any, Callable

if TYPE_CHECKING:
    from types import FrameType

FLUSH_SECONDS = 1.0  # upper limit of the delay of another handler
AGAIN_SECONDS = 0.005
PACKAGE = __name__.partition(".")[0]


class _Handler:
    def __init__(self, flush: Callable[[float], None], end: Callable[[], None], before: Any) -> None:
        self._flush, self._end, self._before = flush, end, before
        self._first: float | None = None  # when a signal came that is sent again

    def __call__(self, number: int, frame: FrameType | None) -> None:
        self._first = self._first or time.monotonic()
        left = self._first + FLUSH_SECONDS - time.monotonic()
        inside = _inside(frame)
        if inside and left > 0 and _again_in_a_moment(number):
            return
        self._first = None
        ends = not callable(self._before) and os.getpid() != 1  # without a handler, the kernel keeps the signal from process 1
        if not inside:  # else it waited for the server as long as it may
            self._end() if ends else self._flush(left)
        if callable(self._before):
            self._before(number, frame)
        elif ends:
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)


def notice(flush: Callable[[float], None], end: Callable[[], None]) -> None:
    """Handles SIGTERM from now on, if this is the main thread, where alone that is possible. A handler that is there is called
    after the flush. A process that ignores the signal still does."""
    if threading.current_thread() is not threading.main_thread() or sys.platform == "win32":
        return
    try:
        before = signal.getsignal(signal.SIGTERM)
        if before is None or before is signal.SIG_IGN or isinstance(before, _Handler):
            return  # None is a handler that a library set, which can't be called from here
        signal.signal(signal.SIGTERM, _Handler(flush, end, before))
    except ValueError:  # a subinterpreter
        pass


def _inside(frame: FrameType | None) -> bool:
    while frame is not None:
        if str(frame.f_globals.get("__name__")).partition(".")[0] == PACKAGE:
            return True
        frame = frame.f_back
    return False


def _again_in_a_moment(number: int) -> bool:
    try:
        _thread.start_new_thread(_again, (number,))  # without threading's locks, which may be held, too
    except RuntimeError:
        return False  # the interpreter is shutting down
    return True


def _again(number: int) -> None:
    time.sleep(AGAIN_SECONDS)
    os.kill(os.getpid(), number)
