package machine

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/headwayhq/headway/services/relay/rayapi"
)

// The package has no input or output, no clock, no goroutine, no lock and no log: only such a machine can be replayed.
func TestPure(t *testing.T) {
	allowed := []string{
		"cmp", "crypto/sha256", "encoding/hex", "encoding/json", "fmt", "maps", "math", "reflect", "regexp", "slices", "strconv", "strings", "time",
		"unicode/utf8", "github.com/headwayhq/headway/pkg/client", "github.com/headwayhq/headway/pkg/diagnostics",
		"github.com/headwayhq/headway/services/relay/rayapi",
	}
	// Of packages that do more than compute, what may be used.
	of := map[string][]string{
		"time":   {"Time", "Duration", "Hour", "Minute", "Second", "Millisecond", "Microsecond", "RFC3339", "RFC3339Nano"},
		"client": {"Event", "Facts", "Job", "Tier", "Stage", "WaitingOn", "Proof"},
	}
	entries, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), ".go") || strings.HasSuffix(e.Name(), "_test.go") {
			continue
		}
		set := token.NewFileSet()
		file, err := parser.ParseFile(set, e.Name(), nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, spec := range file.Imports {
			if path := strings.Trim(spec.Path.Value, `"`); !slices.Contains(allowed, path) {
				t.Errorf("%s imports %s", e.Name(), path)
			}
		}
		ast.Inspect(file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.GoStmt, *ast.ChanType, *ast.SelectStmt:
				t.Errorf("%s: a goroutine or a channel", set.Position(n.Pos()))
			case *ast.SelectorExpr:
				if pkg, ok := n.X.(*ast.Ident); ok && pkg.Obj == nil && of[pkg.Name] != nil && !slices.Contains(of[pkg.Name], n.Sel.Name) {
					t.Errorf("%s: %s.%s", set.Position(n.Pos()), pkg.Name, n.Sel.Name)
				}
			}
			return true
		})
	}
}

// anInput is any input, about few jobs of few sessions, so that they meet.
func anInput(t *rapid.T, events *[]Event) Input {
	session := rapid.SampledFrom([]string{"s1", "s2", ""}).Draw(t, "session")
	submission := rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "submission")
	at := epoch.Add(time.Duration(rapid.IntRange(0, 120).Draw(t, "at")) * time.Second)
	job := fmt.Sprintf("0%d000000", rapid.IntRange(1, 3).Draw(t, "job id"))
	switch rapid.SampledFrom([]string{"seen", "listed", "joined", "replaced", "looked", "counted", "told", "exported", "kept"}).Draw(t, "input") {
	case "seen":
		o := Observation{
			Cluster: "c", Session: session, Submission: submission, Source: "api", At: at, SubmittedAt: epoch, JobID: job,
			Status: rapid.SampledFrom([]Status{"", Pending, Running, Succeeded, Failed}).Draw(t, "status"),
		}
		if rapid.Bool().Draw(t, "placed") {
			o.Metadata = map[string]string{"headway.batch_id": "b", "headway.tier": "0"}
		}
		if rapid.Bool().Draw(t, "waits") {
			o.Waits = &Waits{Kind: "quota", Since: at}
		}
		return Seen{o}
	case "listed":
		return Listed{Cluster: "c", Session: session, Submissions: rapid.SliceOfDistinct(rapid.SampledFrom([]string{"a", "b", "c"}), rapid.ID[string]).Draw(t, "list"), At: at}
	case "joined":
		return Joined{Session: session, Cluster: "c", Link: "http://c"}
	case "replaced":
		return Replaced{Session: "s1", By: "s2", Last: at}
	case "looked":
		return Looked{Session: session, Look: Look{
			At: at, Nodes: []rayapi.Node{{ID: "head", State: "ALIVE", Total: map[string]float64{"CPU": 1}}},
			Actors:     []rayapi.Actor{{ID: "x", JobID: job, Class: "A", State: "PENDING_CREATION", Resources: map[string]float64{"GPU": 1}}},
			Autoscaler: rayapi.Autoscaler{At: at, Launching: []rayapi.Launch{{Type: "gpu", Count: 1}}},
		}}
	case "counted":
		done, total := 1.0, 2.0
		return Counted{Session: session, Submission: submission, At: at, Sets: []rayapi.Dataset{{Name: "tier1_x", Progress: &done, Total: &total}}}
	case "told":
		return DataTold{Session: session, Submission: submission}
	case "exported":
		return Exported{Events: []rayapi.Exported{{
			Session: session, Type: "ACTOR_LIFECYCLE_EVENT", ID: "x", At: at, States: []rayapi.Transition{{State: "PENDING_CREATION", At: at}},
			Actor: &rayapi.ActorDefinition{ID: "x", JobID: job, Class: "A", Name: supervisorPrefix + submission},
		}}}
	}
	k := Kept(*events)
	*events = nil
	return k
}

// Reading never changes: a machine that is asked everything after each input is, in the end, the one that was asked nothing. And the same
// inputs make the same machine, whose events are the same.
func TestQuestionsChangeNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rules := Rules{}
		if err := rules.Compile(); err != nil {
			t.Fatal(err)
		}
		asked, other := New(rules), New(rules)
		var due, otherDue []Event
		for range rapid.IntRange(1, 30).Draw(t, "inputs") {
			in := anInput(t, &due)
			same := in
			if _, ok := in.(Kept); ok {
				same, otherDue = Kept(otherDue), nil
			}
			a, b := asked.Step(in), other.Step(same)
			if got, want := names(a.Events), names(b.Events); !slices.Equal(got, want) {
				t.Fatalf("the same input made other events due: %q, not %q", got, want)
			}
			due, otherDue = append(due, a.Events...), append(otherDue, b.Events...)
			for _, session := range []string{"s1", "s2", "cluster c", "none"} {
				now := epoch.Add(time.Hour)
				asked.Needs(session, now)
				asked.DataJobs(session, now)
				asked.HeardWaiting(session)
				asked.Lacks(session, []rayapi.Job{{SubmissionID: "a"}})
				asked.Missing(session)
				asked.Counts(session)
				if n := asked.sessions[session]; n != nil {
					n.read(Look{At: now, Autoscaler: rayapi.Autoscaler{At: now, Launching: []rayapi.Launch{{Type: "gpu", Count: 2}}}})
				}
			}
			asked.Found()
			if !reflect.DeepEqual(asked, other) {
				t.Fatalf("asking changed it after %T", in)
			}
		}
	})
}

func names(events []Event) (out []string) {
	for _, e := range events {
		out = append(out, e.ID+" "+e.Time.String())
	}
	slices.Sort(out)
	return out
}

// An event is due until it is kept, and not once more after that.
func TestDueUntilKept(t *testing.T) {
	rules := Rules{}
	if err := rules.Compile(); err != nil {
		t.Fatal(err)
	}
	s := New(rules)
	in := Seen{{Cluster: "c", Session: "s", Submission: "j", Status: Running, At: epoch, SubmittedAt: epoch, Metadata: map[string]string{"headway.batch_id": "b", "headway.tier": "0"}}}
	first := s.Step(in).Events
	if again := s.Step(in).Events; len(first) == 0 || !slices.Equal(names(first), names(again)) {
		t.Errorf("lost on the way, and then due: %q, at first %q", names(again), names(first))
	}
	s.Step(Kept(first))
	if after := s.Step(in).Events; len(after) > 0 {
		t.Errorf("kept, and due again: %q", names(after))
	}
}
