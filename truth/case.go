package main

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/headwayhq/headway/pkg/diagnostics"
)

// A story is one labelled case: what was sent, and what may be said of it at which moments. README.md describes
// the format.
type story struct {
	name   string // file below cases/, without its ending
	source string // the folder: where the situation comes from
	about  string // the first comment
	inputs []input
	asks   []ask
	facts  []fact
	kube   []kubeLine // what a Kubernetes API server has
}

// input is one stored message.
type input struct {
	stored time.Time
	data   []byte
	kind   string // of its subject, behind the batch
	id     string
	bears  bool   // it bears the cause that is asked for
	code   string // of the wait that the relay says in it
}

// ask says what may be said at a moment.
type ask struct {
	line int
	at   time.Time

	Health []string // any of them; none: any
	Codes  []string // any of them; "none" stands for no cause
	Doubts []string // each of them is there; ["none"]: there is no doubt
	Says   []string // patterns, each found in what is said
	Never  []string // patterns, none found
	Clear  bool     // nothing is open: an all-clear is right
	Waits  bool     // waiting helps: "wait" is right

	Since   *float64       // when the cause began, give or take 2 s
	Demand  map[string]any // of the cause
	Offered map[string]any
}

// fact is a moment from which on a code is the true one.
type fact struct {
	at    time.Time
	codes []string
}

// origin is the moment 0 of every story.
var origin = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }

// line is one line of a story's file.
type line struct {
	At     float64         `json:"at"`
	Time   *float64        `json:"time"` // of the event, where its clock says another time than At
	Type   string          `json:"type"`
	Source string          `json:"source"`
	ID     string          `json:"id"`
	Data   json.RawMessage `json:"data"`
	Bears  bool            `json:"bears"`
	Repeat int             `json:"repeat"` // sent as often, each Every seconds after the one before; {n} counts in Data
	Every  float64         `json:"every"`

	Ask  *json.RawMessage `json:"ask"`
	Fact []string         `json:"fact"`

	Kubernetes map[string]any `json:"kubernetes"` // an object that the API server has from then on
	Gone       bool           `json:"gone"`       // it has it no longer
	Lacks      []string       `json:"lacks"`
	Absent     []string       `json:"absent"`
	Granted    []string       `json:"granted"`
}

func readStories(dir string) ([]*story, error) {
	files, err := filepath.Glob(filepath.Join(dir, "*", "*.jsonl"))
	if err != nil {
		return nil, err
	}
	out := make([]*story, 0, len(files))
	for _, file := range files {
		s, err := readStory(dir, file)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		out = append(out, s)
	}
	return out, nil
}

func readStory(dir, file string) (*story, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	rel, err := filepath.Rel(dir, file)
	if err != nil {
		return nil, err
	}
	s := &story{name: strings.TrimSuffix(filepath.ToSlash(rel), ".jsonl"), source: filepath.Base(filepath.Dir(file))}
	lines := bufio.NewScanner(bytes.NewReader(data))
	lines.Buffer(nil, 1<<20)
	for n := 1; lines.Scan(); n++ {
		text := strings.TrimSpace(lines.Text())
		if comment, is := strings.CutPrefix(text, "#"); is {
			s.about = cmp.Or(s.about, strings.TrimSpace(comment))
			continue
		}
		if text == "" {
			continue
		}
		if err := s.add(n, text); err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
	}
	if len(s.kube) > 0 {
		if err := s.playKubernetes(); err != nil {
			return nil, err
		}
	}
	slices.SortStableFunc(s.inputs, func(a, b input) int { return a.stored.Compare(b.stored) })
	return s, lines.Err()
}

