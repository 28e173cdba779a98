package view

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"

	"github.com/headwayhq/headway/pkg/diagnostics/internal/crdt"
	"github.com/headwayhq/headway/pkg/diagnostics/internal/event"
)

// small has bounds so low that a few events reach them.
func small(t *testing.T) {
	before := stateBudgets
	t.Cleanup(func() { stateBudgets = before })
	stateBudgets = budgets{
		attempts: 2_000, announcements: 1_000, sources: 900, proofs: 900,
		tiers: 3_000, collections: 800, jobs: 2_000,
		workers: 1_500, errors: 1_000, stages: 700,
		pool: 4_000, mostCollections: 2_000, mostJobs: 4_000, tierAttempts: 2_500,
	}
}

// some generates events of any kind, with few different keys and texts of any length.
type some struct{ *rand.Rand }

func (r some) text(name string) string {
	switch name {
	case "Kind":
		return "quota"
	case "ID", "SubmissionID", "Stage", "Component", "Worker", "ErrorType", "Message", "DocIDs", "Cluster", "Run":
		return strings.Repeat(string(rune('a'+r.IntN(6))), []int{0, 1, 1, 3, 70, 64}[r.IntN(6)])
	}
	return strings.Repeat("x", []int{0, 2, 5, 9, 40, 200}[r.IntN(6)])
}

func (r some) fill(v reflect.Value, name string) {
	if v.Type() == reflect.TypeFor[event.Waiting]() && r.IntN(4) == 0 { // it waits for nothing
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		if set := v.FieldByName("Set"); set.IsValid() {
			if r.IntN(3) == 0 {
				set.SetBool(true)
				r.fill(v.FieldByName("V"), name)
			}
			return
		}
		for i := range v.NumField() {
			r.fill(v.Field(i), v.Type().Field(i).Name)
		}
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), r.IntN(4), 4))
		for i := range v.Len() {
			r.fill(v.Index(i), name)
		}
	case reflect.Array:
		for i := range v.Len() {
			r.fill(v.Index(i), name)
		}
	case reflect.Bool:
		v.SetBool(r.IntN(2) == 0)
	case reflect.Uint8:
		v.SetUint(uint64(r.IntN(4)))
	case reflect.Float64:
		v.SetFloat(float64(r.IntN(9)) / 3)
	case reflect.Int32:
		v.SetInt(int64(1 + r.IntN(20)))
	case reflect.Int64:
		if strings.HasSuffix(name, "At") || name == "Since" || name == "AsOf" {
			v.SetInt(base + int64(r.IntN(1e9))*1e9)
			return
		}
		v.SetInt([]int64{0, 1, 5, 1 << 53, int64(r.IntN(1000)), base + int64(r.IntN(1e9))*1e9}[r.IntN(6)])
	case reflect.String:
		v.SetString(r.text(name))
	default:
		panic("nothing is known to fill a " + v.Type().String() + " with")
	}
}

const base = 1_700_000_000_000_000_000

func (r some) event() *event.Event {
	e := &event.Event{Namespace: "n", Batch: "b"}
	e.Time = base + int64(r.IntN(1000))*1e9
	e.Source, e.ID = strings.Repeat(string(rune('p'+r.IntN(5))), 1+r.IntN(2)*90), strings.Repeat("i", 1+r.IntN(3)*r.IntN(80))
	e.Stored = e.Time + int64(r.IntN(3))*1e9
	facts := map[event.Type]any{
		event.TypeBatch: &e.BatchFacts, event.TypeTier: &e.TierFacts, event.TypeJob: &e.JobFacts,
		event.TypeCollection: &e.CollectionFacts, event.TypeStage: &e.StageFacts, event.TypeHealth: &e.HealthFacts, event.TypeProof: &e.ProofFacts,
	}
	e.Type = []event.Type{event.TypeBatch, event.TypeTier, event.TypeTier, event.TypeJob, event.TypeCollection, event.TypeStage, event.TypeHealth, event.TypeProof}[r.IntN(8)]
	r.fill(reflect.ValueOf(facts[e.Type]).Elem(), "")
	e.BatchFacts.Settled = false
	return e
}

