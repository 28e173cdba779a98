// Numbers and spans of time as people read them. English, as the API's own sentences are.

const whole = new Intl.NumberFormat('en-US', { maximumFractionDigits: 0 });
const short = new Intl.NumberFormat('en-US', { maximumSignificantDigits: 3 });

/** A narrow space that doesn't break, between a number and its unit. */
export const nb = '\u202f';

export const count = (n: number): string => whole.format(n);

export function plural(n: number, one: string, many = `${one}s`): string {
  return `${count(n)}${nb}${n === 1 ? one : many}`;
}

/** 0 to 100; never shows 100 before it is, nor 0 once it has begun. */
export function percent(p: number): string {
  if (p > 0 && p < 1) return `<1${nb}%`;
  return `${p >= 100 ? 100 : Math.min(99, Math.floor(p))}${nb}%`;
}

/** "8 s", "3 min 12 s", "2 h 05 min", "3 d 4 h": two units at most, never a fraction. */
export function span(seconds: number): string {
  const s = Math.max(0, Math.floor(seconds));
  if (s < 60) return `${s}${nb}s`;
  const min = Math.floor(s / 60);
  if (min < 10) return s % 60 === 0 ? `${min}${nb}min` : `${min}${nb}min ${s % 60}${nb}s`;
  if (min < 60) return `${min}${nb}min`;
  const h = Math.floor(min / 60);
  if (h < 24) return min % 60 === 0 ? `${h}${nb}h` : `${h}${nb}h ${String(min % 60).padStart(2, '0')}${nb}min`;
  const d = Math.floor(h / 24);
  return h % 24 === 0 ? `${d}${nb}d` : `${d}${nb}d ${h % 24}${nb}h`;
}

/** Like span with its larger unit only, for columns. */
export function spanShort(seconds: number): string {
  return span(seconds).split(' ')[0] ?? '';
}

export function milliseconds(ms: number): string {
  if (ms < 1000) return `${short.format(ms)}${nb}ms`;
  if (ms < 60_000) return `${short.format(ms / 1000)}${nb}s`;
  return span(ms / 1000);
}

export const rate = (perSecond: number): string => `${short.format(perSecond)}${nb}docs/s`;

const prefixes = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];

export function bytes(n: number): string {
  let i = 0;
  while (n >= 1024 && i < prefixes.length - 1) {
    n /= 1024;
    i++;
  }
  return `${short.format(n)}${nb}${prefixes[i]}`;
}

/** Resources as Ray names them, in words: {"GPU":1,"memory":8589934592} is "1 GPU, 8 GiB memory". */
export function resources(value: unknown): string {
  if (value === null || typeof value !== 'object') return '';
  const parts: string[] = [];
  for (const [key, amount] of Object.entries(value as Record<string, unknown>)) {
    const name = resourceName(key);
    if (key.startsWith('accelerator_type:')) {
      parts.push(`an ${key.slice('accelerator_type:'.length)} accelerator`); // its amount is a token, no number of them
      continue;
    }
    if (typeof amount !== 'number') parts.push(`${name} ${JSON.stringify(amount)}`);
    else if (/memory/i.test(key)) parts.push(`${bytes(amount)} ${name}`);
    else parts.push(`${short.format(amount)}${nb}${name}${amount !== 1 && /^[CGT]PU$/.test(name) ? 's' : ''}`);
  }
  return parts.join(', ');
}

function resourceName(key: string): string {
  switch (key) {
    case 'num_cpus':
      return 'CPU';
    case 'num_gpus':
      return 'GPU';
    case 'memory_bytes':
      return 'memory';
  }
  return key.replaceAll('_', ' ');
}
