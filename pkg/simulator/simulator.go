package simulator

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"
)

// Event is one event to send.
type Event struct {
	At        time.Duration // when to send it, after Config.Start
	Namespace string
	Batch     string
	Subject   string // headway.events.<namespace>.<batch>.<kind…>
	Data      []byte // structured CloudEvent
	Poison    bool   // invalid on purpose
}

// Dirty describes the faults of a real transport. Each field is a share of the events, from 0 to 1.
type Dirty struct {
	Duplicates float64 // sent twice
	Reordered  float64 // sent some seconds late
	Late       float64 // sent after the batch's end
	Poison     float64 // an additional event that can't be understood
}

// RealisticDirt is 10 % duplicates, 10 % reordered, 2 % late and 1 % poison.
func RealisticDirt() Dirty {
	return Dirty{Duplicates: 0.10, Reordered: 0.10, Late: 0.02, Poison: 0.01}
}

// Config of a workload. Zero values mean the defaults.
type Config struct {
	Seed       uint64
	Batches    int           // default 12
	Namespaces []string      // default "default"; batches are spread by Zipf's law
	Start      time.Time     // when the first event becomes true
	Speed      float64       // speed-up over real time; default 1
	Spacing    time.Duration // virtual time between two batches' starts; default 5 s
	Docs       int           // documents per tier; default 2,000
	Step       time.Duration // virtual time between two progress events; default 2 s
	Prefix     string        // of batch ids; default "sim"
	Scenarios  []Scenario    // in turn; default all
	Dirty      Dirty
}

// Scenario is what happens to a batch.
type Scenario string

// The scenarios.
const (
	Healthy         Scenario = "healthy"
	NodeNeverComes  Scenario = "no-node"  // a job that no node type can take
	Stuck           Scenario = "stuck"    // alive without progress
	Retry           Scenario = "retry"    // a job fails and its successor succeeds
	OutOfMemory     Scenario = "oom"      // ends FAILED
	PartialFailures Scenario = "partial"  // ends COMPLETED_WITH_ERRORS
	JobsOnly        Scenario = "jobs"     // no event has a status: the detector settles it
	SlowStart       Scenario = "slow-gpu" // waits long for a node, which comes in the end
	Uneven          Scenario = "uneven"   // tiers of all sizes and paces, with bursts, pauses, ramps and droops
)

// Scenarios are those of the demo; the most common ones are listed more than once.
func Scenarios() []Scenario {
	return []Scenario{Healthy, NodeNeverComes, Stuck, Retry, Healthy, SlowStart, PartialFailures, OutOfMemory, JobsOnly}
}

func (c Config) withDefaults() Config {
	if c.Batches == 0 {
		c.Batches = 12
	}
	if len(c.Namespaces) == 0 {
		c.Namespaces = []string{"default"}
	}
	if c.Speed == 0 {
		c.Speed = 1
	}
	if c.Spacing == 0 {
		c.Spacing = 5 * time.Second
	}
	if c.Docs == 0 {
		c.Docs = 2000
	}
	if c.Step == 0 {
		c.Step = 2 * time.Second
	}
	if c.Prefix == "" {
		c.Prefix = "sim"
	}
	if len(c.Scenarios) == 0 {
		c.Scenarios = Scenarios()
	}
	return c
}

// BatchID is the id of the i-th batch.
func (c Config) BatchID(i int) string {
	c = c.withDefaults()
	return fmt.Sprintf("%s-%s-%d", c.Prefix, c.Scenarios[i%len(c.Scenarios)], i)
}

// Events returns all events of a workload in the order in which they are sent.
func Events(c Config) []Event {
	c = c.withDefaults()
	var out []Event
	for i := range c.Batches {
		rng := rand.New(rand.NewPCG(c.Seed, uint64(i)))
		s := &script{
			c: c, rng: rng, batch: c.BatchID(i), scenario: c.Scenarios[i%len(c.Scenarios)],
			ns: namespaceOf(rng, c.Namespaces), begin: c.Spacing * time.Duration(i),
		}
		s.play()
		out = append(out, soil(rng, c, s.events)...)
	}
	slices.SortStableFunc(out, func(a, b Event) int { return cmp.Compare(a.At, b.At) })
	return out
}

// namespaceOf distributes batches by Zipf's law: the first namespace has the most.
func namespaceOf(rng *rand.Rand, all []string) string {
	if len(all) == 1 {
		return all[0]
	}
	return all[rand.NewZipf(rng, 1.4, 1, uint64(len(all)-1)).Uint64()]
}

