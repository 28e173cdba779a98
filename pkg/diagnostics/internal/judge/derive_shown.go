package judge

import (
	"strconv"

	"github.com/headwayhq/headway/pkg/diagnostics/internal/event"
)

// Overtaken reports that more documents were processed than the total.
func (t *Tier) Overtaken() bool { return t.TotalKnown && t.Processed > t.Total }

// Exact is the percentage neither rounded nor capped at 99.99.
func (t *Tier) Exact() float64 {
	switch {
	case t.Status == event.WordCompleted:
		return 100
	case !t.TotalKnown || t.Total == 0:
		return 0
	}
	return float64(t.handled()) * 100 / float64(t.Total)
}

// Percent rounds to two decimals, half up; 100 only for what is complete.
func Percent(exact float64, complete bool) float64 {
	if complete {
		return 100
	}
	return min(99.99, float64(int64(exact*100+0.5))/100)
}

// CurrentTier is the lowest tier that has begun and isn't terminal, else the highest begun, else 0.
func (d *Derived) CurrentTier() int {
	current := 0
	for _, t := range d.Tiers {
		if !t.begun {
			continue
		}
		current = int(t.Num)
		if t.Status.Rank() != event.RankTerminal {
			break
		}
	}
	return current
}

// OverallProgress is the mean over all tiers but those that were skipped; one not yet seen counts 0.
func (d *Derived) OverallProgress() float64 {
	sum, of := 0.0, d.TotalTiers
	for _, t := range d.Tiers {
		if t.Status == event.WordSkipped {
			of--
			continue
		}
		sum += t.Exact()
	}
	return Percent(sum/float64(max(1, of)), d.Status == event.WordCompleted || d.Status == event.WordCompletedWithErrors)
}

// BatchName is the name, or the id if there is none.
func (d *Derived) BatchName() string {
	if d.State.Name.Set && d.State.Name.V != "" {
		return string(d.State.Name.V)
	}
	return d.View.BatchID()
}

// StatusText is the status in an answer.
func (d *Derived) StatusText() string {
	if d.Status == event.WordNone {
		return "UNKNOWN"
	}
	return d.Status.String()
}

// Submitted is the reported time or, without one, the earliest time of an event with a status of PENDING's rank.
func (d *Derived) Submitted() int64 {
	if d.Batch == nil {
		return 0
	}
	if t := d.Batch.Submitted.T; t != 0 {
		return t
	}
	return d.Batch.Words.FirstOf(event.RankPending).Time
}

// Truncated reports that a limit of the view left out something that would be shown.
func (d *Derived) Truncated() bool { return len(d.LeftOut()) > 0 }

// LeftOut are the kinds of shown entries of which a limit of the view left some out.
func (d *Derived) LeftOut() []string {
	d.leftOnce.Do(func() { d.left = d.findLeftOut() })
	return d.left
}

func (d *Derived) findLeftOut() []string {
	out := d.State.LeftOut()
	workers, errs, stages := false, false, false
	for _, t := range d.Tiers {
		if t.State == nil {
			continue
		}
		w, e, s := t.State.LeftOut(t.Attempt)
		workers, errs, stages = workers || w, errs || e, stages || s
	}
	for _, kind := range [...]struct {
		name string
		left bool
	}{{"workers", workers}, {"errors", errs}, {"stages", stages}} {
		if kind.left {
			out = append(out, kind.name)
		}
	}
	return out
}

// PassedOver is the lowest tier that was never begun though a later one was, and how many more there are; nil if none is.
func (d *Derived) PassedOver() (t *Tier, more int) {
	if d.lastBegun == nil {
		return nil, 0
	}
	begun := 0
	for _, o := range d.Tiers {
		if o.begun && o.Num < d.lastBegun.Num {
			begun++
		}
	}
	for n := range d.lastBegun.Num {
		if o := d.TierOrNew(n); !o.begun {
			return o, int(d.lastBegun.Num) - begun - 1
		}
	}
	return nil, 0
}

// Finished reports whether the batch has reached a terminal status, or was erased.
func (d *Derived) Finished() bool {
	return d.Status.Rank() == event.RankTerminal || d.State.Erased != 0
}

// TierName is a tier as people count it: "tier 2 of 3".
func (d *Derived) TierName(n int32) string {
	return TierName(int(n), d.TotalTiers, "")
}

// TierName counts tiers as people do: "tier 2 of 3" for number 1, which is counted from zero. Of a batch whose status is
// COMPLETED all tiers are done, also where its last ones were skipped.
func TierName(n, total int, status string) string {
	total = max(total, n+1)
	if status == event.WordCompleted.String() {
		n = total - 1
	}
	return "tier " + strconv.Itoa(n+1) + " of " + strconv.Itoa(total)
}
