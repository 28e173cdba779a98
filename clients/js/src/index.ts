export { lagBound, quietFor } from './batch.ts';
export { connecting } from './connection.ts';
export { type ErrorKind, HeadwayError } from './errors.ts';
export { Headway, type SnapshotOptions, type TicketOptions } from './headway.ts';
export type * from './types.ts';
