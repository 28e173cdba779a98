// A number from run to run, in a sentence.
import { changed } from './compare';

/** The middle of some numbers; null without any. */
export function median(of: number[]): number | null {
  const sorted = [...of].sort((a, b) => a - b);
  const half = Math.floor(sorted.length / 2);
  const upper = sorted[half];
  if (upper === undefined) return null;
  return sorted.length % 2 ? upper : (upper + (sorted[half - 1] ?? upper)) / 2;
}

/** "median 12 min; the last 48 min, 4.0 times as much": of the runs that have the number, the oldest first. */
export function trendWords(values: (number | null)[], show: (n: number) => string): string {
  const known = values.filter((v): v is number => v !== null);
  const last = known.at(-1);
  const middle = median(known.slice(0, -1));
  if (last === undefined) return 'no run has said it yet';
  if (middle === null) return show(last);
  const change = changed(middle, last);
  return `median ${show(middle)}; the last ${show(last)}${change && !/^0 %/.test(change) ? `, ${change}` : ''}`;
}
