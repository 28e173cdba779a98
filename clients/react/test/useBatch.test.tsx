import { Headway } from '@headway/client';
import { act, cleanup, render, screen } from '@testing-library/react';
import { StrictMode } from 'react';
import { renderToString } from 'react-dom/server';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { HeadwayProvider, useBatch } from '../src/index.ts';

/** A server of streams, in place of `fetch`. */
class Server {
  readonly streams: { id: string; body: ReadableStreamDefaultController<Uint8Array>; open: boolean }[] = [];
  opened = 0;
  /** The credentials that are accepted; null: any, and none. */
  accepted: string | null = null;

  readonly fetch: typeof fetch = async (url, init) => {
    const sent = new Headers(init?.headers).get('Authorization');
    if (this.accepted !== null && sent !== `Bearer ${this.accepted}`) {
      const error = { message: "This credential isn't known here.", type: 'credential_invalid', details: {} };
      return new Response(JSON.stringify({ status: 401, error }), { status: 401 });
    }
    const id = new URL(String(url)).pathname.split('/').at(-3) ?? '';
    this.opened++;
    const body = new ReadableStream<Uint8Array>({
      start: body => {
        const stream = { id, body, open: true };
        this.streams.push(stream);
        init?.signal?.addEventListener('abort', () => {
          stream.open = false;
          body.error(init.signal?.reason);
        });
      },
    });
    return new Response(body, { headers: { 'Content-Type': 'text/event-stream' } });
  };

  get open() {
    return this.streams.filter(s => s.open).map(s => s.id);
  }

  /** The credential of all streams ends. */
  async end(): Promise<void> {
    const data = JSON.stringify({ status: 401, error: { message: '', type: 'credential_ended', details: {} } });
    await act(async () => {
      for (const s of this.streams.filter(s => s.open)) {
        s.body.enqueue(new TextEncoder().encode(`event: problem\ndata: ${data}\n\n`));
      }
      await soon();
    });
  }

  async send(id: string, name: string, revision: number, health = 'ok') {
    const view = { id: `s-1-${revision}`, revision, lag_seconds: 0, as_of: '2026-03-01T12:00:00Z' };
    const data = JSON.stringify({ batch_id: id, health, view });
    await act(async () => {
      for (const s of this.streams.filter(s => s.open && s.id === id)) {
        s.body.enqueue(new TextEncoder().encode(`id: ${view.id}\nevent: ${name}\ndata: ${data}\n\n`));
      }
      await soon();
    });
  }
}

const soon = () => new Promise(r => setTimeout(r, 5));
let server: Server;
let headway: Headway;
beforeEach(() => {
  server = new Server();
  headway = new Headway({ url: 'http://h', fetch: server.fetch });
});
afterEach(cleanup);

function Batch({ id, onHealth }: { id: string; onHealth?: (to: string, from: string) => void }) {
  const { snapshot, connection } = useBatch(id, onHealth ? { onHealth: (s, from) => onHealth(s.health, from) } : {});
  return (
    <p data-testid={id}>
      {snapshot ? `${snapshot.batch_id} ${snapshot.view.revision} ${snapshot.health}` : 'nothing'} {connection.state}
    </p>
  );
}
function Noted({ seen }: { seen: string[] }) {
  const { snapshot, connection } = useBatch('a');
  seen.push(`${snapshot?.view.revision ?? '-'} ${connection.state} ${connection.error?.kind ?? ''}`);
  return null;
}
const text = (id: string) => screen.getAllByTestId(id).map(e => e.textContent);
const show = (children: React.ReactNode) => (
  <StrictMode>
    <HeadwayProvider value={headway}>{children}</HeadwayProvider>
  </StrictMode>
);

it('shows what comes, over one connection for all, which ends with the last', async () => {
  const changes: string[] = [];
  const page = render(
    show([<Batch key="1" id="a" />, <Batch key="2" id="a" onHealth={(to, from) => changes.push(`${from} ${to}`)} />]),
  );
  expect(text('a')).toEqual(['nothing connecting', 'nothing connecting']);
  await act(soon);
  expect(server.opened).toBe(1); // although StrictMode mounts twice
  await server.send('a', 'snapshot', 1);
  expect(text('a')).toEqual(['a 1 ok live', 'a 1 ok live']);
  await server.send('a', 'health', 2, 'stuck');
  expect(text('a')).toEqual(['a 2 stuck live', 'a 2 stuck live']);
  expect(changes).toEqual(['ok stuck']);
  page.rerender(show([<Batch key="1" id="a" />, <Batch key="3" id="a" />])); // one that comes late
  await act(soon);
  expect(text('a')).toEqual(['a 2 stuck live', 'a 2 stuck live']);
  page.unmount();
  await act(soon);
  expect(server.open).toEqual([]);
});

it('follows its id, and shows nothing of the one before', async () => {
  const page = render(show(<Batch id="a" />));
  await act(soon);
  await server.send('a', 'snapshot', 1);
  page.rerender(show(<Batch id="b" />));
  expect(text('b')).toEqual(['nothing connecting']);
  await act(soon);
  expect(server.open).toEqual(['b']);
  await server.send('b', 'snapshot', 5);
  expect(text('b')).toEqual(['b 5 ok live']);
});

it('goes on with a new credential unseen, and names the one that is refused', async () => {
  vi.spyOn(Math, 'random').mockReturnValue(0); // no jitter
  let token = 'first';
  server.accepted = token;
  headway = new Headway({ url: 'http://h', fetch: server.fetch, token: () => token });
  const seen: string[] = [];
  render(
    <HeadwayProvider value={headway}>
      <Noted seen={seen} />
    </HeadwayProvider>,
  );
  await act(soon);
  await server.send('a', 'snapshot', 1);
  token = server.accepted = 'second';
  await server.end();
  await act(soon);
  await server.send('a', 'update', 2);
  expect(new Set(seen)).toEqual(new Set(['- connecting ', '1 live ', '2 live ']));
  vi.spyOn(Date, 'now').mockReturnValue(Date.now() + 60_000); // it wasn't renewed just now
  server.accepted = 'third';
  await server.end();
  await act(soon);
  expect(seen.at(-1)).toBe('2 refused credential_invalid');
  vi.restoreAllMocks();
});

it('renders on a server, and connects to nothing there', () => {
  expect(renderToString(show(<Batch id="a" />))).toContain('nothing');
  expect(server.opened).toBe(0);
});

it('says what it lacks', () => {
  expect(() => renderToString(<Batch id="a" />)).toThrow('HeadwayProvider');
});
