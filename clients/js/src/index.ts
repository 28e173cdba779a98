export { lagBound, quietFor } from './batch.ts';
export { connecting } from './connection.ts';
export { HeadwayError } from './errors.ts';
export { Headway, type SnapshotOptions } from './headway.ts';
export type * from './types.ts';
