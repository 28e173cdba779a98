package headwaytest

import (
	"bytes"
	"math"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/headwayhq/headway/pkg/diagnostics"
)

func fold(messages []Message) *diagnostics.View {
	v := diagnostics.NewView("n", "b")
	for i := range messages {
		messages[i].Fold(v)
	}
	return v
}

func state(v *diagnostics.View) []byte { return v.AppendState(nil) }

// The law of the fold: a view is a function of the set of stored messages. Any order and any duplication give
// the same bytes, and so does any split that is joined again.
func TestLawSetDecides(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		messages := Messages().Draw(t, "messages")
		want := state(fold(messages))

		shuffled := rapid.Permutation(messages).Draw(t, "order")
		for range rapid.IntRange(0, 3).Draw(t, "duplicates") {
			if len(messages) > 0 {
				i := rapid.IntRange(0, len(messages)-1).Draw(t, "which")
				at := rapid.IntRange(0, len(shuffled)).Draw(t, "where")
				shuffled = append(shuffled[:at:at], append([]Message{messages[i]}, shuffled[at:]...)...)
			}
		}
		if got := state(fold(shuffled)); !bytes.Equal(got, want) {
			t.Fatalf("another order gives another state:\n%x\n%x", want, got)
		}

		cut := rapid.IntRange(0, len(shuffled)).Draw(t, "cut")
		a, b := fold(shuffled[:cut]), fold(shuffled[cut:])
		diagnostics.Join(a, b)
		if got := state(a); !bytes.Equal(got, want) {
			t.Fatalf("a joined split gives another state:\n%x\n%x", want, got)
		}
		again := fold(messages)
		diagnostics.Join(a, again)
		if got := state(a); !bytes.Equal(got, want) {
			t.Fatal("a join with what is known changed the state")
		}
	})
}

// An erased batch is erased whatever else was stored of it, in any order, and nothing of it is left in its stored value.
func TestLawErasedAbsorbs(t *testing.T) {
	alone := diagnostics.NewView("n", "b")
	e := Erase(30)
	diagnostics.Fold(alone, &e)
	rapid.Check(t, func(t *rapid.T) {
		messages := Messages().Draw(t, "messages")
		for i := range messages {
			if messages[i].Event.Type == diagnostics.TypeErase {
				t.Skip("it is erased already")
			}
		}
		at := rapid.IntRange(0, len(messages)).Draw(t, "where")
		before, after := messages[:at], messages[at:]
		v := fold(before)
		if apart := rapid.Bool().Draw(t, "parts apart"); apart {
			v.Track()
			var encoder diagnostics.Encoder
			encoder.Changes(v)
			diagnostics.Fold(v, &e)
			c := encoder.Changes(v)
			parts := map[string]string{}
			for _, p := range c.Parts {
				parts[p.Key] = string(p.Value)
			}
			if whole, err := diagnostics.Whole(c.Core, parts); err != nil || !c.All || !bytes.Equal(whole, v.Append(nil)) {
				t.Fatalf("written in parts, it is another view: %v", err)
			}
		} else {
			diagnostics.Fold(v, &e)
		}
		for i := range after {
			if outcome := after[i].Fold(v); outcome != diagnostics.Unchanged {
				t.Fatalf("%v after it was erased: %+v", outcome, after[i])
			}
		}
		if !bytes.Equal(state(v), state(alone)) {
			t.Fatalf("something is left:\n%q", state(v))
		}
		back, err := diagnostics.Parse(v.Append(nil))
		if err != nil {
			t.Fatal(err)
		}
		if at, ok := back.ErasedAt(); !ok || at.UnixNano() != e.Time {
			t.Fatalf("erased at %v, %v", at, ok)
		}
		policy, asOf := diagnostics.DefaultPolicy(), Epoch().Add(1000*time.Hour)
		d := diagnostics.Derive(back)
		if p, due := d.Due(asOf, policy); due || !d.Over(asOf, policy) {
			t.Fatalf("over %v, and due: %+v", d.Over(asOf, policy), p)
		}
		if at, ok := d.NextCheck(Epoch(), policy); ok {
			t.Fatalf("there is a next check, %v", at)
		}
	})
}

// Outcomes are truthful: applied if and only if the bytes changed.
func TestLawOutcome(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v := diagnostics.NewView("n", "b")
		before := state(v)
		for _, m := range Messages().Draw(t, "messages") {
			outcome := m.Fold(v)
			after := state(v)
			if changed := !bytes.Equal(before, after); changed != (outcome == diagnostics.Applied) {
				t.Fatalf("outcome %v, but changed = %v, by %+v", outcome, changed, m)
			}
			before = after
		}
	})
}

