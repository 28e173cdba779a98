package ingest

import (
	"encoding/json"
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"pgregory.net/rapid"

	"github.com/headwayhq/headway/pkg/diagnostics"
	"github.com/headwayhq/headway/pkg/viewstore"
)

// A batch is counted once, where its newest row belongs, no matter when the rows from before the claim are read.
func TestLawCensus(t *testing.T) {
	standings := rapid.Custom(func(t *rapid.T) standing {
		return standing{
			rapid.SampledFrom([]string{"a", "b"}).Draw(t, "namespace"), diagnostics.Health(rapid.IntRange(0, 3).Draw(t, "health")),
			rapid.SampledFrom([]string{"", "QUEUE:X"}).Draw(t, "code"),
		}
	})
	type row struct {
		standing

		over bool
	}
	rapid.Check(t, func(t *rapid.T) {
		c := newCensus()
		stored := map[string]row{} // as at the claim
		for i := range rapid.IntRange(0, 6).Draw(t, "stored") {
			stored[fmt.Sprint("x", i)] = row{standings.Draw(t, "stored"), rapid.Bool().Draw(t, "over")}
		}
		newest := maps.Clone(stored)
		read := maps.Clone(stored)
		for range rapid.IntRange(0, 30).Draw(t, "steps") {
			name := fmt.Sprint("x", rapid.IntRange(0, 8).Draw(t, "batch"))
			if r, ok := read[name]; ok && rapid.Bool().Draw(t, "old") {
				delete(read, name)
				c.enterOld(name, r.standing, r.over)
				continue
			}
			r := row{standings.Draw(t, "standing"), rapid.Bool().Draw(t, "over")}
			newest[name] = r
			c.enter(name, r.standing, r.over)
		}
		if c.each(func(standing, int) {}) {
			t.Fatal("counted before the stored rows are read")
		}
		for name, r := range read {
			c.enterOld(name, r.standing, r.over)
		}
		c.whole()
		want, got := map[standing]int{}, map[standing]int{}
		for _, r := range newest {
			if !r.over {
				want[r.standing]++
			}
		}
		if !c.each(func(s standing, n int) { got[s] = n }) || !maps.Equal(got, want) {
			t.Fatalf("%v, want %v", got, want)
		}
	})
}

// tell publishes an event of a batch of any namespace.
func (s *stand) tell(namespace, batch, kind, eventType, data string) {
	s.t.Helper()
	s.said++
	_, err := s.log.Publish(s.t.Context(), "headway.events."+namespace+"."+batch+"."+kind, nil, fmt.Appendf(nil,
		`{"specversion":"1.0","id":"%d","source":"test","type":%q,"time":%q,"data":%s}`, s.said, eventType, time.Now().UTC().Format(time.RFC3339Nano), data))
	if err != nil {
		s.t.Fatal(err)
	}
}

func (s *stand) status(namespace, batch, status string) {
	s.t.Helper()
	s.tell(namespace, batch, "batch", diagnostics.TypeBatchV1, fmt.Sprintf(`{"status":%q}`, status))
}

// waits publishes that a job has waited for something for an hour.
func (s *stand) waits(namespace, batch, kind, code string) {
	s.t.Helper()
	since := time.Now().Add(-time.Hour).UTC().Format(time.RFC3339)
	s.tell(namespace, batch, "job.j", diagnostics.TypeJobV1, fmt.Sprintf(
		`{"tier_num":0,"submission_id":"j","status":"PENDING","waiting_on":{"kind":%q,"code":%q,"since":%q}}`, kind, code, since))
}

// counted returns the samples of headway_batches, summed over several registries, by "namespace health code".
func counted(t *testing.T, registries ...*prometheus.Registry) (out map[string]int, partitions int) {
	t.Helper()
	out = map[string]int{}
	for _, r := range registries {
		families, err := r.Gather()
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range families {
			for _, m := range f.GetMetric() {
				switch f.GetName() {
				case "headway_batches":
					l := map[string]string{}
					for _, p := range m.GetLabel() {
						l[p.GetName()] = p.GetValue()
					}
					out[strings.Join([]string{l["namespace"], l["health"], l["code"]}, " ")] += int(m.GetGauge().GetValue())
				case "headway_batches_partitions":
					partitions += int(m.GetGauge().GetValue())
				}
			}
		}
	}
	return out, partitions
}

