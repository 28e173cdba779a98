// One client per namespace. A credential is held by the page alone, for as long as it is open.
import { Headway } from '@headway/client';
import { signal } from '@preact/signals';

/** What a person has entered after a refusal; never stored, never in an address. */
let credential = '';
/** How often one was given: what was refused begins anew with each. */
export const presented = signal(0);

const clients = new Map<string, Headway>();

/** Asks with another credential from now on, and at once: by new clients, since the old ones wait before they try again. */
export function present(token: string): void {
  clients.clear();
  credential = token;
  presented.value++;
}

export function client(namespace: string): Headway {
  let c = clients.get(namespace);
  if (!c) {
    c = new Headway({
      url: location.origin,
      ...(namespace ? { namespace } : {}),
      ...(credential ? { token: () => credential } : {}),
    });
    clients.set(namespace, c);
  }
  return c;
}
