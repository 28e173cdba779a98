import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { describe, expect, it } from 'vitest';

const root = resolve(import.meta.dirname, '../../../..');

/** What each file imports of its own package, types included: a circle of types is one of thoughts, too. */
function graph(src: string): Map<string, string[]> {
  const files = readdirSync(src, { recursive: true, encoding: 'utf8' }).filter(f => /\.tsx?$/.test(f));
  const known = new Set(files);
  return new Map(
    files.map(file => {
      const text = readFileSync(join(src, file), 'utf8');
      const imports = [...text.matchAll(/\bfrom\s+'(\.[^']*)'|\bimport\s+'(\.[^']*)'/g)].map(m => m[1] ?? m[2] ?? '');
      const to = imports.map(i => {
        const path = relative(src, resolve(src, dirname(file), i));
        return [path, `${path}.ts`, `${path}.tsx`, join(path, 'index.ts')].find(p => known.has(p)) ?? '';
      });
      return [file, to.filter(Boolean)];
    }),
  );
}

function circle(g: Map<string, string[]>): string[] | null {
  const done = new Set<string>();
  const visit = (file: string, path: string[]): string[] | null => {
    if (path.includes(file)) return [...path.slice(path.indexOf(file)), file];
    if (done.has(file)) return null;
    for (const to of g.get(file) ?? []) {
      const found = visit(to, [...path, file]);
      if (found) return found;
    }
    done.add(file);
    return null;
  };
  for (const file of g.keys()) {
    const found = visit(file, []);
    if (found) return found;
  }
  return null;
}

describe('imports', () => {
  it.each(['clients/js/src', 'clients/react/src', 'services/api/dashboard/src'])('of %s run in no circle', src => {
    const g = graph(join(root, src));
    expect(g.size).toBeGreaterThan(0);
    expect(circle(g)).toBeNull();
  });

  it('that run in a circle are found', () => {
    expect(
      circle(
        new Map([
          ['a', ['b']],
          ['b', ['c']],
          ['c', ['b']],
        ]),
      ),
    ).toEqual(['b', 'c', 'b']);
  });
});