// agree returns nil if the registries count exactly what the list rows of the namespaces show.
func (s *stand) agree(namespaces []string, registries ...*prometheus.Registry) error {
	s.t.Helper()
	want := map[string]int{}
	for _, ns := range namespaces {
		rows, err := s.store.Rows(s.t.Context(), ns)
		if err != nil {
			return err
		}
		for _, b := range rows {
			var r struct{ Status, Health, Cause string }
			if err := json.Unmarshal(b, &r); err != nil {
				return err
			}
			if r.Status == "PROCESSING" || r.Status == "PENDING" || r.Status == "UNKNOWN" {
				want[strings.Join([]string{ns, r.Health, r.Cause}, " ")]++
			}
		}
	}
	got, partitions := counted(s.t, registries...)
	if partitions != standPartitions || !maps.Equal(got, want) {
		return fmt.Errorf("%d partitions have %v, the rows say %v", partitions, got, want)
	}
	return nil
}

// headway_batches agrees with the list rows, also after a restart, a takeover, and a wipe of Redis.
func TestBatchesAreCounted(t *testing.T) {
	s := newStand(t)
	const noJob, image, queued = "PIPELINE:NO_JOB", "IMAGE:PULL_FAILED", "CAPACITY:QUEUED"
	begin := func(member string) (*prometheus.Registry, func()) {
		r := prometheus.NewRegistry()
		return r, s.start(func(o *Options) { o.Metrics, o.Member, o.Namespaces, o.Memory = r, member, 10, 1 })
	}
	holds := func(what string, want map[string]int, registries ...*prometheus.Registry) {
		t.Helper()
		s.eventually(what, func() error {
			if got, _ := counted(t, registries...); !maps.Equal(got, want) {
				return fmt.Errorf("%v, want %v", got, want)
			}
			return s.agree([]string{"n", "m"}, registries...)
		})
	}
	first, stop := begin("a")
	for i := range 20 {
		s.status("n", fmt.Sprint("b", i), "PROCESSING")
	}
	s.status("m", "b0", "PENDING")
	s.status("n", "gone", "COMPLETED")
	holds("nothing runs", map[string]int{"n scaling " + noJob: 20, "m ok ": 1}, first)
	s.waits("n", "b0", "image_pull", image)
	s.waits("n", "b1", "quota", queued)
	s.tell("n", "b2", "tier.0", diagnostics.TypeTierV1, `{"tier_num":0,"status":"FAILED"}`)
	s.status("n", "b3", "FAILED")
	said := map[string]int{"n scaling " + noJob: 16, "m ok ": 1, "n stuck " + image: 1, "n scaling " + queued: 1, "n degraded PROGRAM:FAILED": 1}
	s.eventually("some are not", func() error {
		if got, _ := counted(t, first); !maps.Equal(got, said) {
			return fmt.Errorf("%v, want %v", got, said)
		}
		return nil
	})
	stop()
	if got, partitions := counted(t, first); len(got) > 0 || partitions > 0 {
		t.Errorf("a process that owns nothing counts %v", got)
	}
	s.status("n", "b2", "COMPLETED")
	s.tell("n", "b1", "tier.0", diagnostics.TypeTierV1, `{"tier_num":0,"processed_documents":3}`)
	said = map[string]int{"n scaling " + noJob: 16, "n ok " + queued: 1, "m ok ": 1, "n stuck " + image: 1}
	a, stopA := begin("a")
	holds("after a restart", said, a)
	b, _ := begin("b")
	s.eventually("two share", func() error {
		if _, n := counted(t, b); n == 0 {
			return fmt.Errorf("b counts nothing")
		}
		return nil
	})
	holds("by two processes", said, a, b)
	stopA()
	holds("after a takeover", said, a, b)
	if err := s.rdb.FlushAll(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	s.status("n", "b0", "CANCELED")
	delete(said, "n stuck "+image)
	holds("after a wipe", said, b)
}

// Namespaces beyond the limit are summed under one label, and no batch is lost.
func TestNamespacesAreBounded(t *testing.T) {
	registry := prometheus.NewRegistry()
	m := newMetrics(registry, func() float64 { return 0 }, 2)
	m.batches.serve(true)
	n := &needs{router: newRouter(2, 10), budget: newBudget(1), metrics: m}
	for number := range 2 {
		p := newPartition(n, number, viewstore.Fence{}, false)
		p.state.Store(&state{complete: true})
		p.census.whole()
		for i, ns := range []string{"d", "c", "b", "a"} {
			p.census.enter(fmt.Sprint(ns, ".", number), standing{ns, diagnostics.HealthStuck, ""}, false)
			p.census.enter(fmt.Sprint(ns, ".x", number), standing{ns, diagnostics.Health(i % 2), ""}, false)
		}
		m.batches.add(p)
	}
	unready := newPartition(n, 0, viewstore.Fence{}, false)
	unready.census.whole()
	unready.census.enter("a.z", standing{namespace: "a"}, false)
	m.batches.add(unready)
	unread := newPartition(n, 0, viewstore.Fence{}, false)
	unread.state.Store(&state{complete: true})
	unread.census.enter("a.y", standing{namespace: "a"}, false)
	m.batches.add(unread)
	const want = `
# HELP headway_batches Batches that aren't over, by health and by the code of the cause, as their list rows say. See docs/runbooks/HeadwayBatchesStuck.md.
# TYPE headway_batches gauge
headway_batches{code="",health="ok",namespace="(other)"} 2
headway_batches{code="",health="ok",namespace="b"} 2
headway_batches{code="",health="scaling",namespace="(other)"} 2
headway_batches{code="",health="scaling",namespace="a"} 2
headway_batches{code="",health="stuck",namespace="(other)"} 4
headway_batches{code="",health="stuck",namespace="a"} 2
headway_batches{code="",health="stuck",namespace="b"} 2
# HELP headway_batches_other_namespaces Namespaces that headway_batches counts under one label value, because there are too many.
# TYPE headway_batches_other_namespaces gauge
headway_batches_other_namespaces 2
# HELP headway_batches_partitions Partitions whose batches headway_batches counts here.
# TYPE headway_batches_partitions gauge
headway_batches_partitions 2
`
	if err := testutil.GatherAndCompare(registry, strings.NewReader(want), "headway_batches", "headway_batches_other_namespaces", "headway_batches_partitions"); err != nil {
		t.Error(err)
	}
	m.batches.serve(false) // rule 17: the processes of the version that serves count the same batches
	if got, partitions := counted(t, registry); len(got) > 0 || partitions > 0 {
		t.Errorf("a version that doesn't serve counts %v", got)
	}
}

// Everything else that ingest counts.
func TestIngestIsMeasured(t *testing.T) {
	s := newStand(t)
	s.start(nil)
	s.fill(5)
	s.job("b0", "j0", 0) // nothing new, apart from its id
	bad := s.poison("b1")
	s.eventually("ready", s.service.Ready)
	want := s.offline()
	s.eventually("whole", func() error { return s.whole(want) })
	m := s.service.metrics
	s.eventually("the dead letter", func() error {
		if n := testutil.ToFloat64(m.dead); n != 1 || len(s.letters()) != 1 {
			return fmt.Errorf("%v for event %d", n, bad)
		}
		return nil
	})
	for what, c := range map[string]struct {
		is    prometheus.Collector
		least float64
	}{
		"applied": {m.events.WithLabelValues("applied"), 15}, "commits": {m.commits, 1}, "views": {m.views, 5}, "owned": {m.owned, standPartitions},
	} {
		if n := testutil.ToFloat64(c.is); n < c.least {
			t.Errorf("%s: %v", what, n)
		}
	}
	registry := prometheus.NewRegistry()
	registry.MustRegister(m.seconds)
	families, err := registry.Gather()
	if err != nil || families[0].GetMetric()[0].GetHistogram().GetSampleCount() != uint64(testutil.ToFloat64(m.commits)) {
		t.Errorf("%v %v, %v commits", families, err, testutil.ToFloat64(m.commits))
	}
	dropped := testutil.ToFloat64(m.dropped)
	if err := s.rdb.FlushAll(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	s.eventually("dropped", func() error {
		if n := testutil.ToFloat64(m.dropped); n < dropped+standPartitions {
			return fmt.Errorf("%v partitions, before %v", n, dropped)
		}
		return nil
	})
	s.eventually("whole again", func() error { return s.whole(want) })
	if err := s.rdb.Del(t.Context(), s.key(s.log.Partition("n", "b0"), "v:n:b0")).Err(); err != nil {
		t.Fatal(err)
	}
	s.eventually("damage", func() error {
		if n := testutil.ToFloat64(m.damage.WithLabelValues(reasonMissing)); n < 1 {
			return fmt.Errorf("%v views were missing", n)
		}
		return nil
	})
}

// The watermark's age is that of the moment of the scrape: it grows though nothing happens.
func TestWatermarkAgeAtScrape(t *testing.T) {
	s := newStand(t)
	registry := prometheus.NewRegistry()
	stop := s.start(func(o *Options) { o.Metrics = registry })
	s.eventually("ready", s.service.Ready)
	age := func() float64 {
		families, err := registry.Gather()
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range families {
			if f.GetName() == "headway_ingest_watermark_age_seconds" {
				return f.GetMetric()[0].GetGauge().GetValue()
			}
		}
		t.Fatal("it isn't served")
		return 0
	}
	if got := age(); got < 0 || got > 30 {
		t.Errorf("ready, and the watermark is %v s old", got)
	}
	s.nats.Shutdown()
	before := age()
	s.eventually("it grows while the log is away", func() error {
		if got := age(); got <= before {
			return fmt.Errorf("%v, before %v", got, before)
		}
		return nil
	})
	s.nats.Restart()
	stop()
}

// Measures what counting adds to the time of writing a row.
func BenchmarkCensus(b *testing.B) {
	v := diagnostics.NewView("n", "b")
	for i := range 3 {
		diagnostics.Fold(v, &diagnostics.Event{
			Type: diagnostics.TypeTier, Namespace: "n", Batch: "b", Stamp: diagnostics.Stamp{Time: int64(i + 1), Source: "s", ID: fmt.Sprint(i)},
			TierFacts: diagnostics.TierFacts{TierNum: int32(i), Attempt: 1, Status: diagnostics.WordProcessing},
		})
	}
	now, policy := time.Now(), diagnostics.DefaultPolicy()
	b.Run("make the row", func(b *testing.B) {
		var row []byte
		for b.Loop() {
			s := diagnostics.Summarize(v, now, policy)
			row = s.Row.AppendJSON(row[:0])
		}
	})
	row := diagnostics.NewRow(v, now, policy)
	c := newCensus()
	names := make([]string, 100_000)
	for i := range names {
		names[i] = fmt.Sprint("n.batch-", i)
	}
	b.Run("count it", func(b *testing.B) {
		for i := 0; b.Loop(); i++ {
			s, over := standingOf("n", &row)
			c.enter(names[i%len(names)], s, over)
		}
	})
	c.whole()
	b.Run("sum 100,000 batches", func(b *testing.B) {
		n := 0
		for b.Loop() {
			c.each(func(_ standing, has int) { n += has })
		}
	})
	text := string(row.AppendJSON(nil))
	b.Run("read a stored row", func(b *testing.B) {
		for b.Loop() {
			if _, _, _, err := standingIn("n", text); err != nil {
				b.Fatal(err)
			}
		}
	})
}
