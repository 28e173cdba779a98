package machine

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/headwayhq/headway/services/relay/rayapi"
)

// aGPUTask is a task that has waited for a GPU since the third minute of its job, in a cluster without any.
func aGPUTask(change func(*Moment)) Moment {
	m := Moment{
		Now: epoch.Add(4 * time.Minute), Nodes: []Node{cpus("head", 2, 2)},
		Waits:      []Wait{{Submission: "j", Who: "task f", Shape: gpu, Since: epoch.Add(3 * time.Minute), Began: epoch}},
		Autoscaler: report([]rayapi.Demand{{Shape: gpu, Count: 1}}, map[string][2]float64{"head": {0, 2}}),
	}
	change(&m)
	return m
}

// died is a node with a GPU that died, or was taken, so long after the epoch.
func died(after time.Duration, says string) Gone {
	g, ok := goneOf(&rayapi.Node{ID: "g1", State: "DEAD", Message: says, Total: map[string]float64{"CPU": 4, "GPU": 1}, EndMS: epoch.Add(after).UnixMilli()})
	if !ok {
		return Gone{}
	}
	return g
}

// A node that died is the cause of a wait of work that began before, unless it ended as it should, or another one comes.
func TestNodesThatWent(t *testing.T) {
	const unexpected = "Unexpected termination: health check failed due to missing too many heartbeats"
	for name, c := range map[string]struct {
		m    Moment
		code string
		says string
	}{
		"died":                     {aGPUTask(func(m *Moment) { m.Gone = []Gone{died(3*time.Minute, unexpected)} }), nodeLost, "missing too many heartbeats"},
		"died before the job":      {aGPUTask(func(m *Moment) { m.Gone = []Gone{died(-time.Minute, unexpected)} }), "", ""},
		"ended as expected":        {aGPUTask(func(m *Moment) { m.Gone = []Gone{died(3*time.Minute, "Expected termination: received SIGTERM")} }), "", ""},
		"ended because it idled":   {aGPUTask(func(m *Moment) { m.Gone = []Gone{died(3*time.Minute, "Termination of an idle node")} }), "", ""},
		"preempted":                {aGPUTask(func(m *Moment) { m.Gone = []Gone{died(3*time.Minute, "Terminated due to preemption")} }), preempted, "preemption"},
		"preempted three min ago":  {aGPUTask(func(m *Moment) { m.Gone = []Gone{died(time.Minute, "Terminated due to preemption")} }), "", ""},
		"too small to have had it": {aGPUTask(func(m *Moment) { m.Waits[0].Shape, m.Gone = Shape{"GPU": 2}, []Gone{died(3*time.Minute, unexpected)} }), "", ""},
		"died, and another comes": {aGPUTask(func(m *Moment) {
			m.Gone = []Gone{died(3*time.Minute, unexpected)}
			m.Launching = []Launching{{Type: "gpu", Count: 1, Began: epoch.Add(3 * time.Minute)}}
		}), nodeLaunching, ""},
		"an entrypoint held nothing there": {aGPUTask(func(m *Moment) {
			m.Waits[0].Entrypoint, m.Gone = true, []Gone{died(3*time.Minute, unexpected)}
		}), "", ""},
	} {
		if v := Judge(c.m)["j"]; v.code != c.code || !strings.Contains(v.detail, c.says) {
			t.Errorf("%s: %q %q, want %q", name, v.code, v.detail, c.code)
		}
	}
}

