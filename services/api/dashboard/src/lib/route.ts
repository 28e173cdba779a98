// Everything that a page shows is in its address: what is open, filtered, searched.

export interface ListPlace {
  page: 'list';
  namespace: string;
  health: string[];
  status: string[];
  q: string;
}

export interface BatchPlace {
  page: 'batch';
  namespace: string;
  id: string;
  tab: Tab;
  /** null: the one that matters, as the page finds it. */
  tier: number | null;
  evidence: boolean;
}

export type Place = ListPlace | BatchPlace | { page: 'none'; namespace: string };

export const tabs = ['insights', 'collections', 'performance', 'errors', 'changes'] as const;
export type Tab = (typeof tabs)[number];

export function parsePlace(url: URL): Place {
  const q = url.searchParams;
  const namespace = q.get('namespace') ?? '';
  if (namespace && !/^[A-Za-z0-9_-]{1,128}$/.test(namespace)) return { page: 'none', namespace: '' };
  if (url.pathname === '/') {
    return {
      page: 'list',
      namespace,
      health: list(q.get('health')),
      status: list(q.get('status')).map(s => s.toUpperCase()),
      q: q.get('q') ?? '',
    };
  }
  const batch = /^\/batches\/([^/]+)\/?$/.exec(url.pathname);
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
  } else if (p.page === 'batch') {
    path = `/batches/${encodeURIComponent(p.id)}`;
    if (p.tier !== null) q.set('tier', String(p.tier));
    if (p.tab !== 'insights') q.set('tab', p.tab);
    if (p.evidence) q.set('evidence', 'open');
  }
  const query = q.toString().replaceAll('%2C', ',');
  return query ? `${path}?${query}` : path;
}

export const listPlace = (namespace: string): ListPlace => ({ page: 'list', namespace, health: [], status: [], q: '' });

export const batchPlace = (namespace: string, id: string): BatchPlace => ({
  page: 'batch',
  namespace,
  id,
  tab: 'insights',
  tier: null,
  evidence: false,
});

/** Puts a value in or takes it out, as a filter's button does. */
export const toggled = (values: string[], value: string): string[] =>
  values.includes(value) ? values.filter(v => v !== value) : [...values, value];

const list = (text: string | null): string[] => (text ? text.split(',').filter(Boolean) : []);

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
