// A server between the page and Headway that can withhold, refuse and forbid.
import { createServer, type IncomingMessage, request, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export type Rule = 'pass' | 'hold' | { status: number; message: string };

export class Gateway {
  rule: Rule = 'pass';
  url = '';
  /** Of streams: how many were open at once, at most. */
  most = 0;
  private open = 0;
  private server: Server;
  private held: (() => void)[] = [];

  /** `below`: it serves under this path only, and removes it, as nginx does. */
  constructor(
    target: string,
    private readonly below = '',
  ) {
    const to = new URL(target);
    this.server = createServer((q, a) => this.answer(to, q, a));
  }

  async start(): Promise<this> {
    await new Promise<void>(resolve => this.server.listen(0, '127.0.0.1', resolve));
    this.url = `http://127.0.0.1:${(this.server.address() as AddressInfo).port}${this.below}`;
    return this;
  }

  async stop(): Promise<void> {
    this.server.closeAllConnections();
    await new Promise(resolve => this.server.close(resolve));
  }

  /** Lets pass what was held, and all else. */
  pass(): void {
    this.rule = 'pass';
    for (const go of this.held.splice(0)) go();
  }

  private answer(to: URL, q: IncomingMessage, a: ServerResponse): void {
    if (this.below) {
      if (!q.url?.startsWith(`${this.below}/`)) {
        a.writeHead(404).end();
        return;
      }
      q.url = q.url.slice(this.below.length);
    }
    const rule = this.rule;
    if (!q.url?.startsWith('/v1/') || rule === 'pass') {
      this.forward(to, q, a);
      return;
    }
    if (rule === 'hold') {
      this.held.push(() => this.forward(to, q, a));
      return;
    }
    a.writeHead(rule.status, { 'Content-Type': 'application/problem+json' });
    a.end(
      JSON.stringify({
        type: 'about:blank',
        status: rule.status,
        detail: rule.message,
        success: false,
        error: { message: rule.message, type: rule.status === 503 ? 'unavailable' : 'refused', details: {} },
      }),
    );
  }

  private forward(to: URL, q: IncomingMessage, a: ServerResponse): void {
    const r = request(
      { host: to.hostname, port: to.port, method: q.method, path: q.url, headers: q.headers },
      answer => {
        a.writeHead(answer.statusCode ?? 502, answer.headers);
        answer.pipe(a);
        if (!answer.headers['content-type']?.startsWith('text/event-stream')) return;
        this.most = Math.max(this.most, ++this.open);
        answer.once('close', () => this.open--);
      },
    );
    r.on('error', () => a.destroy());
    a.on('close', () => r.destroy());
    q.pipe(r);
  }
}
