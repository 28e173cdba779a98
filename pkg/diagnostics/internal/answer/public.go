package answer

import (
	"encoding/json"

	"github.com/headwayhq/headway/pkg/diagnostics/internal/cause"
	"github.com/headwayhq/headway/pkg/diagnostics/internal/event"
	"github.com/headwayhq/headway/pkg/diagnostics/internal/judge"
)

// What may be shown to people who don't belong to the namespace: how far a batch is, how it is, and when it will end. It is listed
// field by field, so that a field which is added later isn't shown until somebody decides that it may be. None of these has a text of
// an error, a log, a process, a host or an address in it; names are those that the producer gave the batch and its collections.

// Public is the part of the snapshot that may be shown to everybody. It has the shape of a whole one.
func (s Snapshot) Public() Snapshot {
	out := Snapshot{
		BatchID: s.BatchID, BatchName: s.BatchName, Status: s.Status, CurrentTier: s.CurrentTier, TotalTiers: s.TotalTiers, OverallProgress: s.OverallProgress,
		CreatedAt: s.CreatedAt, SubmittedAt: s.SubmittedAt, StartedAt: s.StartedAt, CompletedAt: s.CompletedAt, EstimatedCompletion: s.EstimatedCompletion,
		DurationSeconds: s.DurationSeconds, HasFailures: s.HasFailures, FailedTierCount: s.FailedTierCount, TotalObjects: s.TotalObjects, Health: s.Health,
		StuckSeconds: s.StuckSeconds, View: s.View, LastActivityAt: s.LastActivityAt, ETA: s.ETA, Attempt: s.Attempt, Page: s.Page, At: s.At,
		Tiers: make([]TierDiagnostic, len(s.Tiers)), Collections: s.Collections, Insights: []Insight{}, NextActions: []string{}, Doubts: []cause.Cause{},
		Messages: []cause.Message{}, HealthEvidence: judge.Evidence{EventIDs: []string{}}, Actions: []Action{}, Timeline: []TimelineEntry{},
		FailedDocumentsSample: []string{}, Errors: []ErrorDiagnostic{}, Labels: json.RawMessage("null"),
	}
	for i, t := range s.Tiers {
		out.Tiers[i] = TierDiagnostic{
			TierNum: t.TierNum, Status: t.Status, StartedAt: t.StartedAt, CompletedAt: t.CompletedAt, DurationSeconds: t.DurationSeconds, Progress: t.Progress,
			Attempt: t.Attempt, QueueSeconds: t.QueueSeconds, ThroughputDocsPerSecond: t.ThroughputDocsPerSecond, FailedDocuments: t.FailedDocuments,
			Counts: t.Counts, Series: t.Series, Jobs: []JobDiagnostic{}, SubmissionParams: json.RawMessage("null"),
		}
	}
	return out
}

// PublicRow is the part of an encoded row that may be shown to everybody. It has the shape of a whole one.
func PublicRow(row []byte) ([]byte, error) {
	var s struct {
		Row
		Health string `json:"health"`
	}
	if err := json.Unmarshal(row, &s); err != nil {
		return nil, err
	}
	health, _ := event.ParseHealth(s.Health)
	out := Row{
		BatchID: s.BatchID, BatchName: s.BatchName, Status: s.Status, Health: health, CurrentTier: s.CurrentTier, TotalTiers: s.TotalTiers,
		OverallProgress: s.OverallProgress, HasFailures: s.HasFailures, AsOf: s.AsOf, Until: s.Until, OrderedAt: s.OrderedAt, StartedAt: s.StartedAt,
		CompletedAt: s.CompletedAt, LastActivityAt: s.LastActivityAt, Revision: s.Revision, Spark: s.Spark, ETA: s.ETA, Labels: json.RawMessage("null"),
	}
	return out.AppendJSON(nil), nil
}
