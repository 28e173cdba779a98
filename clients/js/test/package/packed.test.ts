import { execFile } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { frame, snapshot } from '../unit/stand.ts';

// What a stranger gets: both packages as npm packs them, installed into an empty project.

const run = promisify(execFile);
const root = resolve(import.meta.dirname, '../../../..');
const manifest = async (path: string) => JSON.parse(await readFile(join(root, path), 'utf8'));
let project: string;
let server: Server;
let url: string;

beforeAll(async () => {
  project = await mkdtemp(join(tmpdir(), 'headway-packed-'));
  await run('npm', ['pack', '-w', 'clients/js', '-w', 'clients/react', '--pack-destination', project], { cwd: root });
  const { devDependencies } = await manifest('clients/react/package.json');
  const packed = (await readdir(project)).filter(f => f.endsWith('.tgz')).map(f => `./${f}`);
  expect(packed).toHaveLength(2);
  await writeFile(join(project, 'package.json'), JSON.stringify({ private: true, type: 'module' }));
  const others = ['react', 'react-dom', '@types/react'].map(p => `${p}@${devDependencies[p]}`);
  await run('npm', ['install', '--prefer-offline', '--no-audit', '--no-fund', ...packed, ...others], { cwd: project });

  server = createServer((req, res) => {
    if (req.url?.includes('/stream')) {
      res.writeHead(200, { 'Content-Type': 'text/event-stream' });
      res.end(frame('snapshot', snapshot(1)) + frame('end', snapshot(2)));
      return;
    }
    res.writeHead(200, { 'Content-Type': 'application/json' });
    res.end(JSON.stringify(snapshot(1)));
  });
  await new Promise<void>(done => server.listen(0, '127.0.0.1', done));
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});

afterAll(async () => {
  server?.close();
  await rm(project, { recursive: true, force: true });
});

/** Runs a program in the project, and returns what it prints. */
async function program(name: string, text: string): Promise<string> {
  await writeFile(join(project, name), text);
  const { stdout } = await run(process.execPath, [name], { cwd: project });
  return stdout.trim();
}

describe('the packages as packed', () => {
  it('carry one version, with the Python package', async () => {
    const js = await manifest('clients/js/package.json');
    const react = await manifest('clients/react/package.json');
    const python = await readFile(join(root, 'clients/python/pyproject.toml'), 'utf8');
    expect(react.version).toBe(js.version);
    expect(react.dependencies['@headway/client']).toBe(js.version);
    expect(/^version = "(.*)"$/m.exec(python)?.[1]).toBe(js.version);
  });

  it.each(['client', 'react'])('say whose @headway/%s is, and hold what they need and no more', async name => {
    const dir = join(project, 'node_modules/@headway', name);
    const p = JSON.parse(await readFile(join(dir, 'package.json'), 'utf8'));
    expect(p.license).toBe('Apache-2.0');
    expect(p.repository.url).toMatch(/^git\+https:\/\/github\.com\/headwayhq\/headway/);
    expect(p.keywords.length).toBeGreaterThan(0);
    expect(await readFile(join(dir, 'LICENSE'), 'utf8')).toBe(await readFile(join(root, 'LICENSE'), 'utf8'));
    expect(await readFile(join(dir, 'README.md'), 'utf8')).toContain(`npm install @headway/${name}`);
    const files = (await readdir(dir, { recursive: true, withFileTypes: true })).filter(e => e.isFile());
    for (const f of files) expect(f.name).toMatch(/^(LICENSE|package\.json|.*\.md|.*\.js|.*\.d\.ts|.*\.js\.map)$/);
    const maps = files.filter(f => f.name.endsWith('.map'));
    expect(maps.length).toBeGreaterThan(0);
    for (const f of maps) {
      const map = JSON.parse(await readFile(join(f.parentPath, f.name), 'utf8'));
      expect(map.sourcesContent).toHaveLength(map.sources.length); // a map without its sources leads nowhere
    }
  });

  it('read a batch, once and live', async () => {
    const said = await program(
      'read.js',
      `import { Headway } from '@headway/client';
       const headway = new Headway({ url: '${url}' });
       console.log((await headway.diagnostics('b')).batch_id);
       for await (const s of headway.watchBatch('b')) console.log(s.view.revision);`,
    );
    expect(said.split('\n')[0]).toBe('b');
    expect(said.split('\n').at(-1)).toBe('2');
  });

  it('render a hook', async () => {
    const said = await program(
      'render.js',
      `import { createElement } from 'react';
       import { renderToString } from 'react-dom/server';
       import { Headway } from '@headway/client';
       import { HeadwayProvider, useBatch } from '@headway/react';
       const Batch = () => useBatch('b').connection.state;
       const value = new Headway({ url: '${url}' });
       console.log(renderToString(createElement(HeadwayProvider, { value }, createElement(Batch))));`,
    );
    expect(said).toBe('connecting');
  });

  it('have types that stand by themselves', async () => {
    const text = `import { type ConnectionState, Headway, type Snapshot } from '@headway/client';
      import { useBatch } from '@headway/react';
      const headway = new Headway({ url: 'http://h' });
      export const read = (id: string): Promise<Snapshot> => headway.diagnostics(id);
      export const state = (id: string): ConnectionState => useBatch(id, { client: headway }).connection;
      // @ts-expect-error: no such state, so types are really there
      export const none: ConnectionState['state'] = 'asleep';`;
    await writeFile(join(project, 'types.ts'), text);
    const options = ['--noEmit', '--strict', '--target', 'es2022', '--module', 'nodenext', '--lib', 'es2023,dom'];
    const tsc = join(root, 'node_modules/typescript/bin/tsc');
    const { stdout } = await run(process.execPath, [tsc, ...options, 'types.ts'], { cwd: project }).catch(e => e);
    expect(stdout).toBe('');
  });
});
