package headwaytest

import (
	"fmt"
	"time"

	"pgregory.net/rapid"

	"github.com/headwayhq/headway/pkg/diagnostics"
)

// Epoch is the moment around which generated events happen.
func Epoch() time.Time { return time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC) }

// Events generates sets of events of one batch (namespace "n", batch "b"). Ids, times and values come
// from small domains, so that stamps collide, attempts race and bounds are met.
func Events() *rapid.Generator[[]diagnostics.Event] {
	return rapid.SliceOfN(rapid.Custom(Event), 0, 60)
}

// Event generates one event of batch "b" in namespace "n".
func Event(t *rapid.T) diagnostics.Event {
	e := diagnostics.Event{Namespace: "n", Batch: "b"}
	e.Time = someTime(t, "time")
	e.Source = rapid.SampledFrom([]string{"orchestrator", "relay"}).Draw(t, "source")
	e.ID = rapid.SampledFrom([]string{"a", "b", "c", "d"}).Draw(t, "id")
	switch rapid.IntRange(0, 11).Draw(t, "type") {
	case 0, 1:
		e.Type = diagnostics.TypeBatch
		e.BatchFacts = batchFacts(t)
	case 2, 3, 4:
		e.Type = diagnostics.TypeTier
		e.TierFacts = tierFacts(t)
	case 5, 6, 7, 8:
		e.Type = diagnostics.TypeJob
		e.JobFacts = jobFacts(t)
	case 9:
		e.Type = diagnostics.TypeCollection
		e.CollectionFacts = diagnostics.CollectionFacts{
			ID: name(t, "collection"), Name: maybe(t, name(t, "name")), Documents: maybe(t, small(t)),
			TierNum: maybe(t, tierNum(t)), ExpectedDocs: maybe(t, small(t)),
		}
	case 10:
		e.Type = diagnostics.TypeStage
		e.StageFacts = diagnostics.StageFacts{
			TierNum: tierNum(t), Attempt: attempt(t), Stage: name(t, "stage"), Component: name(t, "component"),
			Worker: name(t, "worker"), Count: maybe(t, small(t)), TotalMS: maybe(t, float64(small(t))*1.5),
			MaxMS:   maybe(t, float64(small(t))),
			Buckets: []diagnostics.Bucket{{UpperMS: 10, Count: small(t)}, {UpperMS: 250.5, Count: small(t)}},
		}
	case 11:
		e.Type = diagnostics.TypeHealth
		e.HealthFacts = diagnostics.HealthFacts{
			Ordinal: int64(rapid.IntRange(0, 120).Draw(t, "ordinal")), To: diagnostics.Health(rapid.IntRange(0, 3).Draw(t, "to")),
			BlockedReason: name(t, "reason"), AsOf: e.Time,
		}
	}
	return e
}

func batchFacts(t *rapid.T) diagnostics.BatchFacts {
	f := diagnostics.BatchFacts{Attempt: attempt(t)}
	if rapid.IntRange(0, 5).Draw(t, "settled") == 0 {
		f.Settled = true
		f.Status = rapid.SampledFrom([]diagnostics.Word{diagnostics.WordCompleted, diagnostics.WordFailed}).Draw(t, "settledStatus")
		return f
	}
	f.Status = rapid.SampledFrom([]diagnostics.Word{
		diagnostics.WordNone, diagnostics.WordNone, diagnostics.WordDraft, diagnostics.WordPending, diagnostics.WordQueued, diagnostics.WordProcessing,
		diagnostics.WordInProgress, diagnostics.WordCompleted, diagnostics.WordFailed, diagnostics.WordCanceled,
	}).Draw(t, "status")
	f.Name = maybe(t, name(t, "name"))
	f.LabelsJSON = maybe(t, `{"team":"`+rapid.SampledFrom([]string{"x", "y"}).Draw(t, "label")+`"}`)
	f.TotalTiers = maybe(t, int64(rapid.IntRange(1, 3).Draw(t, "tiers")))
	f.CreatedAt = maybe(t, someTime(t, "created"))
	f.SubmittedAt = maybe(t, someTime(t, "submitted"))
	f.StartedAt = maybe(t, someTime(t, "started"))
	f.CompletedAt = maybe(t, someTime(t, "completed"))
	f.Error = maybe(t, name(t, "error"))
	if rapid.Bool().Draw(t, "plan") {
		f.Tiers = []diagnostics.TierPlan{{
			TierNum: tierNum(t), RequiresGPU: maybe(t, rapid.Bool().Draw(t, "gpu")), TotalDocs: maybe(t, small(t)),
			Collections: []diagnostics.CollectionPlan{{ID: name(t, "collection"), Name: maybe(t, name(t, "name")), ExpectedDocs: maybe(t, small(t))}},
		}}
	}
	return f
}

