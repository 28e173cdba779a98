// The server won't answer without a credential that it accepts.
import { useSignal } from '@preact/signals';
import { present } from '../state/client';
import { Icon } from './icons';

export function Refused({ error }: { error: Error | null }) {
  const typed = useSignal('');
  return (
    <div class="blank" data-refused>
      <p class="mark stuck big">
        <Icon mark="stuck" size={22} />
        <span>Refused</span>
      </p>
      <p>{error?.message ?? 'The server refused to answer.'}</p>
      <form
        class="token"
        onSubmit={e => {
          e.preventDefault();
          present(typed.value.trim());
        }}
      >
        <label>
          Token
          <input
            type="password"
            autocomplete="off"
            value={typed.value}
            onInput={e => (typed.value = e.currentTarget.value)}
          />
        </label>
        <button type="submit">Try with it</button>
      </form>
      <p class="soft">Only this page keeps it, until you close the page.</p>
    </div>
  );
}
