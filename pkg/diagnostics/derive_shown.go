package diagnostics

import "github.com/headwayhq/headway/pkg/diagnostics/internal/event"

// overtaken reports that more was processed than the total says.
func (t *derivedTier) overtaken() bool { return t.totalKnown && t.processed > t.total }

// exact is the percentage neither rounded nor capped at 99.99.
func (t *derivedTier) exact() float64 {
	switch {
	case t.status == event.WordCompleted:
		return 100
	case !t.totalKnown || t.total == 0:
		return 0
	}
	return float64(min(t.processed, t.total)) * 100 / float64(t.total)
}

// percent rounds to two decimals, half up; 100 only for what is complete.
func percent(exact float64, complete bool) float64 {
	if complete {
		return 100
	}
	return min(99.99, float64(int64(exact*100+0.5))/100)
}

// currentTier is the lowest tier that has begun and isn't terminal, else the highest begun, else 0.
func (d *derived) currentTier() int {
	current := 0
	for _, t := range d.tiers {
		if !t.begun {
			continue
		}
		current = int(t.num)
		if t.status.Rank() != event.RankTerminal {
			break
		}
	}
	return current
}

// overallProgress is the mean over all tiers; one not yet seen counts 0.
func (d *derived) overallProgress() float64 {
	sum := 0.0
	for _, t := range d.tiers {
		sum += t.exact()
	}
	return percent(sum/float64(d.totalTiers), d.status == event.WordCompleted || d.status == event.WordCompletedWithErrors)
}

func (d *derived) batchName() string {
	if d.s.Name.Set && d.s.Name.V != "" {
		return string(d.s.Name.V)
	}
	return d.v.Batch
}

func (d *derived) statusText() string {
	if d.status == event.WordNone {
		return "UNKNOWN"
	}
	return d.status.String()
}

// submitted: given, else the earliest time at which a word of PENDING's rank was said.
func (d *derived) submitted() int64 {
	if d.batch == nil {
		return 0
	}
	if t := d.batch.Submitted.T; t != 0 {
		return t
	}
	return d.batch.Words.FirstOf(event.RankPending).Time
}

func (d *derived) truncated() bool {
	if d.s.JobsTruncated || d.s.CollectionsTruncated {
		return true
	}
	for _, t := range d.tiers {
		if t.a != nil && (t.a.WorkersTruncated || t.a.ErrorsTruncated || t.a.StagesTruncated) {
			return true
		}
	}
	return false
}

// finished reports whether the batch has reached a terminal status.
func (d *derived) finished() bool { return d.status.Rank() == event.RankTerminal }
