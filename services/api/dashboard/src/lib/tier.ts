// Tiers as people count them. The server's own sentences do the same: TierName in pkg/diagnostics.

/** "2 of 3" for number 1, which is counted from zero. A batch that is COMPLETED is at its last tier. */
export function tierOf(n: number, total: number, status = ''): string {
  const all = Math.max(total, n + 1);
  return `${status === 'COMPLETED' ? all : n + 1} of ${all}`;
}

export const tierName = (n: number, total: number, status = ''): string => `tier ${tierOf(n, total, status)}`;
