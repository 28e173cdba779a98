// Everything that a page shows is in its address: what is open, filtered, searched.
import { type Column, optional, type Sort, sortOf } from './columns';

/** The path under which a reverse proxy serves the page; "" without one. */
export const base: string = globalThis.document?.documentElement.dataset.base ?? '';

export const groupings = ['cause', 'pipeline', 'owner'] as const;
export type Grouping = (typeof groupings)[number];

export interface ListPlace {
  page: 'list';
  namespace: string;
  health: string[];
  status: string[];
  q: string;
  /** "" among them: batches that have none. */
  pipeline: string[];
  owner: string[];
  /** A code, and what its batches have in common. */
  cause: string;
  alike: string;
  /** "24h", "7d": from so long ago on; or moments. */
  since: string;
  from: string;
  to: string;
  sort: Sort;
  group: Grouping | null;
  /** null: the usual ones. */
  columns: Column[] | null;
}

export interface BatchPlace {
  page: 'batch';
  namespace: string;
  id: string;
  tab: Tab;
  /** null: the one that matters, as the page finds it. */
  tier: number | null;
  evidence: boolean;
  /** The past moment that is shown; "": now. */
  moment: string;
}

export interface PipelinePlace {
  page: 'pipeline';
  namespace: string;
  name: string;
  /** The ids of up to two runs that stand side by side. */
  compare: string[];
}

export type Place = ListPlace | BatchPlace | PipelinePlace | { page: 'none'; namespace: string };

export const tabs = ['insights', 'collections', 'performance', 'errors', 'changes'] as const;
export type Tab = (typeof tabs)[number];

export function parsePlace(url: URL): Place {
  const q = url.searchParams;
  const namespace = q.get('namespace') ?? '';
  if (namespace && !/^[A-Za-z0-9_-]{1,128}$/.test(namespace)) return { page: 'none', namespace: '' };
  const path = base && url.pathname.startsWith(`${base}/`) ? url.pathname.slice(base.length) : url.pathname;
  if (path === '/') {
    const group = q.get('group') as Grouping | null;
    const chosen = q.get('columns');
    return {
      page: 'list',
      namespace,
      health: list(q.get('health')),
      status: list(q.get('status')).map(s => s.toUpperCase()),
      q: q.get('q') ?? '',
      pipeline: q.getAll('pipeline'),
      owner: q.getAll('owner'),
      cause: q.get('cause') ?? '',
      alike: q.get('alike') ?? '',
      since: /^\d{1,4}[hd]$/.test(q.get('since') ?? '') ? (q.get('since') ?? '') : '',
      from: moment(q.get('from')),
      to: moment(q.get('to')),
      sort: sortOf(q.get('sort')),
      group: group && groupings.includes(group) ? group : null,
      columns: chosen === null ? null : optional.filter(c => list(chosen).includes(c)),
    };
  }
  const batch = /^\/batches\/([^/]+)\/?$/.exec(path);
  if (batch?.[1]) {
    const tab = q.get('tab') as Tab | null;
    const tier = q.get('tier');
    return {
      page: 'batch',
      namespace,
      id: decoded(batch[1]),
      tab: tab && tabs.includes(tab) ? tab : 'insights',
      tier: tier !== null && /^\d{1,4}$/.test(tier) ? Number(tier) : null,
      evidence: q.get('evidence') === 'open',
      moment: moment(q.get('at')),
    };
  }
  const pipeline = /^\/pipelines\/([^/]+)\/?$/.exec(path);
  if (pipeline?.[1]) {
    return {
      page: 'pipeline',
      namespace,
      name: decoded(pipeline[1]),
      compare: list(q.get('compare')).map(decoded).slice(0, 2),
    };
  }
  return { page: 'none', namespace };
}

export function href(p: Place): string {
  const q = new URLSearchParams();
  if (p.namespace) q.set('namespace', p.namespace);
  let path = '/';
  if (p.page === 'list') {
    if (p.health.length) q.set('health', p.health.join(','));
    if (p.status.length) q.set('status', p.status.join(','));
    if (p.q) q.set('q', p.q);
    for (const name of p.pipeline) q.append('pipeline', name);
    for (const name of p.owner) q.append('owner', name);
    for (const name of ['cause', 'alike', 'since', 'from', 'to'] as const) if (p[name]) q.set(name, p[name]);
    if (p.sort !== 'need') q.set('sort', p.sort);
    if (p.group) q.set('group', p.group);
    if (p.columns) q.set('columns', p.columns.join());
  } else if (p.page === 'batch') {
    path = `/batches/${encodeURIComponent(p.id)}`;
    if (p.tier !== null) q.set('tier', String(p.tier));
    if (p.tab !== 'insights') q.set('tab', p.tab);
    if (p.evidence) q.set('evidence', 'open');
    if (p.moment) q.set('at', p.moment);
  } else if (p.page === 'pipeline') {
    path = `/pipelines/${encodeURIComponent(p.name)}`;
    if (p.compare.length) q.set('compare', p.compare.map(encodeURIComponent).join()); // an id may contain a comma
  }
  const query = q.toString().replaceAll('%2C', ',');
  return base + (query ? `${path}?${query}` : path);
}

export const listPlace = (namespace: string): ListPlace => ({
  page: 'list',
  namespace,
  health: [],
  status: [],
  q: '',
  pipeline: [],
  owner: [],
  cause: '',
  alike: '',
  since: '',
  from: '',
  to: '',
  sort: 'need',
  group: null,
  columns: null,
});

/** The same list without its filters. */
export const unfiltered = (p: ListPlace): ListPlace => ({
  ...listPlace(p.namespace),
  sort: p.sort,
  group: p.group,
  columns: p.columns,
});

/** The other pages of this server, such as `docs`. */
export const at = (path: string): string => `${base}/${path}`;

export const batchPlace = (namespace: string, id: string): BatchPlace => ({
  page: 'batch',
  namespace,
  id,
  tab: 'insights',
  tier: null,
  evidence: false,
  moment: '',
});

export const pipelinePlace = (namespace: string, name: string): PipelinePlace => ({
  page: 'pipeline',
  namespace,
  name,
  compare: [],
});

/** Puts a value in or takes it out, as a filter's button does. */
export const toggled = (values: string[], value: string): string[] =>
  values.includes(value) ? values.filter(v => v !== value) : [...values, value];

const moment = (text: string | null): string => (text && !Number.isNaN(Date.parse(text)) ? text : '');

const list = (text: string | null): string[] => (text ? text.split(',').filter(Boolean) : []);

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
