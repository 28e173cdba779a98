/** Calls what the user gave. What it throws is reported as uncaught, and stops nothing. */
export function call<A extends unknown[]>(f: ((...a: A) => void) | undefined, ...a: A): void {
  try {
    f?.(...a);
  } catch (e) {
    queueMicrotask(() => {
      throw e;
    });
  }
}
