package diagnostics

import (
	"fmt"
	"testing"
	"time"
)

// commonView is a typical batch: 3 tiers, 6 jobs, and full series.
func commonView() (*View, []Event) {
	s := &story{policy: DefaultPolicy()}
	s.batch(0, WordProcessing, tiers(3))
	for n := range int32(3) {
		for j := range 2 {
			id := fmt.Sprintf("raysubmit_%d%d", n, j)
			at := float64(n)*60 + float64(j)
			s.job(at, id, n, WordPending, func(f *JobFacts) { f.Extractor = some("extractor" + id) })
			s.job(at+2, id, n, WordRunning)
		}
		for i := range int64(130) {
			s.progress(float64(n)*60+4+float64(i)/4, n, i*10, 1300)
		}
	}
	v := NewView("n", "b")
	for i := range s.events {
		Fold(v, &s.events[i])
	}
	return v, s.events
}

// heard is when the last event of the batch arrived.
func heard(v *View) time.Time {
	row := NewRow(v, time.Time{}, DefaultPolicy())
	return *row.LastActivityAt
}

func BenchmarkFold(b *testing.B) {
	v, events := commonView()
	e := events[len(events)-1]
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		e.Time += 1e9
		e.Stored = e.Time + 1e6
		e.TierFacts.Processed.V++
		Fold(v, &e)
	}
}

func BenchmarkAppend(b *testing.B) {
	v, _ := commonView()
	var enc Encoder
	var buf []byte
	b.ReportAllocs()
	for b.Loop() {
		buf = enc.Append(buf[:0], v)
	}
	b.ReportMetric(float64(len(buf)), "B/view")
}

