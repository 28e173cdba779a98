/** Members of a snapshot that are maps, so that an entry can be removed. In all others a member can only become null. */
export const keyed: ReadonlySet<string> = new Set(['labels', 'demand', 'offered']);

/**
 * Applies a JSON merge patch (RFC 7396) to a snapshot. Such a patch can't distinguish null from removal: here it means
 * null, except within maps. Unchanged parts are shared with `target`, which isn't modified.
 */
export function merge(target: unknown, patch: unknown, gone = false): unknown {
  if (!isObject(patch)) return patch;
  const out = new Map(Object.entries(isObject(target) ? target : {}));
  for (const [name, value] of Object.entries(patch)) {
    if (value === null && gone) out.delete(name);
    else out.set(name, merge(out.get(name), value, gone || keyed.has(name)));
  }
  return Object.fromEntries(out); // built from a Map, so that `__proto__` is treated like any other member
}

function isObject(v: unknown): v is Record<string, unknown> {
  return typeof v === 'object' && v !== null && !Array.isArray(v);
}
