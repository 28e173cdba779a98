package headwaytest

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"pgregory.net/rapid"

	"github.com/headwayhq/headway/pkg/diagnostics"
)

// Epoch is the time around which generated events happen.
func Epoch() time.Time { return time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC) }

// Events generates sets of events of one batch (namespace "n", batch "b"). Ids, times and values come
// from small domains, so that stamps collide, attempts race and bounds are reached.
func Events() *rapid.Generator[[]diagnostics.Event] {
	return rapid.SliceOfN(rapid.Custom(Event), 0, 60)
}

// Message is a stored message of a batch: an event, or a message that was rejected.
type Message struct {
	Event   diagnostics.Event
	Refusal *diagnostics.Refusal
}

// Fold folds the message into v.
func (m *Message) Fold(v *diagnostics.View) diagnostics.Outcome {
	if m.Refusal != nil {
		return diagnostics.FoldRefused(v, *m.Refusal)
	}
	return diagnostics.Fold(v, &m.Event)
}

// Messages generates sets of stored messages of one batch: Events, some of them stored twice, and rejections. One set in eight also erases
// the batch, once or twice.
func Messages() *rapid.Generator[[]Message] {
	some := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) Message {
		return AnyMessage(func(label string, n int) int { return rapid.IntRange(0, n-1).Draw(t, label) })
	}), 0, 60)
	return rapid.Custom(func(t *rapid.T) []Message {
		messages := some.Draw(t, "messages")
		if rapid.IntRange(0, 7).Draw(t, "erased") == 0 {
			for range rapid.IntRange(1, 2).Draw(t, "times") {
				at := rapid.IntRange(0, len(messages)).Draw(t, "where")
				messages = slices.Insert(messages, at, Message{Event: Erase(rapid.IntRange(0, 90).Draw(t, "minute"))})
			}
		}
		return messages
	})
}

// Erase is an event that erases the batch, some minutes after Epoch.
func Erase(minute int) diagnostics.Event {
	e := diagnostics.Event{Type: diagnostics.TypeErase, Namespace: "n", Batch: "b"}
	e.Time, e.Source, e.ID = Epoch().Add(time.Duration(minute)*time.Minute).UnixNano(), diagnostics.EraseSource, fmt.Sprint("erase", minute)
	e.Stored = e.Time
	return e
}

// AnyMessage makes an event or, less often, a rejection. See AnyEvent for choose.
func AnyMessage(choose func(label string, n int) int) Message {
	if choose("refused", 8) != 0 {
		return Message{Event: AnyEvent(choose)}
	}
	g := generator{choose}
	r := &diagnostics.Refusal{}
	g.fill(reflect.ValueOf(r).Elem(), "")
	return Message{Refusal: r}
}

// Event generates one event of batch "b" in namespace "n".
func Event(t *rapid.T) diagnostics.Event {
	return AnyEvent(func(label string, n int) int { return rapid.IntRange(0, n-1).Draw(t, label) })
}

// AnyEvent makes an event of batch "b" in namespace "n". choose picks a number from 0 up to, but not including, n.
//
// The facts are filled by reflection, each field by its name and type, so that the laws cover a new field as soon as
// it is added. The function panics at a field of a type that it doesn't know.
func AnyEvent(choose func(label string, n int) int) diagnostics.Event {
	g := generator{choose}
	e := diagnostics.Event{Namespace: "n", Batch: "b"}
	e.Time = g.time("time")
	e.Source = g.of("source", "orchestrator", "relay")
	e.ID = g.of("id", "a", "b", "c", "d")
	e.Stored = g.stored(e.Time)
	kinds := []struct {
		kind  diagnostics.Type
		facts any
	}{
		{diagnostics.TypeBatch, &e.BatchFacts}, {diagnostics.TypeBatch, &e.BatchFacts},
		{diagnostics.TypeTier, &e.TierFacts}, {diagnostics.TypeTier, &e.TierFacts}, {diagnostics.TypeTier, &e.TierFacts},
		{diagnostics.TypeJob, &e.JobFacts}, {diagnostics.TypeJob, &e.JobFacts}, {diagnostics.TypeJob, &e.JobFacts}, {diagnostics.TypeJob, &e.JobFacts},
		{diagnostics.TypeCollection, &e.CollectionFacts},
		{diagnostics.TypeStage, &e.StageFacts},
		{diagnostics.TypeHealth, &e.HealthFacts},
		{diagnostics.TypeProof, &e.ProofFacts},
	}
	k := kinds[choose("type", len(kinds))]
	e.Type = k.kind
	g.fill(reflect.ValueOf(k.facts).Elem(), "")
	if f := &e.BatchFacts; f.Settled { // the decoder accepts no others
		f.Status = words(diagnostics.TypeBatch)[g.choose("settled as", 3)+9]
	}
	return e
}

