package judge

import (
	"time"

	"github.com/headwayhq/headway/pkg/diagnostics/internal/crdt"
)

// deriveTiers finds the tiers that anything names, their highest attempts, and the jobs of these. It returns those that have to be derived:
// a tier without jobs that hasn't changed is kept from the last time.
func (d *Derived) deriveTiers(canceled bool) (fresh []*Tier) {
	fresh = d.findTiers(canceled)
	first := d.nameAttempts(fresh)
	d.attributeJobs(first)
	for _, t := range fresh {
		t.Attempt = max(t.Attempt, 1)
		if d.withJobs[t.Num] {
			t.first = first[keyOf(t.Num, t.Attempt)]
		}
		t.takeAttempt()
	}
	for _, j := range d.Jobs {
		d.TierAt(j.Tier).takeJob(j)
	}
	return fresh
}

// findTiers makes the tiers that events or jobs name, in order, and returns those that weren't kept.
func (d *Derived) findTiers(canceled bool) (fresh []*Tier) {
	if len(d.Jobs) > 0 {
		d.withJobs = make(map[int32]bool, len(d.Jobs))
		for _, j := range d.Jobs {
			d.withJobs[j.Tier] = true
		}
	}
	d.Tiers = make([]*Tier, len(d.State.Tiers), len(d.State.Tiers)+len(d.withJobs))
	n := 0
	for i, t := range d.State.Tiers {
		if kept, ok := t.Derived().(*Tier); ok && kept.canceled == canceled && !d.withJobs[t.Num] {
			d.Tiers[i] = kept
		} else {
			n++
		}
	}
	fresh = make([]*Tier, 0, n+len(d.withJobs))
	block := make([]Tier, n)
	for i, t := range d.State.Tiers {
		if d.Tiers[i] == nil {
			block[0].Num, block[0].State = t.Num, t
			d.Tiers[i], block = &block[0], block[1:]
			fresh = append(fresh, d.Tiers[i])
		}
	}
	for number := range d.withJobs {
		if d.TierAt(number) == nil {
			fresh = append(fresh, &Tier{Num: number})
		}
	}
	if more := fresh[n:]; len(more) > 0 {
		d.Tiers = append(d.Tiers, more...)
		sortTiers(d.Tiers)
	}
	return fresh
}

// attemptKey names an attempt of a tier.
type attemptKey int64

func keyOf(tier, attempt int32) attemptKey { return attemptKey(tier)<<32 | attemptKey(attempt) }

// nameAttempts finds each tier's highest attempt, and the first words of all attempts that events or jobs name of a tier with jobs.
func (d *Derived) nameAttempts(fresh []*Tier) map[attemptKey]crdt.Stamp {
	named := make(map[attemptKey]crdt.Stamp)
	say := func(t *Tier, attempt int32, at crdt.Stamp) {
		k := keyOf(t.Num, attempt)
		if first, ok := named[k]; !ok || at.Before(first) {
			named[k] = at
		}
		t.Attempt = max(t.Attempt, attempt)
	}
	for _, t := range fresh {
		switch {
		case t.State == nil:
		case d.withJobs[t.Num]:
			for _, a := range t.State.Attempts {
				say(t, a.Num, a.First)
			}
		default:
			if n := len(t.State.Attempts); n > 0 {
				t.Attempt, t.first = t.State.Attempts[n-1].Num, t.State.Attempts[n-1].First
			}
		}
	}
	for _, j := range d.Jobs {
		if j.Attempt > 0 {
			say(d.TierAt(j.Tier), j.Attempt, j.State.First)
		}
	}
	return named
}

// attributeJobs gives each job without an attempt the highest one that was named before the job was submitted.
func (d *Derived) attributeJobs(named map[attemptKey]crdt.Stamp) {
	for _, j := range d.Jobs {
		if j.Attempt != 0 {
			continue
		}
		j.Attempt = 1
		for a := d.TierAt(j.Tier).Attempt; a > 1; a-- {
			if first, ok := named[keyOf(j.Tier, a)]; ok && first.Time <= j.Submitted+attributionSlack {
				j.Attempt = a
				break
			}
		}
	}
}

// takeAttempt finds the state of the tier's highest attempt.
func (t *Tier) takeAttempt() {
	if t.State == nil {
		return
	}
	for _, a := range t.State.Attempts {
		t.Heard = max(t.Heard, a.Last)
		if a.Num == t.Attempt {
			t.AttemptState, t.last = a, a.Last
		}
	}
}

// takeJob takes a job of the tier, if it is one of the highest attempt.
func (t *Tier) takeJob(j *Job) {
	t.Heard = max(t.Heard, j.State.Last)
	if j.Attempt != t.Attempt {
		return
	}
	t.Jobs = append(t.Jobs, j)
	if t.first.IsZero() || t.AttemptState == nil && j.State.First.Before(t.first) {
		t.first = j.State.First
	}
}

// attributionSlack is how much later than a job's submission its tier's attempt may have been named.
const attributionSlack = int64(60 * time.Second)
