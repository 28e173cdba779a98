// Batches such as people have, in each state that they can be in, with times that make them look lived in.
import type { Event } from './serve';

const s = 1000;
const min = 60 * s;

/** A tier's counter over time, `points` times between two moments, at a pace that isn't quite even. */
function progress(
  batch: string,
  tier: number,
  from: number,
  to: number,
  upTo: number,
  total: number,
  points = 90,
): Event[] {
  const out: Event[] = [];
  for (let i = 1; i <= points; i++) {
    const x = i / points;
    const n =
      i === points ? upTo : Math.round(upTo * (x + 0.006 * Math.sin(i * 0.37 + upTo) + 0.004 * Math.sin(i * 1.1)));
    const at = from + (to - from) * x;
    out.push({
      batch,
      type: 'tier',
      at,
      data: { tier_num: tier, processed_documents: Math.max(1, Math.min(upTo, n)), total_documents: total },
    });
  }
  return out;
}

interface JobOptions {
  tier: number;
  extractor: string;
  submitted: number;
  started?: number;
  ended?: number;
  status?: string;
  more?: Record<string, unknown>;
}

function job(batch: string, o: JobOptions): Event[] {
  const id = `raysubmit_${batch.replaceAll('-', '')}${o.tier}${o.extractor.slice(0, 2)}`;
  const said = (status: string, at: number, data: Record<string, unknown>): Event => ({
    batch,
    type: 'job',
    at,
    data: {
      tier_num: o.tier,
      submission_id: id,
      status,
      extractor: o.extractor,
      cluster: 'ray-eu-1',
      dashboard_url: `http://127.0.0.1:8265/#/jobs/${id}`,
      resources: { num_cpus: 4, num_gpus: 1 },
      ...data,
    },
  });
  const at = (t: number): string => new Date(t).toISOString();
  const out = [said('PENDING', o.submitted, { submitted_at: at(o.submitted), ...(o.started ? {} : o.more) })];
  if (o.started) out.push(said('RUNNING', o.started, { started_at: at(o.started), ...(o.ended ? {} : o.more) }));
  if (o.ended) out.push(said(o.status ?? 'SUCCEEDED', o.ended, { ended_at: at(o.ended), ...o.more }));
  return out;
}

function begun(batch: string, at: number, tiers: number, more: Record<string, unknown> = {}): Event[] {
  const time = new Date(at).toISOString();
  return [
    {
      batch,
      type: 'batch',
      at,
      data: {
        status: 'PROCESSING',
        total_tiers: tiers,
        created_at: time,
        submitted_at: time,
        started_at: time,
        owner: 'search',
        pipeline: 'media',
        ...more,
      },
    },
  ];
}

function tierDone(batch: string, tier: number, from: number, to: number, docs: number): Event[] {
  return [
    ...job(batch, { tier, extractor: 'embedding', submitted: from, started: from + 25 * s, ended: to }),
    {
      batch,
      type: 'tier',
      at: from + 25 * s,
      data: { tier_num: tier, status: 'PROCESSING', started_at: new Date(from + 25 * s).toISOString() },
    },
    ...progress(batch, tier, from + 70 * s, to - 5 * s, docs, docs),
    {
      batch,
      type: 'tier',
      at: to,
      data: { tier_num: tier, status: 'COMPLETED', completed_at: new Date(to).toISOString() },
    },
  ];
}