// generator fills facts with values that are determined by its choices.
type generator struct {
	choose func(label string, n int) int
}

func (g generator) fill(v reflect.Value, name string) {
	switch v.Type() {
	case reflect.TypeFor[diagnostics.Word]():
		v.SetUint(uint64(g.word(name)))
		return
	case reflect.TypeFor[diagnostics.Health]():
		v.SetUint(uint64(g.choose(name, 4)))
		return
	case reflect.TypeFor[diagnostics.Waiting]():
		if g.choose("waits", 2) == 0 { // no wait: the event contains null
			return
		}
	}
	switch v.Kind() {
	case reflect.Struct:
		g.fillStruct(v, name)
	case reflect.Slice:
		n := g.choose("how many "+name, 4)
		if name == "DocIDs" { // more than are kept
			n = g.choose("how many documents", 13)
		}
		v.Set(reflect.MakeSlice(v.Type(), n, n))
		for i := range n {
			g.fill(v.Index(i), name)
		}
	case reflect.Array:
		for i := range v.Len() {
			g.fill(v.Index(i), name)
		}
	case reflect.Bool:
		v.SetBool(g.choose(name, 2) == 0)
	case reflect.Float64:
		v.SetFloat(float64(g.choose(name, 121)) * 1.5)
	case reflect.Int32, reflect.Int64:
		v.SetInt(g.number(name))
	case reflect.Uint64:
		v.SetUint(uint64(g.choose(name, 5))<<40 + uint64(g.choose("which "+name, 60)))
	case reflect.String:
		v.SetString(g.text(name))
	default:
		panic(fmt.Sprintf("headwaytest: no value is known for the field %s of type %s", name, v.Type()))
	}
}

func (g generator) fillStruct(v reflect.Value, name string) {
	if set := v.FieldByName("Set"); set.IsValid() && v.NumField() == 2 { // an Opt: an unset value is zero
		if g.choose(name+" is said", 2) == 0 {
			set.SetBool(true)
			g.fill(v.FieldByName("V"), name)
		}
		return
	}
	for i := range v.NumField() {
		field := v.Type().Field(i)
		if field.Name == "Settled" && g.choose("settles", 6) != 0 { // rarely, since such an event has no other fields
			continue
		}
		inner := field.Name
		if field.Name == "Status" {
			inner = v.Type().Name()
		}
		g.fill(v.Field(i), inner)
	}
}

// words returns the statuses that the decoder accepts for a type of event. For a batch the terminal ones come last.
func words(of diagnostics.Type) []diagnostics.Word {
	const none = diagnostics.WordNone
	switch of {
	case diagnostics.TypeBatch:
		return []diagnostics.Word{
			none, none, none, none, diagnostics.WordDraft, diagnostics.WordPending, diagnostics.WordQueued, diagnostics.WordProcessing, diagnostics.WordInProgress,
			diagnostics.WordCompleted, diagnostics.WordFailed, diagnostics.WordCanceled, diagnostics.WordSkipped, diagnostics.WordCompletedWithErrors,
		}
	case diagnostics.TypeTier:
		return []diagnostics.Word{
			none, none, diagnostics.WordPending, diagnostics.WordQueued, diagnostics.WordDraft, diagnostics.WordProcessing, diagnostics.WordInProgress,
			diagnostics.WordCompleted, diagnostics.WordFailed, diagnostics.WordSkipped, diagnostics.WordCanceled,
		}
	default:
		return []diagnostics.Word{
			diagnostics.WordPending, diagnostics.WordRunning, diagnostics.WordRunning, diagnostics.WordSucceeded, diagnostics.WordFailed, diagnostics.WordStopped,
		}
	}
}

