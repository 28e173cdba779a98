/** Calls a user's callback. What it throws is reported as an uncaught error and doesn't interrupt the caller. */
export function call<A extends unknown[]>(f: ((...a: A) => void) | undefined, ...a: A): void {
  try {
    f?.(...a);
  } catch (e) {
    queueMicrotask(() => {
      throw e;
    });
  }
}
