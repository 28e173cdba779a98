// Who the reader is, where the API asks for that. The session is a cookie that no script can read: this page holds no credential.
import { HeadwayError, type Schemas } from '@headway/client';
import { signal } from '@preact/signals';
import type { Me } from '../api';
import { base } from '../lib/route';
import * as says from '../lib/texts';

/** Whether the API has access control. It says so in the page, so that without it nothing more is asked. */
export const guarded = document.documentElement.dataset.access === 'on';

/** What a command to copy needs in addition. */
export const authorization = guarded ? ' -H "Authorization: Bearer $HEADWAY_TOKEN"' : '';

export type Phase = 'asking' | 'in' | 'out';
/** Whether one is signed in; without access control everybody is. */
export const phase = signal<Phase>(guarded ? 'asking' : 'in');
/** Who is signed in, or was until the session ended; null: nobody. */
export const me = signal<Me | null>(null);
/** Counts the sessions: with each, the streams begin anew. */
export const session = signal(0);
/** Why it isn't known who one is. */
export const trouble = signal<string | null>(null);

const retry = 2_000;
/** Streams that are refused although one is signed in begin anew at most this often. */
const renewal = 10_000;
let begun = 0;
let asking = false;

/** What tells one principal from another. */
export const identity = (m: Me | null): string => (m ? `${m.access} ${m.id ?? ''} ${m.name ?? ''}` : '');

/** Asks the API. Rejects with a HeadwayError, or whatever fetch does. */
export async function ask<T>(method: string, path: string, body?: unknown): Promise<T> {
  const init: RequestInit = { method, cache: 'no-store' };
  if (body !== undefined) {
    init.headers = { 'Content-Type': 'application/json' };
    init.body = JSON.stringify(body);
  }
  const r = await fetch(base + path, init);
  if (!r.ok) throw await HeadwayError.from(r);
  return (r.status === 204 ? null : await r.json()) as T;
}

function begin(who: Me): void {
  begun = Date.now();
  me.value = who;
  session.value++;
  phase.value = 'in';
}

/** Finds out who is signed in, as often as it takes. `lost`: streams were refused, and have to begin anew if one is. */
function check(lost: boolean): void {
  if (asking) return;
  asking = true;
  void find(lost).finally(() => {
    asking = false;
  });
}

async function find(lost: boolean): Promise<void> {
  for (;;) {
    try {
      const who = await ask<Me>('GET', '/v1/me');
      trouble.value = null;
      const another = phase.value !== 'in' || identity(who) !== identity(me.value);
      if (another || (lost && Date.now() - begun > renewal)) begin(who);
      return;
    } catch (e) {
      if (e instanceof HeadwayError && e.status === 401) {
        trouble.value = null;
        phase.value = 'out';
        return;
      }
      trouble.value = e instanceof HeadwayError ? e.message : says.unreachable;
    }
    await new Promise(resolve => setTimeout(resolve, retry));
  }
}

/** Finds out at the start, and whenever the page is looked at again: one may have signed in, or out, in another tab. */
export function followSession(): void {
  if (!guarded) return;
  check(false);
  document.addEventListener('visibilitychange', () => {
    if (!document.hidden) check(false);
  });
}

/** A stream was refused. If that is because the session has ended, one has to sign in again. */
export function refused(e: HeadwayError | null): void {
  if (guarded && phase.value === 'in' && e?.status === 401) check(true);
}

/** Signs in with a key. Resolves with what is wrong with it, or null. */
export async function signIn(key: string): Promise<string | null> {
  try {
    begin(await ask<Me>('POST', '/v1/session', { key }));
    return null;
  } catch (e) {
    if (!(e instanceof HeadwayError)) return `${says.unreachable} Try again.`;
    if (e.retryAfter) return `${e.message} Try again in ${Math.ceil(e.retryAfter)} s.`;
    return e.message;
  }
}

/** Signs out. Resolves with why that failed, or null. */
export async function signOut(): Promise<string | null> {
  try {
    await ask('DELETE', '/v1/session');
  } catch (e) {
    if (!(e instanceof HeadwayError) || e.status !== 401) return 'You are still signed in. Try again.';
  }
  me.value = null;
  phase.value = 'out';
  return null;
}

export interface Providers {
  keys: boolean;
  providers: { name: string; login_url: string }[];
}

export const providers = (): Promise<Providers> => ask('GET', '/v1/session/providers');

/** The address at which a provider signs one in, and which leads back to what is open. */
export function loginAddress(loginURL: string, back: string): string {
  const url = new URL(loginURL, location.origin);
  url.searchParams.set('return', back);
  return url.href;
}

/** All namespaces that one may see, each with its counts. */
export async function namespaces(): Promise<Schemas['NamespaceList']['namespaces']> {
  const all: Schemas['NamespaceList']['namespaces'] = [];
  for (let cursor: string | null = ''; cursor !== null; ) {
    const query: string = cursor ? `?limit=200&cursor=${encodeURIComponent(cursor)}` : '?limit=200';
    const page: Schemas['NamespaceList'] = await ask('GET', `/v1/namespaces${query}`);
    all.push(...page.namespaces);
    cursor = page.next_cursor;
  }
  return all;
}
