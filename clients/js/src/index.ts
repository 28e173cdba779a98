export { HeadwayError } from './errors.ts';
export { Headway, type SnapshotOptions } from './headway.ts';
export type * from './types.ts';
