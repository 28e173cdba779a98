// Who is signed in and in which namespace, in the head of each page.
import { signal, useSignal } from '@preact/signals';
import { useEffect } from 'preact/hooks';
import type { Counts } from '../api';
import { count, plural } from '../lib/format';
import { healths, healthWords } from '../lib/health';
import { href, listPlace } from '../lib/route';
import { me, namespaces, signOut } from '../state/session';
import { Facts, Time } from './bits';
import { Dialog } from './help';
import { Icon } from './icons';

const open = signal<'namespaces' | 'who' | null>(null);
const close = (): void => {
  open.value = null;
};

const shownOf = (namespace: string): string => namespace || (me.value ? (me.value.default_namespace ?? '') : 'default');

/** The namespace that is shown, as the way to the others if there can be any. */
export function Namespace({ namespace }: { namespace: string }) {
  const who = me.value;
  const shown = shownOf(namespace);
  const one = who !== null && who.namespaces.length === 1 && !who.namespaces[0]?.endsWith('*');
  if (one && shown === who?.namespaces[0]) return <span class="soft">{shown}</span>;
  return (
    <button
      type="button"
      class="quiet switch"
      aria-haspopup="dialog"
      title="Switch to another namespace"
      onClick={() => (open.value = 'namespaces')}
    >
      {shown || (who ? 'Namespaces' : 'default')}
    </button>
  );
}

/** The namespaces that one may see, with what is in them. The address has the one that is chosen. */
export function Namespaces({ shown = '' }: { shown?: string }) {
  const all = useSignal<Awaited<ReturnType<typeof namespaces>> | null>(null);
  const wrong = useSignal<string | null>(null);
  useEffect(() => {
    namespaces().then(
      list => {
        all.value = list;
      },
      (e: Error) => {
        wrong.value = e.message;
      },
    );
  }, []);
  if (wrong.value) return <p role="alert">{wrong.value}</p>;
  if (!all.value) return <p class="soft">Reading…</p>;
  if (all.value.length === 0) return <p>None of your namespaces has a batch yet.</p>;
  return (
    <ul class="namespaces" data-namespaces>
      {all.value.map(n => (
        <li key={n.name}>
          <a
            href={href(listPlace(n.name))}
            data-app
            aria-current={n.name === shown ? 'page' : undefined}
            onClick={close}
          >
            {n.name}
          </a>
          <Health counts={n.counts} />
        </li>
      ))}
    </ul>
  );
}

function Health({ counts }: { counts: Counts }) {
  const some = healths.filter(h => (counts.health[h] ?? 0) > 0);
  return (
    <span class="counts">
      {some.map(h => {
        const { mark, word } = healthWords(h);
        return (
          <span key={h} class={`mark ${mark}`} title={word}>
            <Icon mark={mark} size={14} />
            <span>{count(counts.health[h] ?? 0)}</span>
            <span class="offscreen">{word}</span>
          </span>
        );
      })}
      <span class="soft">{counts.total === 0 ? 'no batch' : plural(counts.total, 'batch', 'batches')}</span>
    </span>
  );
}

/** Who is signed in. */
export function Who() {
  const who = me.value;
  if (!who) return null;
  return (
    <button type="button" class="quiet" aria-haspopup="dialog" onClick={() => (open.value = 'who')} data-who>
      {who.name || who.id || 'Signed in'}
    </button>
  );
}

/** What both buttons open: the other namespaces, and the way out. */
export function WhoDialogs({ namespace }: { namespace: string }) {
  const who = me.value;
  const wrong = useSignal<string | null>(null);
  const leave = async (): Promise<void> => {
    wrong.value = await signOut();
    if (!wrong.value) close();
  };
  return (
    <>
      <Dialog open={open.value === 'namespaces'} close={close} label="Namespaces" kind="box">
        <Namespaces shown={shownOf(namespace)} />
      </Dialog>
      {who ? (
        <Dialog open={open.value === 'who'} close={close} label="Signed in" kind="box">
          <Facts
            rows={[
              ['Name', who.name],
              ['Id', who.id],
              ['Roles', who.roles.join(', ')],
              ['Namespaces', who.namespaces.join(', ')],
              ['Until', who.expires_at ? <Time at={who.expires_at} /> : null],
            ]}
          />
          <p>
            <button type="button" class="button" onClick={leave}>
              Sign out
            </button>
          </p>
          {wrong.value ? <p role="alert">{wrong.value}</p> : null}
        </Dialog>
      ) : null}
    </>
  );
}
