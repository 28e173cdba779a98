// The answers that the server's own tests are held to, to test what is made of them.
import { readdirSync, readFileSync } from 'node:fs';
import type { Snapshot } from '../src/api';

const dir = new URL('../../../../pkg/diagnostics/testdata/stories/', import.meta.url);

export function answers(): { name: string; s: Snapshot }[] {
  const names = readdirSync(dir).filter(n => n.endsWith('.golden.json'));
  return names.flatMap(name => {
    const asked = JSON.parse(readFileSync(new URL(name, dir), 'utf8')) as { ask: string; answer: Snapshot }[];
    return asked.map(a => ({ name: `${name.replace('.golden.json', '')} at ${a.ask.slice(0, 8)}`, s: a.answer }));
  });
}

export function answer(story: string, at: number): Snapshot {
  const all = answers().filter(a => a.name.startsWith(story));
  const found = all[at];
  if (!found) throw new Error(`no answer ${at} in the story ${story}`);
  return structuredClone(found.s);
}