/** Stuck: the second tier asks for what no node offers. */
export function unplaceable(batch: string, now: number): Event[] {
  const t = now - 26 * min;
  return [
    ...begun(batch, t, 3, { name: 'Product images, nightly', total_objects: 12_000, labels: { region: 'eu-1' } }),
    ...tierDone(batch, 0, t, t + 11 * min, 12_000),
    ...job(batch, {
      tier: 1,
      extractor: 'clip_large',
      submitted: now - 14 * min,
      more: {
        waiting_on: {
          kind: 'resources',
          since: new Date(now - 13 * min).toISOString(),
          demand: { GPU: 8, memory: 64 * 2 ** 30 },
          offered: { GPU: 4, memory: 32 * 2 ** 30 },
          infeasible: true,
        },
      },
    }),
    ...job(batch, {
      tier: 1,
      extractor: 'captions',
      submitted: now - 14 * min,
      more: {
        waiting_on: {
          kind: 'node_launch',
          since: new Date(now - 2 * min).toISOString(),
          demand: { GPU: 1 },
          offered: { GPU: 0 },
          nodes_pending: 1,
        },
      },
    }),
    {
      batch,
      type: 'tier',
      at: now - 14 * min,
      data: { tier_num: 1, status: 'PENDING', requires_gpu: true, total_documents: 12_000 },
    },
    ...['thumbnails', 'embeddings', 'captions'].map(
      (c, i): Event => ({
        batch,
        type: 'collection',
        at: now - 12 * min,
        data: {
          collection_id: `col_${c}`,
          collection_name: c,
          tier_num: i,
          document_count: i === 0 ? 12_000 : 0,
          expected_documents: 12_000,
        },
      }),
    ),
  ];
}

/** It moves, in its second tier. */
export function moving(batch: string, now: number, name = 'Video archive'): Event[] {
  const t = now - 22 * min;
  return [
    ...begun(batch, t, 3, { name, total_objects: 40_000, labels: { region: 'eu-1', run: 'weekly' } }),
    ...tierDone(batch, 0, t, t + 10 * min, 40_000),
    ...job(batch, { tier: 1, extractor: 'transcripts', submitted: t + 10 * min, started: t + 11 * min }),
    ...progress(batch, 1, t + 12 * min, now - 4 * s, 21_400, 40_000),
    {
      batch,
      type: 'stage',
      at: now - 10 * s,
      data: { tier_num: 1, stage: 'decode', component: 'ffmpeg', count: 21_400, total_ms: 4_100_000, max_ms: 900 },
    },
    {
      batch,
      type: 'stage',
      at: now - 10 * s,
      data: { tier_num: 1, stage: 'embed', component: 'whisper', count: 21_400, total_ms: 19_800_000, max_ms: 4100 },
    },
  ];
}

/** Running, and nothing moves. */
export function silent(batch: string, now: number): Event[] {
  const t = now - 75 * min;
  return [
    ...begun(batch, t, 2, { name: 'Support tickets', total_objects: 5200, pipeline: 'text' }),
    ...tierDone(batch, 0, t, t + 18 * min, 5200),
    ...job(batch, { tier: 1, extractor: 'embedding', submitted: t + 18 * min, started: t + 19 * min }),
    ...progress(batch, 1, t + 20 * min, now - 41 * min, 3120, 5200),
  ];
}

/** Nodes are on their way. */
/** Stuck after it waited for quota and then for a node; somebody looked at its driver meanwhile. */
export function lookedAt(batch: string, now: number): Event[] {
  const t = now - 60 * min;
  const waits = (kind: string, since: number): Record<string, unknown> => ({
    waiting_on: { kind, since: new Date(since).toISOString(), demand: { GPU: 1 } },
  });
  const own = { tier: 0, extractor: 'embedding', submitted: t };
  const submission_id = `raysubmit_${batch.replaceAll('-', '')}0em`;
  const proof = (kind: string, at: number, data: Record<string, unknown>): Event => ({
    batch,
    type: 'job.proof',
    at,
    data: { submission_id, cluster: 'ray-eu-1', kind, process: 'driver', name: 'pid 830', ...data },
  });
  return [
    ...begun(batch, t, 1, { name: 'Looked at' }),
    ...job(batch, { ...own, more: waits('quota', t) }),
    ...job(batch, { ...own, submitted: t + 5 * min, more: waits('node_launch', t + 5 * min) }),
    ...job(batch, { ...own, started: t + 9 * min }).slice(1),
    ...progress(batch, 0, t + 10 * min, t + 20 * min, 400, 1000, 20),
    proof('stack', now - 2 * min, { text: 'barrier (train.py:88)\nmain (train.py:12)', frame: 'train.py:88 barrier' }),
    proof('log', now - 2 * min, { text: 'waiting for worker 3' }),
  ];
}

