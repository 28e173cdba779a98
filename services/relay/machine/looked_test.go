package machine

import (
	"testing"
	"time"

	"github.com/headwayhq/headway/pkg/client"
	"github.com/headwayhq/headway/services/relay/rayapi"
)

// looking is a machine with one running job whose driver is known.
func looking(t *testing.T) *State {
	t.Helper()
	rules := Rules{}
	if err := rules.Compile(); err != nil {
		t.Fatal(err)
	}
	s := New(rules)
	s.Step(Joined{Session: "s", Cluster: "c", Link: "http://c"})
	s.Step(Seen{{
		Cluster: "c", Session: "s", Submission: "j", Source: "api", Status: Running, At: epoch, SubmittedAt: epoch, Run: epoch, JobID: "02000000",
		Metadata: map[string]string{"headway.batch_id": "b", "headway.tier": "0"},
	}})
	return s
}

// codesOf takes looks, one every 2 s, and returns the codes that were said, with "nothing" where the job waits for nothing.
func codesOf(s *State, looks int, look func(i int, at time.Time) Look) (out []string) {
	for i := range looks {
		at := epoch.Add(time.Duration(i+1) * 2 * time.Second)
		l := look(i, at)
		l.At, l.Polled = at, true
		l.Nodes = append(l.Nodes, rayapi.Node{ID: "a", State: "ALIVE", Total: Shape{"CPU": 2}, StartMS: epoch.Add(-time.Hour).UnixMilli()})
		got := s.Step(Looked{Session: "s", Look: l})
		for _, e := range got.Events {
			j, ok := e.Data.(*client.Job)
			if !ok || j.WaitingOn == nil {
				continue
			}
			code := j.WaitingOn.Code
			if j.WaitingOn.Kind == "" {
				code = "nothing"
			}
			if len(out) == 0 || out[len(out)-1] != code {
				out = append(out, code)
			}
		}
		s.Step(Kept(got.Events))
	}
	return out
}

// A cause doesn't flap: what the autoscaler leaves out of a report for a moment withdraws nothing while the wait lasts, and the end of the
// wait does at once.
func TestACauseDoesNotFlap(t *testing.T) {
	got := codesOf(looking(t), 60, func(i int, at time.Time) Look {
		l := Look{HeldAt: at}
		if i >= 55 {
			return l
		}
		l.Tasks = []rayapi.Task{{ID: "t", Name: "f", Type: "NORMAL_TASK", State: rayapi.Waiting, JobID: "02000000", Resources: oneCPU, Events: []struct {
			State   string  `json:"state"`
			Created float64 `json:"created_ms"`
		}{{rayapi.Waiting, float64(epoch.UnixMilli())}}}}
		l.Holding = []rayapi.Actor{{ID: "x", Class: "A", State: "ALIVE", JobID: "02000000", Resources: Shape{"CPU": 2}, NodeID: "a"}}
		l.Autoscaler = report([]rayapi.Demand{{Shape: oneCPU, Count: 1}}, map[string][2]float64{"a": {2, 2}})
		l.Autoscaler.At = at
		if i/3%2 == 1 { // reports come every 5 s, and leave out what is about to be placed
			l.Autoscaler.Demands = nil
		}
		return l
	})
	want := []string{"nothing", inUseByItself, "nothing"}
	if len(got) != len(want) || got[1] != want[1] {
		t.Errorf("%v, want %v", got, want)
	}
}

// Workers that are killed for memory are counted once, whoever reports them; from the third on it is a loop, which is over ten minutes
// after the last.
func TestKilledForMemory(t *testing.T) {
	s := looking(t)
	kill := func(at time.Duration) rayapi.Kill {
		return rayapi.Kill{At: epoch.Add(at), Node: "a", Jobs: []string{"02000000"}, Detail: "1 worker(s) were killed"}
	}
	s.Step(Exported{Events: []rayapi.Exported{{Session: "s", Type: "WORKER_LIFECYCLE_EVENT", Worker: &rayapi.WorkerDeath{JobID: "02000000", At: epoch.Add(10*time.Second + 600*time.Millisecond), Detail: "1 worker(s) were killed"}}}})
	got := codesOf(s, 400, func(_ int, at time.Time) (l Look) {
		for _, k := range []time.Duration{10 * time.Second, 40 * time.Second, 70 * time.Second} {
			if !epoch.Add(k).After(at) {
				l.Kills = append(l.Kills, kill(k))
			}
		}
		return l
	})
	want := []string{outOfMemory, retryLoop, "nothing"}
	if len(got) != len(want) || got[0] != want[0] || got[1] != want[1] || got[2] != want[2] {
		t.Errorf("%v, want %v", got, want)
	}
}

// A full object store is a cause only once work has waited for it for two minutes, and nothing of the job runs.
func TestFullObjectStore(t *testing.T) {
	full := []Store{{Node: "a:1", Waiting: 3, Detail: "18.7 GiB are in use"}}
	for name, c := range map[string]struct {
		moving bool
		want   []string
	}{"nothing runs": {false, []string{"nothing", storeFull}}, "a task runs": {true, []string{"nothing"}}} {
		got := codesOf(looking(t), 90, func(int, time.Time) Look {
			return Look{Stores: full, Moving: map[string]bool{"02000000": c.moving}}
		})
		if len(got) != len(c.want) || got[len(got)-1] != c.want[len(c.want)-1] {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}
