import { createServer, type IncomingMessage, request, type Server, type ServerResponse } from 'node:http';
import { listen } from './servers.ts';

/**
 * The reverse proxy in front of a client, such as an installation with credentials has: the API itself has none yet. It
 * takes tokens for as long as they are valid, ends streams when theirs expires, may hold bytes back, and counts.
 */
export class Front {
  url = '';
  port = 0;
  /** Streams that are open, the most that were at once, all that there were. */
  open = 0;
  most = 0;
  streams = 0;
  /** Streams that were lost although the client wanted more, by why. */
  readonly cuts: Record<string, number> = {};
  /** Last-Event-ID of each stream. */
  readonly resumed: (string | undefined)[] = [];
  refusals = 0;
  /** What streams have carried. */
  bytes = 0;
  /** Bytes that are held back before any are let through. */
  hold = 0;
  /** Whether a token is valid, and for how long still; null: none is asked for. */
  valid: ((token: string) => number) | null = null;
  /** Answers in place of what is behind; false: it doesn't. */
  serve: ((req: IncomingMessage, res: ServerResponse) => boolean) | null = null;
  readonly #server: Server;
  readonly #lost = new Set<(why: string) => void>();

  constructor(behind: () => number) {
    this.#server = createServer((req, res) => {
      if (this.serve?.(req, res)) return;
      const left = this.valid ? this.valid((req.headers.authorization ?? '').replace('Bearer ', '')) : Infinity;
      if (left <= 0) {
        this.refusals++;
        res
          .writeHead(401, { 'Content-Type': 'application/json' })
          .end('{"error":{"message":"expired","type":"token_expired"}}');
        return;
      }
      this.#pass(req, res, behind(), left);
    });
  }

  async start(): Promise<void> {
    this.port = await listen(this.#server);
    this.url = `http://127.0.0.1:${this.port}`;
  }

  /** Cuts all streams. */
  cut(why: string): void {
    for (const lose of this.#lost) lose(why);
  }

  close(): void {
    this.#server.close();
    this.#server.closeAllConnections();
  }

  #pass(req: IncomingMessage, res: ServerResponse, port: number, left: number): void {
    const stream = req.url?.includes('/stream') ?? false;
    let over = false;
    const lose = (why: string) => {
      if (over) return;
      if (stream) this.cuts[why] = (this.cuts[why] ?? 0) + 1;
      res.destroy();
    };
    if (stream) {
      this.resumed.push(req.headers['last-event-id'] as string | undefined);
      this.streams++;
      this.most = Math.max(this.most, ++this.open);
      this.#lost.add(lose);
    }
    const up = request({
      host: '127.0.0.1',
      port,
      path: req.url,
      method: req.method,
      headers: req.headers,
      agent: false,
    });
    const expiry = left < 1e9 ? setTimeout(lose, left, 'token expired') : undefined;
    req.socket.setNoDelay(true);
    res.once('close', () => {
      over = true;
      clearTimeout(expiry);
      this.#lost.delete(lose);
      if (stream) this.open--;
      up.destroy();
    });
    up.once('error', () => lose('not reached'));
    up.once('response', from => {
      res.writeHead(from.statusCode ?? 502, from.headers);
      res.flushHeaders();
      const held: Buffer[] = [];
      let size = 0;
      const let_go = () => {
        for (const b of held.splice(0)) res.write(b);
        size = 0;
      };
      from.on('data', (b: Buffer) => {
        if (stream) this.bytes += b.length;
        held.push(b);
        size += b.length;
        if (!stream || size >= this.hold) let_go();
      });
      from.once('end', () => {
        let_go();
        res.end();
      });
      from.once('error', () => lose('cut'));
    });
    req.pipe(up);
  }
}
