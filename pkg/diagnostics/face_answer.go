package diagnostics

import "github.com/headwayhq/headway/pkg/diagnostics/internal/answer"

type Action = answer.Action
type Alternative = answer.Alternative
type Case = answer.Case
type Change = answer.Change
type CollectionDiagnostic = answer.CollectionDiagnostic
type ETA = answer.ETA
type ErrorDiagnostic = answer.ErrorDiagnostic
type EventStamp = answer.EventStamp
type Explanation = answer.Explanation
type FunnelCounts = answer.FunnelCounts
type Insight = answer.Insight
type JobDiagnostic = answer.JobDiagnostic
type Meta = answer.Meta
type Page = answer.Page
type PerformanceSummary = answer.PerformanceSummary
type Progress = answer.Progress
type Row = answer.Row
type RowETA = answer.RowETA
type Series = answer.Series
type Snapshot = answer.Snapshot
type StagePerformance = answer.StagePerformance
type Step = answer.Step
type ThresholdPolicy = answer.ThresholdPolicy
type TierDiagnostic = answer.TierDiagnostic
type TierPerformance = answer.TierPerformance
type TimelineEntry = answer.TimelineEntry
type ViewInfo = answer.ViewInfo
type Window = answer.Window
