// One second hand for the whole page. Clocks of a view that isn't live stand still.
import { signal } from '@preact/signals';

export const second = signal(Date.now());

export function runClock(): void {
  const tick = (): void => {
    if (!document.hidden) second.value = Date.now();
    setTimeout(tick, 1000 - (Date.now() % 1000) + 5);
  };
  tick();
  document.addEventListener('visibilitychange', () => {
    if (!document.hidden) second.value = Date.now();
  });
}
