import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Headway } from '../../src/index.ts';
import { eventually, have, headwayBinary, Running } from './servers.ts';

describe.skipIf(!have('waiting', headwayBinary))('a batch that nobody has heard of', () => {
  const server = new Running();
  beforeAll(() => server.start());
  afterAll(() => server.close());

  it('is waited for until it begins, or until the timeout', async () => {
    const states: string[] = [];
    const headway = new Headway({ url: server.url });
    const w = headway.watchBatch('later', { onConnection: c => states.push(c.state) });
    await eventually('waiting', 30_000, () => w.connection.state === 'waiting');
    const impatient = async () => {
      for await (const _ of headway.watchBatch('later', { timeout: 100 })) expect.unreachable();
    };
    await expect(impatient()).rejects.toMatchObject({ status: 404, type: 'not_found' });
    expect(w.connection.state).toBe('waiting');
    await server.begin('later');
    await eventually('live', 30_000, () => w.connection.state === 'live');
    expect(w.latest?.status).toBe('PROCESSING');
    expect(states.slice(-2)).toEqual(['waiting', 'live']);
    w.close();
  });
});
