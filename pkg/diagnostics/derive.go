package diagnostics

import (
	"cmp"
	"slices"
	"sync/atomic"
	"time"

	"github.com/headwayhq/headway/pkg/diagnostics/internal/crdt"
	"github.com/headwayhq/headway/pkg/diagnostics/internal/event"
	"github.com/headwayhq/headway/pkg/diagnostics/internal/view"
)

// derived is what follows from a view alone, at any moment.
type derived struct {
	v     *view.View
	s     *view.State
	tiers []*derivedTier // ascending
	jobs  []*derivedJob  // by submission id

	attempt      int32 // the batch attempt shown, 1 if none was named
	batch        *view.BatchAttempt
	firstWord    crdt.Stamp // of that attempt; zero if none
	status       event.Word // WordNone: unknown
	totalTiers   int
	open         []*derivedTier // open tiers, or the one that is due next; a due one may be not yet in tiers
	start, end   int64
	failedTiers  int
	failedDocs   int64
	hasFailures  bool
	liveJobs     int // of highest attempts
	settlingDone bool
}

type derivedTier struct {
	num     int32
	t       *view.Tier        // nil when only jobs name it
	a       *view.TierAttempt // the highest attempt; nil when only jobs name it
	attempt int32
	first   crdt.Stamp // first word of that attempt, zero if none
	last    int64      // last word of that attempt
	heard   int64      // latest word about the tier, its jobs included
	jobs    []*derivedJob
	status  event.Word
	saidEnd bool // its end was said, not derived from jobs
	begun   bool
	start   int64
	startBy crdt.Stamp
	end     int64
	mark    crdt.Stamp // latest progress mark of its own
	moved   crdt.Stamp // latest progress mark, its own or of a job that isn't superseded

	own              *view.Tally // what its highest attempt counted itself; nil when only jobs name it
	processed, total int64       // as reported: not clamped
	totalKnown       bool
	failed           int64
	gpu              event.Opt[bool]
	points           atomic.Pointer[[]curvePoint] // as curve gives them, once drawn
}

type derivedJob struct {
	j             *view.Job
	tier, attempt int32
	status        event.Word
	submitted     int64
	submittedBy   crdt.Stamp
	start, end    int64
	startBy       crdt.Stamp
	superseded    bool
}

func (j *derivedJob) live() bool { return !j.superseded && j.status.Rank() < event.RankTerminal }

// attributionSlack is how much later than a job's submission its tier's attempt may have been named.
const attributionSlack = int64(60 * time.Second)

func derive(v *view.View) *derived {
	d := &derived{v: v, s: view.Of(v), attempt: 1}
	if n := len(d.s.Attempts); n > 0 {
		d.batch = d.s.Attempts[n-1]
		d.attempt, d.firstWord = d.batch.Num, d.batch.First
	}
	d.deriveJobs()
	d.deriveTiers()
	d.supersede()
	canceled := d.batch != nil && d.batch.Words.Shown().Word == event.WordCanceled
	for _, t := range d.tiers {
		t.derive(canceled)
	}
	d.deriveTotals()
	d.deriveOpen()
	d.deriveStatus()
	d.deriveSpan()
	return d
}

func (d *derived) deriveJobs() {
	d.jobs = make([]*derivedJob, len(d.s.Jobs))
	block := make([]derivedJob, len(d.s.Jobs))
	for i, j := range d.s.Jobs {
		dj := &block[i]
		d.jobs[i] = dj
		shown := j.Words.Shown()
		*dj = derivedJob{j: j, tier: int32(j.Tier.V), attempt: j.Attempt, status: shown.Word}
		if at := j.Started; at.T != 0 {
			dj.start, dj.startBy = at.T, at.At
		} else if at := j.Words.FirstOf(event.RankProcessing); !at.IsZero() {
			dj.start, dj.startBy = at.Time, at
		}
		switch pending := j.Words.FirstOf(event.RankPending); {
		case j.Submitted.T != 0:
			dj.submitted, dj.submittedBy = j.Submitted.T, j.Submitted.At
		case !pending.IsZero():
			dj.submitted, dj.submittedBy = pending.Time, pending
		default:
			dj.submitted, dj.submittedBy = j.First.Time, j.First
			if dj.start != 0 && dj.start < dj.submitted {
				dj.submitted, dj.submittedBy = dj.start, dj.startBy
			}
		}
		if shown.Word.Rank() == event.RankTerminal {
			dj.end = shown.First.Time
			if j.Ended.Set {
				dj.end = int64(j.Ended.V)
			}
		}
	}
}