// Decoding the stored value gives the same view, at any point of the fold.
func TestLawCodec(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		messages := Messages().Draw(t, "messages")
		cut := rapid.IntRange(0, len(messages)).Draw(t, "cut")
		v := fold(messages[:cut])
		v.Header = diagnostics.Header{Revision: 7, HealthSeq: 3, Incomplete: true}
		back, err := diagnostics.Parse(v.Append(nil))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(v.Append(nil), back.Append(nil)) {
			t.Fatal("a stored value doesn't read back to itself")
		}
		for i := range messages[cut:] {
			messages[cut+i].Fold(back)
		}
		if !bytes.Equal(state(back), state(fold(messages))) {
			t.Fatal("folding on from a stored value gives another state")
		}
	})
}

// Without an event a verdict changes only at NextCheck: nothing changes up to one nanosecond before it,
// and on it something does.
func TestLawNextCheck(t *testing.T) {
	policy := diagnostics.DefaultPolicy()
	rapid.Check(t, func(t *rapid.T) {
		v := fold(Messages().Draw(t, "messages"))
		asOf := Epoch().Add(time.Duration(rapid.IntRange(0, 150).Draw(t, "as of")) * time.Minute)
		for range 20 {
			now := verdict(v, asOf, policy)
			next, ok := diagnostics.NextCheck(v, asOf, policy)
			if !ok {
				far := asOf.Add(10_000 * time.Hour)
				if got := verdict(v, far, policy); got != now {
					t.Fatalf("no next check at %v, but %+v became %+v", asOf, now, got)
				}
				return
			}
			if next.Equal(asOf) { // something is due now: it is published, and a fold follows
				if _, due := diagnostics.Due(v, asOf, policy); !due {
					t.Fatal("next check is now, but nothing is due")
				}
				return
			}
			for range 3 {
				between := asOf.Add(time.Duration(rapid.Int64Range(0, int64(next.Sub(asOf))-1).Draw(t, "between")))
				if got := verdict(v, between, policy); got != now {
					t.Fatalf("%+v became %+v at %v, before the next check at %v", now, got, between, next)
				}
			}
			if got := verdict(v, next.Add(-1), policy); got != now {
				t.Fatalf("%+v became %+v one nanosecond before the next check at %v", now, got, next)
			}
			if got := verdict(v, next, policy); got == now {
				t.Fatalf("nothing changed at the next check %v: %+v", next, now)
			}
			asOf = next
		}
	})
}

type shown struct {
	health diagnostics.Health
	reason string
	signal string
	since  time.Time
	job    string
	tier   int
	code   string
	due    bool
}

func verdict(v *diagnostics.View, asOf time.Time, p diagnostics.Policy) shown {
	a := diagnostics.Assess(v, asOf, p)
	_, due := diagnostics.Due(v, asOf, p)
	s := shown{health: a.Health, reason: a.BlockedReason, signal: a.Evidence.Signal, code: a.Code(), due: due}
	if e := a.Evidence; e.Since != nil {
		s.since = *e.Since
	}
	if e := a.Evidence; e.RayJobID != nil {
		s.job = *e.RayJobID
	}
	if e := a.Evidence; e.TierNum != nil {
		s.tier = *e.TierNum
	}
	return s
}

