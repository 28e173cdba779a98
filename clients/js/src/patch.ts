/** Applies a JSON merge patch (RFC 7396). What it doesn't touch is shared with `target`, and nothing is written to. */
export function merge(target: unknown, patch: unknown): unknown {
  if (!isObject(patch)) return patch;
  const out = new Map(Object.entries(isObject(target) ? target : {}));
  for (const [name, value] of Object.entries(patch)) {
    if (value === null) out.delete(name);
    else out.set(name, merge(out.get(name), value));
  }
  return Object.fromEntries(out); // by way of a Map: a member `__proto__` is one like another
}

function isObject(v: unknown): v is Record<string, unknown> {
  return typeof v === 'object' && v !== null && !Array.isArray(v);
}
