// One client per namespace. The browser sends the session's cookie by itself.
import { Headway } from '@headway/client';
import { base } from '../lib/route';
import { identity, me, session } from './session';

const clients = new Map<string, Headway>();
let of = 0;

export function client(namespace: string): Headway {
  if (of !== session.value) clients.clear(); // those of a session that ended wait before they try again
  of = session.value;
  let c = clients.get(namespace);
  if (!c) {
    c = new Headway({
      url: location.origin + base,
      share: me.value ? identity(me.value) : true, // tabs that were left open by another person share nothing
      ...(namespace ? { namespace } : {}),
    });
    clients.set(namespace, c);
  }
  return c;
}
