package e2e

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// A scene is one situation on a real Ray: what is done, and the causes that may be said of it.
type scene struct {
	name  string
	codes []string // any of them
	says  string   // found in the cause's sentence
	head  rayOptions
	play  func(s *rayStand) (batch string)
}

// script submits one of testdata/rayjobs as a job.
func (s *rayStand) script(id, file string) string {
	s.t.Helper()
	dir, err := filepath.Abs(filepath.Join("testdata", "rayjobs"))
	if err != nil {
		s.t.Fatal(err)
	}
	s.head.submit(rayJob{ID: id, Entrypoint: filepath.Join(s.head.home, "bin", "python") + " " + filepath.Join(dir, file+".py")})
	return id
}

func scripted(file string) func(*rayStand) string {
	return func(s *rayStand) string { return s.script("job", file) }
}

func submitted(j rayJob) func(*rayStand) string {
	j.ID = "job"
	return func(s *rayStand) string { s.head.submit(j); return j.ID }
}

// scenes are in the order of how often users meet them.
func scenes(t *testing.T) []scene {
	hung := make(chan struct{})
	hangs := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-hung }))
	t.Cleanup(func() { close(hung); hangs.Close() })
	return []scene{
		{name: "entrypoint asks for a GPU", codes: []string{"PLACEMENT:TOO_LARGE"}, says: "needs 1 GPU", play: submitted(rayJob{Entrypoint: "echo never", GPUs: 1})},
		{name: "actor asks for a GPU", codes: []string{"PLACEMENT:TOO_LARGE"}, says: "actor Embedder", play: scripted("gpu_actor")},
		{name: "task asks for a GPU", codes: []string{"PLACEMENT:TOO_LARGE"}, says: "task embed", play: scripted("gpu_task")},
		{name: "dataset asks for a GPU", codes: []string{"PLACEMENT:TOO_LARGE"}, says: "MapBatches", play: scripted("data_gpu")},
		{name: "ten thousand tasks", codes: []string{"PLACEMENT:TOO_LARGE"}, says: "that wait", play: scripted("ten_thousand")},
		{name: "label at the entrypoint", codes: []string{"PLACEMENT:LABELS"}, says: "zone=moon", play: submitted(rayJob{Entrypoint: "true", Labels: map[string]string{"zone": "moon"}})},
		{name: "label in a task", codes: []string{"PLACEMENT:LABELS"}, says: "zone=moon", play: scripted("labels_task")},
		{name: "STRICT_PACK", codes: []string{"PLACEMENT:GROUP"}, says: "STRICT_PACK", play: scripted("group_pack")},
		{name: "STRICT_SPREAD", codes: []string{"PLACEMENT:GROUP"}, says: "STRICT_SPREAD", play: scripted("group_spread")},
		{name: "bundle larger than a node", codes: []string{"PLACEMENT:GROUP", "PLACEMENT:TOO_LARGE"}, says: "4 GPU", play: scripted("group_large")},
		{name: "own actors hold it", codes: []string{"CAPACITY:IN_USE_BY_ITSELF"}, says: "task parse", play: scripted("holds_itself")},
		{name: "detached actor holds it", codes: []string{"CAPACITY:HELD_BY_FINISHED"}, says: "left", play: func(s *rayStand) string {
			s.script("left", "leaves_detached")
			s.shows("left", map[string]any{"status": "SUCCEEDED"})
			return s.script("job", "needs_cpu")
		}},
		{name: "task of another job holds it", codes: []string{"CAPACITY:IN_USE"}, play: func(s *rayStand) string {
			s.script("other", "holds_all")
			s.shows("other", map[string]any{"status": "RUNNING"})
			return s.script("job", "needs_cpu")
		}},
		{name: "entrypoint of another job holds it", codes: []string{"CAPACITY:IN_USE"}, says: "held by other", play: func(s *rayStand) string {
			s.head.submit(rayJob{ID: "other", Entrypoint: "sleep 600", CPUs: 2})
			s.shows("other", map[string]any{"status": "RUNNING"})
			s.head.submit(rayJob{ID: "job", Entrypoint: "true", CPUs: 1})
			return "job"
		}},
		{name: "py_executable is missing", codes: []string{"ENVIRONMENT:BUILDING"}, says: "runtime environment", play: submitted(rayJob{Entrypoint: "true", RuntimeEnv: map[string]any{"py_executable": "/nowhere/python"}})},
		{name: "working_dir comes slowly", codes: []string{"ENVIRONMENT:BUILDING"}, play: submitted(rayJob{Entrypoint: "true", RuntimeEnv: map[string]any{"working_dir": hangs.URL + "/code.zip"}})},
		{name: "working_dir can't be had", codes: []string{"ENVIRONMENT:FAILED"}, play: submitted(rayJob{Entrypoint: "true", RuntimeEnv: map[string]any{"working_dir": "http://127.0.0.1:9/none.zip"}})},
		{name: "killed for memory again and again", codes: []string{"PROGRAM:RETRY_LOOP"}, says: "killed", head: rayOptions{env: littleMemory}, play: scripted("eats_memory")},
		{name: "fails", codes: []string{"PROGRAM:FAILED"}, says: "exit code 3", play: submitted(rayJob{Entrypoint: "exit 3"})},
		{name: "stopped by a user", codes: []string{"PROGRAM:STOPPED"}, play: func(s *rayStand) string {
			s.head.submit(rayJob{ID: "job", Entrypoint: "sleep 600"})
			s.shows("job", map[string]any{"status": "RUNNING"})
			s.head.stop("job")
			return "job"
		}},
		{name: "supervisor is killed", codes: []string{"RAY:DRIVER_LOST"}, play: func(s *rayStand) string {
			s.head.submit(rayJob{ID: "job", Entrypoint: "sleep 600"})
			s.shows("job", map[string]any{"status": "RUNNING"})
			var pid int
			eventually(s.t, 30*time.Second, "the supervisor's process", func() (err error) { pid, err = s.head.supervisor("job"); return err })
			if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
				s.t.Fatal(err)
			}
			return "job"
		}},
		{name: "head is lost", codes: []string{"RAY:HEAD_LOST", "RAY:UNREACHABLE"}, says: "refused", play: func(s *rayStand) string {
			s.head.submit(rayJob{ID: "job", Entrypoint: "sleep 600"})
			s.shows("job", map[string]any{"status": "RUNNING"})
			s.head.kill()
			return "job"
		}},
		{name: "node of a group dies", codes: []string{"RAY:NODE_LOST"}, says: "node", play: func(s *rayStand) string {
			end := s.head.node()
			s.script("job", "group_node_dies")
			eventually(s.t, 90*time.Second, "the group is laid out", func() error { return s.head.printed("job", "laid out") })
			end()
			return "job"
		}},
		{name: "runs, and reports nothing yet", codes: []string{"PROGRAM:STARTING"}, play: submitted(rayJob{Entrypoint: "sleep 600"})},
		{name: "succeeds", codes: []string{""}, play: func(s *rayStand) string {
			s.head.submit(rayJob{ID: "job", Entrypoint: "true"})
			s.shows("job", map[string]any{"status": "SUCCEEDED"})
			return "job"
		}},
		{name: "id used again", codes: []string{"PROGRAM:STARTING"}, play: func(s *rayStand) string {
			s.head.submit(rayJob{ID: "job", Entrypoint: "exit 3"})
			s.shows("job", map[string]any{"status": "FAILED"})
			s.again("job")
			return "job"
		}},
	}
}

