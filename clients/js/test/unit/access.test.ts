import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { type ConnectionState, Headway, HeadwayError } from '../../src/index.ts';
import { event, frame, list, row, Stand, settle, snapshot } from './stand.ts';

// What a watch does when its credential ends. The numbers are those of SPEC.md.

let stand: Stand;
beforeEach(() => {
  vi.useFakeTimers();
  vi.spyOn(Math, 'random').mockReturnValue(0.5);
  stand = new Stand();
});
afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
  vi.restoreAllMocks();
});

const document = (status: number, type: string, details: object = {}) => ({
  status,
  detail: `${type}.`,
  success: false,
  error: { message: `${type}.`, type, details },
});
const problem = (status: number, type: string) => event('problem', document(status, type));
const bearer = () => stand.last.headers.get('Authorization');

/** A client whose tokens are t1, t2 and so on, and why each was asked for. */
function counting(o: { same?: boolean } = {}) {
  const reasons: (string | null)[] = [];
  const token = (refused: HeadwayError | null) => {
    reasons.push(refused?.kind ?? null);
    return o.same ? 'same' : `t${reasons.length}`;
  };
  return { hw: new Headway({ url: 'http://h', fetch: stand.fetch, token }), reasons };
}

/** A watch that shows revision 1. */
async function live(hw: Headway) {
  const states: ConnectionState[] = [];
  const revisions: number[] = [];
  const errors: HeadwayError[] = [];
  const watch = hw.watchBatch('b', {
    onConnection: c => states.push(c),
    onSnapshot: s => revisions.push(s.view.revision),
    onError: e => errors.push(e),
  });
  await settle();
  await stand.last.stream();
  await stand.last.send(frame('snapshot', snapshot(1)));
  states.length = 0;
  return { watch, states, revisions, errors };
}

