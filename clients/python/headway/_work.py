"""Whose work a thread is doing.

In a Ray task or an actor's method it is that call, named by Ray's task id. The id is the same when Ray tries the call again,
so the second try counts under the name of the first; the try itself is told apart, because each begins to count at 0.
Elsewhere it is the process.
"""

from __future__ import annotations

import os
import secrets
import socket
import sys
import threading
from typing import Any

from . import _events

# A try of a call: the task's id, and the number of the try. In an async actor, where Ray doesn't give that number, it
# is negative and derived from the identity of this try's id object, which must be kept alive as long as the pair.
Try = tuple[bytes, int]


class Process:
    """This process as a worker. A forked child is another worker."""

    def __init__(self) -> None:
        self.name = ""
        self.ray: bool | None = None  # whether it is a Ray worker; None: Ray wasn't imported yet
        self.task_id: Any = None  # Ray's own functions, in a Ray worker
        self.try_number: Any = None
        self.async_task_id: Any = None
        self.thread = threading.local()
        self.renew()

    def renew(self, *, forked: bool = False) -> None:
        host = "".join(c if c.isalnum() or c in "-._" else "-" for c in socket.gethostname()[:64])
        self.name = f"{host}-{os.getpid()}-{secrets.token_hex(3)}"
        self.thread = threading.local()
        if forked:
            self.ray = False  # Ray's client doesn't survive a fork, and would name the parent's task

    def is_a_worker(self) -> bool:
        """Reports whether another process started this one to do a part of its work."""
        return self.is_ray_worker() or is_child()

    def is_ray_worker(self) -> bool:
        """Reports whether this is a Ray worker. That is decided once, since a process is one from its start or never."""
        if self.ray is None:
            ray = sys.modules.get("ray._private.worker")
            if ray is None:
                return False
            try:
                worker = ray.global_worker
                if worker.mode is None:
                    return False  # imported, but not connected
                self.ray = worker.mode == ray.WORKER_MODE
                if self.ray:
                    self.task_id = worker.core_worker.get_current_task_id
                    self.try_number = worker.core_worker.get_current_task_attempt_number
                    self.async_task_id = sys.modules["ray._raylet"].async_task_id
            except Exception:
                self.ray = False  # a Ray version without these functions
        return self.ray

    def current(self) -> Try | None:
        """Returns the try that this thread executes, or None in the pipeline's own threads. Only for Ray workers."""
        call = self.async_task_id.get()
        if call is not None:
            return call.binary(), -id(call)
        try:
            executes = self.thread.executes
        except AttributeError:
            executes = self.thread.executes = _executes(threading.current_thread())
        if not executes:
            return None
        return self.task_id().binary(), self.try_number()

    def keep(self, call: Try) -> object:
        """Returns the object that must stay alive as long as call is compared with others."""
        return self.async_task_id.get() if call[1] < 0 else None


def _executes(thread: threading.Thread) -> bool:
    """Reports whether Ray may run tasks in this thread: in the main thread, and concurrent methods in threads that
    Python didn't start."""
    return thread is threading.main_thread() or isinstance(thread, threading._DummyThread)


def key_of(call: Try) -> str:
    """Returns the session's name, which makes task ids unique, because they repeat in each session."""
    try:
        session = sys.modules["ray._private.worker"].global_worker.node.session_name
    except Exception:
        session = ""
    return "ray-" + _events.short(str(session), call[0].hex())


def is_child() -> bool:
    """Reports whether multiprocessing started this process."""
    process = sys.modules.get("multiprocessing.process")
    return process is not None and process.parent_process() is not None


PROCESS = Process()