// again deletes a job and submits another one under its id, until that stays: while Ray still looks after the first one, it takes the end
// of the first supervisor for that of the second. It looks once a second, so a job that has failed for three has nobody who looks after it.
func (s *rayStand) again(id string) {
	s.t.Helper()
	var failed, runs time.Time
	eventually(s.t, 60*time.Second, id+" runs again", func() error {
		var j struct {
			Status string `json:"status"`
		}
		err := s.head.get("/api/jobs/"+id, &j)
		switch {
		case err == nil && j.Status == "FAILED" && failed.IsZero():
			failed, runs = time.Now(), time.Time{}
		case err == nil && j.Status == "FAILED" && time.Since(failed) < 3*time.Second:
		case err == nil && j.Status == "FAILED":
			err = s.head.do(http.MethodDelete, "/api/jobs/"+id, nil, nil)
			if err == nil {
				s.head.submit(rayJob{ID: id, Entrypoint: "sleep 600"})
			}
			failed = time.Time{}
		case err == nil && j.Status == "RUNNING" && runs.IsZero():
			runs = time.Now()
		}
		if err == nil && (runs.IsZero() || time.Since(runs) < 5*time.Second) {
			err = fmt.Errorf("%s since %v", j.Status, runs)
		}
		return err
	})
}

// endlessScenes are situations in which a job that runs doesn't get on.
func endlessScenes() []scene {
	onTheGPU := func(file string, then func(s *rayStand, end func())) func(*rayStand) string {
		return func(s *rayStand) string {
			end := s.head.node()
			s.script("job", file)
			eventually(s.t, 120*time.Second, "it holds the GPU", func() error { return s.head.printed("job", "under way") })
			then(s, end)
			return "job"
		}
	}
	return []scene{
		{name: "node of a task dies", codes: []string{"RAY:NODE_LOST"}, says: "task embed", play: onTheGPU("task_node_dies", func(_ *rayStand, end func()) { end() })},
		{name: "node is drained", codes: []string{"CAPACITY:PREEMPTED"}, says: "drained", play: onTheGPU("node_drains", func(s *rayStand, _ func()) { s.head.drain() })},
		{name: "task raises again and again", codes: []string{"PROGRAM:RETRY_LOOP"}, says: "page 7 has no text", play: scripted("task_raises")},
		{name: "worker dies again and again", codes: []string{"PROGRAM:RETRY_LOOP"}, says: "task decode", play: scripted("worker_dies")},
		{name: "actor dies again and again", codes: []string{"PROGRAM:RETRY_LOOP"}, says: "actor Reader", play: scripted("actor_dies")},
		{name: "nothing computes what it waits for", codes: []string{"PROGRAM:DEPENDENCY"}, says: "task parse", play: scripted("waits_for_itself")},
		{name: "workers don't start", codes: []string{"RAY:WORKER_START_FAILED"}, says: "wait for worker processes", play: scripted("workers_do_not_start")},
	}
}