export function starting(batch: string, now: number): Event[] {
  const t = now - 3 * min;
  return [
    ...begun(batch, t, 2, { name: 'Maps tiles', total_objects: 900, pipeline: 'geo', owner: 'maps' }),
    ...job(batch, {
      tier: 0,
      extractor: 'segmentation',
      submitted: t,
      more: {
        waiting_on: {
          kind: 'node_launch',
          since: new Date(t + 20 * s).toISOString(),
          demand: { GPU: 1 },
          offered: { GPU: 0 },
          nodes_pending: 2,
        },
      },
    }),
    { batch, type: 'tier', at: t, data: { tier_num: 0, status: 'PENDING', requires_gpu: true, total_documents: 900 } },
  ];
}

/** It goes on, and some documents failed. */
export function partial(batch: string, now: number): Event[] {
  const t = now - 31 * min;
  return [
    ...begun(batch, t, 2, { name: 'Contracts', total_objects: 8000, pipeline: 'text', owner: 'legal' }),
    ...tierDone(batch, 0, t, t + 12 * min, 8000),
    ...job(batch, { tier: 1, extractor: 'entities', submitted: t + 12 * min, started: t + 13 * min }),
    ...progress(batch, 1, t + 14 * min, now - 6 * s, 5100, 8000),
    {
      batch,
      type: 'tier',
      at: now - 5 * s,
      data: {
        tier_num: 1,
        failed_documents: 37,
        errors: [
          {
            error_type: 'validation',
            message: 'page 3 has no text layer',
            component: 'pdf',
            stage: 'parse',
            affected_count: 37,
            affected_document_ids: ['doc_0171', 'doc_0944', 'doc_2210'],
            recovery_suggestion: 'Run OCR before this pipeline.',
          },
        ],
      },
    },
  ];
}

/** It ran out of memory. */
export function outOfMemory(batch: string, now: number): Event[] {
  const t = now - 48 * min;
  const message = 'Worker killed: out of memory (OOM), 31.8 GB of 32 GB used';
  return [
    ...begun(batch, t, 2, { name: 'Audio backfill', total_objects: 2400 }),
    ...tierDone(batch, 0, t, t + 9 * min, 2400),
    ...job(batch, {
      tier: 1,
      extractor: 'diarization',
      submitted: t + 9 * min,
      started: t + 10 * min,
      ended: now - 20 * min,
      status: 'FAILED',
      more: { message, error_type: 'resource', exit_code: 137 },
    }),
    ...progress(batch, 1, t + 11 * min, now - 21 * min, 610, 2400),
    {
      batch,
      type: 'tier',
      at: now - 20 * min,
      data: {
        tier_num: 1,
        status: 'FAILED',
        error: message,
        error_type: 'resource',
        completed_at: new Date(now - 20 * min).toISOString(),
      },
    },
    {
      batch,
      type: 'batch',
      at: now - 19 * min,
      data: { status: 'FAILED', completed_at: new Date(now - 19 * min).toISOString() },
    },
  ];
}

