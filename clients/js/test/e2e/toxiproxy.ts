import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { eventually, freePort, toxiproxyBinary } from './servers.ts';

/** A toxiproxy server of its own, driven over its API. */
export class Toxiproxy {
  #child: ChildProcess | null = null;
  #api = '';

  async start(): Promise<void> {
    const port = await freePort();
    this.#api = `http://127.0.0.1:${port}`;
    this.#child = spawn(toxiproxyBinary, ['-host', '127.0.0.1', '-port', String(port)], { stdio: 'ignore' });
    await eventually('toxiproxy', 10_000, async () => (await fetch(`${this.#api}/version`)).ok);
  }

  async close(): Promise<void> {
    const child = this.#child;
    if (!child || child.exitCode !== null) return;
    const ended = once(child, 'exit');
    child.kill('SIGTERM');
    await ended;
  }

  /** Makes a proxy; returns its port. */
  async proxy(name: string, upstream: string): Promise<number> {
    const p = (await this.#do('POST', '/proxies', { name, listen: '127.0.0.1:0', upstream, enabled: true })) as {
      listen: string;
    };
    return Number(p.listen.split(':').at(-1));
  }

  /** Makes what comes downstream through a proxy suffer. */
  async poison(proxy: string, type: string, attributes: object): Promise<void> {
    await this.#do('POST', `/proxies/${proxy}/toxics`, { name: type, type, stream: 'downstream', attributes });
  }

  async heal(proxy: string, type: string): Promise<void> {
    await this.#do('DELETE', `/proxies/${proxy}/toxics/${type}`);
  }

  async #do(method: string, path: string, body?: object): Promise<unknown> {
    const r = await fetch(this.#api + path, { method, body: body ? JSON.stringify(body) : null });
    if (!r.ok) throw new Error(`toxiproxy: ${method} ${path}: ${r.status} ${await r.text()}`);
    return r.status === 204 ? null : r.json();
  }
}