// The laws of the fold hold where bounds are reached: order, repetition and splits make no difference, and outcomes report
// truthfully what an event changed.
func TestLawBounds(t *testing.T) {
	small(t)
	met := map[string]int{}
	for seed := range uint64(60) {
		r := some{rand.New(rand.NewPCG(seed, 1))}
		events := make([]*event.Event, 5+r.IntN(80))
		for i := range events {
			events[i] = r.event()
		}
		v := NewView("n", "b")
		for _, e := range events {
			before := v.AppendState(nil)
			outcome := Fold(v, e)
			after := v.AppendState(nil)
			if changed := !bytes.Equal(before, after); changed != (outcome == Applied) {
				t.Fatalf("seed %d: %v, but changed = %v", seed, outcome, changed)
			}
			kept := v.Clone()
			v.state.bound()
			if !bytes.Equal(v.AppendState(nil), after) {
				t.Fatalf("seed %d: a bound was passed and not seen by an event of type %d: %s", seed, e.Type, differ(reflect.ValueOf(kept), reflect.ValueOf(v), ""))
			}
		}
		want := v.AppendState(nil)
		cuts(reflect.ValueOf(&v.state).Elem(), "", met)
		if got := weightOf(&v.state); got < len(want) {
			t.Fatalf("seed %d: the state has %d bytes and weighs %d", seed, len(want), got)
		}
		shuffled := append(append([]*event.Event{}, events...), events[:r.IntN(len(events))]...)
		r.Shuffle(len(shuffled), func(i, k int) { shuffled[i], shuffled[k] = shuffled[k], shuffled[i] })
		parts := []*View{NewView("n", "b"), NewView("n", "b"), NewView("n", "b")}
		whole := NewView("n", "b")
		for i, e := range shuffled {
			Fold(whole, e)
			Fold(parts[i%3], e)
		}
		if got := whole.AppendState(nil); !bytes.Equal(got, want) {
			t.Fatalf("seed %d: another order gives another state: %s", seed, differ(reflect.ValueOf(v), reflect.ValueOf(whole), ""))
		}
		Join(parts[0], parts[1].Clone())
		Join(parts[2], parts[0].Clone())
		if !bytes.Equal(parts[2].AppendState(nil), want) {
			t.Fatalf("seed %d: a joined split gives another state: %s", seed, differ(reflect.ValueOf(v), reflect.ValueOf(parts[2]), ""))
		}
		Join(parts[2], whole)
		if !bytes.Equal(parts[2].AppendState(nil), want) {
			t.Fatalf("seed %d: joined with what is known, it is another state", seed)
		}
	}
	for _, cut := range []string{
		"AttemptsFloor", "AnnouncementsFloor", "TiersCut", "JobsCut", "CollectionsCut", "SourcesCut", "ProofsCut",
		"Tiers.AttemptsFloor", "Tiers.WorkersCut", "Tiers.ErrorsCut", "Tiers.StagesCut", "Tiers.CoarseBelow",
	} {
		if met[cut] == 0 {
			t.Errorf("no story met the bound %s", cut)
		}
	}
}

// cuts returns how many bounds were reached.
func cuts(v reflect.Value, path string, met map[string]int) {
	switch {
	case strings.HasSuffix(path, "Cut"):
		if v.FieldByName("Set").Bool() {
			met[path]++
		}
	case strings.HasSuffix(path, "Floor"), strings.HasSuffix(path, "CoarseBelow"):
		if v.Int() > 0 {
			met[path]++
		}
	case v.Kind() == reflect.Struct:
		for i := range v.NumField() {
			cuts(v.Field(i), strings.TrimPrefix(path+"."+v.Type().Field(i).Name, "."), met)
		}
	case v.Kind() == reflect.Pointer:
		cuts(v.Elem(), path, met)
	case v.Kind() == reflect.Slice:
		for i := range v.Len() {
			cuts(v.Index(i), path, met)
		}
	}
}

// weightOf is the sum of the weights of all entries and of the batch's own fields.
func weightOf(s *State) int {
	var w scale
	sum := 0
	for _, a := range s.Attempts {
		sum += w.attempt(a)
	}
	for _, a := range s.Announcements {
		sum += w.announcement(a)
	}
	for _, c := range s.Sources {
		sum += w.source(c)
	}
	for _, p := range s.Proofs {
		sum += w.proof(p)
	}
	for _, c := range s.Collections {
		sum += w.collection(c)
	}
	for _, j := range s.Jobs {
		sum += w.job(j)
	}
	for _, t := range s.Tiers {
		sum += w.tier(t)
		for _, a := range t.Attempts {
			for _, x := range a.Workers {
				sum += w.worker(x) + weightPoint*max(0, len(x.Series.Points)-2)
			}
			for _, x := range a.Errors {
				sum += w.errorState(x)
			}
			for _, x := range a.Stages {
				sum += w.stage(x)
			}
		}
	}
	w.begin(400).state(s, s)
	return sum + w.w.weight
}

