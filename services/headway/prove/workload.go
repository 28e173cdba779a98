package main

import (
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"time"
)

// key names a batch.
type key struct{ ns, batch string }

func (k key) String() string { return k.ns + "/" + k.batch }

// event is one fact of a batch, sent once or more.
type event struct {
	key
	id     string
	at     time.Duration // after the begin of the batch: when it becomes true, and is sent unless it is delayed
	delay  time.Duration
	again  time.Duration // 0, or after how long it is sent a second time
	kind   string        // of the subject
	data   []byte        // the CloudEvent
	poison bool          // it must be rejected
}

// plan is one batch: what is sent, and what Headway must answer in the end.
type plan struct {
	key
	story  string
	skew   time.Duration // error of the producer's clock
	begin  time.Time
	events []event
	want   want
}

// want is what the product must answer about a batch when everything is sent and all timers have passed. It is derived
// by the script that makes the events, without any code of the product.
type want struct {
	status string
	health string
	tiers  []wantTier
	mark   time.Time // time of the last progress, if the batch is stuck for lack of it
	due    time.Time // when the health falls due; zero: with the event by
	by     string
}

// says reports whether a health is a correct final answer. If the producer's clock is ahead, the standstill may not be
// known yet: by that clock the last progress is in the future.
func (p *plan) says(health string) bool {
	if p.skew > 0 && p.want.health == "stuck" {
		return health == "ok" || health == "scaling" || health == "stuck"
	}
	return health == p.want.health
}

type wantTier struct {
	status                   string
	processed, total, failed int64
	jobs                     map[string]string // status by submission id
}

// stories are the scripts, each with its share in percent.
var stories = []struct {
	name string
	of   int
	tell func(*script)
}{
	{"finish", 44, (*script).finish},
	{"stall", 16, (*script).stall},
	{"resume", 8, (*script).resume},
	{"losses", 12, (*script).losses},
	{"unplaceable", 8, (*script).unplaceable},
	{"fail", 6, (*script).fail},
	{"workers", 6, (*script).workers},
}

// namespaces in order of how many batches they have: the n-th has a share of 1/n.
const namespaceCount = 12

func zipf(rng *rand.Rand) string {
	sum := 0.0
	for n := 1; n <= namespaceCount; n++ {
		sum += 1 / float64(n)
	}
	at := rng.Float64() * sum
	for n := 1; n <= namespaceCount; n++ {
		if at -= 1 / float64(n); at <= 0 {
			return fmt.Sprintf("team-%d", n)
		}
	}
	return "team-1"
}

// newPlan creates the n-th batch, which begins at a given time.
func newPlan(rng *rand.Rand, n, dense int, begin time.Time) *plan {
	p := &plan{key: key{zipf(rng), fmt.Sprintf("b%06d", n)}, begin: begin}
	s := &script{plan: p, rng: rng, dense: dense}
	if rng.IntN(20) == 0 {
		p.skew = []time.Duration{3 * time.Minute, -3 * time.Minute, -time.Hour, -5 * 365 * 24 * time.Hour}[rng.IntN(4)]
	}
	at := rng.IntN(100)
	for _, t := range stories {
		if at -= t.of; at < 0 {
			p.story = t.name
			t.tell(s)
			break
		}
	}
	s.dirty()
	return p
}

type script struct {
	*plan
	rng   *rand.Rand
	at    time.Duration
	n     int
	dense int // number of reports instead of one, in the same time
}

type object = map[string]any

func (s *script) between(low, high time.Duration) time.Duration {
	return low + time.Duration(s.rng.Int64N(int64(high-low)+1))
}

// wait lets time pass in the script.
func (s *script) wait(low, high time.Duration) { s.at += s.between(low, high) }

// moment is the present time by the producer's clock.
func (s *script) moment() time.Time { return s.begin.Add(s.at + s.skew).UTC() }

func (s *script) say(kind, eventType string, data object) {
	s.n++
	id := fmt.Sprintf("%s-%d", s.batch, s.n)
	body, err := json.Marshal(struct {
		SpecVersion string `json:"specversion"`
		ID          string `json:"id"`
		Source      string `json:"source"`
		Type        string `json:"type"`
		Subject     string `json:"subject"`
		Time        string `json:"time"`
		Data        object `json:"data"`
	}{"1.0", id, source, eventType, s.batch, s.moment().Format(time.RFC3339Nano), data})
	if err != nil {
		panic(err) // the values can always be encoded
	}
	s.events = append(s.events, event{key: s.key, id: id, at: s.at, kind: kind, data: body})
}

const source = "prove"

func (s *script) lastID() string { return s.events[len(s.events)-1].id }

