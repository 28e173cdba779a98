package diagnostics

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// Through all stories: what a snapshot was, with what changed, is what it is. For clients in other languages, which check the same, the
// snapshots and changes are written to the file that HEADWAY_TEST_ROWS names.
func TestStoriesInRows(t *testing.T) {
	var written []storyInRows
	files, err := filepath.Glob("testdata/stories/*.story")
	if err != nil || len(files) < 40 {
		t.Fatalf("%d stories (%v)", len(files), err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		s := parseTale(t, string(text))
		v := NewView("search", "btch_1")
		var states []Snapshot
		for i := range s.events {
			Fold(v, &s.events[i])
			at := moment(s.events[i].Time)
			states = append(states, Render(v, at, s.policy, Meta{}), Render(v, at.Add(90*time.Second), s.policy, Meta{}))
		}
		rows := storyInRows{Story: filepath.Base(file)}
		for i := range states {
			rows.States = append(rows.States, states[i].AppendJSON(nil))
			for _, from := range []int{i - 1, i - 2, i - 9, i / 2} { // what was before, and what a slow client has
				if from >= 0 {
					rows.Changes = append(rows.Changes, stepInRows{from, i, addsUp(t, file, &states[from], &states[i])})
				}
			}
		}
		written = append(written, rows)
	}
	if to := os.Getenv("HEADWAY_TEST_ROWS"); to != "" {
		text, err := json.Marshal(written)
		if err == nil {
			err = os.WriteFile(to, text, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

type storyInRows struct {
	Story   string            `json:"story"`
	States  []json.RawMessage `json:"states"`
	Changes []stepInRows      `json:"changes"`
}

type stepInRows struct {
	From   int             `json:"from"`
	To     int             `json:"to"`
	Change json.RawMessage `json:"change"`
}

// addsUp checks that one snapshot and what changed since are the other.
func addsUp(t *testing.T, name string, from, to *Snapshot) []byte {
	t.Helper()
	old, now := from.Encode(), to.Encode()
	if !bytes.Equal(now.JSON(), to.AppendJSON(nil)) {
		t.Fatalf("%s: a snapshot is encoded as\n%s\nwant\n%s", name, now.JSON(), to.AppendJSON(nil))
	}
	whole, hash := to.Whole()
	if want := AnswerHash(whole); !bytes.Equal(whole, now.JSON()) || hash != want || now.Hash() != want {
		t.Fatalf("%s: hashes %x and %x, want %x, of\n%s", name, hash, now.Hash(), want, whole)
	}
	change := now.AppendChange(nil, old)
	var before Snapshot // as a client has it
	if err := json.Unmarshal(old.JSON(), &before); err != nil {
		t.Fatal(err)
	}
	after, err := before.Apply(change)
	if err != nil {
		t.Fatalf("%s: %v: %s", name, err, change)
	}
	if got := after.AppendJSON(nil); !bytes.Equal(got, now.JSON()) {
		t.Fatalf("%s: with\n%s\ngot\n%s\nwant\n%s", name, change, got, now.JSON())
	}
	if got := before.AppendJSON(nil); !bytes.Equal(got, old.JSON()) {
		t.Fatalf("%s: the earlier snapshot was modified:\n%s\nwas\n%s", name, got, old.JSON())
	}
	return change
}

// wide is a batch of many tiers that run at the same time, one of which has a job.
func wide(tiers int) *story {
	s := &story{policy: DefaultPolicy()}
	s.batch(0, WordProcessing, func(f *BatchFacts) { f.TotalTiers = some(int64(tiers)) })
	for n := range int32(tiers) {
		s.tier(1, n, WordProcessing).progress(2, n, 5, 90)
	}
	return s.job(1, "raysubmit_0", 0, WordRunning)
}

func (s *story) folded() *View {
	v := NewView("n", "b")
	for i := range s.events {
		Fold(v, &s.events[i])
	}
	return v
}

func TestChangesOfManyRows(t *testing.T) {
	s := wide(30)
	v := s.folded()
	at := func(m float64) Snapshot { return Render(v, moment(minute(m)), s.policy, Meta{}) }
	before := at(3)
	same := at(3)
	if got := string(addsUp(t, "the same", &before, &same)); got != `{"set":{},"lists":{}}` {
		t.Errorf("nothing changed, and it says %s", got)
	}
	later := at(3.5) // all tiers run on
	ticks := addsUp(t, "time passes", &before, &later)
	var c SnapshotChange
	if err := json.Unmarshal(ticks, &c); err != nil {
		t.Fatal(err)
	}
	if len(c.Tiers) != 30 || c.Tiers[0].Row != nil || c.Tiers[0].Clocks["duration_seconds"] == nil || len(c.Tiers[0].Jobs) != 1 || c.Tiers[0].Jobs[0].Row != nil {
		t.Errorf("time passed, and it says %s", ticks)
	}
	if n := len(later.AppendJSON(nil)); len(ticks)*8 > n {
		t.Errorf("%d of %d bytes where only time passed", len(ticks), n)
	}
	moved := []func(*Snapshot){
		func(s *Snapshot) { s.Tiers = s.Tiers[1:] },
		func(s *Snapshot) { s.Tiers = append(append([]TierDiagnostic{}, s.Tiers[5:]...), s.Tiers[:5]...) },
		func(s *Snapshot) { s.Tiers = append(append([]TierDiagnostic{}, s.Tiers[:9]...), s.Tiers[10:]...) },
		func(s *Snapshot) {
			s.Tiers = append([]TierDiagnostic{}, s.Tiers...)
			s.Tiers[3], s.Tiers[20] = s.Tiers[20], s.Tiers[3]
			s.Tiers[4].Status = "FAILED"
		},
		func(s *Snapshot) { s.Tiers = nil },
		func(s *Snapshot) {
			s.Tiers = append([]TierDiagnostic{}, s.Tiers...)
			twin := s.Tiers[0].Jobs[0]
			twin.Status = "FAILED"
			s.Tiers[0].Jobs = append(append([]JobDiagnostic{}, s.Tiers[0].Jobs...), twin) // another run of the same id
		},
	}
	for i, a := range moved {
		for j, b := range moved {
			one, two := at(3), at(3)
			a(&one)
			b(&two)
			for _, s := range []*Snapshot{&one, &two} {
				if s.Tiers == nil {
					s.Tiers = []TierDiagnostic{}
				}
			}
			addsUp(t, fmt.Sprint(i, " to ", j), &one, &two)
		}
	}
	for _, bad := range []string{
		`{"set":{},"tiers":[{"key":99,"row":{"tier_num":99}}]}`, `{"set":{},"tiers":[{"key":"x"}]}`, `{"tiers":[{"key":null}]}`, `[]`,
		`{"set":{"tiers":1}}`, `{"lists":{"timeline":[[0,99]]}}`, `{"lists":{"timeline":[[-1,1]]}}`, `{"lists":{"timeline":[[1,9223372036854775807]]}}`, `{"tiers":[{"key":1,"after":99,"row":{"tier_num":1}}]}`, `{"tiers":[{"key":99,"after":0,"row":{"tier_num":0}}]}`,
	} {
		if s, err := before.Apply([]byte(bad)); err == nil {
			t.Errorf("%s makes %d tiers", bad, len(s.Tiers))
		}
	}
}

// What says how an estimate was made stays short, however many tiers run.
func TestEstimateOfManyTiersIsShort(t *testing.T) {
	s := wide(30).progress(3, 15, 50, 90)
	e := Render(s.folded(), moment(minute(3)), s.policy, Meta{}).ETA
	if e == nil || strings.Count(e.Method, " of 30 ") != 3 || !strings.HasSuffix(e.Method, "; 27 more tiers in one of these ways") {
		t.Errorf("got %+v", e)
	}
}