// littleMemory sets the limit of the memory monitor a little above what this machine uses now.
func littleMemory() []string {
	read := map[string]float64{}
	b, _ := os.ReadFile("/proc/meminfo")
	for line := range strings.Lines(string(b)) {
		if f := strings.Fields(line); len(f) > 1 {
			read[f[0]], _ = strconv.ParseFloat(f[1], 64)
		}
	}
	if read["MemTotal:"] == 0 {
		return nil
	}
	limit := 1 - read["MemAvailable:"]/read["MemTotal:"] + 4e6/read["MemTotal:"]
	return []string{fmt.Sprintf("RAY_memory_usage_threshold=%.3f", limit), "RAY_memory_monitor_refresh_ms=250"}
}

const (
	sceneWithin = 4 * time.Minute  // a right answer must come within
	sceneHolds  = 30 * time.Second // and is watched for as long: an unchanged situation changes its cause at most once in a minute
)

// TestTruthRay plays situations on real heads, each on its own, and prints how long it took from the fact to a right answer.
// HEADWAY_TRUTH_RAY is the number of clusters side by side; without it the test is skipped. HEADWAY_TRUTH_SCENES limits it to the
// scenes whose names contain that.
func TestTruthRay(t *testing.T) {
	clusters, err := strconv.Atoi(os.Getenv("HEADWAY_TRUTH_RAY"))
	if err != nil || clusters < 1 {
		t.Skip("HEADWAY_TRUTH_RAY isn't set: `make truth-ray` plays situations on real clusters")
	}
	rayHome(t)
	binary := headway(t)
	var mu sync.Mutex
	took := map[string][]float64{}
	slots := make(chan struct{}, clusters)
	t.Run("scenes", func(t *testing.T) {
		for _, c := range slices.Concat(scenes(t), endlessScenes(), scalingScenes()) {
			if !strings.Contains(c.name, os.Getenv("HEADWAY_TRUTH_SCENES")) {
				continue
			}
			t.Run(c.name, func(t *testing.T) {
				t.Parallel()
				slots <- struct{}{}
				defer func() { <-slots }()
				s := newRayStand(t, binary, c.head)
				code, after, changes := s.answer(c)
				fmt.Fprintf(os.Stdout, "%-38s %-28s %6.1f s  %d changes\n", c.name, code, after, changes)
				mu.Lock()
				took[code] = append(took[code], after)
				mu.Unlock()
			})
		}
	})
	for code, all := range took {
		slices.Sort(all)
		fmt.Fprintf(os.Stdout, "%-28s p50 %6.1f s  p95 %6.1f s  of %d\n", code, all[len(all)/2], all[min(len(all)-1, len(all)*95/100)], len(all))
	}
}

// answer plays a scene and returns the right cause, the seconds until it was said, and how often the cause changed after that.
func (s *rayStand) answer(c scene) (code string, after float64, changes int) {
	s.t.Helper()
	batch := c.play(s)
	fact := time.Now()
	var said string
	eventually(s.t, sceneWithin, "a right answer", func() error {
		code, said = s.cause(batch)
		if !slices.Contains(c.codes, code) || !strings.Contains(said, c.says) {
			return fmt.Errorf("%s: %s", code, said)
		}
		return nil
	})
	after = time.Since(fact).Seconds()
	for last := code; time.Since(fact).Seconds() < after+sceneHolds.Seconds(); time.Sleep(500 * time.Millisecond) {
		if now, said := s.cause(batch); now != last {
			s.t.Logf("%s became %s: %s", last, now, said)
			last = now
			changes++
		}
	}
	if changes > 1 {
		s.t.Errorf("the cause changed %d times in %v", changes, sceneHolds)
	}
	return code, after, changes
}

// cause is that of a batch, with its sentence.
func (s *rayStand) cause(batch string) (code, sentence string) {
	snapshot, _ := s.run.snapshot(batch)
	c, _ := snapshot["cause"].(map[string]any)
	code, _ = c["code"].(string)
	sentence, _ = c["sentence"].(string)
	return code, sentence
}

// printed reports whether a job has printed a text.
func (h *rayHead) printed(id, text string) error {
	var logs struct {
		Logs string `json:"logs"`
	}
	if err := h.get("/api/jobs/"+id+"/logs", &logs); err != nil {
		return err
	}
	if !strings.Contains(logs.Logs, text) {
		return fmt.Errorf("it printed %q", logs.Logs)
	}
	return nil
}
