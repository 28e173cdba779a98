import { expect, test } from 'vitest';
import { isOver } from '../src/lib/health';
import { telling, verdict } from '../src/lib/verdict';
import { answer, answers } from './stories';

const asOf = (s: { view: { as_of: string } }) => Date.parse(s.view.as_of);
const plain = (s: string) => s.replaceAll('\u202f', ' ');

test('every story has one sentence with an icon, a word, and an end', () => {
  const all = answers();
  expect(all.length).toBeGreaterThan(50);
  for (const { name, s } of all) {
    const v = verdict(s, asOf(s));
    expect(v.word, name).toMatch(/^[A-Z][A-Za-z]/);
    expect(v.says.length, name).toBeGreaterThan(5);
    expect(v.says, name).not.toMatch(/undefined|null|NaN|\{"/);
    expect(v.says, name).not.toMatch(/[.]$/);
    if (s.health === 'stuck') expect(v.mark, name).toBe('stuck');
    if (s.health === 'degraded' && !isOver(s.status)) expect(v.word, name).toBe('Degraded');
  }
});

test('stuck: since when, and why', () => {
  const s = answer('09-running', 1);
  const v = verdict(s, asOf(s) + 53_000);
  expect(plain(`${v.word} ${v.since}: ${v.says}`)).toBe(
    'Stuck for 2 min: No node can take the job: raysubmit_a asks for more than any node has, needs 4 GPUs, offered 1 GPU',
  );
});

test('failed: which tier and why', () => {
  const s = answer('22-out-of-memory', 0);
  const v = verdict(s, asOf(s));
  expect(v.says).toMatch(/^Tier\u202f\d failed: /);
});

test('nothing known is said as such', () => {
  const s = answer('01-nothing', 0);
  expect(verdict(s, asOf(s))).toMatchObject({ mark: 'unknown', word: 'Unknown' });
});

test('the tier to open: named by the verdict, else failed, else open', () => {
  expect(telling(answer('09-running', 1))).toBe(0);
  const failed = answer('19-failed-tier', 0);
  failed.health_evidence.tier_num = null;
  expect(failed.tiers.find(t => t.tier_num === telling(failed))?.status).toBe('FAILED');
  const none = answer('01-nothing', 0);
  expect(telling({ ...none, tiers: [] })).toBeNull();
});
