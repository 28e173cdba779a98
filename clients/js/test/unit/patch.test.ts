import { expect, it } from 'vitest';
import { keyed, merge } from '../../src/patch.ts';
import { described } from './stand.ts';

// RFC 7396, appendix A.
it.each([
  [{ a: 'b' }, { a: 'c' }, { a: 'c' }],
  [{ a: 'b' }, { b: 'c' }, { a: 'b', b: 'c' }],
  [{ a: 'b' }, { a: null }, {}],
  [{ a: 'b', b: 'c' }, { a: null }, { b: 'c' }],
  [{ a: ['b'] }, { a: 'c' }, { a: 'c' }],
  [{ a: 'c' }, { a: ['b'] }, { a: ['b'] }],
  [{ a: { b: 'c' } }, { a: { b: 'd', c: null } }, { a: { b: 'd' } }],
  [{ a: [{ b: 'c' }] }, { a: [1] }, { a: [1] }],
  [
    ['a', 'b'],
    ['c', 'd'],
    ['c', 'd'],
  ],
  [{ a: 'b' }, ['c'], ['c']],
  [{ a: 'foo' }, null, null],
  [{ a: 'foo' }, 'bar', 'bar'],
  [{ e: null }, { a: 1 }, { e: null, a: 1 }],
  [[1, 2], { a: 'b', c: null }, { a: 'b' }],
  [{}, { a: { bb: { ccc: null } } }, { a: { bb: {} } }],
])('%j and %j make %j', (target, patch, result) => {
  const before = structuredClone(target);
  expect(merge(target, patch, true)).toEqual(result);
  expect(target).toEqual(before);
});

it('touches no prototype', () => {
  const made = merge({}, JSON.parse('{"__proto__":{"polluted":1},"constructor":{"x":1}}'));
  expect(Object.keys(made as object)).toEqual(['__proto__', 'constructor']);
  expect(({} as { polluted?: number }).polluted).toBeUndefined();
});

it('makes null what is described, and takes away what is keyed by data', () => {
  const before = { eta: { p50: 'x' }, stuck_seconds: 3, labels: { a: '1', b: '2' }, tiers: [{ error: null }] };
  const patch = { eta: null, stuck_seconds: null, labels: { a: null, c: '3' }, health_evidence: { ray_job_id: null } };
  expect(merge(before, patch)).toEqual({
    eta: null,
    stuck_seconds: null,
    labels: { b: '2', c: '3' },
    tiers: [{ error: null }],
    health_evidence: { ray_job_id: null },
  });
  expect(merge({ labels: { a: '1' } }, { labels: null })).toEqual({ labels: null });
});

it('knows what is keyed by data as the API describes it', () => {
  const found = new Set<string>();
  const schemas: Record<string, Schema> = described.components.schemas;
  const walk = (name: string, schema: Schema, seen: Schema[]) => {
    const s = schema.$ref ? schemas[schema.$ref.split('/').at(-1) ?? ''] : schema;
    if (!s || seen.includes(s)) return;
    for (const one of [...(s.anyOf ?? []), ...(s.oneOf ?? []), ...(s.allOf ?? [])]) walk(name, one, [...seen, s]);
    const anything = !s.type && !s.properties && !s.anyOf && !s.oneOf && !s.allOf && !s.enum && !('const' in s);
    if (anything || ([s.type].flat().includes('object') && (s.additionalProperties ?? false) !== false))
      found.add(name);
    // Not into arrays: a patch replaces them whole.
    for (const [n, p] of Object.entries(s.properties ?? {})) walk(n, p, [...seen, s]);
  };
  walk('', { $ref: 'Snapshot' }, []);
  expect(found).toEqual(keyed);
});

interface Schema {
  $ref?: string;
  type?: string | string[];
  properties?: Record<string, Schema>;
  additionalProperties?: unknown;
  anyOf?: Schema[];
  oneOf?: Schema[];
  allOf?: Schema[];
  enum?: unknown[];
}
