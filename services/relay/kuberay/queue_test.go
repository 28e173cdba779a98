package kuberay

import (
	"net/http"
	"os"
	"strings"
	"testing"
	"time"
)

// A RayJob in a queue learns its place from the visibility API, and that its ClusterQueue admits nothing where the account may
// read that. The older version of an API serves if the newer one isn't there.
func TestPlaces(t *testing.T) {
	text, err := os.ReadFile("testdata/pendingworkloads.json")
	if err != nil {
		t.Fatal(err)
	}
	const local, cluster = "apis/kueue.x-k8s.io/v1beta2/namespaces/search/localqueues/team-a", "apis/kueue.x-k8s.io/v1beta2/clusterqueues/gpus"
	api := newStandIn(t)
	api.answers[local] = `{"spec": {"clusterQueue": "gpus"}}`
	api.answers["apis/visibility.kueue.x-k8s.io/v1beta1/namespaces/search/localqueues/team-a/pendingworkloads"] = string(text)
	api.refuse["gpus"] = http.StatusForbidden
	api.refuse["pendingworkloads"] = http.StatusNotFound // of the newer version
	state := stories(t)["kueue"][0]
	api.putState(state)
	began := time.Now()
	now := func() time.Time { return state.now(t).Add(time.Since(began)) }
	seen := running(t, api, Options{Namespace: "search", Tick: time.Millisecond, Places: time.Nanosecond, Now: now})
	line := await(t, seen, "nightly PENDING @10:00:05 waits CAPACITY:QUEUED 10:00:01: queue team-a of ClusterQueue gpus: place 2 of 3: couldn't assign")
	if !strings.Contains(line, "the right to get clusterqueues.kueue.x-k8s.io is missing") {
		t.Error(line)
	}
	api.mu.Lock()
	delete(api.refuse, "gpus")
	api.answers[cluster] = `{"status": {"conditions": [{"type": "Active", "status": "False", "reason": "FlavorNotFound", "message": "Can't admit new workloads: references missing ResourceFlavor(s): a100."}]}}`
	api.mu.Unlock()
	line = await(t, seen, "nightly PENDING @10:00:05 waits CAPACITY:HELD 10:00:01: queue team-a of ClusterQueue gpus")
	if !strings.Contains(line, "FlavorNotFound") || strings.Contains(line, "the right") {
		t.Error(line)
	}
}