// hostile generates events of one kind that are as long as the decoder allows, each about something else.
func hostile(kind string, i int) *event.Event {
	long := func(n int) string { return fmt.Sprintf("%05d", i) + strings.Repeat("\U0001F600", n-5) }
	text := func() event.Opt[string] { return event.Opt[string]{V: long(4_000), Set: true} }
	key := func() event.Opt[string] { return event.Opt[string]{V: long(500), Set: true} }
	object := func(n int) event.Opt[string] {
		return event.Opt[string]{V: `{"a":"` + strings.Repeat("x", n-8) + `"}`, Set: true}
	}
	count := func() event.Opt[int64] { return event.Opt[int64]{V: 1<<53 - int64(i), Set: true} }
	at := func() event.Opt[int64] { return event.Opt[int64]{V: base + int64(i), Set: true} }
	e := &event.Event{Namespace: "n", Batch: "b"}
	e.Time, e.Stored, e.Source, e.ID = base+int64(i)*1e12, base+int64(i)*1e12+5, long(512), long(512)
	words := []event.Word{event.WordPending, event.WordQueued, event.WordDraft, event.WordProcessing, event.WordInProgress, event.WordCompleted, event.WordFailed}
	num := int32(1 + i%10_000)
	tier := func() *event.TierFacts {
		e.Type = event.TypeTier
		e.TierFacts = event.TierFacts{TierNum: num % 100, Attempt: 1 + num/100}
		return &e.TierFacts
	}
	switch kind {
	case "attempts":
		e.Type = event.TypeBatch
		e.BatchFacts = event.BatchFacts{
			Attempt: num, Status: words[i%len(words)], Name: text(), Pipeline: text(), Owner: text(), LabelsJSON: object(8 << 10), RetryOf: key(), BucketID: text(),
			TotalTiers: count(), TotalObj: count(), CreatedAt: at(), SubmittedAt: at(), StartedAt: at(), CompletedAt: at(), Error: text(), ErrorType: text(),
		}
	case "tiers":
		f := tier()
		f.TierNum, f.Attempt, f.Status, f.Error = num, 1, words[i%len(words)], text()
		f.StartedAt, f.CompletedAt, f.Processed, f.Total, f.Failed = at(), at(), count(), count(), count()
	case "one tier":
		f := tier()
		f.TierNum, f.Attempt, f.Error = 1, num, text()
	case "plans":
		e.Type = event.TypeBatch
		e.BatchFacts.Attempt = 1
		for n := range int32(10_000) {
			e.BatchFacts.Tiers = append(e.BatchFacts.Tiers, event.TierPlan{TierNum: n, TotalDocs: count(), RequiresGPU: event.Opt[bool]{Set: true}})
		}
	case "workers":
		f := tier()
		f.Worker = long(128)
		f.Processed, f.Failed = count(), count()
		for k := range f.Counts {
			f.Counts[k] = count()
		}
	case "errors":
		f := tier()
		x := event.ErrorFact{ErrorType: long(500), Message: long(500), Component: long(500), Stage: long(500), Affected: count(), Suggestion: text()}
		for k := range 10 {
			x.DocIDs = append(x.DocIDs, fmt.Sprint(k)+long(499))
		}
		f.Worker = long(128)
		f.Errors = []event.ErrorFact{x}
	case "stages":
		e.Type = event.TypeStage
		e.StageFacts = event.StageFacts{
			TierNum: num % 100, Attempt: 1, Stage: long(500), Component: long(500), Worker: long(500), Unit: key(), Count: count(),
			TotalMS: event.Opt[float64]{V: float64(i) / 3, Set: true}, MaxMS: event.Opt[float64]{V: 1.0 / 3, Set: true},
		}
		for k := range 256 {
			e.StageFacts.Buckets = append(e.StageFacts.Buckets, event.Bucket{UpperMS: float64(k) / 3, Count: 1 << 53})
		}
	case "jobs":
		e.Type = event.TypeJob
		e.JobFacts = event.JobFacts{
			SubmissionID: fmt.Sprintf("%0128d", i), TierNum: num, Status: event.WordPending, JobID: key(), Extractor: text(), CollectionsJSON: object(16 << 10),
			SubmittedAt: at(), StartedAt: at(), EndedAt: at(), Message: text(), ErrorType: text(), ExitCode: count(), DashboardURL: text(),
			ResourcesJSON: object(200), SubmissionParams: object(16 << 10), Cluster: key(), Run: key(), Session: text(), Processed: count(), Total: count(),
			Waiting: event.Opt[event.Waiting]{Set: true, V: event.Waiting{
				Kind: "resources", DemandJSON: object(4 << 10).V, OfferedJSON: object(4 << 10).V, Detail: text(), Code: key(),
				AskedJSON: object(8 << 10).V, HoldersJSON: object(8 << 10).V, FixesJSON: object(8 << 10).V, NodesPending: count(), Since: base,
			}},
		}
	case "collections":
		e.Type = event.TypeCollection
		e.CollectionFacts = event.CollectionFacts{
			ID: fmt.Sprintf("%0128d", i), Name: text(), Documents: count(), ExpectedDocs: count(), TierNum: event.Opt[int32]{V: num, Set: true},
		}
	case "announcements":
		e.Type = event.TypeHealth
		e.HealthFacts = event.HealthFacts{Ordinal: int64(i), BlockedReason: text().V, ChangedJSON: object(32 << 10).V, CauseFrom: key(), CauseTo: key()}
	}
	return e
}

