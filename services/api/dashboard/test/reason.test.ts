import { expect, test } from 'vitest';
import { cause, readable, reason, words } from '../src/lib/reason';

const plain = (s: string) => s.replaceAll('\u202f', ' ');

test('a reason is a signal in words and what follows', () => {
  const r = reason('ray_job_unschedulable: needs {"GPU":4}; no node type offers it');
  expect(r.signal).toBe('ray_job_unschedulable');
  expect(plain(`${r.short}: ${r.detail}`)).toBe('No node can take the job: needs 4 GPUs; no node type offers it');
});

test('a signal of a later version is shown by its own words', () => {
  expect(cause('disk_full: no space on node 7')).toBe('Disk full: no space on node 7');
});

test('a sentence with a colon is no signal', () => {
  expect(cause('Out of memory: killed')).toBe('Out of memory: killed');
});

test('what is no flat object stays as it is', () => {
  expect(readable('a {b} c {"CPU":2}')).toBe('a {b} c 2\u202fCPUs');
});

test('constants', () => {
  expect(words('COMPLETED_WITH_ERRORS')).toBe('Completed with errors');
});