// Rendering never fails, never gives null where a value is required, and respects its bounds.
func TestLawRender(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v := fold(Messages().Draw(t, "messages"))
		asOf := Epoch().Add(time.Duration(rapid.IntRange(-10, 150).Draw(t, "as of")) * time.Minute)
		s := diagnostics.Render(v, asOf, diagnostics.DefaultPolicy(), diagnostics.Meta{RevisionID: "x-1-1"})
		if s.Tiers == nil || s.Collections == nil || s.Insights == nil || s.NextActions == nil || s.Timeline == nil {
			t.Fatal("a list is nil")
		}
		if s.OverallProgress < 0 || s.OverallProgress > 100 {
			t.Fatalf("progress %v", s.OverallProgress)
		}
		if (s.StuckSeconds != nil) != (s.Health == diagnostics.HealthStuck) {
			t.Fatal("stuck_seconds without stuck, or the other way round")
		}
		blocked := s.Health == diagnostics.HealthStuck || s.Health == diagnostics.HealthScaling
		if (s.Cause == nil) != (s.Health == diagnostics.HealthOK) && s.Cause == nil {
			t.Fatalf("%v without a cause", s.Health)
		}
		for _, text := range s.NextActions {
			if strings.HasPrefix(text, "Nothing to do") && (s.Health != diagnostics.HealthOK || s.Cause != nil || len(s.Doubts) > 0 || s.HasFailures) {
				t.Fatalf("an all-clear beside what is open: %q", s.NextActions)
			}
			if strings.HasPrefix(text, "Wait ") && (s.Cause == nil || *s.Cause.WaitingHelps != "yes" || s.Health == diagnostics.HealthStuck) {
				t.Fatalf("it advises to wait: %q", text)
			}
			if strings.ContainsAny(text, "\x1b\x07\x00") {
				t.Fatalf("a control character in %q", text)
			}
		}
		if e := s.ETA; e != nil && (e.P50.Before(asOf) || e.P90.Before(e.P50)) {
			t.Fatalf("at %v the estimate is %+v", asOf, e)
		}
		if (s.BlockedReason != nil) != blocked {
			t.Fatalf("blocked_reason %v with health %v", s.BlockedReason, s.Health)
		}
		for _, x := range s.Tiers {
			if p := x.Progress.Percentage; p < 0 || p > 100 || (p == 100) != (x.Status == "COMPLETED") {
				t.Fatalf("tier %d is %s at %v %%", x.TierNum, x.Status, p)
			}
		}
		s.AppendJSON(nil)
		row := diagnostics.NewRow(v, asOf, diagnostics.DefaultPolicy())
		row.AppendJSON(nil)
	})
}

// Any set of accepted events can be answered, and the parts of the answer agree with one another.
func TestLawAnswers(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v := fold(Messages().Draw(t, "messages"))
		asOf := Epoch().Add(time.Duration(rapid.Int64Range(0, int64(3*time.Hour)).Draw(t, "asOf")))
		p := diagnostics.DefaultPolicy()
		s := diagnostics.Render(v, asOf, p, diagnostics.Meta{})
		e := diagnostics.Explain(v, asOf, p, diagnostics.Meta{})
		if e.Health != s.Health || (e.BlockedReason == nil) != (s.BlockedReason == nil) || e.BlockedReason != nil && *e.BlockedReason != *s.BlockedReason {
			t.Fatalf("explained as %v, answered as %v", e.Health, s.Health)
		}
		if len(e.NotTaken) != 3 || len(e.Steps) < 2 || len(s.NextActions) == 0 {
			t.Fatalf("%d verdicts not taken, %d steps, %d next actions", len(e.NotTaken), len(e.Steps), len(s.NextActions))
		}
		if at, ok := diagnostics.NextCheck(v, asOf, p); e.NextCheck != nil && (!ok || at.After(e.NextCheck.At)) {
			t.Fatalf("next check at %v, explained as %v", at, e.NextCheck.At)
		}
		if s.ETA != nil && (s.ETA.P50.Before(asOf.Truncate(time.Millisecond)) || s.ETA.P90.Before(s.ETA.P50) || s.Health == diagnostics.HealthStuck) {
			t.Fatalf("at %v the end is estimated at %v, %v", asOf, s.ETA.P50, s.ETA.P90)
		}
		if b := s.PerformanceSummary; b != nil {
			sum := b.QueueSeconds + b.ColdStartSeconds + b.ProcessingSeconds + b.HandOverSeconds + b.IdleSeconds
			if d := sum - b.TotalTimeSeconds; d > 1e-6 || d < -1e-6 || b.QueueSeconds < 0 || b.ColdStartSeconds < 0 || b.HandOverSeconds < 0 || b.IdleSeconds < 0 {
				t.Fatalf("%+v doesn't add up", b)
			}
		}
		limit := rapid.IntRange(1, 3).Draw(t, "limit")
		var paged []diagnostics.TierDiagnostic
		for offset := 0; offset == 0 || offset < len(s.Tiers); offset += limit {
			page := diagnostics.Render(v, asOf, p, diagnostics.Meta{Page: &diagnostics.Page{Tiers: diagnostics.Window{Offset: offset, Limit: limit}}})
			if page.Page.Tiers.Total != len(s.Tiers) || len(page.Tiers) > limit {
				t.Fatalf("a page of %d of %d", len(page.Tiers), page.Page.Tiers.Total)
			}
			paged = append(paged, page.Tiers...)
		}
		if len(paged) != len(s.Tiers) {
			t.Fatalf("%d tiers on pages, %d in all", len(paged), len(s.Tiers))
		}
		for i := range paged {
			if paged[i].TierNum != s.Tiers[i].TierNum {
				t.Fatalf("tier %d in the place of %d", paged[i].TierNum, s.Tiers[i].TierNum)
			}
		}
		e.AppendJSON(nil)
		d := diagnostics.Derive(v) // the order of questions makes no difference
		d.Explain(asOf, p, diagnostics.Meta{})
		_, until := d.RenderUntil(asOf, p, diagnostics.Meta{})
		if until.IsZero() {
			until = asOf.Add(10_000 * time.Hour)
		}
		if last := d.Render(until.Add(-1), p, diagnostics.Meta{}); diagnostics.AnswerHash(last.AppendJSON(nil)) != diagnostics.AnswerHash(s.AppendJSON(nil)) {
			t.Fatalf("the answer of %v holds until %v, but before that it was another:\n%s\n%s", asOf, until, s.AppendJSON(nil), last.AppendJSON(nil))
		}
		row := d.Row(asOf, p)
		agrees(t, &row, &s)
		if row.Until != nil {
			last := diagnostics.Render(v, row.Until.Add(-1), p, diagnostics.Meta{})
			agrees(t, &row, &last)
			next := d.Row(*row.Until, p)
			changed := diagnostics.Render(v, *row.Until, p, diagnostics.Meta{})
			agrees(t, &next, &changed)
		}
		if again := d.Render(asOf, p, diagnostics.Meta{}); !bytes.Equal(again.AppendJSON(nil), s.AppendJSON(nil)) {
			t.Fatal("answered from a derivation that was asked before, the answer is another")
		}
	})
}

