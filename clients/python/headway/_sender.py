"""The background thread that sends what changed.

    quiet ──a count or fact──▶ waiting ──interval──▶ sending ──stored─▶ quiet
                                  ▲                     │
                                  └──backoff, jitter────┘ no answer, 429, 5xx; longer for a wrong address or token
at the end of the process: everything that is left, until it is stored or the time is over

Callers only update registers. What couldn't be sent stays in them, and the newest value is sent once Headway is back.
"""

from __future__ import annotations

import contextlib
import logging
import random
import sys
import threading
import time
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, Union

from . import _events
from ._http import REPLY_SECONDS, Answer, Poster
from ._tally import Address, Snapshot, StageTally, Tally
from ._work import is_child

if TYPE_CHECKING:
    from ._settings import Settings

log = logging.getLogger("headway")

POST_EVENTS = 500  # in one POST; Headway accepts 1,000
TRIES = 4_096  # calls whose counts this process still remembers
FIRST_BACKOFF, LAST_BACKOFF = 0.5, 10.0
REFUSED_BACKOFF = 60.0  # upper limit while somebody has to change the token, its rights or the address
LONGEST_AFTER = 60.0  # upper limit for a Retry-After of the server
QUIET_LOOKS = 30  # checks of an unchanged register after which it is unregistered
LOG_SECONDS = 60.0  # between two log lines of one kind
UNHEARD_SECONDS = 1.0  # upper limit of the wait at the end of the process for a server that never answered

KEPT = "What is reported is kept, as much as the buffer holds, and tried again at least once a minute."

Register = Union[Tally, StageTally]


@dataclass(frozen=True)
class Stats:
    sent: int  # events that Headway has stored
    dropped: int  # lost because the buffer was full or the process ended
    refused: int  # rejected, by Headway or before sending, because they were invalid
    waiting: int  # not stored by Headway yet
    last_problem: str  # "" if there was none


class _Fact:
    """A status or a text: sent once, and merged with earlier facts about the same thing."""

    def __init__(self, kind: str, batch: str, data: _events.Data) -> None:
        self.kind, self.batch, self.data = kind, batch, data
        self.at = _events.now()
        self.gone = False

    def snapshot(self) -> Snapshot | None:
        return None if self.gone else Snapshot(self.kind, self.batch, self.at, self.data, None)

    def kept(self, _: object) -> None:
        self.gone = True


class _Clock(Protocol):
    def __call__(self) -> float: ...


