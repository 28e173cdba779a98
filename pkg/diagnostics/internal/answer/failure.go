package answer

import (
	"github.com/headwayhq/headway/pkg/diagnostics/internal/cause"
	"github.com/headwayhq/headway/pkg/diagnostics/internal/event"
	"github.com/headwayhq/headway/pkg/diagnostics/internal/judge"
)

// failureCategory of the batch: of its first tier that failed and whose cause is known, else of its own error.
func failureCategory(d *judge.Derived) *string {
	for _, t := range d.Tiers {
		if t.Status != event.WordFailed {
			continue
		}
		category := ""
		if j := t.Deciding(); j != nil {
			category = cause.CategoryOf(j.State)
		}
		if t.AttemptState != nil && category == "" {
			category = cause.CategoryFrom(string(t.AttemptState.ErrType.V), string(t.AttemptState.Err.V), false)
		}
		if category != "" {
			return &category
		}
	}
	for _, t := range d.Tiers { // a job that failed beside others that go on
		for _, j := range t.Jobs {
			if c := cause.CategoryOf(j.State); c != "" && t.Status != event.WordFailed && t.Status != event.WordCompleted && j.Status == event.WordFailed && !j.Superseded {
				return orNull(c)
			}
		}
	}
	if d.Batch != nil && d.Status == event.WordFailed {
		if c := cause.CategoryFrom(string(d.Batch.ErrType.V), string(d.Batch.Err.V), false); c != "" {
			return &c
		}
	}
	return nil
}