// soil duplicates, delays and corrupts events.
func soil(rng *rand.Rand, c Config, clean []Event) []Event {
	out := make([]Event, 0, len(clean)+len(clean)/8)
	if len(clean) == 0 {
		return out
	}
	end := clean[len(clean)-1].At
	second := time.Duration(float64(time.Second) / c.Speed)
	for _, e := range clean {
		switch r := rng.Float64(); {
		case r < c.Dirty.Late:
			e.At = end + time.Duration(rng.Int64N(int64(10*second)+1))
		case r < c.Dirty.Late+c.Dirty.Reordered:
			e.At += time.Duration(rng.Int64N(int64(5*second) + 1))
		}
		out = append(out, e)
		if rng.Float64() < c.Dirty.Duplicates {
			again := e
			again.At += time.Duration(rng.Int64N(int64(3*second) + 1))
			out = append(out, again)
		}
		if rng.Float64() < c.Dirty.Poison {
			out = append(out, poison(rng, e))
		}
	}
	return out
}

// poison makes an invalid event; each kind is refused for a different reason.
func poison(rng *rand.Rand, e Event) Event {
	e.Poison = true
	texts := []string{
		`{"specversion":"1.0"`,
		`not json at all`,
		`{"specversion":"1.0","id":"p","source":"s","type":"dev.headway.nothing.v1","time":"2026-01-01T00:00:00Z","data":{}}`,
		`{"specversion":"1.0","id":"p","source":"s","type":"dev.headway.tier.v9","time":"2026-01-01T00:00:00Z","data":{"tier_num":0}}`,
		`{"specversion":"1.0","id":"p","source":"s","type":"dev.headway.tier.v1","time":"2026-01-01T00:00:00Z","data":{"tier_num":0,"processed_documents":-5}}`,
		`{"specversion":"1.0","id":"p","source":"s","type":"dev.headway.tier.v1","time":"1970-01-01T00:00:00Z","data":{"tier_num":0}}`,
		"{\"specversion\":\"1.0\",\"id\":\"\xff\",\"source\":\"s\",\"type\":\"dev.headway.tier.v1\",\"time\":\"2026-01-01T00:00:00Z\",\"data\":{\"tier_num\":0}}",
		`{"specversion":"1.0","id":"p","id":"q","source":"s","type":"dev.headway.tier.v1","time":"2026-01-01T00:00:00Z","data":{"tier_num":0}}`,
	}
	e.Data = []byte(texts[rng.IntN(len(texts))])
	return e
}

// script plays one batch.
type script struct {
	c        Config
	rng      *rand.Rand
	ns       string
	batch    string
	scenario Scenario
	begin    time.Duration
	events   []Event
}

type object = map[string]any

const (
	batchType      = "dev.headway.batch.v1"
	tierType       = "dev.headway.tier.v1"
	jobType        = "dev.headway.job.v1"
	collectionType = "dev.headway.collection.v1"
	stageType      = "dev.headway.stage.v1"
)

// say emits an event that becomes true at a virtual time after the batch's begin.
func (s *script) say(at time.Duration, source, kind, eventType string, data object) {
	send := time.Duration(float64(s.begin+at) / s.c.Speed)
	body, err := json.Marshal(struct {
		SpecVersion string `json:"specversion"`
		ID          string `json:"id"`
		Source      string `json:"source"`
		Type        string `json:"type"`
		Subject     string `json:"subject"`
		Time        string `json:"time"`
		Data        object `json:"data"`
	}{
		"1.0", fmt.Sprintf("%s-%d", s.batch, len(s.events)), source, eventType, s.batch,
		s.c.Start.Add(send).UTC().Format(time.RFC3339Nano), data,
	})
	if err != nil {
		panic("simulator: " + err.Error()) // plain values only
	}
	s.events = append(s.events, Event{
		At: send, Namespace: s.ns, Batch: s.batch, Data: body,
		Subject: "headway.events." + s.ns + "." + s.batch + "." + kind,
	})
}

// moment formats a virtual time for a field of an event.
func (s *script) moment(at time.Duration) string {
	return s.c.Start.Add(time.Duration(float64(s.begin+at) / s.c.Speed)).UTC().Format(time.RFC3339Nano)
}

// between is a random duration.
func (s *script) between(low, high time.Duration) time.Duration {
	return low + time.Duration(s.rng.Int64N(int64(high-low)+1))
}