describe('a stream whose credential ends', () => {
  it.each(['credential_ended', 'credential_expired'])(
    '17: goes on with a new one after %s, from where it was, and stays live',
    async type => {
      const { hw, reasons } = counting();
      const { watch, states, revisions, errors } = await live(hw);
      await stand.last.send(frame('update', snapshot(2)) + problem(401, type));
      await vi.advanceTimersByTimeAsync(500); // jitter, so that not all who have it come at once
      expect(reasons).toEqual([null, type]);
      expect(stand.asked).toHaveLength(2);
      expect(bearer()).toBe('Bearer t2');
      expect(stand.last.lastId).toBe('s-1-2');
      await stand.last.stream();
      await stand.last.send(frame('update', snapshot(3)));
      expect(revisions).toEqual([1, 2, 3]);
      expect(states).toEqual([]);
      expect(errors).toEqual([]);
      watch.close();
    },
  );

  it('17: goes on for a list too', async () => {
    const { hw } = counting();
    const states: string[] = [];
    const watch = hw.watchList({ onConnection: c => states.push(c.state) });
    await settle();
    await stand.last.stream(event('snapshot', list([row('a', 1)])) + problem(401, 'credential_expired'));
    await vi.advanceTimersByTimeAsync(500);
    expect(bearer()).toBe('Bearer t2');
    await stand.last.stream(event('snapshot', list([row('a', 2)])));
    expect(states).toEqual(['connecting', 'live']);
    expect(watch.latest?.[0]?.revision).toBe(2);
    watch.close();
  });

  it('17: shows that it is connecting if that takes longer', async () => {
    const { watch, states } = await live(counting().hw);
    await stand.last.send(problem(401, 'credential_ended'));
    await vi.advanceTimersByTimeAsync(4_999);
    expect(states).toEqual([]);
    await vi.advanceTimersByTimeAsync(1);
    expect(states).toMatchObject([{ state: 'connecting', staleSince: new Date(), error: null }]);
    await stand.last.stream();
    expect(watch.connection.state).toBe('live');
    watch.close();
  });

  it('17: is refused by name if there is no other one', async () => {
    const { hw, reasons } = counting({ same: true });
    const { watch, states, errors } = await live(hw);
    await stand.last.send(problem(401, 'credential_ended'));
    await vi.advanceTimersByTimeAsync(500);
    await stand.last.problem(401, 'credential_invalid');
    expect(reasons).toEqual([null, 'credential_ended', 'credential_invalid']);
    expect(stand.asked).toHaveLength(2); // the same one isn't tried twice
    expect(states).toMatchObject([{ state: 'refused', error: { kind: 'credential_invalid', status: 401 } }]);
    expect(errors).toHaveLength(1);
    expect(watch.connection.nextTry).not.toBeNull(); // somebody may sign in
    expect(watch.latest?.view.revision).toBe(1);
    watch.close();
  });

  it('17: backs off if the new one ends right away, and says so', async () => {
    const { watch, states } = await live(counting().hw);
    await stand.last.send(problem(401, 'credential_ended'));
    await vi.advanceTimersByTimeAsync(500);
    await stand.last.stream(problem(401, 'credential_ended'));
    expect(watch.connection).toMatchObject({ state: 'refused', error: { kind: 'credential_ended' } });
    await vi.advanceTimersByTimeAsync(29_999);
    expect(stand.asked).toHaveLength(2);
    await vi.advanceTimersByTimeAsync(1);
    expect(stand.asked).toHaveLength(3);
    await stand.last.stream();
    expect(states.map(s => s.state)).toEqual(['refused', 'refused', 'live']);
    watch.close();
  });

  it('17: remembers why while the server can not be reached', async () => {
    const { hw, reasons } = counting();
    const { watch } = await live(hw);
    await stand.last.send(problem(401, 'credential_ended'));
    await vi.advanceTimersByTimeAsync(500);
    await stand.last.fail();
    expect(watch.connection.state).toBe('disconnected');
    await vi.advanceTimersByTimeAsync(2_000);
    expect(reasons).toEqual([null, 'credential_ended', 'credential_ended']);
    await stand.last.stream();
    await stand.last.close();
    await vi.advanceTimersByTimeAsync(2_000);
    expect(reasons.at(-1)).toBeNull();
    watch.close();
  });

  it('18: ends for good with a fixed credential, by name and with what to do', async () => {
    const hw = new Headway({ url: 'http://h', fetch: stand.fetch, token: 'hw_fixed' });
    const { watch, states, errors } = await live(hw);
    expect(bearer()).toBe('Bearer hw_fixed');
    await stand.last.send(problem(401, 'credential_ended'));
    const error = { kind: 'credential_ended', status: 401, detail: 'credential_ended.' };
    expect(states).toMatchObject([{ state: 'refused', nextTry: null, error }]);
    expect(errors[0]?.advice).toBe('Get the present key or token.');
    await vi.advanceTimersByTimeAsync(3_600_000);
    expect(stand.asked).toHaveLength(1);
    expect(stand.open).toBe(0);
    expect(watch.latest?.view.revision).toBe(1);
    watch.close();
  });

  it('18: is refused for good from the start with a fixed credential', async () => {
    const hw = new Headway({ url: 'http://h', fetch: stand.fetch, token: 'hw_wrong' });
    const over = (async () => {
      for await (const _ of hw.watchBatch('b')) expect.unreachable();
    })();
    over.catch(() => {});
    await settle();
    await stand.last.problem(401, 'credential_invalid');
    await expect(over).rejects.toMatchObject({ kind: 'credential_invalid', status: 401 });
    await vi.advanceTimersByTimeAsync(3_600_000);
    expect(stand.asked).toHaveLength(1);
  });

  it('19: takes another problem at the end for the failure that it names', async () => {
    const { watch } = await live(counting().hw);
    await stand.last.send(problem(503, 'access_unavailable'));
    expect(watch.connection).toMatchObject({ state: 'disconnected', error: { kind: 'access_unavailable' } });
    watch.close();
  });
});

describe('errors have a kind', () => {
  it.each([
    [401, 'credential_missing', 'credential_missing'],
    [401, 'credential_in_url', 'credential_invalid'],
    [401, 'credential_invalid', 'credential_invalid'],
    [401, 'credential_expired', 'credential_expired'],
    [401, 'credential_ended', 'credential_ended'],
    [401, 'ticket_invalid', 'ticket_invalid'],
    [401, 'a_proxy', 'credential_invalid'],
    [403, 'role_missing', 'role_missing'],
    [403, 'namespaces_missing', 'namespaces_missing'],
    [403, 'cross_origin', 'cross_origin'],
    [404, 'not_found', 'not_found'],
    [410, 'erased', 'erased'],
    [400, 'validation_error', 'invalid_request'],
    [421, 'misdirected_request', 'misdirected_request'],
    [429, 'too_many_streams', 'limit'],
    [503, 'access_unavailable', 'access_unavailable'],
    [503, 'views_rebuilding', 'unavailable'],
    [500, 'toString', 'unavailable'],
    [502, '', 'unavailable'],
  ])('%i %s is %s', async (status, type, kind) => {
    const asked = new Headway({ url: 'http://h', fetch: stand.fetch }).list();
    asked.catch(() => {});
    await settle();
    if (type) await stand.last.problem(status, type);
    else await stand.last.answer(status, '<html>');
    const e = await asked.catch(e => e as HeadwayError);
    expect(e).toMatchObject({ kind, status, type: type || `http_${status}` });
    expect((e as HeadwayError).advice).toMatch(/\.$/);
  });

  it('that names the limit that was reached', () => {
    const of = (status: number, type: string, details = {}) => new HeadwayError('', { status, type, details });
    expect(of(429, 'too_many_streams').limit).toBe('too_many_streams');
    expect(of(429, 'limit', { limit: 'events_per_second' }).limit).toBe('events_per_second');
    expect(of(503, 'views_rebuilding').limit).toBeNull();
  });
});

