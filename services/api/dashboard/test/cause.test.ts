import { expect, test } from 'vitest';
import {
  actorWords,
  because,
  byCode,
  certaintyWords,
  codeWords,
  doubtsAbout,
  listed,
  waitingWords,
} from '../src/lib/cause';
import { inZone, readable } from '../src/lib/reason';
import { clock } from '../src/lib/time';
import { answer, answers } from './stories';

test('each cause of the stories is said in words, and so is one of a later version', () => {
  const causes = answers().flatMap(({ s }) => [
    s.cause,
    ...s.doubts,
    ...s.tiers.flatMap(t => t.jobs.map(j => j.cause)),
  ]);
  const some = causes.filter(c => c !== null);
  expect(some.length).toBeGreaterThan(50);
  for (const c of some) {
    for (const text of [certaintyWords(c), actorWords(c), waitingWords(c), codeWords(c.code)]) {
      expect(text, c.code).toMatch(/^[\w' :,]+$/);
    }
  }
  const later = { ...some[0], code: 'DISK:FULL', certainty: 'guessed', who_acts: 'storage_team' } as never;
  expect([certaintyWords(later), actorWords(later), codeWords('DISK:FULL')]).toEqual([
    'Guessed',
    'storage team',
    'Disk: full',
  ]);
});

test('what a source lists is text, whatever it is', () => {
  expect(listed([{ job: 'nightly', gpus: 4 }, 'a notebook', null, ['a', { b: null }], 7])).toEqual([
    'gpus 4, job nightly',
    'a notebook',
    'a',
    '7',
  ]);
  expect(listed([{ bytes: 9004, truncated: true }])).toEqual(['more than is kept (9004 bytes)']);
  expect(listed(null)).toEqual([]);
});

test('moments in texts are shown in the zone of the reader', () => {
  const text = 'it runs since 12:00:04Z on 2026-03-01, and is stuck at 12:30:04Z on 2026-03-01';
  expect(inZone(text, t => clock(t, 'utc'))).toBe('it runs since 12:00:04, and is stuck at 12:30:04');
  expect(inZone(text, t => t.toISOString().slice(0, 10))).toBe('it runs since 2026-03-01, and is stuck at 2026-03-01');
  expect(inZone(text)).toBe(text);
  expect(inZone('at 99:00:00Z on 2026-03-01', () => 'never')).toBe('at 99:00:00Z on 2026-03-01');
});

test('no text of a story is left with JSON or a moment that is not shown in the zone', () => {
  for (const { name, s } of answers()) {
    for (const text of [s.blocked_reason ?? '', ...s.next_actions, s.cause?.sentence ?? '']) {
      expect(
        inZone(readable(text), () => 'then'),
        name,
      ).not.toMatch(/\{"|\bnull\b|\d\dZ\b/);
    }
  }
});

test('a doubt stands beside the figures that it bears on, one that is not known beside all', () => {
  const s = answer('03-healthy', 1);
  const doubt = (code: string) => ({ ...s, doubts: [{ code } as never] });
  expect(doubtsAbout(doubt('REPORTING:COUNT_WENT_BACK'), 'progress').length).toBe(1);
  expect(doubtsAbout(doubt('REPORTING:COUNT_WENT_BACK'), 'times').length).toBe(0);
  expect(doubtsAbout(doubt('REPORTING:CLOCK'), 'expected').length).toBe(1);
  expect(doubtsAbout(doubt('REPORTING:NEW'), 'progress').length).toBe(1);
});

test('a row has the words of its cause where nothing blocks it', () => {
  const row = { blocked_reason: null, cause: 'PROGRAM:DOCUMENTS_FAILED', health: 'degraded', status: 'PROCESSING' };
  expect(because(row as never)).toBe('Program: documents failed');
  expect(because({ ...row, cause: null } as never)).toBe('Something failed; it goes on');
});

test('causes of one code are counted', () => {
  const c = (code: string, id: string) => ({ code, subject: { kind: 'tier', id } }) as never;
  const all = [c('A', '1'), c('B', '1'), c('A', '2'), c('A', '3')];
  expect(byCode(all)).toEqual([
    [all[0], 2],
    [all[1], 0],
  ]);
});