func (s *script) status(status string) {
	s.say("batch", "dev.headway.batch.v1", object{"status": status})
	s.want.status = status
}

func (s *script) tierSays(n int, data object) {
	data["tier_num"] = n
	kind := fmt.Sprintf("tier.%d", n)
	if data["status"] == nil {
		kind += ".progress"
	}
	s.say(kind, "dev.headway.tier.v1", data)
}

func (s *script) job(n int, id, status string, more object) {
	data := object{"tier_num": n, "submission_id": id, "status": status}
	for k, v := range more {
		data[k] = v
	}
	s.say("job."+id, "dev.headway.job.v1", data)
	if s.want.tiers[n].jobs == nil {
		s.want.tiers[n].jobs = map[string]string{}
	}
	s.want.tiers[n].jobs[id] = status
}

func (s *script) jobID(n int) string { return fmt.Sprintf("raysubmit_%s_%d", s.batch, n) }

// open begins the batch and its plan.
func (s *script) open(tiers int) {
	plan := make([]object, tiers)
	s.want = want{health: "ok", tiers: make([]wantTier, tiers)}
	for n := range plan {
		plan[n] = object{"tier_num": n, "requires_gpu": false}
		s.want.tiers[n].status = "PENDING"
	}
	s.say("batch", "dev.headway.batch.v1", object{"status": "PENDING", "name": "Batch " + s.batch, "total_tiers": tiers, "tiers": plan})
	s.wait(50*time.Millisecond, 300*time.Millisecond)
	s.status("PROCESSING")
}

// start begins a tier and its job.
func (s *script) start(n int) {
	w := &s.want.tiers[n]
	w.status = "PROCESSING"
	s.job(n, s.jobID(n), "PENDING", nil)
	s.wait(50*time.Millisecond, 700*time.Millisecond)
	s.tierSays(n, object{"status": "PROCESSING"})
	s.job(n, s.jobID(n), "RUNNING", nil)
	s.wait(50*time.Millisecond, 500*time.Millisecond)
}

// report lets the time between two reports pass.
func (s *script) report(low, high time.Duration) {
	s.at += s.between(low, high) / time.Duration(s.dense)
}

// count advances a tier in steps to done of total documents.
func (s *script) count(n, steps int, from, done, total int64, failed bool) {
	steps *= s.dense
	w := &s.want.tiers[n]
	w.total = total
	for k := 1; k <= steps; k++ {
		w.processed = from + (done-from)*int64(k)/int64(steps)
		data := object{"processed_documents": w.processed, "total_documents": total}
		if failed {
			w.failed = w.processed/50 + 1
			data["failed_documents"] = w.failed
		}
		s.tierSays(n, data)
		if failed && k == 1 {
			s.want.by = s.lastID()
		}
		s.want.mark = s.moment()
		s.report(150*time.Millisecond, 700*time.Millisecond)
	}
}

func (s *script) end(n int, status, job string) {
	s.job(n, s.jobID(n), job, nil)
	s.wait(10*time.Millisecond, 200*time.Millisecond)
	s.tierSays(n, object{"status": status})
	s.want.tiers[n].status = status
	s.wait(50*time.Millisecond, 300*time.Millisecond)
}

func (s *script) docs() int64 { return int64(100*s.dense) + s.rng.Int64N(5000) }

func (s *script) wholeTier(n int, failed bool) {
	docs := s.docs()
	s.start(n)
	s.count(n, 3+s.rng.IntN(6), 0, docs, docs, failed)
	s.end(n, "COMPLETED", "SUCCEEDED")
}

func (s *script) finish() {
	tiers := 1 + s.rng.IntN(3)
	s.open(tiers)
	for n := range tiers {
		s.wholeTier(n, false)
	}
	s.status("COMPLETED")
}

// stall stops for good in the middle of a tier.
func (s *script) stall() {
	s.open(2)
	s.wholeTier(0, false)
	docs := s.docs()
	s.start(1)
	s.count(1, 2+s.rng.IntN(4), 0, docs/2, docs, false)
	s.want.health = "stuck"
	s.want.due = s.want.mark.Add(stallTimeout)
}

// resume stalls long enough to be stuck, and then continues to its end.
func (s *script) resume() {
	s.open(1)
	docs := s.docs()
	s.start(0)
	s.count(0, 3, 0, docs/3, docs, false)
	s.at += stallTimeout + s.between(2*time.Second, 4*time.Second)
	s.count(0, 4, docs/3, docs, docs, false)
	s.end(0, "COMPLETED", "SUCCEEDED")
	s.status("COMPLETED")
}

// losses lets documents fail in a batch that continues to its end.
func (s *script) losses() {
	s.open(2)
	s.wholeTier(0, true)
	s.want.health = "degraded"
	s.wholeTier(1, false)
	s.status("COMPLETED_WITH_ERRORS")
}