func (s *story) add(n int, text string) error {
	var l line
	d := json.NewDecoder(strings.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(&l); err != nil {
		return err
	}
	at := origin.Add(seconds(l.At))
	switch {
	case l.Ask != nil:
		a := ask{line: n, at: at}
		d := json.NewDecoder(bytes.NewReader(*l.Ask))
		d.DisallowUnknownFields()
		if err := d.Decode(&a); err != nil {
			return err
		}
		s.asks = append(s.asks, a)
	case l.Kubernetes != nil || l.Lacks != nil || l.Absent != nil || l.Granted != nil:
		s.kube = append(s.kube, kubeLine{at, l.Kubernetes, l.Gone, l.Lacks, l.Absent, l.Granted})
	case l.Fact != nil:
		s.facts = append(s.facts, fact{at, l.Fact})
	default:
		for i := range max(1, l.Repeat) {
			if err := s.say(l, i); err != nil {
				return err
			}
		}
	}
	return nil
}

var moments = regexp.MustCompile(`"AT([+-][0-9.]+)?"`)

// say makes the message of a line, the i-th where it repeats.
func (s *story) say(l line, i int) error {
	stored := origin.Add(seconds(l.At + float64(i)*l.Every))
	at := stored
	if l.Time != nil {
		at = origin.Add(seconds(*l.Time + float64(i)*l.Every))
	}
	data := strings.ReplaceAll(string(l.Data), "{n}", strconv.Itoa(i))
	data = regexp.MustCompile(`"\{\{(\d+)\+n\*(\d+)\}\}"`).ReplaceAllStringFunc(data, func(m string) string {
		var from, step int
		_, _ = fmt.Sscanf(m, `"{{%d+n*%d}}"`, &from, &step)
		return strconv.Itoa(from + i*step)
	})
	data = moments.ReplaceAllStringFunc(data, func(m string) string {
		var by float64
		_, _ = fmt.Sscanf(strings.Trim(m, `"`), "AT%f", &by)
		return `"` + at.Add(seconds(by)).Format(time.RFC3339Nano) + `"`
	})
	id := cmp.Or(l.ID, fmt.Sprintf("e%d", len(s.inputs)))
	event, err := json.Marshal(map[string]any{
		"specversion": "1.0", "id": id, "source": cmp.Or(l.Source, "pipeline"), "type": "dev.headway." + l.Type + ".v1",
		"time": at.Format(time.RFC3339Nano), "data": json.RawMessage(data),
	})
	if err != nil {
		return err
	}
	kind, err := kindOf(l.Type, []byte(data))
	if err != nil {
		return err
	}
	s.inputs = append(s.inputs, input{stored: stored, data: event, kind: kind, id: id, bears: l.Bears})
	return nil
}

// kindOf is the end of the subject on which an event is sent.
func kindOf(eventType string, data []byte) (string, error) {
	var d struct {
		TierNum      json.Number `json:"tier_num"`
		Submission   string      `json:"submission_id"`
		CollectionID string      `json:"collection_id"`
	}
	if err := json.Unmarshal(data, &d); err != nil {
		return "", err
	}
	switch eventType {
	case "batch":
		return "batch", nil
	case "tier":
		return "tier." + d.TierNum.String(), nil
	case "job":
		return "job." + d.Submission, nil
	case "collection":
		return "collection." + d.CollectionID, nil
	case "stage":
		return "stage." + d.TierNum.String(), nil
	}
	return "", fmt.Errorf("unknown type %q", eventType)
}

// viewAt folds what was stored by a moment.
func (s *story) viewAt(at time.Time) *diagnostics.View {
	v := diagnostics.NewView("team", "b")
	var d diagnostics.Decoder
	for i, in := range s.inputs {
		if in.stored.After(at) {
			break
		}
		m := diagnostics.Message{Subject: "headway.log.0.team.b." + in.kind, Data: in.data, Stored: in.stored}
		e, no := d.Decode(m)
		if no != nil {
			if r, ok := diagnostics.NewRefusal(m, no); ok && diagnostics.FoldRefused(v, r) == diagnostics.Applied {
				v.Revision = uint64(i + 1)
			}
			continue
		}
		if diagnostics.Fold(v, e) == diagnostics.Applied {
			v.Revision = uint64(i + 1)
		}
	}
	return v
}