// A view has at most 8 MiB, whatever is sent: the longest events of each kind, and of all kinds together.
func TestViewIsBounded(t *testing.T) {
	all := NewView("n", "b")
	for kind, bound := range map[string]string{
		"attempts": "AttemptsFloor", "tiers": "TiersCut", "one tier": "Tiers.AttemptsFloor", "plans": "TiersCut", "workers": "Tiers.WorkersCut",
		"errors": "Tiers.ErrorsCut", "stages": "Tiers.StagesCut", "jobs": "JobsCut", "collections": "CollectionsCut", "announcements": "AnnouncementsFloor",
	} {
		v := NewView("n", "b")
		n := 400
		if kind == "plans" {
			n = 1
		}
		for i := range n {
			e := hostile(kind, i)
			Fold(v, e)
			Fold(all, e)
		}
		for i := range MaxRefusedTiers + 10 {
			long := strings.Repeat("\U0001F600", 500)
			FoldRefused(v, Refusal{Namespace: "n", Batch: "b", Stored: base, Hash: uint64(i), Tier: int32(i), Field: long[:800], Reason: long[:1200]})
		}
		if size := len(v.AppendState(nil)); size > MaxBytes {
			t.Errorf("%s: a view of %d bytes", kind, size)
		}
		met := map[string]int{}
		if cuts(reflect.ValueOf(&v.state).Elem(), "", met); met[bound] == 0 {
			t.Errorf("%s: the bound %s wasn't met: %v", kind, bound, met)
		}
		Join(all, v.Clone())
	}
	if size := len(all.AppendState(nil)); size > MaxBytes {
		t.Errorf("all kinds: a view of %d bytes", size)
	}
	if len(all.state.Attempts) == 0 || len(all.state.Tiers) == 0 || len(all.state.Jobs) == 0 || len(all.state.Collections) == 0 {
		t.Error("of a kind nothing is left")
	}
}

// A register of texts has to be of the type that records their length.
func TestTextsAreMeasured(t *testing.T) {
	seen := map[reflect.Type]bool{}
	var look func(reflect.Type)
	look = func(of reflect.Type) {
		if seen[of] {
			return
		}
		seen[of] = true
		switch of.Kind() {
		case reflect.Pointer, reflect.Slice, reflect.Array:
			look(of.Elem())
		case reflect.Struct:
			for i := range of.NumField() {
				f := of.Field(i)
				if f.Type.Kind() != reflect.Struct {
					look(f.Type)
					continue
				}
				if value, is := f.Type.FieldByName("V"); is && of.Name() != "" && !strings.HasPrefix(of.Name(), "Measured") && !strings.HasPrefix(f.Type.Name(), "Measured") && value.Type.Implements(reflect.TypeFor[crdt.Sized]()) {
					t.Errorf("%v.%s doesn't take down the lengths that were said", of, f.Name)
				}
				look(f.Type)
			}
		}
	}
	look(reflect.TypeFor[State]())
}