class Sender:
    def __init__(self, settings: Settings, clock: _Clock = time.monotonic) -> None:
        self.settings = settings
        self._clock = clock
        self._poster = Poster(settings)
        self._told = False  # people know that nothing is accepted; so do those of a forked child
        self.reset()

    def reset(self) -> None:
        """Resets everything, also in a forked child, where locks may be held by threads that don't exist there."""
        self._changed = threading.Condition(threading.Lock())
        self._thread: threading.Thread | None = None
        self._facts: OrderedDict[object, _Fact] = OrderedDict()
        self._registers: dict[Register, int] = {}  # with the number of checks since it changed last
        self._tries: OrderedDict[object, Register] = OrderedDict()
        self._poster.forget()
        self._wanted = self._done = 0  # flushes requested, and those for which everything was tried
        self._hurry = False
        self._deadline: float | None = None  # once the process ends: until when the thread sends what is left
        self._ended = False
        self._heard = False  # whether the server ever answered anything
        self._failures = 0
        self._not_before = 0.0
        self._sent = self._dropped = self._refused = 0
        self._problem = ""
        self._why = ""  # of the newest failure
        self._logged: dict[str, float] = {}

    # The methods that callers use.

    def fact(self, kind: str, batch: str, key: object, data: _events.Data) -> None:
        if not self.settings.url:
            return
        with self._changed:
            fact = _Fact(kind, batch, data)
            before = self._facts.pop((kind, batch, key), None)
            if before is not None:
                fact.data = {**before.data, **data}
            self._facts[kind, batch, key] = fact
            while len(self._facts) > self.settings.buffer:
                self._facts.popitem(last=False)
                self._drop(1, "more facts than the buffer holds")
            self._wake()

    def tally(self, address: Address, worker: str, of: object, keep: object = None) -> Tally:
        """Returns the register of a worker: one for each try of a call, or for a named piece of work."""
        with self._changed:
            known = self._tries.get((address, worker, of))
            if isinstance(known, Tally):
                return known
            tally = Tally(address, worker)
            tally.keep = keep
            self._know((address, worker, of), tally)
            return tally

    def stage(self, address: Address, stage: str, component: str, worker: str) -> StageTally:
        with self._changed:
            known = self._tries.get((address, stage, component))
            if isinstance(known, StageTally):
                return known
            tally = StageTally(address, stage, component, worker)
            self._know((address, stage, component), tally)
            return tally

    def _know(self, key: object, register: Register) -> None:
        self._tries[key] = register
        if len(self._tries) > TRIES:
            self._tries.popitem(last=False)

    def watch(self, register: Register) -> None:
        """Checks the register from now on, for as long as it changes."""
        register.registered = True
        if not self.settings.url:
            return
        with self._changed:
            self._registers[register] = 0
            if len(self._registers) > self.settings.buffer:
                oldest = next(iter(self._registers))
                if oldest.snapshot() is not None:
                    self._drop(1, "more counters than the buffer holds")
                del self._registers[oldest]
                oldest.registered = False
            self._wake()

    def refuse(self, problem: str) -> None:
        with self._changed:
            self._refused += 1
            self._warn("refused", problem)

    def stats(self) -> Stats:
        with self._changed:
            facts, registers = len(self._facts), list(self._registers)
            told = self._sent, self._dropped, self._refused
            problem = self._problem
        waiting = facts + sum(r.snapshot() is not None for r in registers)
        return Stats(*told, waiting, problem)

    def flush(self, seconds: float) -> bool:
        """Waits until everything known now is stored, up to a limit. Returns False at once while Headway is known to
        be down."""
        with self._changed:
            if not self._facts and not self._registers:
                return True
            if self._failures or self._ended:
                return False
            self._wanted += 1
            mine = self._wanted
            self._wake(hurry=True)
            self._changed.wait_for(lambda: self._done >= mine or self._failures > 0 or self._ended, seconds)
            return self._done >= mine

    def begin_to_end(self) -> None:
        """Asks the thread for a last attempt: the process ends. It gets less time if the server never answered."""
        with self._changed:
            seconds = self.settings.exit_seconds
            self._deadline = self._clock() + (seconds if self._heard else min(seconds, UNHEARD_SECONDS))
            self._changed.notify_all()

    def end(self) -> str:
        """Waits for the last attempt. What is left then is lost, and counted as dropped. Returns what to tell people of
        that, or nothing.

        The thread makes the attempt, because nothing limits how long looking up a name takes."""
        with self._changed:
            assert self._deadline is not None
            if self._thread is not None:
                self._changed.wait_for(lambda: self._ended, max(0.0, self._deadline - self._clock()))
        if self._thread is None:  # none could be started, for the interpreter is shutting down
            self._send_the_rest()
        left = self.stats().waiting if self.settings.url else 0
        with self._changed:
            self._ended = True
            if not left:
                return ""
            why = self._why or "no answer"
            self._drop(left, f"{left} unsent at the end of the process: {why}")
        if not self._heard:
            why = f"it never answered ({why}). HEADWAY_URL is the address, or off"
        return f"{left} {'event' if left == 1 else 'events'} of this process couldn't be sent to {self.settings.url}: {why}"

    # The methods that the thread uses.

    def _wake(self, *, hurry: bool = False) -> None:
        if hurry:
            self._hurry = True
        if self._thread is None and not self._ended:
            thread = threading.Thread(target=self._run, name="headway", daemon=True)
            try:
                thread.start()
            except RuntimeError:
                return  # the interpreter is shutting down: end() sends the rest
            self._thread = thread
            self._end_with_child()
            return
        self._changed.notify_all()

    def _end_with_child(self) -> None:
        """Registers a finalizer, because children of multiprocessing end without atexit but run their finalizers."""
        util = sys.modules.get("multiprocessing.util")
        if util is not None and is_child():
            util.Finalize(None, self._end_alone, exitpriority=100)

    def _end_alone(self) -> None:
        self.begin_to_end()
        self.end()

    def _run(self) -> None:
        while True:
            with self._changed:
                if self._deadline is not None:
                    break
                if not self._facts and not self._registers:
                    self._finish()
                    self._changed.wait()
                    continue
                pause = self._not_before - self._clock()
                if pause > 0 and not (self._hurry and not self._failures):
                    self._changed.wait(pause)
                    continue
                self._hurry = False
                wanted = self._wanted
            answer = self._try(REPLY_SECONDS)
            with self._changed:
                if answer.status == 202 and not self._more:
                    self._done = max(self._done, wanted)
                    self._changed.notify_all()
        self._send_the_rest()
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def _send_the_rest(self) -> None:
        pause = 0.1
        while self._deadline is not None and self._some() and (left := self._deadline - self._clock()) > 0:
            answer = self._try(min(left, REPLY_SECONDS))
            if answer.status == 202:
                continue
            pause = max(pause, answer.after or 0.0)
            if answer.needs or pause > self._deadline - self._clock():
                break  # another try would be in vain, or too late
            time.sleep(pause)
            pause *= 2
        self._poster.close()

    def _try(self, seconds: float) -> Answer:
        try:
            return self._cycle(seconds)
        except Exception:
            log.exception("headway: a bug of its own; reporting goes on")
            answer = Answer(0, "a bug of its own")
            self._back_off(answer)
            return answer

    def _finish(self) -> None:
        self._done = self._wanted
        self._hurry = False
        self._changed.notify_all()

    _more = False

    def _some(self) -> bool:
        return self.stats().waiting > 0

    def _cycle(self, seconds: float) -> Answer:
        """Sends up to one POST of changed registers and facts."""
        taken = self._take()
        if not taken:
            self._not_before = self._clock() + self.settings.interval
            return Answer(202, "")
        events = [_events.event(s.kind, s.batch, s.at, s.data, self.settings.source) for _, s in taken]
        answer = self._poster.post(events, seconds)
        self._heard = self._heard or answer.status != 0
        self._settle(taken, answer)
        return answer

    def _take(self) -> list[tuple[_Fact | Register, Snapshot]]:
        with self._changed:
            facts = list(self._facts.values())[:POST_EVENTS]
            registers = list(self._registers)
        taken: list[tuple[_Fact | Register, Snapshot]] = [(f, s) for f in facts if (s := f.snapshot())]
        idle: list[Register] = []
        self._more = False
        for r in registers:
            if len(taken) >= POST_EVENTS:
                self._more = True
                break
            snapshot = r.snapshot()
            if snapshot is None:
                idle.append(r)
            else:
                taken.append((r, snapshot))
        self._rest(idle)
        return taken

    def _rest(self, idle: list[Register]) -> None:
        """Stops checking registers that have been quiet. The next change registers them again."""
        with self._changed:
            for r in idle:
                looks = self._registers.get(r, 0) + 1
                if looks < QUIET_LOOKS:
                    self._registers[r] = looks
                    continue
                with r.lock:
                    r.registered = False  # set under its lock, so that the next caller that counts sees it
                self._registers.pop(r, None)
        # A caller that counted between the snapshot and this point saw registered as True, so check once more.
        for r in idle:
            if not r.registered and r.snapshot() is not None:
                self.watch(r)

    def _settle(self, taken: list[tuple[_Fact | Register, Snapshot]], answer: Answer) -> None:
        refused = {r.at: r for r in answer.refused if 0 <= r.at < len(taken)}
        if answer.status == 202:
            self._kept(taken)
            with self._changed:
                if self._failures:
                    log.info("headway: sending again")
                self._sent += len(taken)
                self._failures = 0
                self._not_before = 0.0 if self._more else self._clock() + self.settings.interval
        elif refused:
            # None of the request was stored: the named events are dropped, and the others sent again at once.
            self._kept([taken[i] for i in refused])
            with self._changed:
                self._refused += len(refused)
                self._warn("refused", "; ".join(f"{r.field}: {r.reason}" for r in list(refused.values())[:3]))
                self._not_before = 0.0
        elif answer.status == 413 and len(taken) > 1:
            half = len(taken) // 2
            for part in (taken[:half], taken[half:]):
                events = [_events.event(s.kind, s.batch, s.at, s.data, self.settings.source) for _, s in part]
                self._settle(part, self._poster.post(events))
        elif answer.status == 413:
            self._kept(taken)
            with self._changed:
                self._refused += 1
                self._warn("refused", answer.why)
        else:
            self._back_off(answer)

    def _kept(self, taken: list[tuple[_Fact | Register, Snapshot]]) -> None:
        for what, snapshot in taken:
            what.kept(snapshot.mark)
        with self._changed:
            for key in [k for k, f in self._facts.items() if f.gone]:
                del self._facts[key]
            for what, _ in taken:
                if not isinstance(what, _Fact) and what in self._registers:
                    self._registers[what] = 0

    def _back_off(self, answer: Answer) -> None:
        with self._changed:
            self._failures += 1
            self._why = answer.why
            most = REFUSED_BACKOFF if answer.needs else LAST_BACKOFF
            pause = min(most, FIRST_BACKOFF * 2 ** min(self._failures - 1, 10))
            pause = random.uniform(pause / 2, pause)  # noqa: S311 (so that a thousand workers don't return at once)
            self._not_before = self._clock() + max(pause, min(answer.after or 0.0, LONGEST_AFTER))
            self._warn("down", f"can't send, will try again: {answer.why}")
            self._changed.notify_all()
            tell, self._told = answer.needs and not self._told, self._told or answer.needs
        if tell:
            with contextlib.suppress(Exception):  # nobody may be there to read it
                print(f"headway: nothing is accepted: {answer.why}. {KEPT}", file=sys.stderr, flush=True)

    def _drop(self, n: int, why: str) -> None:
        self._dropped += n
        self._warn("dropped", f"dropped: {why}")

    def _warn(self, kind: str, problem: str) -> None:
        self._problem = problem
        now = self._clock()
        if now - self._logged.get(kind, -LOG_SECONDS) >= LOG_SECONDS:
            self._logged[kind] = now
            log.warning("headway: %s", problem)
