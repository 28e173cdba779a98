package diagnostics

import (
	"github.com/headwayhq/headway/pkg/diagnostics/internal/cause"
	"github.com/headwayhq/headway/pkg/diagnostics/internal/event"
)

// failureCategory of the batch: of its first tier that failed and whose cause is known, else of its own error.
func failureCategory(d *derived) *string {
	for _, t := range d.tiers {
		if t.status != event.WordFailed {
			continue
		}
		category := ""
		if j := t.deciding(); j != nil {
			category = cause.CategoryOf(j.j)
		}
		if t.a != nil && category == "" {
			category = cause.CategoryFrom(string(t.a.ErrType.V), string(t.a.Err.V), false)
		}
		if category != "" {
			return &category
		}
	}
	for _, t := range d.tiers { // a job that failed beside others that go on
		for _, j := range t.jobs {
			if c := cause.CategoryOf(j.j); c != "" && t.status != event.WordFailed && t.status != event.WordCompleted && j.status == event.WordFailed && !j.superseded {
				return &c
			}
		}
	}
	if d.batch != nil && d.status == event.WordFailed {
		if c := cause.CategoryFrom(string(d.batch.ErrType.V), string(d.batch.Err.V), false); c != "" {
			return &c
		}
	}
	return nil
}