// agrees checks that a list and a snapshot give the same health, reason and cause.
func agrees(t *rapid.T, row *diagnostics.Row, s *diagnostics.Snapshot) {
	t.Helper()
	cause := ""
	if s.Cause != nil {
		cause = string(s.Cause.Code)
	}
	if row.Health != s.Health || text(row.BlockedReason) != text(s.BlockedReason) || text(row.Cause) != cause {
		t.Fatalf("at %v the list shows %v, %q, %q and the snapshot %v, %q, %q", s.View.AsOf, row.Health, text(row.BlockedReason), text(row.Cause), s.Health, text(s.BlockedReason), cause)
	}
}

func text(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

// What is kept of the parts of a tracked view that didn't change makes no difference to any answer.
func TestLawKept(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v, policy := diagnostics.NewView("n", "b"), diagnostics.DefaultPolicy()
		v.Track()
		var encoder diagnostics.Encoder
		for _, m := range Messages().Draw(t, "messages") {
			m.Fold(v)
			if rapid.IntRange(0, 5).Draw(t, "commit") == 0 {
				encoder.Changes(v)
			}
			fresh, err := diagnostics.Parse(v.Append(nil))
			if err != nil {
				t.Fatal(err)
			}
			asOf := time.Unix(0, m.Event.Time).Add(time.Duration(rapid.Int64Range(0, 4e12).Draw(t, "later")))
			a, b := diagnostics.Summarize(v, asOf, policy), diagnostics.Summarize(fresh, asOf, policy)
			if got, want := a.Row.AppendJSON(nil), b.Row.AppendJSON(nil); !bytes.Equal(got, want) || !a.Check.Equal(b.Check) {
				t.Fatalf("the row is another, or the next check:\n%s %v\n%s %v", got, a.Check, want, b.Check)
			}
			x, y := diagnostics.Render(v, asOf, policy, diagnostics.Meta{}), diagnostics.Render(fresh, asOf, policy, diagnostics.Meta{})
			if got, want := x.AppendJSON(nil), y.AppendJSON(nil); !bytes.Equal(got, want) {
				t.Fatalf("the answer is another:\n%s\n%s", got, want)
			}
		}
	})
}

// No producer's event in a view was stored before StoredSince.
func TestLawStoredSince(t *testing.T) {
	known := 0
	rapid.Check(t, func(t *rapid.T) {
		v, least := diagnostics.NewView("n", "b"), int64(math.MaxInt64)
		for _, e := range Events().Draw(t, "events") {
			diagnostics.Fold(v, &e)
			if own := e.Type == diagnostics.TypeHealth || e.Type == diagnostics.TypeBatch && e.BatchFacts.Settled; !own && e.Stored != 0 {
				least = min(least, e.Stored)
			}
		}
		if at, ok := diagnostics.StoredSince(v); ok {
			known++
			if at.UnixNano() > least {
				t.Fatalf("%v, but one was stored at %v", at, time.Unix(0, least).UTC())
			}
		}
	})
	if known == 0 {
		t.Error("it was never known")
	}
}
