"""What changed since the event before, as docs/api.md describes it under format=rows."""

from __future__ import annotations

from typing import Any

KEYS = {"tiers": "tier_num", "jobs": "ray_job_id", "collections": "collection_id"}

Members = dict[str, Any]


def apply(snapshot: Members | None, change: Members) -> Members:
    """Returns the snapshot that a change makes of another one, which isn't modified: the two share what is equal. Raises a
    ValueError, KeyError, TypeError or AttributeError for a change that doesn't fit."""
    if snapshot is None:
        raise ValueError("a change of nothing")
    lists = {name: _parts(snapshot[name], parts) for name, parts in change["lists"].items()}
    rows = {name: _rows(name, snapshot[name], change[name]) for name in ("tiers", "collections") if change.get(name)}
    return {**snapshot, **change["set"], **lists, **rows}


def _parts(old: list[Members], parts: list[Any]) -> list[Members]:
    """A list without keys: an element, or [from, count] for those of the list before."""
    new: list[Members] = []
    for part in parts:
        if not isinstance(part, list):
            new.append(part)
            continue
        begin, count = part
        if not 0 <= begin <= begin + count <= len(old):
            raise ValueError("elements that aren't there")
        new.extend(old[begin : begin + count])
    return new


def _rows(name: str, old: list[Members], changes: list[Members]) -> list[Members]:
    key = KEYS[name]
    by_key = {c["key"]: c for c in changes}
    behind = {c["after"]: c for c in changes if "after" in c}
    new: list[Members] = []
    applied = 0

    def place(after: Any) -> int:
        """Appends the rows that stand behind one, each behind the one before, and returns how many."""
        before = len(new)
        while (c := behind.pop(after, None)) is not None:
            new.append(c["row"])
            after = c["key"]
        return len(new) - before

    applied += place(None)
    for row in old:
        c = by_key.get(row[key])
        if c is not None and "after" in c:
            continue  # it stands elsewhere now
        applied += c is not None
        if c is not None and c.get("gone"):
            continue
        new.append(row if c is None else _row(row, c))
        applied += place(row[key])
    if applied != len(changes):
        raise ValueError(f"a change of {name} that aren't there")
    return new


def _row(old: Members, change: Members) -> Members:
    row = dict(change.get("row", old))
    if "jobs" not in row and "jobs" in old:
        row["jobs"] = old["jobs"]
    for name, value in change.get("clocks", {}).items():
        if name == "phases":  # only the last one goes on
            *before, last = row[name]
            row[name] = [*before, {**last, "duration_seconds": value}]
        else:
            row[name] = value
    if change.get("jobs"):
        row["jobs"] = _rows("jobs", row["jobs"], change["jobs"])
    return row
