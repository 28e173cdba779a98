// Signing in, above everything else: the page below stays where it was, and can't be seen.
import { useSignal } from '@preact/signals';
import { useEffect, useRef } from 'preact/hooks';
import { href } from '../lib/route';
import { asking, keepsTrying } from '../lib/texts';
import { place } from '../state/router';
import { loginAddress, me, type Providers, phase, providers, signIn, trouble } from '../state/session';
import { Icon } from './icons';

export function SignIn() {
  const ref = useRef<HTMLDialogElement>(null);
  const out = phase.value === 'out';
  const show = (): void => {
    if (phase.value === 'out' && ref.current && !ref.current.open) ref.current.showModal();
  };
  useEffect(() => {
    if (out) show();
    else ref.current?.close();
  }, [out]);
  return (
    <dialog ref={ref} class="signin" aria-labelledby="signin" onCancel={e => e.preventDefault()} onClose={show}>
      {out ? <Ways /> : null}
    </dialog>
  );
}

function Ways() {
  const ways = useSignal<Providers | null>(null);
  const wrong = useSignal<string | null>(null);
  const busy = useSignal(false);
  const field = useRef<HTMLInputElement>(null);
  useEffect(() => field.current?.focus(), [ways.value]);
  useEffect(() => {
    providers().then(
      p => {
        ways.value = p;
      },
      () => {
        ways.value = { keys: true, providers: [] };
      },
    );
  }, []);
  const submit = async (form: HTMLFormElement): Promise<void> => {
    const input = form.elements.namedItem('key') as HTMLInputElement;
    const key = input.value.trim();
    if (!key || busy.value) return;
    busy.value = true;
    wrong.value = await signIn(key);
    input.value = '';
    busy.value = false;
  };
  const w = ways.value;
  return (
    <div class="inside" data-signin aria-busy={w === null}>
      <h2 id="signin">Sign in to Headway</h2>
      {me.value ? <p>Your session has ended. Sign in, and the page goes on where it was.</p> : null}
      {w?.providers.map(p => (
        <p key={p.login_url}>
          <a class="button" href={loginAddress(p.login_url, href(place.value))}>
            Sign in with {p.name}
          </a>
        </p>
      ))}
      {w?.keys ? (
        <form
          class="token"
          onSubmit={e => {
            e.preventDefault();
            void submit(e.currentTarget);
          }}
        >
          <label>
            API key
            <input ref={field} name="key" type="password" autocomplete="current-password" spellcheck={false} required />
          </label>
          <button type="submit" disabled={busy.value}>
            Sign in
          </button>
        </form>
      ) : null}
      {wrong.value ? (
        <p class="mark stuck" role="alert">
          <Icon mark="stuck" />
          <span>{wrong.value}</span>
        </p>
      ) : null}
      <p class="soft">
        {w?.keys ? 'The key is exchanged for a session. It is kept neither in this page nor in this browser.' : null}
      </p>
    </div>
  );
}

/** Before it is known who one is. */
export function Asking() {
  return (
    <div class="blank" aria-busy="true">
      <p>{trouble.value ?? asking}</p>
      {trouble.value ? <p class="soft">{keepsTrying}</p> : null}
    </div>
  );
}