func tierFacts(t *rapid.T) diagnostics.TierFacts {
	f := diagnostics.TierFacts{TierNum: tierNum(t), Attempt: attempt(t)}
	f.Status = rapid.SampledFrom([]diagnostics.Word{
		diagnostics.WordNone, diagnostics.WordNone, diagnostics.WordPending, diagnostics.WordQueued, diagnostics.WordProcessing,
		diagnostics.WordCompleted, diagnostics.WordFailed,
	}).Draw(t, "status")
	f.Worker = rapid.SampledFrom([]string{"", "", "x", "y", "z"}).Draw(t, "worker")
	f.RequiresGPU = maybe(t, rapid.Bool().Draw(t, "gpu"))
	f.StartedAt = maybe(t, someTime(t, "started"))
	f.CompletedAt = maybe(t, someTime(t, "completed"))
	f.Processed = maybe(t, small(t))
	f.Total = maybe(t, small(t))
	f.Failed = maybe(t, small(t))
	f.Counts[diagnostics.CountWritten] = maybe(t, small(t))
	f.Error = maybe(t, name(t, "error"))
	if rapid.Bool().Draw(t, "errors") {
		f.Errors = []diagnostics.ErrorFact{{
			ErrorType: name(t, "errorType"), Message: fmt.Sprint("m", rapid.IntRange(0, 120).Draw(t, "message")),
			Affected: maybe(t, small(t)), DocIDs: rapid.SliceOfN(rapid.StringMatching(`d[0-9]{2}`), 0, 12).Draw(t, "docs"),
			Suggestion: maybe(t, name(t, "suggestion")),
		}}
	}
	return f
}

func jobFacts(t *rapid.T) diagnostics.JobFacts {
	f := diagnostics.JobFacts{
		TierNum: tierNum(t), SubmissionID: "raysubmit_" + name(t, "job"),
		Status: rapid.SampledFrom([]diagnostics.Word{
			diagnostics.WordPending, diagnostics.WordRunning, diagnostics.WordRunning, diagnostics.WordSucceeded, diagnostics.WordFailed, diagnostics.WordStopped,
		}).Draw(t, "status"),
	}
	if rapid.Bool().Draw(t, "says attempt") {
		f.Attempt = diagnostics.Opt[int32]{V: attempt(t), Set: true}
	}
	f.Extractor = maybe(t, name(t, "extractor"))
	f.SubmittedAt = maybe(t, someTime(t, "submitted"))
	f.StartedAt = maybe(t, someTime(t, "started"))
	f.EndedAt = maybe(t, someTime(t, "ended"))
	f.Message = maybe(t, name(t, "message"))
	f.ExitCode = maybe(t, small(t)-50)
	f.Processed = maybe(t, small(t))
	f.Total = maybe(t, small(t))
	if rapid.Bool().Draw(t, "says waiting") {
		f.Waiting.Set = true
		if rapid.Bool().Draw(t, "waits") {
			f.Waiting.V = diagnostics.Waiting{
				Kind: "resources", Since: someTime(t, "since"), DemandJSON: `{"GPU":1}`,
				Infeasible: maybe(t, rapid.Bool().Draw(t, "infeasible")), NodesPending: maybe(t, small(t)),
			}
		}
	}
	return f
}

// someTime is mostly on a grid of minutes, where events collide, and sometimes far off it.
func someTime(t *rapid.T, label string) int64 {
	if rapid.IntRange(0, 9).Draw(t, label+" wild") == 0 {
		return Epoch().Add(time.Duration(rapid.Int64Range(-1e17, 1e17).Draw(t, label))).UnixNano()
	}
	return Epoch().Add(time.Duration(rapid.IntRange(0, 90).Draw(t, label)) * time.Minute).UnixNano()
}

func maybe[T any](t *rapid.T, v T) diagnostics.Opt[T] {
	if rapid.Bool().Draw(t, "said") {
		return diagnostics.Opt[T]{V: v, Set: true}
	}
	return diagnostics.Opt[T]{}
}

func name(t *rapid.T, label string) string {
	return rapid.SampledFrom([]string{"x", "y", "z", `q"\n`}).Draw(t, label)
}

func small(t *rapid.T) int64   { return int64(rapid.IntRange(0, 120).Draw(t, "n")) }
func tierNum(t *rapid.T) int32 { return int32(rapid.IntRange(0, 2).Draw(t, "tier")) }
func attempt(t *rapid.T) int32 {
	if rapid.IntRange(0, 5).Draw(t, "high attempt") == 0 {
		return int32(rapid.IntRange(1, 40).Draw(t, "attempt"))
	}
	return int32(rapid.IntRange(1, 2).Draw(t, "attempt"))
}
