/** What changed since the event before, as the API describes it under SnapshotChange. */
export interface Change {
  set: Members;
  lists: Record<string, (Members | [from: number, count: number])[]>;
  tiers?: RowChange[];
  collections?: RowChange[];
}

export interface RowChange {
  key: Key;
  gone?: boolean;
  /** The row stands behind the one with this key; null: it is the first. Without it, a row stays where it is. */
  after?: Key | null;
  /** Without `jobs`, the row keeps those that it had. */
  row?: Members;
  clocks?: Record<string, number | null>;
  jobs?: RowChange[];
}

type Key = string | number;
type Members = Record<string, unknown>;

/** The member of a row that is its key, for each list with keys. */
const keys = { tiers: 'tier_num', jobs: 'ray_job_id', collections: 'collection_id' } as const;

/** Returns the snapshot that a change makes of another one, which isn't modified: the two share what is equal. */
export function apply(snapshot: Members, change: Change): Members {
  const lists = Object.entries(change.lists).map(([name, parts]) => {
    const old = (snapshot[name] ?? []) as Members[];
    const list = parts.flatMap(p => (Array.isArray(p) ? old.slice(p[0], p[0] + p[1]) : [p]));
    return [name, list] as const;
  });
  const out = { ...snapshot, ...change.set, ...Object.fromEntries(lists) };
  for (const name of ['tiers', 'collections'] as const) {
    const changes = change[name];
    if (changes) out[name] = applyRows(name, snapshot[name] as Members[], changes);
  }
  return out;
}

function applyRows(list: keyof typeof keys, old: Members[], changes: RowChange[]): Members[] {
  const key = keys[list];
  const byKey = new Map(changes.map(c => [c.key, c]));
  const behind = new Map<Key | null, RowChange>();
  for (const c of changes) if (c.after !== undefined) behind.set(c.after, c);
  const out: Members[] = [];
  let applied = 0;
  const place = (after: Key | null) => {
    for (let c = behind.get(after); c?.row; c = behind.get(c.key)) {
      behind.delete(c.after as Key | null);
      out.push(c.row);
      applied++;
    }
  };
  place(null);
  for (const row of old) {
    const k = row[key] as Key;
    const c = byKey.get(k);
    if (c?.after !== undefined) continue; // it was put elsewhere
    if (c) applied++;
    if (c?.gone) continue;
    out.push(c ? applyRow(row, c) : row);
    place(k);
  }
  if (applied !== changes.length) throw new Error(`a change of ${list} that are not known`);
  return out;
}

function applyRow(old: Members, c: RowChange): Members {
  const row = c.row ? { ...c.row } : { ...old };
  if (!('jobs' in row) && 'jobs' in old) row.jobs = old.jobs;
  for (const [name, value] of Object.entries(c.clocks ?? {})) {
    if (name !== 'phases') {
      row[name] = value;
      continue;
    }
    const phases = row.phases as Members[]; // only the last one goes on
    row.phases = [...phases.slice(0, -1), { ...phases.at(-1), duration_seconds: value }];
  }
  if (c.jobs) row.jobs = applyRows('jobs', row.jobs as Members[], c.jobs);
  return row;
}
