// The server won't answer this reader.
import type { HeadwayError } from '@headway/client';
import { href, listPlace } from '../lib/route';
import * as says from '../lib/texts';
import { me, signOut } from '../state/session';
import { Icon } from './icons';

export function Refused({ error, namespace }: { error: HeadwayError | null; namespace: string }) {
  // What is in a namespace of others looks like what doesn't exist.
  if (error?.kind === 'not_found') {
    return (
      <div class="blank" data-missing>
        <h1>{says.noNamespace.title}</h1>
        <p>
          <code>{namespace || 'default'}</code>: {says.noNamespace.what}
        </p>
        <p>
          <a class="button" href={href(listPlace(''))} data-app>
            Your namespaces
          </a>
        </p>
      </div>
    );
  }
  return (
    <div class="blank" data-refused>
      <p class="mark stuck big">
        <Icon mark="stuck" size={22} />
        <span>Refused</span>
      </p>
      <p>{error?.message ?? says.refused}</p>
      {error ? <p class="soft">{error.advice}</p> : null}
      <p>
        {me.value ? (
          <button type="button" class="button" onClick={() => void signOut()}>
            Sign in as somebody else
          </button>
        ) : (
          <button type="button" class="button" onClick={() => location.reload()}>
            Load the page anew
          </button>
        )}
      </p>
    </div>
  );
}
