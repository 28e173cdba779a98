// What the server says, as the client's types have it.
import type { Schemas } from '@headway/client';

export type Action = Schemas['Action'];
export type Cause = Schemas['Cause'];
export type Counts = Schemas['Counts'];
export type ErrorDiagnostic = Schemas['ErrorDiagnostic'];
export type JobDiagnostic = Schemas['JobDiagnostic'];
export type Me = Schemas['Me'];
export type PerformanceSummary = Schemas['PerformanceSummary'];
export type Run = Schemas['Run'];
export type RunTier = Schemas['RunTier'];
export type Row = Schemas['Row'];
export type Snapshot = Schemas['Snapshot'];
export type TierDiagnostic = Schemas['TierDiagnostic'];
export type TimelineEntry = Schemas['TimelineEntry'];
export type WaitingOn = Schemas['WaitingOn'];