// deriveTiers finds the tiers that anything names, their highest attempts, and the jobs of these.
func (d *derived) deriveTiers() {
	byNum := make(map[int32]*derivedTier, len(d.s.Tiers))
	add := func(t *derivedTier) {
		byNum[t.num] = t
		d.tiers = append(d.tiers, t)
	}
	d.tiers = make([]*derivedTier, 0, len(d.s.Tiers))
	block := make([]derivedTier, len(d.s.Tiers))
	for i, t := range d.s.Tiers {
		block[i].num, block[i].t = t.Num, t
		add(&block[i])
	}
	for _, j := range d.jobs {
		if byNum[j.tier] == nil {
			add(&derivedTier{num: j.tier})
		}
	}
	sortTiers(d.tiers)

	// First words of the attempts that tier events or jobs name.
	named := make(map[int64]crdt.Stamp)
	key := func(tier, attempt int32) int64 { return int64(tier)<<32 | int64(attempt) }
	say := func(tier, attempt int32, at crdt.Stamp) {
		k := key(tier, attempt)
		if first, ok := named[k]; !ok || at.Before(first) {
			named[k] = at
		}
		if t := byNum[tier]; attempt > t.attempt {
			t.attempt = attempt
		}
	}
	if len(d.jobs) > 0 {
		for _, t := range d.s.Tiers {
			for _, a := range t.Attempts {
				say(t.Num, a.Num, a.First)
			}
		}
	} else { // nobody asks for the others
		for _, t := range d.tiers {
			if n := len(t.t.Attempts); n > 0 {
				t.attempt, t.first = t.t.Attempts[n-1].Num, t.t.Attempts[n-1].First
			}
		}
	}
	for _, j := range d.jobs {
		if j.attempt > 0 {
			say(j.tier, j.attempt, j.j.First)
		}
	}
	for _, j := range d.jobs {
		if j.attempt == 0 {
			j.attempt = 1
			for a := byNum[j.tier].attempt; a > 1; a-- {
				if first, ok := named[key(j.tier, a)]; ok && first.Time <= j.submitted+attributionSlack {
					j.attempt = a
					break
				}
			}
		}
	}
	for _, t := range d.tiers {
		t.attempt = max(t.attempt, 1)
		if len(d.jobs) > 0 {
			t.first = named[key(t.num, t.attempt)]
		}
		if t.t == nil {
			continue
		}
		for _, a := range t.t.Attempts {
			t.heard = max(t.heard, a.Last)
			if a.Num == t.attempt {
				t.a, t.last = a, a.Last
			}
		}
	}
	for _, j := range d.jobs {
		t := byNum[j.tier]
		t.heard = max(t.heard, j.j.Last)
		if j.attempt == t.attempt {
			t.jobs = append(t.jobs, j)
			if t.first.IsZero() || t.a == nil && j.j.First.Before(t.first) {
				t.first = j.j.First
			}
		}
	}
}

// supersedeSlack is how much earlier than a job's end the one that replaces it may have been submitted.
const supersedeSlack = int64(60 * time.Second)

// supersede marks the failed and stopped jobs that were replaced by a later one of the same tier,
// attempt, extractor and collections.
func (d *derived) supersede() {
	type group struct {
		tier, attempt          int32
		extractor, collections string
	}
	of := func(j *derivedJob) group {
		return group{j.tier, j.attempt, string(j.j.Extractor.V), string(j.j.Collections.V)}
	}
	if len(d.jobs) < 2 {
		return
	}
	latest := make(map[group]int64, len(d.jobs))
	for _, j := range d.jobs {
		latest[of(j)] = max(latest[of(j)], j.submitted)
	}
	for _, j := range d.jobs {
		l := latest[of(j)]
		j.superseded = (j.status == event.WordFailed || j.status == event.WordStopped) &&
			l > j.submitted && l >= j.end-supersedeSlack
	}
}

func (d *derived) deriveTotals() {
	d.totalTiers = 1
	if d.s.TotalTiers.Set {
		d.totalTiers = max(d.totalTiers, int(d.s.TotalTiers.V))
	}
	if n := len(d.tiers); n > 0 {
		d.totalTiers = max(d.totalTiers, int(d.tiers[n-1].num)+1)
	}
	for _, t := range d.tiers {
		d.failedDocs = event.Plus(d.failedDocs, t.failed)
		if t.status == event.WordFailed {
			d.failedTiers++
		}
		for _, j := range t.jobs {
			if !j.superseded && j.status == event.WordFailed {
				d.hasFailures = true
			}
			if j.live() {
				d.liveJobs++
			}
		}
	}
}

