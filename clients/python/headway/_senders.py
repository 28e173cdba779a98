"""The senders of this process, one for each destination."""

from __future__ import annotations

import contextlib
import logging
import sys
import threading
import time
from typing import TYPE_CHECKING

from . import _sigterm
from ._sender import Sender
from ._work import PROCESS

if TYPE_CHECKING:
    from ._settings import Settings

log = logging.getLogger("headway")

_lock = threading.Lock()
_senders: dict[tuple[str, str, str], Sender] = {}


def sender_of(settings: Settings) -> Sender:
    """Returns the sender for a destination, which all handles of the process share."""
    if settings.url:
        _sigterm.notice(flush, end)
    with _lock:
        place = (settings.url, settings.namespace, settings.source)
        sender = _senders.get(place)
        if sender is None or (sender.settings != settings and settings.token):
            sender = _senders[place] = Sender(settings)
        return sender


def flush(seconds: float) -> None:
    """Sends what is known now, at all destinations within the same time."""
    for sender in list(_senders.values()):
        began = time.monotonic()
        with contextlib.suppress(Exception):  # what comes after it matters more
            sender.flush(max(0.0, seconds))
        seconds -= time.monotonic() - began


def end() -> None:
    """Ends all senders at once when the process ends, so that many servers that don't answer take as long as one. What is
    lost is said once, by the process that people started."""
    senders = list(_senders.values())
    lost = []
    try:
        for sender in senders:
            sender.begin_to_end()
        lost = [said for sender in senders if (said := sender.end())]
    except Exception:
        log.exception("headway: a bug of its own at the end of the process")
    if lost and not PROCESS.is_a_worker():
        with contextlib.suppress(Exception):  # nobody may be there to read it
            print(*(f"headway: {said}" for said in lost), sep="\n", file=sys.stderr, flush=True)


def forked() -> None:
    """Resets the senders in a child process: another thread of the parent may have held the lock, and no sender has
    its thread."""
    global _lock  # noqa: PLW0603 (the old one may stay locked for ever)
    _lock = threading.Lock()
    for sender in _senders.values():
        sender.reset()
