// One client per namespace. A credential is held by the page alone, for as long as it is open.
import { type ConnectionState, Headway } from '@headway/client';
import { signal } from '@preact/signals';

/** What a person has entered after a refusal; never stored, never in an address. */
export const credential = signal('');

const clients = new Map<string, Headway>();

export function client(namespace: string): Headway {
  const key = `${credential.value ? 'own' : ''}/${namespace}`;
  let c = clients.get(key);
  if (!c) {
    c = new Headway({
      url: location.origin,
      format: 'patch',
      ...(namespace ? { namespace } : {}),
      ...(credential.value ? { token: () => credential.value } : {}),
    });
    clients.set(key, c);
  }
  return c;
}

export const connecting: ConnectionState = { state: 'connecting', staleSince: null, nextTry: null, error: null };