// word chooses a status for facts of this name.
func (g generator) word(facts string) diagnostics.Word {
	var of []diagnostics.Word
	switch facts {
	case "BatchFacts":
		of = words(diagnostics.TypeBatch)
	case "TierFacts":
		of = words(diagnostics.TypeTier)
	case "JobFacts":
		of = words(diagnostics.TypeJob)
	default:
		panic("headwaytest: no status words are known for " + facts)
	}
	return of[g.choose("status", len(of))]
}

func (g generator) number(name string) int64 {
	switch {
	case name == "TierNum":
		return int64(g.choose(name, 3))
	case name == "Tier": // of a rejection: none, or one
		return int64(g.choose(name, 4)) - 1
	case name == "Stored":
		return g.stored(g.time(name))
	case name == "Attempt" && g.choose("high attempt", 6) == 0:
		return int64(1 + g.choose(name, 40))
	case name == "Attempt":
		return int64(1 + g.choose(name, 2))
	case name == "TotalTiers":
		return int64(1 + g.choose(name, 3))
	case name == "ExitCode":
		return int64(g.choose(name, 121)) - 50
	case name == "Since" || name == "AsOf" || strings.HasSuffix(name, "At"):
		return g.time(name)
	}
	return int64(g.choose(name, 121))
}

func (g generator) text(name string) string {
	switch name {
	case "LabelsJSON":
		return g.of(name, `{"team":"x"}`, `{"team":"y"}`)
	case "CollectionsJSON":
		return g.of(name, `[]`, `["x"]`, `["x","y"]`)
	case "ResourcesJSON":
		return g.of(name, `{"num_gpus":1}`, `{"memory_bytes":1024,"num_cpus":0.5}`)
	case "SubmissionParams", "DemandJSON", "OfferedJSON", "EvidenceJSON":
		return g.of(name, `{"GPU":1}`, `{"CPU":8}`)
	case "AskedJSON", "HoldersJSON", "FixesJSON":
		return g.of(name, `[]`, `["ray"]`, `[{"GPU":1}]`)
	case "ChangedJSON":
		return g.of(name, `["cause"]`, `["cause","health"]`)
	case "Code", "CauseFrom", "CauseTo":
		return g.of(name, "", "CAPACITY:QUOTA", "IMAGE:PULL_FAILED", "SOME:THING")
	case "Cluster", "Run":
		return g.of(name, "", "x", "y")
	case "Kind":
		return g.of(name, "resources", "resources", "quota", "image_pull", "node_launch", "runtime_env")
	case "Worker":
		return g.of(name, "", "", "x", "y", "z")
	case "Message":
		return fmt.Sprint("m", g.choose(name, 121))
	case "DocIDs":
		return fmt.Sprintf("d%02d", g.choose(name, 100))
	case "SubmissionID":
		return "raysubmit_" + g.of(name, "x", "y", "z", "q")
	}
	return g.of(name, "x", "y", "z", `q"\n`)
}

func (g generator) of(label string, texts ...string) string {
	return texts[g.choose(label, len(texts))]
}

// stored chooses when the log stored an event with a given time: at once, a little later, hours later, or as much
// earlier as the decoder tolerates for a clock that is ahead.
func (g generator) stored(at int64) int64 {
	lag := [...]time.Duration{0, time.Second, time.Second, time.Minute, 3 * time.Hour, -2 * time.Minute}[g.choose("lag", 6)]
	return at + int64(lag) + int64(g.choose("lag more", 3))*int64(time.Second)
}

// time is mostly on a grid of minutes, where events collide, and sometimes far off it.
func (g generator) time(label string) int64 {
	if g.choose(label+" wild", 10) == 0 {
		off := time.Duration(g.choose(label, 2e8)-1e8)*time.Second + time.Duration(g.choose(label, 1e9))
		return Epoch().Add(off).UnixNano()
	}
	return Epoch().Add(time.Duration(g.choose(label, 91)) * time.Minute).UnixNano()
}