describe('a page of another origin', () => {
  beforeEach(() => {
    vi.stubGlobal('document', new EventTarget());
    vi.stubGlobal('location', { origin: 'http://page' });
    vi.stubGlobal('addEventListener', () => {});
    vi.stubGlobal('removeEventListener', () => {});
  });

  it('that may not read answers is told so', async () => {
    const watch = new Headway({ url: 'http://h', fetch: stand.fetch, token: 't' }).watchBatch('b');
    await settle();
    await stand.last.fail();
    expect(stand.last.url).toBe('http://h/livez');
    expect(stand.last.mode).toBe('no-cors');
    await stand.last.answer(200);
    expect(watch.connection).toMatchObject({ state: 'refused', error: { kind: 'cross_origin', status: 0 } });
    expect(watch.connection.error?.message).toContain('http://page');
    await vi.advanceTimersByTimeAsync(30_000);
    expect(stand.last.url).toContain('/stream'); // it may be allowed meanwhile
    watch.close();
  });

  it('is told when there is no server, and not asked about its origin once it could read', async () => {
    const watch = new Headway({ url: 'http://h', fetch: stand.fetch, token: 't' }).watchBatch('b');
    await settle();
    await stand.last.fail();
    await stand.last.fail();
    expect(watch.connection).toMatchObject({ state: 'disconnected', error: { kind: 'network' } });
    await vi.advanceTimersByTimeAsync(250);
    await stand.last.stream();
    await stand.last.close();
    await vi.advanceTimersByTimeAsync(1_000);
    const asked = stand.asked.length;
    await stand.last.fail();
    expect(stand.asked).toHaveLength(asked);
    expect(watch.connection.error?.kind).toBe('network');
    watch.close();
  });

  it('on the own origin is never asked about', async () => {
    const watch = new Headway({ fetch: stand.fetch }).watchBatch('b');
    await settle();
    await stand.last.fail();
    expect(stand.asked).toHaveLength(1);
    watch.close();
  });
});

describe('tickets', () => {
  it('are asked for with the credential, and make the URL of one stream', async () => {
    const { hw } = counting();
    const url = hw.ticketURL('/v1/health-events?health=stuck', { lastEventId: 'e-1' });
    await settle();
    expect(stand.last.url).toBe('http://h/v1/stream-tickets');
    expect(stand.last.method).toBe('POST');
    expect(stand.last.body).toEqual({ path: '/v1/health-events?health=stuck' });
    expect(bearer()).toBe('Bearer t1');
    await stand.last.json(201, { ticket: 'hwt_x', expires_at: '2026-03-01T12:00:30Z' });
    expect(await url).toBe('http://h/v1/health-events?health=stuck&lastEventId=e-1&ticket=hwt_x');
  });

  it('are for the namespace of the client, and refused by name', async () => {
    const hw = new Headway({ url: 'http://h/below', namespace: 'team-a', fetch: stand.fetch, token: 't' });
    const url = hw.ticketURL('/v1/batches/stream');
    await settle();
    expect(stand.last.headers.get('X-Namespace')).toBe('team-a');
    await stand.last.json(201, { ticket: 'hwt_x', expires_at: '2026-03-01T12:00:30Z' });
    expect(await url).toBe('http://h/below/v1/batches/stream?namespace=team-a&ticket=hwt_x');
    const refused = hw.ticketURL('/v1/batches/stream');
    refused.catch(() => {});
    await settle();
    await stand.last.problem(403, 'role_missing');
    await expect(refused).rejects.toMatchObject({ kind: 'role_missing' });
  });
});

it('a token that can not be sent is found at once', () => {
  for (const token of ['', 'two words', 'a\nb']) expect(() => new Headway({ url: 'http://h', token })).toThrow('token');
});