// What is being drained takes nothing new: it is no node that has room, and for two minutes it is the cause.
func TestNodeIsDrained(t *testing.T) {
	s := looking(t)
	s.Step(Exported{Events: []rayapi.Exported{{Session: "s", Type: "NODE_LIFECYCLE_EVENT", ID: "g", States: []rayapi.Transition{
		{State: "ALIVE", At: epoch.Add(10 * time.Second), Draining: true},
	}}}})
	got := codesOf(s, 90, func(_ int, at time.Time) Look {
		l := Look{Tasks: []rayapi.Task{waitingTask("t", gpu)}}
		l.Nodes = []rayapi.Node{{ID: "g", State: "ALIVE", Total: gpu, StartMS: epoch.Add(-time.Hour).UnixMilli()}}
		return l
	})
	if want := []string{preempted, ""}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

func waitingTask(id string, shape map[string]float64) rayapi.Task {
	t := rayapi.Task{ID: id, Name: "f", Type: "NORMAL_TASK", State: rayapi.Waiting, JobID: "02000000", Resources: shape}
	t.Events = append(t.Events, struct {
		State   string  `json:"state"`
		Created float64 `json:"created_ms"`
	}{rayapi.Waiting, float64(epoch.UnixMilli())})
	return t
}

// Machines that don't join, and launches that come to nothing, are no reason to wait from some time on.
func TestNodesThatDoNotJoin(t *testing.T) {
	launch := func(at time.Time, up int) rayapi.Autoscaler {
		return rayapi.Autoscaler{At: at, Launching: []rayapi.Launch{{Type: "gpu", Count: 1, Up: up}}, PendingTotal: gpu}
	}
	for name, c := range map[string]struct {
		looks int
		look  func(i int, at time.Time) rayapi.Autoscaler
		want  []string
	}{
		"a machine that is there and doesn't join": {200, func(_ int, at time.Time) rayapi.Autoscaler { return launch(at, 1) }, []string{nodeLaunching, nodeNotJoining}},
		"a launch that takes long":                 {200, func(_ int, at time.Time) rayapi.Autoscaler { return launch(at, 0) }, []string{nodeLaunching}},
		"one launch after the other in vain": {200, func(i int, at time.Time) rayapi.Autoscaler {
			if i%10 == 9 {
				return rayapi.Autoscaler{At: at, PendingTotal: map[string]float64{}}
			}
			return launch(at, 1)
		}, []string{nodeLaunching, nodeNotJoining}},
		"machines that are replaced between two looks": {60, func(i int, at time.Time) rayapi.Autoscaler {
			a := launch(at, 1)
			a.Launching[0].Machines = []string{fmt.Sprint("i-", i/10)}
			return a
		}, []string{nodeLaunching, nodeNotJoining}},
	} {
		got := codesOf(looking(t), c.looks, func(i int, at time.Time) Look {
			return Look{Tasks: []rayapi.Task{waitingTask("t", gpu)}, Autoscaler: c.look(i, at)}
		})
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

// attempts are those at a task that ended with these errors, one every ten seconds.
func attempts(errors ...string) (out []rayapi.Task) {
	for i, e := range errors {
		t := rayapi.Task{ID: "t", Name: "parse", JobID: "02000000", State: "FAILED", Attempt: i, Error: e, ErrorText: "Traceback:\nValueError: page 7", EndMS: float64(epoch.Add(time.Duration(i+1) * 10 * time.Second).UnixMilli())}
		if e == "" {
			t.State, t.EndMS = "RUNNING", 0
		}
		out = append(out, t)
	}
	return out
}

// Work that ends again and again in the same way is a loop until it passes; what nodes took with them isn't.
func TestRetriedAgainAndAgain(t *testing.T) {
	const raised, lost = "TASK_EXECUTION_EXCEPTION", "NODE_DIED"
	for name, c := range map[string]struct {
		errors []string
		want   []string
	}{
		"raises":               {[]string{raised, raised, raised, raised, ""}, []string{retryLoop}},
		"raised twice":         {[]string{raised, raised, ""}, []string{"nothing"}},
		"nodes died under it":  {[]string{lost, lost, lost, lost, ""}, []string{"nothing"}},
		"different each time":  {[]string{raised, "WORKER_DIED", "OUT_OF_DISK_ERROR", raised, ""}, []string{"nothing"}},
		"nodes died between":   {[]string{raised, lost, raised, lost, raised, ""}, []string{retryLoop}},
		"its workers die":      {[]string{"WORKER_DIED", "WORKER_DIED", "WORKER_DIED", "WORKER_DIED", ""}, []string{retryLoop}},
		"raises, and then not": {[]string{raised, raised, raised, raised, "passed"}, []string{retryLoop, "nothing"}},
	} {
		s := looking(t)
		got := codesOf(s, 60, func(i int, _ time.Time) Look {
			passed := c.errors[len(c.errors)-1] == "passed"
			r, ok := Retried(attempts(slices.DeleteFunc(slices.Clone(c.errors), func(e string) bool { return e == "passed" })...))
			switch {
			case passed && i >= 40:
				return Look{Passed: []string{"02000000"}}
			case !ok:
				return Look{}
			}
			return Look{Retries: []Retries{r}}
		})
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
	finished := append(attempts(raised, raised, raised, raised), rayapi.Task{ID: "t", State: "FINISHED"})
	if _, ok := Retried(finished); ok {
		t.Error("a task that has passed is told as one that is retried")
	}
}

// An actor that is seen to restart again and again is a loop; one that did so long ago isn't.
func TestRestartedAgainAndAgain(t *testing.T) {
	for name, c := range map[string]struct {
		restarts func(i int) float64
		want     []string
	}{
		"again and again":     {func(i int) float64 { return float64(i / 5) }, []string{"nothing", retryLoop}},
		"often before":        {func(int) float64 { return 12 }, []string{"nothing"}},
		"once in a long time": {func(i int) float64 { return float64(5 + i/350) }, []string{"nothing"}},
	} {
		got := codesOf(looking(t), 400, func(i int, _ time.Time) Look {
			return Look{Actors: restartingActor(c.restarts(i))}
		})
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

// restartingActor is one as the state API tells it, which writes these numbers as texts.
func restartingActor(restarts float64) (a []rayapi.Actor) {
	row := fmt.Sprintf(`[{"actor_id":"a","class_name":"Reader","state":"RESTARTING","job_id":"02000000","num_restarts":"%v","num_restarts_due_to_node_preemption":"0"}]`, restarts)
	if err := json.Unmarshal([]byte(row), &a); err != nil {
		panic(err)
	}
	return a
}

// All that is left of a job waits for results, and nothing of it runs: after two minutes that is the cause.
func TestWaitsForResults(t *testing.T) {
	blocked := map[string]Blocked{"02000000": {Task: "parse", Count: 3}}
	for name, c := range map[string]struct {
		look Look
		want []string
	}{
		"nothing else is left": {Look{Blocked: blocked}, []string{"nothing", dependency}},
		"a task runs":          {Look{Blocked: blocked, Moving: map[string]bool{"02000000": true}}, []string{"nothing"}},
		"a task waits too":     {Look{Blocked: blocked, Tasks: []rayapi.Task{waitingTask("t", gpu)}}, []string{""}},
		"nobody was asked":     {Look{}, []string{"nothing"}},
	} {
		got := codesOf(looking(t), 90, func(int, time.Time) Look { return c.look })
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

// Worker processes that don't come up within a minute are the cause of a wait for which there is room, unless an environment is being built.
func TestWorkersDoNotStart(t *testing.T) {
	for name, c := range map[string]struct {
		waits func(i int) int
		shape Shape
		envs  []rayapi.RuntimeEnv
		want  []string
	}{
		"for minutes":           {func(int) int { return 1 }, oneCPU, nil, []string{"nothing", workerFails}},
		"and come up":           {func(i int) int { return max(0, 20-i) }, oneCPU, nil, []string{"nothing"}},
		"and there is no room":  {func(int) int { return 1 }, gpu, nil, []string{""}},
		"an environment builds": {func(int) int { return 1 }, oneCPU, []rayapi.RuntimeEnv{{Env: []byte(`{"pip":["torch"]}`)}}, []string{"nothing"}},
		"and come up at last":   {func(i int) int { return max(0, 60-i) }, oneCPU, nil, []string{"nothing", workerFails, "nothing"}},
	} {
		got := codesOf(looking(t), 200, func(i int, _ time.Time) Look {
			l := Look{Tasks: []rayapi.Task{waitingTask("t", c.shape)}, Envs: c.envs}
			if n := c.waits(i); n > 0 {
				l.Starts = []Starts{{Node: "a:1", Waiting: n}}
			}
			return l
		})
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}
