// The server won't answer this reader.
import type { HeadwayError } from '@headway/client';
import { href, listPlace } from '../lib/route';
import { me, signOut } from '../state/session';
import { Icon } from './icons';

export function Refused({ error, namespace }: { error: HeadwayError | null; namespace: string }) {
  // What is in a namespace of others looks like what doesn't exist.
  if (error?.kind === 'not_found') {
    return (
      <div class="blank" data-missing>
        <h1>No such namespace</h1>
        <p>
          There is no namespace <code>{namespace || 'default'}</code> that you may see.
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
      <p>{error?.message ?? 'The server refused to answer.'}</p>
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
