"""The senders of this process, one for each destination."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from ._sender import Sender

if TYPE_CHECKING:
    from ._settings import Settings

_lock = threading.Lock()
_senders: dict[tuple[str, str, str], Sender] = {}


def sender_of(settings: Settings) -> Sender:
    """Returns the sender for a destination, which all handles of the process share."""
    with _lock:
        place = (settings.url, settings.namespace, settings.source)
        sender = _senders.get(place)
        if sender is None or (sender.settings != settings and settings.token):
            sender = _senders[place] = Sender(settings)
        return sender


def every() -> list[Sender]:
    return list(_senders.values())


def forked() -> None:
    """Resets the senders in a child process: another thread of the parent may have held the lock, and no sender has
    its thread."""
    global _lock  # noqa: PLW0603 (the old one may stay locked for ever)
    _lock = threading.Lock()
    for sender in _senders.values():
        sender.reset()
