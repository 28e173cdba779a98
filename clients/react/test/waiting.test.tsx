import { Headway } from '@headway/client';
import { cleanup, render, screen } from '@testing-library/react';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { eventually, have, headwayBinary, Running } from '../../js/test/e2e/servers.ts';
import { useBatch } from '../src/index.ts';

function Batch({ client, id, timeout }: { client: Headway; id: string; timeout?: number }) {
  const { snapshot, connection } = useBatch(id, timeout === undefined ? { client } : { client, timeout });
  return <p data-testid={timeout}>{`${connection.state} ${snapshot?.status} ${connection.error?.message}`}</p>;
}

describe.skipIf(!have('waiting in React', headwayBinary))('a batch that nobody has heard of', () => {
  const server = new Running();
  beforeAll(() => server.start(), 60_000);
  afterAll(() => server.close());
  afterEach(cleanup);

  it('has a state of its own, until it begins or the timeout has passed', async () => {
    const client = new Headway({ url: server.url });
    const of = (timeout: number) => screen.getByTestId(String(timeout)).textContent;
    render([
      <Batch key="1" client={client} id="later" timeout={100} />,
      <Batch key="2" client={client} id="later" timeout={3_600_000} />,
    ]);
    await eventually('the timeout', 30_000, () => of(100)?.startsWith('refused undefined no such batch'));
    expect(of(3_600_000)).toBe('waiting undefined undefined');
    await server.begin('later');
    await eventually('the batch', 30_000, () => of(3_600_000) === 'live PROCESSING undefined');
  }, 120_000);
});
