package api

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/headwayhq/headway/pkg/diagnostics"
	"github.com/headwayhq/headway/pkg/eventlog"
	"github.com/headwayhq/headway/pkg/push"
)

// keeper stores checkpoints of batches at random moments, and bases as ingest does: the first time in a period that one is replaced. A nil
// one stores none.
type keeper struct {
	random *rand.Rand
	every  time.Duration // a period
	heads  map[push.Key]*eventlog.Checkpoint
	open   map[push.Key]uint64 // the first event that the head doesn't cover
	first  map[push.Key]uint64
	bases  map[push.Key]map[time.Time]*eventlog.Base
	floor  uint64
}

func newKeeper(seed uint64, every time.Duration) *keeper {
	return &keeper{
		random: rand.New(rand.NewPCG(seed, 35)), every: every,
		heads: map[push.Key]*eventlog.Checkpoint{}, open: map[push.Key]uint64{}, first: map[push.Key]uint64{}, bases: map[push.Key]map[time.Time]*eventlog.Base{},
	}
}

func (p *keeper) stored(w *pastWorld, k push.Key, m *eventlog.Message) {
	if p == nil {
		return
	}
	if p.open[k] == 0 {
		p.open[k] = m.Seq
	}
	if p.first[k] == 0 {
		p.first[k] = m.Seq
	}
	for _, k := range slices.SortedFunc(maps.Keys(p.open), func(a, b push.Key) int { return strings.Compare(a.Name, b.Name) }) {
		if p.random.IntN(20) == 0 && w.shelf.values[k] != nil {
			p.checkpoint(w, k, m)
		}
	}
}

// checkpoint stores the view of a batch right after a message of any batch.
func (p *keeper) checkpoint(w *pastWorld, k push.Key, m *eventlog.Message) {
	head, period := p.heads[k], m.Stored.Truncate(p.every)
	if head != nil && head.AsOf.Before(period) {
		if p.bases[k] == nil {
			p.bases[k] = map[time.Time]*eventlog.Base{}
		}
		if p.bases[k][period] != nil {
			w.t.Fatalf("%v: two bases of %v", k, period)
		}
		p.bases[k][period] = &eventlog.Base{Checkpoint: *head, Next: max(p.open[k], head.Covers+1)}
	}
	p.heads[k] = &eventlog.Checkpoint{
		Namespace: k.Namespace, Batch: k.Name, Identity: "abc_0", Covers: m.Seq, First: p.first[k], Fold: diagnostics.FoldVersion, AsOf: m.Stored, Value: w.shelf.values[k],
	}
	delete(p.open, k)
}

// covered is up to where checkpoints cover the log.
func (p *keeper) covered(w *pastWorld) uint64 {
	seq := uint64(len(w.log.history))
	for _, from := range p.open {
		seq = min(seq, from-1)
	}
	return seq
}

// from is the first moment since which a batch is known by a checkpoint or a base after which nothing is gone.
func (p *keeper) from(k push.Key, cut uint64) (from time.Time, ok bool) {
	see := func(asOf time.Time, next uint64) {
		if next > cut && (!ok || asOf.Before(from)) {
			from, ok = asOf, true
		}
	}
	if head := p.heads[k]; head != nil {
		next := head.Covers + 1
		if cut <= p.floor { // otherwise nobody knows whether events after it are gone
			next = max(next, cut+1)
		}
		see(head.AsOf, next)
	}
	if p.first[k] > cut && (p.heads[k] != nil || cut <= p.floor) {
		return time.Time{}, true // the log has all of it
	}
	for _, b := range p.bases[k] {
		see(b.AsOf, b.Next)
	}
	return from, ok
}

func (l *eventLog) HistoryInfo(context.Context) (eventlog.HistoryInfo, error) {
	return eventlog.HistoryInfo{Generation: "g"}, l.err
}

func (l *eventLog) ReadFloor(context.Context, string) (eventlog.Floor, error) {
	if l.keeper == nil {
		return eventlog.Floor{}, l.err
	}
	return eventlog.Floor{Identity: "abc_0", Covered: l.keeper.floor}, l.err
}

func (l *eventLog) Checkpoint(_ context.Context, _, ns, batch string) (*eventlog.Checkpoint, error) {
	if l.keeper == nil {
		return nil, l.err
	}
	return l.keeper.heads[push.Key{Namespace: ns, Name: batch}], l.err
}

func (l *eventLog) Periods(_ context.Context, _, ns, batch string) ([]time.Time, error) {
	if l.keeper == nil {
		return nil, l.err
	}
	return slices.SortedFunc(maps.Keys(l.keeper.bases[push.Key{Namespace: ns, Name: batch}]), time.Time.Compare), l.err
}

func (l *eventLog) Base(_ context.Context, _, ns, batch string, period time.Time) (*eventlog.Base, error) {
	return l.keeper.bases[push.Key{Namespace: ns, Name: batch}][period], l.err
}

// Announcements stay when the log is cut.
func (l *eventLog) ReadAnnounced(_ context.Context, ns, batch string, upTo uint64, sink func(eventlog.Message) error) error {
	for _, m := range l.history {
		if m.Seq <= upTo && m.Subject == "headway.log.0."+ns+"."+batch+".health" {
			if err := sink(m); err != nil {
				return err
			}
		}
	}
	return l.err
}