/** Over, and well. */
export function completed(batch: string, now: number, name = 'Catalogue', ago = 12): Event[] {
  const end = now - ago * min;
  const t = end - 34 * min;
  return [
    ...begun(batch, t, 2, { name, total_objects: 6000, pipeline: 'text', owner: 'shop' }),
    ...tierDone(batch, 0, t, t + 14 * min, 6000),
    ...tierDone(batch, 1, t + 15 * min, end - 10 * s, 6000),
    {
      batch,
      type: 'stage',
      at: end - 20 * s,
      data: {
        tier_num: 0,
        stage: 'embed',
        component: 'clip',
        count: 6000,
        total_ms: 600_000,
        max_ms: 900,
        buckets: [
          [50, 2000],
          [100, 3500],
          [400, 450],
          [900, 50],
        ],
      },
    },
    {
      batch,
      type: 'stage',
      at: end - 20 * s,
      data: {
        tier_num: 0,
        stage: 'write',
        component: 'qdrant',
        count: 6000,
        total_ms: 90_000,
        max_ms: 200,
        buckets: [
          [10, 4000],
          [40, 1900],
          [200, 100],
        ],
      },
    },
    { batch, type: 'batch', at: end, data: { status: 'COMPLETED', completed_at: new Date(end).toISOString() } },
  ];
}

export const draft = (batch: string, now: number): Event[] => [
  {
    batch,
    type: 'batch',
    at: now - 8 * min,
    data: { status: 'DRAFT', name: 'Receipts', created_at: new Date(now - 8 * min).toISOString(), pipeline: 'text' },
  },
];
/** Somebody named it, and nobody said more. */
export const unknown = (batch: string, now: number): Event[] => [
  { batch, type: 'batch', at: now - min, data: { name: 'Unsorted' } },
];

/** One of each, and some more that move. */
export function house(now: number): Event[] {
  return [
    ...unplaceable('images-0412', now),
    ...silent('tickets-0411', now),
    ...outOfMemory('audio-0409', now),
    ...partial('contracts-0412', now),
    ...starting('tiles-0412', now),
    ...moving('video-0412', now),
    ...moving('video-0413', now + 5 * s - 5 * s, 'Video archive, second half'),
    ...moving('lectures-0412', now, 'Lectures'),
    ...completed('catalogue-0412', now),
    ...completed('catalogue-0411', now, 'Catalogue', 95),
    ...draft('receipts-0412', now),
    ...unknown('unsorted-0412', now),
  ];
}

/** Many batches, of every health; small, so that ten thousand are sent in seconds. */
export function many(n: number, now: number): Event[] {
  const out: Event[] = [];
  for (let i = 0; i < n; i++) {
    const batch = `bulk-${String(i).padStart(5, '0')}`;
    const at = now - (n - i) * 100 - 10 * min;
    out.push({
      batch,
      type: 'batch',
      at,
      data: {
        name: `Bulk ${i}`,
        status: 'PROCESSING',
        total_tiers: 4,
        pipeline: `p${i % 7}`,
        created_at: new Date(at).toISOString(),
      },
    });
    out.push({
      batch,
      type: 'tier',
      at: now - (i % 97 === 0 ? 50 * min : 5 * s) - (i % 10) * s,
      data: {
        tier_num: i % 4,
        processed_documents: 1 + (i % 1000),
        total_documents: 1000,
        ...(i % 61 === 1 ? { failed_documents: 3 } : {}),
      },
    });
  }
  return out;
}

/** One batch of very many tiers. */
export function tall(batch: string, tiers: number, now: number): Event[] {
  const out = begun(batch, now - 60 * min, tiers, { name: 'Ten thousand tiers' });
  for (let i = 0; i < tiers; i++) {
    const from = now - 60 * min + (i / tiers) * 58 * min;
    const done = i < tiers * 0.6;
    if (i > tiers * 0.62) {
      out.push({
        batch,
        type: 'tier',
        at: now - 60 * min,
        data: { tier_num: i, status: 'PENDING', total_documents: 100 },
      });
      continue;
    }
    out.push({
      batch,
      type: 'tier',
      at: done ? from + min : now - 10 * s,
      data: {
        tier_num: i,
        status: done ? 'COMPLETED' : 'PROCESSING',
        started_at: new Date(from).toISOString(),
        processed_documents: done ? 100 : 40,
        total_documents: 100,
        ...(done ? { completed_at: new Date(from + min).toISOString() } : {}),
      },
    });
  }
  return out;
}

