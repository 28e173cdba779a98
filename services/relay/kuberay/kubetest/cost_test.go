package kubetest

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"

	"github.com/headwayhq/headway/services/relay"
	"github.com/headwayhq/headway/services/relay/kuberay"
)

const (
	costJobs = 200
	costFor  = time.Minute
)

// spent is what the child process used in costFor, once it knew all jobs.
type spent struct {
	CPU      time.Duration
	Requests int64
	Told     int64 // observations
}

// cost measures a source in a process of its own: 200 RayJobs with three pods each, of which 20 change each second. It prints what
// it used, and limits it to 1 % of a core.
func cost(t *testing.T, access *rest.Config, client dynamic.Interface) {
	const namespace = "cost"
	s := &stage{t: t, client: client, namespace: namespace, clock: new(clock), moved: time.Since(time.Date(2026, 3, 1, 10, 10, 0, 0, time.UTC)).Truncate(time.Second)}
	s.apply(namespaces, map[string]any{"apiVersion": "v1", "kind": "Namespace", "metadata": map[string]any{"name": namespace}})
	for i := range costJobs {
		s.costJob(i)
	}
	child := exec.Command(os.Args[0], "-test.run=^TestChild$", "-test.v=false") //nolint:gosec // this test
	child.Env = append(os.Environ(), "KUBETEST_CHILD="+kubeConfig(t, access))
	child.Stderr = os.Stderr
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	stop, stopped := context.WithCancel(t.Context())
	defer stopped()
	go func() {
		for i := 0; stop.Err() == nil; i++ {
			s.restart(i % costJobs)
			time.Sleep(50 * time.Millisecond)
		}
	}()
	var used spent
	if err := json.NewDecoder(out).Decode(&used); err != nil {
		t.Fatal(err)
	}
	stopped()
	_ = child.Process.Signal(os.Interrupt)
	_ = child.Wait()
	t.Logf("%d RayJobs, 20 pods changing a second: %.2f %% of a core, %.1f requests and %d observations a minute",
		costJobs, 100*used.CPU.Seconds()/costFor.Seconds(), float64(used.Requests)/costFor.Minutes(), used.Told)
	if used.CPU > costFor/100 {
		t.Errorf("%s of CPU in %s", used.CPU, costFor)
	}
	if used.Requests > 20 {
		t.Errorf("%d requests in %s", used.Requests, costFor)
	}
}

func (s *stage) costJob(i int) {
	name := "job" + strconv.Itoa(i)
	status := map[string]any{
		"jobId": name + "-1", "jobDeploymentStatus": "Running", "jobStatus": "RUNNING", "startTime": "2026-03-01T10:00:00Z", "rayClusterName": name + "-a",
		"dashboardURL": name + "-a:8265", "rayJobInfo": map[string]any{"startTime": "2026-03-01T10:05:00Z"},
	}
	s.apply(rayJobs, map[string]any{
		"apiVersion": "ray.io/v1", "kind": "RayJob", "metadata": map[string]any{"name": name}, "status": status,
		"spec": map[string]any{"entrypoint": "python tier.py", "metadata": map[string]any{"headway.batch_id": name, "headway.tier": "0"}},
	})
	for k, role := range []string{"head", "worker", "worker"} {
		s.apply(pods, wholePod(costPod(name, role, k, 0)))
	}
}

func costPod(job, role string, k, restarts int) map[string]any {
	container := map[string]any{
		"name": "ray-" + role, "image": "ray:2", "imageID": "", "ready": true, "restartCount": restarts,
		"state": map[string]any{"running": map[string]any{"startedAt": "2026-03-01T10:00:40Z"}},
	}
	return map[string]any{
		"apiVersion": "v1", "kind": "Pod",
		"metadata": map[string]any{"name": fmt.Sprintf("%s-a-%d", job, k), "labels": map[string]any{"ray.io/cluster": job + "-a", "ray.io/node-type": role, "ray.io/group": role}},
		"status": map[string]any{
			"phase": "Running", "startTime": "2026-03-01T10:00:07Z", "containerStatuses": []any{container},
			"conditions": []any{
				map[string]any{"type": "PodScheduled", "status": "True", "lastTransitionTime": "2026-03-01T10:00:07Z"},
				map[string]any{"type": "Ready", "status": "True", "lastTransitionTime": "2026-03-01T10:01:00Z"},
			},
		},
	}
}

// restart makes a worker one that was restarted once more.
func (s *stage) restart(i int) {
	p := s.here(costPod("job"+strconv.Itoa(i), "worker", 1, 1+int(s.restarts.Add(1))))
	api := s.client.Resource(pods).Namespace(s.namespace)
	kept, err := api.Get(s.t.Context(), p.GetName(), getOptions)
	if err != nil {
		return // the test is over
	}
	kept.Object["status"] = p.Object["status"]
	_, _ = api.UpdateStatus(s.t.Context(), kept, updateOptions)
}

// TestChild is the process that cost measures.
func TestChild(t *testing.T) {
	file := os.Getenv("KUBETEST_CHILD")
	if file == "" {
		t.Skip("it is run by TestStories/cost")
	}
	options, err := (&kuberay.Flags{KubeConfig: file, KubeNamespace: "cost"}).Options()
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := signal.NotifyContext(t.Context(), os.Interrupt)
	defer stop()
	source := kuberay.New(options)
	var told atomic.Int64
	known, all := map[string]bool{}, make(chan struct{})
	go func() {
		_ = source.Run(ctx, func(_ context.Context, seen ...relay.Observation) error {
			told.Add(int64(len(seen)))
			for _, o := range seen {
				if known[o.Submission] = true; len(known) == costJobs && all != nil {
					close(all)
					all = nil
				}
			}
			return nil
		})
	}()
	select {
	case <-all:
	case <-ctx.Done():
		t.Fatal("the jobs aren't known")
	}
	<-time.After(3 * time.Second) // the other lists have been read
	before, asked, said := cpu(t), source.Requests(), told.Load()
	<-time.After(costFor)
	used := spent{CPU: cpu(t) - before, Requests: source.Requests() - asked, Told: told.Load() - said}
	if err := json.NewEncoder(os.Stdout).Encode(used); err != nil {
		t.Fatal(err)
	}
	<-ctx.Done()
}

// cpu is the time that this process has computed so far.
func cpu(t *testing.T) time.Duration {
	t.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