// Rule 35: wherever the log is cut, what was answered at a moment is answered about it later, byte for byte, or there is no answer. There
// is one for each moment since a checkpoint or base after which nothing is gone, and a refusal names the first such moment.
func TestRule35PastOfBatchesThatAreOlderThanTheLog(t *testing.T) {
	for name, tell := range map[string]func(*pastWorld) []kept{
		"stories":    (*pastWorld).tellStories,
		"simulation": func(w *pastWorld) []kept { return w.simulate(7) },
	} {
		for _, every := range []time.Duration{5 * time.Millisecond, time.Minute} {
			t.Run(fmt.Sprint(name, " ", every), func(t *testing.T) {
				t.Parallel()
				w := newPastWorld(t)
				keeper := newKeeper(uint64(every), every)
				w.log.keeper = keeper
				all := tell(w)
				w.log.now = time.Now()
				n := len(w.log.history)
				folded, based, refused := 0, 0, 0
				for i := range 6 {
					cut := 1 + keeper.random.IntN(n-1)
					if i%2 == 0 { // as ingest cuts it
						cut = 1 + keeper.random.IntN(int(keeper.covered(w)))
					}
					w.log.cut, keeper.floor = cut, min(uint64(cut), keeper.covered(w))
					for range 100 {
						was := all[keeper.random.IntN(len(all))]
						from, known := keeper.from(was.k, uint64(cut))
						got := w.unchecked(was.k, was.at)
						switch {
						case got.Code == http.StatusOK && bytes.Equal(got.Body.Bytes(), was.body):
							if known && !from.After(was.at) {
								folded++
								if keeper.heads[was.k].AsOf.After(was.at) {
									based++
								}
							}
						case got.Code == http.StatusNotFound && was.body == nil:
						case got.Code == http.StatusGone && (!known || from.After(was.at)):
							refused++
							first := answerableFrom(t, got.Body.Bytes())
							if !first.After(was.at) || known && first.After(from) {
								t.Fatalf("%v at %v, cut after %d: from %v on, but it is known from %v on", was.k, was.at, cut, first, from)
							}
						default:
							t.Fatalf("%v at %v, cut after %d of %d, known from %v on: %d\n%s\nit was\n%s", was.k, was.at, cut, n, from, got.Code, got.Body, was.body)
						}
					}
				}
				if folded < 30 || based < 10 || refused < 10 {
					t.Errorf("%d moments were answered from a checkpoint or base, %d of them from a base, %d refused", folded, based, refused)
				}
			})
		}
	}
}

func answerableFrom(t *testing.T, body []byte) time.Time {
	t.Helper()
	var p struct {
		Error struct {
			Details struct {
				From time.Time `json:"answerable_from"`
			}
		}
	}
	if err := json.Unmarshal(body, &p); err != nil || p.Error.Details.From.IsZero() {
		t.Fatalf("%s: %v", body, err)
	}
	return p.Error.Details.From
}

// A state of another log, another version, of no known moment or of an erased batch isn't built on, nor the last checkpoint where somebody
// removed events that it may not have.
func TestRule35WhatIsNotBuiltOn(t *testing.T) {
	w, noon := pastBatch(t) // with events at noon, one hour later and two hours later
	w.log.now = noon.Add(24 * time.Hour)
	at := noon.Add(90 * time.Minute)
	was := w.asked(one1, at)
	value := func(incomplete bool) []byte {
		v := diagnostics.NewView(one1.Namespace, one1.Name)
		for i := range 2 {
			w.foldInto(v, w.log.history[i])
		}
		v.Incomplete = incomplete
		return v.Append(nil)
	}
	good := eventlog.Checkpoint{Namespace: one1.Namespace, Batch: one1.Name, Identity: "abc_0", Covers: 2, Fold: diagnostics.FoldVersion, AsOf: noon.Add(time.Hour), Value: value(false)}
	w.log.keeper = newKeeper(1, time.Hour)
	answer := func(change func(*eventlog.Checkpoint), cut int, floor uint64) *httptest.ResponseRecorder {
		c := good
		change(&c)
		w.log.cut, w.log.keeper.floor, w.log.keeper.heads[one1] = cut, floor, &c
		return w.unchecked(one1, at)
	}
	asIs := func(*eventlog.Checkpoint) {}
	for cut := 1; cut <= 2; cut++ {
		if r := answer(asIs, cut, uint64(cut)); !bytes.Equal(r.Body.Bytes(), was) {
			t.Errorf("cut after %d: %s\nwas %s", cut, r.Body, was)
		}
	}
	for name, r := range map[string]*httptest.ResponseRecorder{
		"beyond the floor": answer(func(c *eventlog.Checkpoint) { c.Covers = 1 }, 2, 1),
		"another log":      answer(func(c *eventlog.Checkpoint) { c.Identity = "other_0" }, 1, 1),
		"another version":  answer(func(c *eventlog.Checkpoint) { c.Fold-- }, 1, 1),
		"no moment":        answer(func(c *eventlog.Checkpoint) { c.AsOf = time.Time{} }, 1, 1),
		"erased":           answer(func(c *eventlog.Checkpoint) { c.Erased = true }, 1, 1),
		"incomplete":       answer(func(c *eventlog.Checkpoint) { c.Value = value(true) }, 1, 1),
		"later":            answer(func(c *eventlog.Checkpoint) { c.AsOf = at.Add(time.Nanosecond) }, 1, 1),
	} {
		if r.Code != http.StatusGone {
			t.Errorf("%s: %d %s", name, r.Code, r.Body)
		}
	}
}
