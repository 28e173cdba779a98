package judge

import (
	"time"

	"github.com/headwayhq/headway/pkg/diagnostics/internal/crdt"
)

// deriveTiers finds the tiers that anything names, their highest attempts, and the jobs of these.
func (d *Derived) deriveTiers() {
	byNum := d.findTiers()
	first := d.nameAttempts(byNum)
	d.attributeJobs(byNum, first)
	for _, t := range d.Tiers {
		t.Attempt = max(t.Attempt, 1)
		if len(d.Jobs) > 0 {
			t.first = first[keyOf(t.Num, t.Attempt)]
		}
		t.takeAttempt()
	}
	for _, j := range d.Jobs {
		byNum[j.Tier].takeJob(j)
	}
}

// findTiers makes the tiers that events or jobs name, in order.
func (d *Derived) findTiers() map[int32]*Tier {
	byNum := make(map[int32]*Tier, len(d.State.Tiers))
	add := func(t *Tier) {
		byNum[t.Num] = t
		d.Tiers = append(d.Tiers, t)
	}
	d.Tiers = make([]*Tier, 0, len(d.State.Tiers))
	block := make([]Tier, len(d.State.Tiers))
	for i, t := range d.State.Tiers {
		block[i].Num, block[i].State = t.Num, t
		add(&block[i])
	}
	for _, j := range d.Jobs {
		if byNum[j.Tier] == nil {
			add(&Tier{Num: j.Tier})
		}
	}
	sortTiers(d.Tiers)
	return byNum
}

// attemptKey names an attempt of a tier.
type attemptKey int64

func keyOf(tier, attempt int32) attemptKey { return attemptKey(tier)<<32 | attemptKey(attempt) }

// nameAttempts finds each tier's highest attempt, and the first words of all that tier events or jobs name. Only jobs are
// attributed by the latter: without jobs there are none.
func (d *Derived) nameAttempts(byNum map[int32]*Tier) map[attemptKey]crdt.Stamp {
	named := make(map[attemptKey]crdt.Stamp)
	if len(d.Jobs) == 0 {
		for _, t := range d.Tiers {
			if n := len(t.State.Attempts); n > 0 {
				t.Attempt, t.first = t.State.Attempts[n-1].Num, t.State.Attempts[n-1].First
			}
		}
		return named
	}
	say := func(tier, attempt int32, at crdt.Stamp) {
		k := keyOf(tier, attempt)
		if first, ok := named[k]; !ok || at.Before(first) {
			named[k] = at
		}
		if t := byNum[tier]; attempt > t.Attempt {
			t.Attempt = attempt
		}
	}
	for _, t := range d.State.Tiers {
		for _, a := range t.Attempts {
			say(t.Num, a.Num, a.First)
		}
	}
	for _, j := range d.Jobs {
		if j.Attempt > 0 {
			say(j.Tier, j.Attempt, j.State.First)
		}
	}
	return named
}

// attributeJobs gives each job without an attempt the highest one that was named before the job was submitted.
func (d *Derived) attributeJobs(byNum map[int32]*Tier, named map[attemptKey]crdt.Stamp) {
	for _, j := range d.Jobs {
		if j.Attempt != 0 {
			continue
		}
		j.Attempt = 1
		for a := byNum[j.Tier].Attempt; a > 1; a-- {
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
