/** Members of a snapshot whose own members are data, so that one can be gone; of all others it can only be null. */
export const keyed: ReadonlySet<string> = new Set(['labels', 'demand', 'offered']);

/**
 * Applies a JSON merge patch (RFC 7396) to a snapshot. Such a patch can't tell null from gone: here it means null, but
 * within what is keyed by data. What it doesn't touch is shared with `target`, and nothing is written to.
 */
export function merge(target: unknown, patch: unknown, gone = false): unknown {
  if (!isObject(patch)) return patch;
  const out = new Map(Object.entries(isObject(target) ? target : {}));
  for (const [name, value] of Object.entries(patch)) {
    if (value === null && gone) out.delete(name);
    else out.set(name, merge(out.get(name), value, gone || keyed.has(name)));
  }
  return Object.fromEntries(out); // by way of a Map: a member `__proto__` is one like another
}

function isObject(v: unknown): v is Record<string, unknown> {
  return typeof v === 'object' && v !== null && !Array.isArray(v);
}
