// Health and status: their order, words and what colour stands for them. A colour never stands alone.

export type Mark = 'ok' | 'scaling' | 'degraded' | 'stuck' | 'unknown' | 'pending';

export interface HealthWords {
  mark: Mark;
  word: string;
}

const known: Record<string, HealthWords> = {
  ok: { mark: 'ok', word: 'OK' },
  scaling: { mark: 'scaling', word: 'Scaling' },
  degraded: { mark: 'degraded', word: 'Degraded' },
  stuck: { mark: 'stuck', word: 'Stuck' },
};

export const healthWords = (health: string): HealthWords => known[health] ?? { mark: 'unknown', word: 'Unknown' };

/** By need: who has to be looked at first comes first. The server's `sort=need` is the same. */
export const healths = ['stuck', 'degraded', 'scaling', 'ok'] as const;

export const statuses = [
  'PROCESSING',
  'PENDING',
  'DRAFT',
  'FAILED',
  'COMPLETED_WITH_ERRORS',
  'CANCELED',
  'COMPLETED',
  'SKIPPED',
  'UNKNOWN',
] as const;

const terminal = new Set(['COMPLETED', 'COMPLETED_WITH_ERRORS', 'FAILED', 'CANCELED', 'SKIPPED']);

export const isOver = (status: string): boolean => terminal.has(status);

/** What a row says first: its health while it goes on, and how it ended once it is over. A failed batch is red. */
export function standing(row: { health: string; status: string }): HealthWords {
  switch (row.status) {
    case 'FAILED':
      return { mark: 'stuck', word: 'Failed' };
    case 'COMPLETED_WITH_ERRORS':
      return { mark: 'degraded', word: 'With errors' };
    case 'COMPLETED':
      return row.health === 'ok' ? { mark: 'ok', word: 'Completed' } : healthWords(row.health);
    case 'CANCELED':
      return { mark: 'unknown', word: 'Canceled' };
    case 'SKIPPED':
      return { mark: 'unknown', word: 'Skipped' };
  }
  return healthWords(row.health);
}

/** The mark of a status where no health is known: of tiers and jobs. */
export function statusMark(status: string): Mark {
  switch (status) {
    case 'COMPLETED':
    case 'SUCCEEDED':
      return 'ok';
    case 'PROCESSING':
    case 'RUNNING':
      return 'scaling';
    case 'FAILED':
      return 'stuck';
    case 'COMPLETED_WITH_ERRORS':
      return 'degraded';
    case 'PENDING':
    case 'DRAFT':
      return 'pending';
  }
  return 'unknown';
}
