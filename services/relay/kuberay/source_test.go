package kuberay

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/headwayhq/headway/services/relay"
)

// running runs a source until the test ends, and returns what it yields.
func running(t *testing.T, api *standIn, o Options) <-chan []relay.Observation {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	seen, done := make(chan []relay.Observation), make(chan error, 1)
	o.HTTP, o.URL, o.Retry = http.DefaultClient, api.URL, time.Millisecond
	go func() {
		done <- New(o).Run(ctx, func(_ context.Context, o ...relay.Observation) error {
			select {
			case seen <- o:
			case <-ctx.Done():
			}
			return nil
		})
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return seen
}

// await reads until a line begins as wanted, and returns it.
func await(t *testing.T, seen <-chan []relay.Observation, begin string) string {
	t.Helper()
	var heard []string
	for {
		select {
		case o := <-seen:
			lines := said(o)
			if i := slices.IndexFunc(lines, func(l string) bool { return strings.HasPrefix(l, begin) }); i >= 0 {
				return lines[i]
			}
			heard = append(heard, lines...)
		case <-t.Context().Done():
			t.Fatalf("nothing begins with %q: %q", begin, heard)
		}
	}
}

func TestSourceWatches(t *testing.T) {
	states := stories(t)["image_never_comes"]
	api := newStandIn(t)
	seen := running(t, api, Options{Namespace: "search", Tick: time.Millisecond})
	api.putState(states[0])
	await(t, seen, states[0].Says[0])
	api.put("rayjobs", states[2].Object)
	await(t, seen, states[2].Says[0])
	api.remove("rayjobs", "nightly")
	await(t, seen, "nightly-1  @")
}

// A watch that ends begins again where it stood: nothing is lost, and nothing is listed again.
func TestSourceResumes(t *testing.T) {
	states := stories(t)["retried"]
	api := newStandIn(t)
	seen := running(t, api, Options{})
	for range 2 { // the second one is told by a watch
		api.put("rayjobs", states[1].Object)
		await(t, seen, states[1].Says[0])
	}
	api.endWatches()
	api.put("rayjobs", states[2].Object)
	api.put("rayjobs", states[4].Object)
	await(t, seen, states[4].Says[0])
	api.mu.Lock()
	defer api.mu.Unlock()
	if api.lists["rayjobs"] != 1 || api.watches["rayjobs"] < 2 {
		t.Errorf("%d lists, %d watches", api.lists["rayjobs"], api.watches["rayjobs"])
	}
}

// Where the API server doesn't remember the version that the watch had reached, the objects are listed again, and one that
// was deleted meanwhile is known to be gone.
func TestSourceListsAgain(t *testing.T) {
	gone, there := stories(t)["image_never_comes"][2], stories(t)["retried"][1]
	there.Object["metadata"].(map[string]any)["name"] = "other"
	api := newStandIn(t)
	seen := running(t, api, Options{})
	api.put("rayjobs", gone.Object)
	await(t, seen, gone.Says[0])
	api.mu.Lock()
	api.refuse["rayjobs"] = http.StatusServiceUnavailable
	api.mu.Unlock()
	api.endWatches()
	api.remove("rayjobs", "nightly")
	api.put("rayjobs", there.Object)
	api.forget()
	api.mu.Lock()
	delete(api.refuse, "rayjobs")
	api.mu.Unlock()
	await(t, seen, "nightly-1  @")
	api.put("rayjobs", there.Object)
	await(t, seen, there.Says[0])
}

// An object that doesn't change is told again now and then, for whoever missed it.
func TestSourceLooksAgain(t *testing.T) {
	state := stories(t)["image_never_comes"][2]
	api := newStandIn(t)
	api.put("rayjobs", state.Object)
	seen := running(t, api, Options{Resync: time.Millisecond})
	for range 3 {
		await(t, seen, state.Says[0])
	}
}

// An object that can't be read hides no other one, and isn't taken for one that was deleted.
func TestSourceUnreadableObject(t *testing.T) {
	bad, good := stories(t)["image_never_comes"][2], stories(t)["retried"][1]
	good.Object["metadata"].(map[string]any)["name"] = "other"
	s := New(Options{})
	s.take(change{of: &rayJobs, objects: []json.RawMessage{asJSONText(t, bad.Object)}})
	bad.Object["spec"] = "no object"
	told := said(s.take(change{of: &rayJobs, whole: true, objects: []json.RawMessage{asJSONText(t, bad.Object), asJSONText(t, good.Object)}}))
	if len(told) != 1 || !strings.HasPrefix(told[0], good.Says[0]) || s.jobs["search/nightly"] == nil {
		t.Errorf("%q, %d kept", told, len(s.jobs))
	}
}

// An account that may read nothing but RayJobs learns which rights are missing, and the rest goes on. Once a right is granted,
// it is used.
func TestSourceWithoutRights(t *testing.T) {
	state := stories(t)["image_never_comes"][0]
	api := newStandIn(t)
	for _, r := range others {
		api.refuse[r.name] = http.StatusForbidden
	}
	api.putState(state)
	seen := running(t, api, Options{Namespace: "search", Denied: time.Millisecond, Tick: time.Millisecond})
	line := await(t, seen, "nightly-1 PENDING @10:00:05 waits UNKNOWN")
	for _, right := range []string{
		"the right to list pods in namespace search is missing", "the right to list events in namespace search is missing",
		"the right to list rayclusters.ray.io in namespace search is missing",
	} {
		for !strings.Contains(line, right) {
			line = await(t, seen, "nightly-1 PENDING @10:00:05 waits UNKNOWN")
		}
	}
	api.mu.Lock()
	clear(api.refuse)
	api.mu.Unlock()
	await(t, seen, state.Says[0])
}

// Who stops while a failure is held back tells of it.
func TestSourceStopsWhileRetrying(t *testing.T) {
	states := stories(t)["retried"]
	s := New(Options{})
	for _, state := range states[:3] {
		s.take(change{of: &rayJobs, objects: []json.RawMessage{asJSONText(t, state.Object)}})
	}
	var told []string
	s.giveUp(func(_ context.Context, o ...relay.Observation) error { told = append(told, said(o)...); return nil })
	if want := states[4].Says[:1]; !slices.Equal(told, want) {
		t.Errorf("%q, not %q", told, want)
	}
}

func TestCheck(t *testing.T) {
	api := newStandIn(t)
	api.put("rayjobs", stories(t)["quota"][0].Object)
	s := New(Options{HTTP: http.DefaultClient, URL: api.URL})
	if n, err := s.Check(t.Context()); n != 1 || err != nil {
		t.Error(n, err)
	}
	for code, says := range map[int]string{
		http.StatusNotFound:           "is KubeRay installed?",
		http.StatusForbidden:          "needs the verbs list and watch on rayjobs.ray.io: rayjobs is refused",
		http.StatusServiceUnavailable: "kuberay: rayjobs is refused",
	} {
		api.refuse["rayjobs"] = code
		if _, err := s.Check(t.Context()); err == nil || !strings.Contains(err.Error(), says) {
			t.Error(code, err)
		}
	}
}

// A resource that fails keeps nothing else from being said. What it would have told is said to be unknown, until it answers.
func TestAResourceThatFails(t *testing.T) {
	state := stories(t)["container"][0]
	api := newStandIn(t)
	api.refuse["events"] = http.StatusInternalServerError
	api.putState(state)
	seen := running(t, api, Options{Tick: time.Millisecond, Now: func() time.Time { return state.now(t) }})
	line := await(t, seen, "nightly-1 PENDING @10:00:05 waits CONTAINER:CONFIG_ERROR")
	for !strings.Contains(line, "events can't be read: events is refused") {
		line = await(t, seen, "nightly-1 PENDING @10:00:05 waits CONTAINER:CONFIG_ERROR")
	}
	api.mu.Lock()
	delete(api.refuse, "events")
	api.mu.Unlock()
	for strings.Contains(line, "can't be read") {
		line = await(t, seen, "nightly-1 PENDING @10:00:05 waits CONTAINER:CONFIG_ERROR")
	}
}
