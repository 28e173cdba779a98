package main

import (
	"encoding/json"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/headwayhq/headway/pkg/diagnostics"
)

// answer is what of a snapshot is measured.
type answer struct {
	Status      string   `json:"status"`
	Health      string   `json:"health"`
	Blocked     string   `json:"blocked_reason"`
	NextActions []string `json:"next_actions"`
	Insights    []struct {
		Message        string `json:"message"`
		Recommendation string `json:"recommendation"`
	} `json:"insights"`
	Cause  *cause  `json:"cause"`
	Doubts []cause `json:"doubts"`
}

type cause struct {
	Code     string   `json:"code"`
	Sentence string   `json:"sentence"`
	Detail   string   `json:"detail"`
	Evidence []string `json:"evidence"`

	Since   time.Time      `json:"since"`
	Demand  map[string]any `json:"demand"`
	Offered map[string]any `json:"offered"`
	Asked   []struct {
		Answer string `json:"answer"`
	} `json:"asked"`
}

func (a *answer) code() string {
	if a.Cause == nil {
		return "none"
	}
	return a.Cause.Code
}

// said is everything that people read, a line each.
func (a *answer) said() string {
	out := append([]string{a.Blocked}, a.NextActions...)
	for _, i := range a.Insights {
		out = append(out, i.Message, i.Recommendation)
	}
	if a.Cause != nil {
		out = append(out, a.Cause.Sentence, a.Cause.Detail)
		for _, asked := range a.Cause.Asked {
			out = append(out, asked.Answer)
		}
	}
	for _, d := range a.Doubts {
		out = append(out, d.Code, d.Sentence)
	}
	return strings.Join(out, "\n")
}

// allClear is an answer by which nothing is to be done or waited for.
func (a *answer) allClear() bool {
	return a.Health == "ok" && a.Cause == nil && slices.ContainsFunc(a.NextActions, func(s string) bool { return strings.HasPrefix(s, "Nothing to do") })
}

var waiting = regexp.MustCompile(`(?i)\bwait(:|\.|,| until| for it| a little)|^wait\b`)

func (a *answer) advisesWaiting() bool {
	return slices.ContainsFunc(a.NextActions, waiting.MatchString)
}

func (s *story) answerAt(at time.Time) (*answer, error) {
	snapshot := diagnostics.Render(s.viewAt(at), at, diagnostics.DefaultPolicy(), diagnostics.Meta{})
	var a answer
	return &a, json.Unmarshal(snapshot.AppendJSON(nil), &a)
}

// finding is what was measured at one ask.
type finding struct {
	story *story
	ask   ask

	right, grounded, falseClear, falseWait bool
	misses                                 []string
}

func (s *story) judge(q ask) (finding, error) {
	f := finding{story: s, ask: q}
	a, err := s.answerAt(q.at)
	if err != nil {
		return f, err
	}
	miss := func(format string, args ...any) { f.misses = append(f.misses, fmt.Sprintf(format, args...)) }
	if len(q.Health) > 0 && !slices.Contains(q.Health, a.Health) {
		miss("health is %s, right is %s", a.Health, strings.Join(q.Health, " or "))
	}
	if len(q.Codes) > 0 && !slices.Contains(q.Codes, a.code()) {
		miss("the cause is %s, right is %s", a.code(), strings.Join(q.Codes, " or "))
	}
	f.doubts(a, miss)
	f.measures(a, miss)
	said := a.said()
	for _, p := range q.Says {
		if !regexp.MustCompile(p).MatchString(said) {
			miss("nothing says %q", p)
		}
	}
	for _, p := range q.Never {
		if m := regexp.MustCompile(p).FindString(said); m != "" {
			miss("it says %q", m)
		}
	}
	f.right = len(f.misses) == 0
	f.grounded = s.grounds(a)
	f.falseClear = !q.Clear && a.allClear()
	f.falseWait = !q.Waits && a.advisesWaiting()
	if !f.grounded {
		miss("%s rests on nothing that bears it", a.code())
	}
	if f.falseClear {
		miss("a false all-clear: %s", strings.Join(a.NextActions, " / "))
	}
	if f.falseWait {
		miss("a false wait: %s", strings.Join(a.NextActions, " / "))
	}
	return f, nil
}

func (f *finding) doubts(a *answer, miss func(string, ...any)) {
	have := make([]string, len(a.Doubts))
	for i, d := range a.Doubts {
		have[i] = d.Code
	}
	for _, want := range f.ask.Doubts {
		switch {
		case want == "none" && len(have) > 0:
			miss("it doubts %s", strings.Join(have, ", "))
		case want != "none" && !slices.Contains(have, want):
			miss("it doesn't doubt %s", want)
		}
	}
}

// sinceError is how far the moment from which a cause is said to hold may be off.
const sinceError = 2 * time.Second

func (f *finding) measures(a *answer, miss func(string, ...any)) {
	c := a.Cause
	if c == nil {
		c = &cause{}
	}
	if f.ask.Since != nil && c.Since.Sub(origin.Add(seconds(*f.ask.Since))).Abs() > sinceError {
		miss("the cause is since %v, right is %v", c.Since.Sub(origin), seconds(*f.ask.Since))
	}
	for what, pair := range map[string][2]map[string]any{"demand": {f.ask.Demand, c.Demand}, "offer": {f.ask.Offered, c.Offered}} {
		if pair[0] != nil && !reflect.DeepEqual(pair[0], pair[1]) {
			miss("the %s is %v, right is %v", what, pair[1], pair[0])
		}
	}
}

// grounds reports whether a cause's evidence names an input that bears it: one that the story marks, or one of the relay that says the
// same code. Where there is none, any input that was stored does.
func (s *story) grounds(a *answer) bool {
	if a.Cause == nil {
		return true
	}
	bears := func(i input) bool { return i.bears || i.code == a.Cause.Code }
	marked := slices.ContainsFunc(s.inputs, bears)
	return slices.ContainsFunc(s.inputs, func(i input) bool {
		return (bears(i) || !marked) && slices.Contains(a.Cause.Evidence, i.id)
	})
}

// delays are how long it takes from each fact until the answer names it, at the second; more than an hour counts as
// an hour.
func (s *story) delays() ([]time.Duration, error) {
	out := make([]time.Duration, 0, len(s.facts))
	for _, f := range s.facts {
		took := time.Hour
		for d := time.Duration(0); d < time.Hour; d += time.Second {
			a, err := s.answerAt(f.at.Add(d))
			if err != nil {
				return nil, err
			}
			if slices.Contains(f.codes, a.code()) {
				took = d
				break
			}
		}
		out = append(out, took)
	}
	return out, nil
}