/** Twelve nights of one pipeline: usual ones, a slow one, one that failed, and one that goes on and waits for quota. */
export function nights(now: number): Event[] {
  const at = (t: number): string => new Date(t).toISOString();
  return Array.from({ length: 12 }, (_, i) => 11 - i).flatMap(ago => {
    const batch = `night-${String(12 - ago).padStart(2, '0')}`;
    const t = ago === 0 ? now - 26 * min : now - ago * 24 * 60 * min;
    const slow = ago === 4;
    const launch = (slow ? 31 : 3 + (ago % 3)) * min;
    const own = {
      tier: 1,
      extractor: 'clip_large',
      submitted: t + 9 * min,
      more: {
        resources: { num_gpus: slow ? 8 : 2 },
        submission_params: { batch_size: slow ? 256 : 64, model: 'clip-large' },
      },
    };
    const out = [
      ...begun(batch, t, 3, {
        name: `Night ${12 - ago}`,
        pipeline: 'nightly/media',
        total_objects: 9000,
        labels: { commit: slow ? '9f3c1d' : 'b81e02' },
      }),
      ...tierDone(batch, 0, t, t + (8 + (ago % 2)) * min, 9000),
    ];
    const waits = (kind: string): Record<string, unknown> => ({
      ...own.more,
      waiting_on: { kind, since: at(own.submitted + 20 * s), demand: { GPU: 2 } },
    });
    if (ago === 0) return [...out, ...job(batch, { ...own, more: waits('quota') })];
    const started = own.submitted + launch;
    const ended = started + (16 + ((ago * 7) % 4)) * min;
    out.push(...job(batch, { ...own, more: waits('node_launch') }));
    if (ago === 2) {
      const message = 'CUDA out of memory. Tried to allocate 2.00 GiB';
      out.push(
        ...job(batch, {
          ...own,
          started,
          ended,
          status: 'FAILED',
          more: { ...own.more, message, error_type: 'resource' },
        }).slice(1),
        {
          batch,
          type: 'tier',
          at: ended,
          data: { tier_num: 1, status: 'FAILED', error: message, failed_documents: 312, completed_at: at(ended) },
        },
        { batch, type: 'batch', at: ended, data: { status: 'FAILED', completed_at: at(ended) } },
      );
      return out;
    }
    out.push(
      ...job(batch, { ...own, started, ended, more: own.more }).slice(1),
      ...progress(batch, 1, started + min, ended - 5 * s, 9000, 9000, 20),
      { batch, type: 'tier', at: ended, data: { tier_num: 1, status: 'COMPLETED', completed_at: at(ended) } },
      ...tierDone(batch, 2, ended + 20 * s, ended + 6 * min, 9000),
      {
        batch,
        type: 'batch',
        at: ended + 6 * min,
        data: { status: 'COMPLETED', completed_at: at(ended + 6 * min) },
      },
    );
    return out;
  });
}

/** A run with more tiers than are shown at first. */
export function wideRun(batch: string, now: number): Event[] {
  return [
    ...begun(batch, now - 5 * min, 60, { pipeline: 'wide' }),
    ...Array.from(
      { length: 60 },
      (_, tier): Event => ({ batch, type: 'tier', at: now - 4 * min, data: { tier_num: tier, status: 'PROCESSING' } }),
    ),
  ];
}

/** So many short runs of one pipeline, one an hour, the last one hour ago. */
export const short = (n: number, now: number): Event[] =>
  Array.from({ length: n }, (_, i): Event => {
    const t = now - (i + 1) * 60 * min;
    return {
      batch: `short-${String(i + 1).padStart(2, '0')}`,
      type: 'batch',
      at: t,
      data: {
        status: 'COMPLETED',
        pipeline: 'short',
        started_at: new Date(t - min).toISOString(),
        completed_at: new Date(t).toISOString(),
      },
    };
  });