func BenchmarkParse(b *testing.B) {
	v, _ := commonView()
	buf := v.Append(nil)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Parse(buf); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkNextCheck(b *testing.B) {
	v, _ := commonView()
	at := heard(v)
	p := DefaultPolicy()
	b.ReportAllocs()
	for b.Loop() {
		NextCheck(v, at, p)
	}
}

func BenchmarkSummarize(b *testing.B) {
	v, _ := commonView()
	at := heard(v)
	p := DefaultPolicy()
	var buf []byte
	b.ReportAllocs()
	for b.Loop() {
		s := Summarize(v, at, p)
		buf = s.Row.AppendJSON(buf[:0])
	}
}

// BenchmarkRowUnderWay is the row of a batch whose end is estimated, as each of its events makes it.
func BenchmarkRowUnderWay(b *testing.B) {
	s := &story{policy: DefaultPolicy()}
	s.batch(0, WordProcessing, tiers(5))
	for n := range int32(3) {
		for i := range int64(60) {
			s.progress(float64(n)+float64(i)/4, n, i*10, 1300)
		}
	}
	v := NewView("n", "b")
	for i := range s.events {
		Fold(v, &s.events[i])
	}
	at := heard(v)
	b.ReportAllocs()
	for b.Loop() {
		if r := NewRow(v, at, s.policy); r.ETA == nil {
			b.Fatal("nothing is estimated")
		}
	}
}

// BenchmarkAnswers computes everything that is needed after a change of a view: row, verdict, next check and snapshot. It
// compares one derivation for each of them with one that they share.
func BenchmarkAnswers(b *testing.B) {
	common, _ := commonView()
	large := NewView("n", "b")
	for n := range int32(10_000) {
		e := Event{Type: TypeTier, Namespace: "n", Batch: "b", Stamp: Stamp{Time: minute(float64(n) / 100), Source: "s", ID: "e"}}
		e.TierFacts = TierFacts{TierNum: n, Attempt: 1, Status: WordProcessing, Processed: some(int64(5)), Total: some(int64(10))}
		Fold(large, &e)
	}
	p, page := DefaultPolicy(), Meta{Page: &Page{Tiers: Window{Limit: 100}}}
	for name, v := range map[string]*View{"common": common, "tiers=10000": large} {
		at := heard(v)
		b.Run(name+"/derived-each", func(b *testing.B) {
			for b.Loop() {
				NewRow(v, at, p)
				Assess(v, at, p)
				NextCheck(v, at, p)
				Render(v, at, p, page)
			}
		})
		b.Run(name+"/derived-once", func(b *testing.B) {
			for b.Loop() {
				d := Derive(v)
				d.Row(at, p)
				d.Assess(at, p)
				d.NextCheck(at, p)
				d.Render(at, p, page)
			}
		})
	}
}

func BenchmarkRender(b *testing.B) {
	v, _ := commonView()
	at := heard(v)
	var buf []byte
	p := DefaultPolicy()
	b.ReportAllocs()
	for b.Loop() {
		s := Render(v, at, p, Meta{})
		buf = s.AppendJSON(buf[:0])
	}
	b.ReportMetric(float64(len(buf)), "B/snapshot")
}

// Rendering a page of one of the largest batches costs mainly the derivation of the whole batch.
func BenchmarkRenderLargest(b *testing.B) {
	for _, c := range []struct {
		name string
		fill func(*View)
	}{
		{"tiers=10000", func(v *View) {
			for n := range int32(10_000) {
				e := Event{Type: TypeTier, Namespace: "n", Batch: "b", Stamp: Stamp{Time: minute(float64(n) / 100), Source: "s", ID: "e"}}
				e.TierFacts = TierFacts{TierNum: n, Attempt: 1, Status: WordProcessing, Processed: some(int64(5)), Total: some(int64(10))}
				Fold(v, &e)
			}
		}},
		{"tiers=10000,half-done", func(v *View) { // each tier ahead is estimated from those that are over
			e := Event{Type: TypeBatch, Namespace: "n", Batch: "b", Stamp: Stamp{Time: minute(0), Source: "s", ID: "e"}}
			e.BatchFacts = BatchFacts{Status: WordProcessing, Attempt: 1, TotalTiers: some(int64(10_000))}
			Fold(v, &e)
			for n := range int32(5_000) {
				for k := range int64(2) {
					e := Event{Type: TypeTier, Namespace: "n", Batch: "b", Stamp: Stamp{Time: minute(float64(n)/100 + float64(k)/200), Source: "s", ID: "e"}}
					e.TierFacts = TierFacts{TierNum: n, Attempt: 1, Status: WordProcessing, Processed: some(5 + 5*k), Total: some(int64(10))}
					if k == 1 && n < 4_999 {
						e.TierFacts.Status = WordCompleted
					}
					Fold(v, &e)
				}
			}
		}},
		{"collections=10000", func(v *View) {
			for n := range 10_000 {
				e := Event{Type: TypeCollection, Namespace: "n", Batch: "b", Stamp: Stamp{Time: minute(0), Source: "s", ID: "e"}}
				e.CollectionFacts = CollectionFacts{ID: fmt.Sprintf("col_%05d", n), Documents: some(int64(n))}
				Fold(v, &e)
			}
		}},
	} {
		v := NewView("n", "b")
		c.fill(v)
		for _, page := range []*Page{nil, {Tiers: Window{Limit: 100}, Collections: Window{Limit: 100}}} {
			name := c.name + "/whole"
			if page != nil {
				name = c.name + "/page"
			}
			b.Run(name, func(b *testing.B) {
				var buf []byte
				for b.Loop() {
					s := Render(v, moment(minute(120)), DefaultPolicy(), Meta{Page: page})
					buf = s.AppendJSON(buf[:0])
				}
				b.ReportMetric(float64(len(buf)), "B/answer")
			})
		}
		b.Run(c.name+"/row", func(b *testing.B) { // what each commit of it pays
			for b.Loop() {
				Summarize(v, moment(minute(120)), DefaultPolicy())
			}
		})
	}
}

// BenchmarkWorkers commits a change of a tier that 10,000 tasks count: fold, encode, summarize.
func BenchmarkWorkers(b *testing.B) {
	for _, n := range []int{100, 1_000, MaxWorkers} {
		b.Run(fmt.Sprint("workers=", n), func(b *testing.B) {
			var events []Event
			for w := range n {
				for i := range 3 {
					events = append(events, byWorker(fmt.Sprintf("%013d", w), time.Duration(w+i*9)*time.Second, int64(i*40)))
				}
			}
			v := foldAll(events...)
			p := DefaultPolicy()
			e := events[0]
			var enc Encoder
			var buf []byte
			for b.Loop() {
				e.Time += 1e9
				e.TierFacts.Processed.V++
				Fold(v, &e)
				buf = enc.Append(buf[:0], v)
				Summarize(v, moment(e.Time), p)
			}
			b.ReportMetric(float64(len(buf)), "B/view")
		})
	}
}

// BenchmarkWide commits the progress of one tier of many: what it takes should follow what changed, not how many there are.
func BenchmarkWide(b *testing.B) {
	for _, n := range []int32{100, 1_000, 10_000} {
		v, p := NewView("n", "b"), DefaultPolicy()
		tier := func(k int32, at int64, done int64) Event {
			e := Event{Type: TypeTier, Namespace: "n", Batch: "b", Stamp: Stamp{Time: at, Source: "pipeline/worker-1", ID: fmt.Sprintf("evt-%08d", at%1e8)}}
			e.TierFacts = TierFacts{TierNum: k, Attempt: 1, Status: WordProcessing, Processed: some(done), Total: some(int64(1e9))}
			return e
		}
		for k := range n {
			for i := range int64(3) {
				e := tier(k, minute(290)+int64(k)*1e7+i*1e11, i*10)
				Fold(v, &e)
			}
		}
		at := minute(300)
		next := func() {
			at += 1e7
			e := tier(int32(at/1e7%int64(n)), at, (at-minute(0))/1e7)
			Fold(v, &e)
		}
		v.Track()
		var enc Encoder
		var size int
		b.Run(fmt.Sprint("tiers=", n, "/fold"), func(b *testing.B) {
			for b.Loop() {
				next()
			}
		})
		b.Run(fmt.Sprint("tiers=", n, "/encode"), func(b *testing.B) {
			for b.Loop() {
				next()
				size = enc.Changes(v).Size
			}
			b.ReportMetric(float64(size), "B/view")
		})
		b.Run(fmt.Sprint("tiers=", n, "/summarize"), func(b *testing.B) {
			for b.Loop() {
				next()
				Summarize(v, moment(at), p)
			}
		})
	}
}
