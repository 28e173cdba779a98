package view

import (
	"reflect"
	"strings"
	"testing"

	"github.com/headwayhq/headway/pkg/diagnostics/internal/crdt"
)

// said is the stamp of every register in a heavy view.
var said = crdt.Stamp{Time: 1 << 61, Source: "source", ID: "id"}

// heavy is a full view with large numbers, in which all registers have one stamp, so that the size of everything else can be
// measured.
func heavy() *State {
	v := full(1 << 50)
	var visit func(v reflect.Value)
	visit = func(v reflect.Value) {
		switch v.Kind() {
		case reflect.Pointer:
			visit(v.Elem())
		case reflect.Slice, reflect.Array:
			for i := range v.Len() {
				visit(v.Index(i))
			}
		case reflect.Struct:
			switch x := v.Addr().Interface().(type) {
			case *crdt.Stamp:
				*x = said
				return
			case *crdt.Point:
				x.Bucket >>= 20 // seconds
				return
			}
			for i := range v.NumField() {
				if v.Type().Field(i).IsExported() {
					visit(v.Field(i))
				}
			}
			if most := v.FieldByName("Most"); most.IsValid() {
				most.SetInt(int64(v.FieldByName("V").Interface().(crdt.Sized).Length()))
			}
		}
	}
	visit(reflect.ValueOf(&v.state))
	return &v.state
}

// takes returns how many bytes a walk writes, and weighs the weight, where a stamp counts as much as a reference to it.
func takes(walk func(*walker)) int {
	w := walker{codec: codec{writing: true}}
	w.stamp(&said)
	before := len(w.out)
	walk(&w)
	return len(w.out) - before
}

func weighs(walk func(*walker)) int {
	w := walker{codec: codec{weighing: true, stampWeight: 2}}
	walk(&w)
	return w.weight
}

// The weight of an entry covers the bytes of each of its fields: a view stays within its limit only if none is forgotten. The
// weight of plain numbers is constant, so only their sum is checked. Lists of entries and cut-off points are weighed separately.
func TestEveryFieldIsWeighed(t *testing.T) {
	s := heavy()
	tier := s.Tiers[0]
	attempt := tier.Attempts[0]
	worker, failure, stage := attempt.Workers[0], attempt.Errors[0], attempt.Stages[0]
	tier.Attempts, attempt.Workers, attempt.Errors, attempt.Stages = nil, nil, nil, nil
	failure.WorkersCut.Set = false // else it weighs as many workers as there may be
	failure.WorkersMost, failure.DocsMost = int32(len(failure.Workers[0].Key)), int32(len(failure.Docs[0]))
	for name, x := range map[string]struct {
		entry any
		walk  func(*walker)
	}{
		"batch attempt": {s.Attempts[0], func(w *walker) { w.batchAttempt(s.Attempts[0], s.Attempts[0]) }},
		"announcement":  {s.Announcements[0], func(w *walker) { w.announcement(s.Announcements[0], s.Announcements[0]) }},
		"source":        {s.Sources[0], func(w *walker) { w.source(s.Sources[0], s.Sources[0]) }},
		"proof":         {s.Proofs[0], func(w *walker) { w.proof(s.Proofs[0], s.Proofs[0]) }},
		"collection":    {s.Collections[0], func(w *walker) { w.collection(s.Collections[0], s.Collections[0]) }},
		"job":           {s.Jobs[0], func(w *walker) { w.job(s.Jobs[0], s.Jobs[0]) }},
		"tier":          {tier, func(w *walker) { w.tier(tier, tier) }},
		"tier attempt":  {attempt, func(w *walker) { w.tierAttempt(nil, attempt, attempt) }},
		"worker":        {worker, func(w *walker) { w.workerTally(worker, worker, maxSeriesPoints) }},
		"error":         {failure, func(w *walker) { w.errorState(failure, failure) }},
		"stage":         {stage, func(w *walker) { w.stageState(stage, stage) }},
	} {
		weight, size, looked := weighs(x.walk), takes(x.walk), 0
		if weight < size {
			t.Errorf("%s: it takes %d bytes and weighs %d", name, size, weight)
		}
		var without func(v reflect.Value, path string)
		without = func(v reflect.Value, path string) {
			for i := range v.NumField() {
				f, named := v.Field(i), v.Type().Field(i)
				path := path + "." + named.Name
				switch kind := f.Kind(); {
				case !named.IsExported() || f.IsZero() || strings.HasSuffix(named.Name, "Cut"):
				case kind == reflect.Int32 || kind == reflect.Int64 || kind == reflect.Float64:
				case f.Type() == reflect.TypeFor[Tally]():
					without(f, path)
				default:
					kept := reflect.New(f.Type()).Elem()
					kept.Set(f)
					f.SetZero()
					if more, heavier := size-takes(x.walk), weight-weighs(x.walk); heavier < more || more <= 0 && f.Type() != reflect.TypeFor[crdt.Stamp]() {
						t.Errorf("%s takes %d bytes and weighs %d", path, more, heavier)
					}
					f.Set(kept)
					looked++
				}
			}
		}
		without(reflect.ValueOf(x.entry).Elem(), name)
		if looked == 0 {
			t.Errorf("%s: none of its fields was looked at", name)
		}
	}
}
