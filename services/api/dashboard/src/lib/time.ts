// Moments as people read them. What is shown is local or UTC; the ISO form is always one hover away.

export type Zone = 'local' | 'utc';

const two = (n: number): string => String(n).padStart(2, '0');

interface Parts {
  y: number;
  mo: number;
  d: number;
  h: number;
  mi: number;
  s: number;
}

function parts(t: Date, zone: Zone): Parts {
  return zone === 'utc'
    ? {
        y: t.getUTCFullYear(),
        mo: t.getUTCMonth(),
        d: t.getUTCDate(),
        h: t.getUTCHours(),
        mi: t.getUTCMinutes(),
        s: t.getUTCSeconds(),
      }
    : { y: t.getFullYear(), mo: t.getMonth(), d: t.getDate(), h: t.getHours(), mi: t.getMinutes(), s: t.getSeconds() };
}

const months = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];

/** 14:05:10 */
export function clock(t: Date, zone: Zone, withSeconds = true): string {
  const p = parts(t, zone);
  return `${two(p.h)}:${two(p.mi)}${withSeconds ? `:${two(p.s)}` : ''}`;
}

/** The clock alone on the day of `now`, else with the day, else with the year. */
export function moment(t: Date, now: Date, zone: Zone, withSeconds = true): string {
  const a = parts(t, zone);
  const b = parts(now, zone);
  const time = clock(t, zone, withSeconds);
  if (a.y === b.y && a.mo === b.mo && a.d === b.d) return time;
  const day = `${a.d} ${months[a.mo]}`;
  return a.y === b.y ? `${day} ${time}` : `${day} ${a.y} ${time}`;
}

/** A range that says its day once: "14:05–14:20", "14:05–27 Nov 02:10". */
export function range(from: Date, to: Date, now: Date, zone: Zone): string {
  const a = moment(from, now, zone, false);
  const b = moment(to, from, zone, false);
  return a === b || a.endsWith(` ${b}`) ? a : `${a}–${b}`;
}

export const iso = (t: Date): string => t.toISOString();

export function zoneName(zone: Zone): string {
  return zone === 'utc' ? 'UTC' : (Intl.DateTimeFormat().resolvedOptions().timeZone ?? 'local time');
}

export function parse(text: string | null | undefined): Date | null {
  if (!text) return null;
  const t = new Date(text);
  return Number.isNaN(t.getTime()) ? null : t;
}