// deriveOpen finds the open tiers: those begun and not terminal; if there is none the next one due; if
// nothing has begun, tier 0.
func (d *derived) deriveOpen() {
	var lastBegun *derivedTier
	for _, t := range d.tiers {
		if !t.begun {
			continue
		}
		lastBegun = t
		if t.status.Rank() != event.RankTerminal {
			d.open = append(d.open, t)
		}
	}
	switch {
	case len(d.open) > 0:
	case lastBegun == nil:
		d.open = []*derivedTier{d.tierOrNew(0)}
	case lastBegun.status == event.WordCompleted && int(lastBegun.num)+1 < d.totalTiers:
		d.open = []*derivedTier{d.tierOrNew(lastBegun.num + 1)}
	}
}

func (d *derived) tierAt(n int32) *derivedTier {
	if n >= 0 && int(n) < len(d.tiers) && d.tiers[n].num == n {
		return d.tiers[n]
	}
	i, found := slices.BinarySearchFunc(d.tiers, n, func(t *derivedTier, n int32) int { return cmp.Compare(t.num, n) })
	if !found {
		return nil
	}
	return d.tiers[i]
}

func (d *derived) tierOrNew(n int32) *derivedTier {
	if t := d.tierAt(n); t != nil {
		return t
	}
	return &derivedTier{num: n, attempt: 1, status: event.WordPending}
}

func (d *derived) deriveStatus() {
	said := event.WordNone
	if d.batch != nil {
		said = d.batch.Words.Shown().Word
	}
	switch {
	case said.Rank() == event.RankTerminal:
		d.status = said
	case d.derivedEnd():
		d.status = event.WordCompleted
		if d.failedDocs > 0 {
			d.status = event.WordCompletedWithErrors
		}
	case d.settledNow():
		d.status = event.Word(d.s.Settled.V)
		d.settlingDone = true
	case said.Rank() == event.RankProcessing || d.works():
		d.status = event.WordProcessing
	case said == event.WordDraft:
		d.status = event.WordDraft
	case said != event.WordNone || len(d.tiers) > 0:
		d.status = event.WordPending
	}
	d.hasFailures = d.hasFailures || d.failedTiers > 0 || d.failedDocs > 0 ||
		d.status == event.WordFailed || d.status == event.WordCompletedWithErrors
}

// derivedEnd: all tiers said that they completed, though the batch didn't.
func (d *derived) derivedEnd() bool {
	if !d.s.TotalTiers.Set || len(d.tiers) < d.totalTiers {
		return false
	}
	for _, t := range d.tiers {
		if t.status != event.WordCompleted || !t.saidEnd {
			return false
		}
	}
	return d.attempt <= 1 || d.tiers[len(d.tiers)-1].end >= d.firstWord.Time
}

// settledNow: the detector's settling counts while nothing has contradicted it.
func (d *derived) settledNow() bool {
	s := d.s.Settled
	return s.Set && !d.s.StatusSaid && d.liveJobs == 0 && len(d.open) == 0 && d.s.LastWork <= s.At.Time
}

// works reports whether anything shows the batch at work; in a later attempt only what was heard since.
func (d *derived) works() bool {
	later := d.attempt > 1
	for _, t := range d.tiers {
		if t.status != event.WordPending && (!later || t.last >= d.firstWord.Time) {
			return true
		}
		if !later && !t.moved.IsZero() {
			return true
		}
	}
	for _, j := range d.jobs {
		if !later || j.j.Last >= d.firstWord.Time {
			return true
		}
	}
	return false
}

// deriveSpan finds when the batch started and ended.
func (d *derived) deriveSpan() {
	terminal := d.status.Rank() == event.RankTerminal
	if a := d.batch; a != nil {
		if a.Started.T != 0 {
			d.start = a.Started.T
		} else {
			d.start = a.Words.FirstOf(event.RankProcessing).Time
		}
		if terminal {
			switch shown := a.Words.Shown(); {
			case a.Completed.Set:
				d.end = int64(a.Completed.V)
			case shown.Word == d.status:
				d.end = shown.First.Time
			}
		}
	}
	var start, end int64
	for _, t := range d.tiers {
		if d.attempt > 1 && !t.begunSince(d.firstWord.Time) {
			continue
		}
		if t.start != 0 && (start == 0 || t.start < start) {
			start = t.start
		}
		end = max(end, t.end)
	}
	if d.start == 0 {
		d.start = start
	}
	if terminal && d.end == 0 {
		d.end = end
		if d.end == 0 && d.settlingDone {
			d.end = d.s.Settled.At.Time
		}
	}
}

func (t *derivedTier) begunSince(at int64) bool {
	if t.start != 0 {
		return t.start >= at
	}
	return t.first.Time >= at
}
