// What can be done with the batches that were ticked: Headway itself runs nothing.
import { plural } from '../lib/format';
import { base } from '../lib/route';
import { Copy } from '../parts/bits';
import type { ListStore } from '../state/list';

/** A word of a shell, quoted where that is needed. */
const word = (text: string): string => (/^[A-Za-z0-9_.:/-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`);

export function Selection({ store }: { store: ListStore }) {
  const ids = store.chosen.value;
  if (ids.length === 0) return null;
  const where = ` --url ${location.origin}${base}${store.namespace ? ` --namespace ${store.namespace}` : ''}`;
  const commands = ids.map(id => `headway get ${word(id)}${where}`).join('\n');
  return (
    <div class="selection" role="group" aria-label="Selected batches">
      <span>{plural(ids.length, 'batch', 'batches')} selected</span>
      <Copy text={ids.join('\n')} what="the ids of the selected batches">
        ids
      </Copy>
      <Copy text={commands} what="a command for each selected batch">
        commands
      </Copy>
      <button type="button" class="linkish" onClick={() => (store.chosen.value = [])}>
        Clear
      </button>
    </div>
  );
}
