import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Headway, type Snapshot } from '../../src/index.ts';
import { Front } from './front.ts';
import { eventually, have, headwayBinary, Running } from './servers.ts';

describe.skipIf(!have('rows', headwayBinary))('rows', () => {
  const server = new Running();
  const fronts = { full: new Front(() => server.port), rows: new Front(() => server.port) };
  beforeAll(async () => {
    await server.start();
    await Promise.all(Object.values(fronts).map(f => f.start()));
  });
  afterAll(async () => {
    for (const f of Object.values(fronts)) f.close();
    await server.close();
  });

  it('make what whole events say, in fewer bytes', async () => {
    const batch = 'rows';
    await server.begin(batch);
    const shown = { full: new Map<string, Snapshot>(), rows: new Map<string, Snapshot>() };
    const ends: string[] = [];
    for (const format of ['full', 'rows'] as const) {
      new Headway({ url: fronts[format].url, format }).watchBatch(batch, {
        onSnapshot: s => shown[format].set(s.view.id, s),
        onEnd: s => ends.push(s.view.id),
      });
    }
    await eventually('both', 10_000, () => shown.full.size > 0 && shown.rows.size > 0);

    const job = { tier_num: 0, submission_id: 'raysubmit_1', status: 'PENDING' };
    const waiting = (kind: string, demand: object) => ({
      ...job,
      waiting_on: { kind, since: new Date().toISOString(), demand, offered: { CPU: 8 } },
    });
    const says: [string, object][] = [
      ['batch', { status: 'PROCESSING', labels: { team: 'a', stage: 'x' } }],
      ['tier', { tier_num: 0, status: 'PROCESSING', total_documents: 1000, processed_documents: 0 }],
      ['job', waiting('resources', { GPU: 1, CPU: 2 })],
      ['job', waiting('resources', { CPU: 2 })],
      ['batch', { status: 'PROCESSING', labels: { team: 'b' } }],
      ['job', { ...job, status: 'RUNNING' }],
      ...Array.from({ length: 20 }, (_, i): [string, object] => [
        'tier',
        { tier_num: 0, processed_documents: 40 * (i + 1), total_documents: 1000 },
      ]),
      ['job', { ...job, status: 'FAILED', message: 'out of memory' }],
      ['tier', { tier_num: 0, status: 'FAILED', error: 'out of memory' }],
      ['batch', { status: 'FAILED', labels: {} }],
    ];
    for (const [type, data] of says) {
      const before = shown.rows.size;
      await server.say(batch, type, data);
      await eventually(`${JSON.stringify(data)} shown`, 10_000, () => shown.rows.size > before || ends.length > 0);
    }
    await eventually('both at the end', 20_000, () => ends.length === 2);
    expect(ends[0]).toBe(ends[1]);

    let compared = 0;
    for (const [id, s] of shown.rows) {
      const whole = shown.full.get(id);
      if (!whole) continue; // it was skipped
      expect(s, id).toEqual(whole);
      compared++;
    }
    expect(compared).toBeGreaterThan(says.length / 2);
    console.info(`${compared} compared; ${fronts.full.bytes} bytes whole, ${fronts.rows.bytes} as rows`);
    expect(fronts.rows.bytes).toBeLessThan(fronts.full.bytes);
  });
});
