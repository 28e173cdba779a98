// A sparkline: the pace of a tier, newest on the right.

export interface Spark {
  line: string;
  area: string;
  /** The last point, for a dot. */
  x: number;
  y: number;
}

export function spark(values: readonly number[], width: number, height: number): Spark | null {
  if (values.length < 2) return null;
  const top = Math.max(...values, 1);
  const step = width / (values.length - 1);
  const points = values.map((v, i) => ({ x: round(i * step), y: round(height - 1 - (v / top) * (height - 2)) }));
  const line = points.map((p, i) => `${i === 0 ? 'M' : 'L'}${p.x} ${p.y}`).join('');
  const last = points[points.length - 1];
  if (!last) return null;
  return { line, area: `${line}L${width} ${height}L0 ${height}Z`, x: last.x, y: last.y };
}

const round = (n: number): number => Math.round(n * 10) / 10;

/** The pace in words, for those who don't see the line. */
export function sparkWords(values: readonly number[]): string {
  if (values.length < 2) return 'no pace yet';
  const last = values[values.length - 1] ?? 0;
  const mean = values.reduce((a, b) => a + b, 0) / values.length;
  if (last === 0) return 'standing still';
  if (last > mean * 1.25) return 'getting faster';
  if (last < mean * 0.75) return 'getting slower';
  return 'at an even pace';
}
