// The API's reasons and sentences, made to be read: "ray_job_pending: x waits for {"GPU":1}" is for
// programs, "Ray hasn't started the job: x waits for 1 GPU" for people.
import { resources } from './format';

const signals: Record<string, string> = {
  cluster_cold_start: 'The cluster is starting',
  job_warming_up: 'The job is warming up',
  awaiting_job: 'No job yet',
  ray_job_pending: "Ray hasn't started the job",
  ray_job_unschedulable: 'No node can take the job',
  no_progress: 'No progress',
  no_ray_job: 'No Ray job runs',
  program_starting: 'The program is starting',
  pipeline_no_job: 'Nothing runs',
  pipeline_tier_skipped: 'A tier was left out',
  pipeline_not_submitted: 'Nothing has begun',
  queued: 'Not begun',
  not_finalized: 'All tiers are done, but the batch was not completed',
  progress: 'In progress',
};

// What jobs wait for in their phases, as in "waits for quota".
const waited: Record<string, string> = {
  queued: 'its turn',
  quota: 'quota',
  node_launch: 'a node to start',
  image: 'an image to be pulled',
  environment: 'its runtime environment',
  starting: 'its program to start',
};

export const waitedFor = (kind: string): string => waited[kind] ?? words(kind).toLowerCase();

export interface Reason {
  signal: string;
  /** The signal in words. */
  short: string;
  /** What follows the colon, resources in words. */
  detail: string;
}

/** Shows moments as a reader wants them; by default as the server says them. */
export type Show = (t: Date) => string;

export function reason(text: string, show?: Show): Reason {
  const at = text.indexOf(': ');
  const signal = at > 0 && /^[a-z0-9_]+$/.test(text.slice(0, at)) ? text.slice(0, at) : '';
  const detail = inZone(readable(signal ? text.slice(at + 2) : text), show);
  return { signal, short: signals[signal] ?? words(signal), detail };
}

export const signalWords = (signal: string): string => signals[signal] ?? words(signal);

/** A reason as one line. */
export function cause(text: string, show?: Show): string {
  const r = reason(text, show);
  return r.short ? `${r.short}: ${r.detail}` : r.detail;
}

/** COMPLETED_WITH_ERRORS as "Completed with errors". */
export function words(constant: string): string {
  const text = constant.replaceAll('_', ' ').toLowerCase();
  return text.charAt(0).toUpperCase() + text.slice(1);
}

/** Replaces each moment in a sentence, said as "12:03:00Z on 2026-03-01". */
export function inZone(sentence: string, show?: Show): string {
  if (!show) return sentence;
  return sentence.replace(/\b(\d\d:\d\d:\d\d)Z on (\d{4}-\d\d-\d\d)\b/g, (said, clock, day) => {
    const t = new Date(`${day}T${clock}Z`);
    return Number.isNaN(t.getTime()) ? said : show(t);
  });
}

/** Replaces each flat JSON object in a sentence by its resources in words. */
export function readable(sentence: string): string {
  return sentence.replace(/\{[^{}]*\}/g, object => {
    try {
      return resources(JSON.parse(object)) || object;
    } catch {
      return object;
    }
  });
}
