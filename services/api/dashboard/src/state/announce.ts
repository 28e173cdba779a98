// What a screen reader is told unasked: changes of health, and nothing else.
import { signal } from '@preact/signals';

export const said = signal('');

export function say(text: string): void {
  said.value = text;
}