// unplaceable waits for resources that no node offers, as its cluster reports.
func (s *script) unplaceable() {
	s.open(1)
	since := s.moment()
	s.job(0, s.jobID(0), "PENDING", object{"waiting_on": object{
		"kind": "resources", "since": since.Format(time.RFC3339Nano), "infeasible": true, "demand": object{"GPU": 8}, "offered": object{"GPU": 0},
	}})
	s.want.tiers[0].status = ""
	s.want.health = "stuck"
	s.want.due = since.Add(grace)
}

func (s *script) fail() {
	s.open(2)
	s.wholeTier(0, false)
	docs := s.docs()
	s.start(1)
	s.count(1, 2, 0, docs/2, docs, false)
	s.end(1, "FAILED", "FAILED")
	s.want.by = s.lastID()
	s.status("FAILED")
	s.want.health = "degraded"
}

// workers lets several workers count one tier, each its own part, with retries that start again.
func (s *script) workers() {
	s.open(1)
	s.start(0)
	total := int64(0)
	workers := 2 + s.rng.IntN(4)
	best := make([]int64, workers)
	for range (8 + s.rng.IntN(8)) * s.dense {
		w := s.rng.IntN(workers)
		n := s.rng.Int64N(500)
		best[w] = max(best[w], n)
		s.tierSays(0, object{"processed_documents": n, "worker": fmt.Sprintf("w%d", w)})
		s.report(50*time.Millisecond, 300*time.Millisecond)
	}
	for _, n := range best {
		total += n
	}
	s.tierSays(0, object{"total_documents": max(total, 1), "status": "PROCESSING"})
	s.want.tiers[0].processed, s.want.tiers[0].total = total, max(total, 1)
	s.wait(50*time.Millisecond, 200*time.Millisecond)
	s.end(0, "COMPLETED", "SUCCEEDED")
	s.status("COMPLETED")
}

// Shares of events that aren't sent exactly once and in order.
const (
	duplicates = 0.10
	reordered  = 0.10
	late       = 0.02
	poisoned   = 0.01
)

// dirty sends events twice, late and out of order, and adds poison.
func (s *script) dirty() {
	clean := len(s.events)
	for i := range clean {
		e := &s.events[i]
		if s.rng.Float64() < duplicates {
			e.again = s.between(0, 3*time.Second)
		}
		switch p := s.rng.Float64(); {
		case p < reordered:
			e.delay = s.between(0, 1500*time.Millisecond)
		case p < reordered+late && s.isFiller(i):
			e.delay = s.between(4*time.Second, 8*time.Second)
		}
		if s.rng.Float64() < poisoned {
			s.events = append(s.events, s.poison(*e))
		}
	}
}

// isFiller reports whether an event is a count that a later one exceeds, so that its delay doesn't matter.
func (s *script) isFiller(i int) bool {
	return strings.HasSuffix(s.events[i].kind, ".progress") && i+1 < len(s.events) && s.events[i+1].kind == s.events[i].kind
}

// poisonMark is contained in every event that must be rejected, so that it can be recognized anywhere.
const poisonMark = "prove-poison"

func (s *script) poison(e event) event {
	s.n++
	e.id, e.poison = fmt.Sprintf("%s-%s-%d", poisonMark, s.batch, s.n), true
	e.data = poisonText(s.rng.IntN(poisonKinds), e.id, s.moment())
	return e
}

const poisonKinds = 8

func poisonText(kind int, id string, at time.Time) []byte {
	form := func(eventType, when, data string) []byte {
		return fmt.Appendf(nil, `{"specversion":"1.0","id":%q,"source":%q,"type":%q,"time":%q,"data":%s}`, id, source, eventType, when, data)
	}
	now := at.Format(time.RFC3339Nano)
	const tier = "dev.headway.tier.v1"
	switch kind {
	case 0:
		return []byte(`{"specversion":"1.0","id":"` + id)
	case 1:
		return []byte("not json at all: " + id)
	case 2:
		return form("dev.headway.nothing.v1", now, `{}`)
	case 3:
		return form("dev.headway.tier.v9", now, `{"tier_num":0}`)
	case 4:
		return form(tier, now, `{"tier_num":0,"processed_documents":-5}`)
	case 5:
		return form(tier, "1970-01-01T00:00:00Z", `{"tier_num":0}`)
	case 6:
		return []byte(`{"specversion":"1.0","id":"` + id + `","source":"` + "\xff" + `","type":"` + tier + `"}`)
	}
	return form(tier, time.Now().Add(time.Duration(math.MaxInt32)*time.Second).UTC().Format(time.RFC3339), `{"tier_num":0}`)
}
