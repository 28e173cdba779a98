package kubetest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	sigsyaml "sigs.k8s.io/yaml"

	"github.com/headwayhq/headway/services/relay"
	"github.com/headwayhq/headway/services/relay/kuberay"
)

// state is one document of a story, see ../testdata/README.md.
type state struct {
	At        string
	Now       string
	Object    map[string]any
	Spec      map[string]any
	Status    map[string]any
	Cluster   map[string]any
	Pods      []map[string]any
	Events    []map[string]any
	Workloads []map[string]any
	PodGroups []map[string]any
	Lacks     []string
	Absent    []string
	Deleted   bool
	Says      []string
}

func stories(t *testing.T) map[string][]state {
	t.Helper()
	files, err := filepath.Glob("../testdata/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatal("no stories", err)
	}
	out := map[string][]state{}
	for _, file := range files {
		out[strings.ReplaceAll(strings.TrimSuffix(filepath.Base(file), ".yaml"), "_", "-")] = read(t, file)
	}
	return out
}

func read(t *testing.T, file string) (out []state) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	at := ""
	for decoder := yaml.NewDecoder(bytes.NewReader(text)); ; {
		var raw any
		if err := decoder.Decode(&raw); errors.Is(err, io.EOF) {
			return out
		} else if err != nil {
			t.Fatal(err)
		}
		asYAML, err := yaml.Marshal(raw)
		if err != nil {
			t.Fatal(err)
		}
		var s state
		if err := sigsyaml.UnmarshalStrict(asYAML, &s); err != nil {
			t.Fatal(file, err)
		}
		if s.At == "" {
			s.At = at
		}
		if at = s.At; s.Now == "" {
			s.Now = s.At
		}
		out = append(out, s)
	}
}

// clock is the relay's: the stories' times are moved to the present, and between two states it jumps as the story does.
type clock struct {
	mu     sync.Mutex
	offset time.Duration
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return time.Now().Add(c.offset)
}

func (c *clock) set(offset time.Duration) {
	c.mu.Lock()
	c.offset = offset
	c.mu.Unlock()
}

// heard keeps the latest observation of each submission.
type heard struct {
	mu   sync.Mutex
	last map[string]relay.Observation // by session and submission
	logs map[string]string            // why the last lines of a container can't be read, by session
	news chan struct{}
}

func (h *heard) yield(_ context.Context, seen ...relay.Observation) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, o := range seen {
		if o.Lines != nil {
			h.logs[o.Session] = o.Lines.Unavailable
			continue
		}
		h.last[o.Session+" "+o.Submission] = o
	}
	close(h.news)
	h.news = make(chan struct{})
	return nil
}

// await waits until the latest observation of a submission is as wanted.
func (h *heard) await(t *testing.T, session, submission, what string, wanted func(relay.Observation) bool) {
	t.Helper()
	timeout := time.After(time.Minute)
	for {
		h.mu.Lock()
		o, news := h.last[session+" "+submission], h.news
		h.mu.Unlock()
		if wanted(o) {
			return
		}
		select {
		case <-news:
		case <-timeout:
			w := o.Waits
			if w == nil {
				w = &relay.Waits{}
			}
			t.Fatalf("the source never says %q; it says %s %s %s %s", what, submission, o.Status, w.Code, w.Detail)
		}
	}
}

// awaitLog waits until the last lines of a container of a RayJob were asked for, and returns why they can't be read.
func (h *heard) awaitLog(t *testing.T, session string) string {
	t.Helper()
	timeout := time.After(time.Minute)
	for {
		h.mu.Lock()
		why, ok := h.logs[session]
		news := h.news
		h.mu.Unlock()
		if ok {
			return why
		}
		select {
		case <-news:
		case <-timeout:
			t.Fatal("no log is read")
		}
	}
}

func watch(t *testing.T, o kuberay.Options, h *heard) *kuberay.Source {
	t.Helper()
	source := kuberay.New(o)
	source.ReadLogsIf(func(relay.Observation) bool { return true })
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- source.Run(ctx, h.yield) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return source
}

func newHeard() *heard {
	return &heard{last: map[string]relay.Observation{}, logs: map[string]string{}, news: make(chan struct{})}
}

// TestStories gives each story to the server, which refuses what its definitions don't know, and reads what the source says of it.
func TestStories(t *testing.T) {
	access, client := apiServer(t)
	options, err := (&kuberay.Flags{KubeConfig: kubeConfig(t, access)}).Options()
	if err != nil {
		t.Fatal(err)
	}
	time0, h := new(clock), newHeard()
	options.Now, options.Tick, options.Resync = time0.now, 100*time.Millisecond, time.Hour
	source := watch(t, options, h)
	for name, states := range stories(t) {
		t.Run(name, func(t *testing.T) {
			s := &stage{t: t, client: client, namespace: name, clock: time0, heard: h}
			s.apply(namespaces, map[string]any{"apiVersion": "v1", "kind": "Namespace", "metadata": map[string]any{"name": name}})
			s.play(states)
		})
	}
	if n, err := source.Check(t.Context()); err != nil || n != len(stories(t))-1 { // one was deleted
		t.Error(n, err)
	}
	t.Run("truth", func(t *testing.T) { truthCases(t, client) })
	t.Run("rights", func(t *testing.T) { rights(t, access, client) })
	t.Run("log rights", func(t *testing.T) { logRights(t, access, client) })
	t.Run("cost", func(t *testing.T) { cost(t, access, client) })
}

// stage is a namespace in which a story is played.
type stage struct {
	t         *testing.T
	client    dynamic.Interface
	namespace string
	clock     *clock
	heard     *heard
	moved     time.Duration // from the story's times to the present
	uid       string        // of the RayJob
	uidSaid   string        // in the story
	restarts  atomic.Int64
}

var (
	times  = regexp.MustCompile(`"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ)"`)
	strict = metav1.CreateOptions{FieldValidation: metav1.FieldValidationStrict}

	updateOptions = metav1.UpdateOptions{FieldValidation: metav1.FieldValidationStrict}
	getOptions    = metav1.GetOptions{}
)

// here returns an object of a story with the times of the present, in the namespace, owned by the RayJob that was made here.
func (s *stage) here(object map[string]any) *unstructured.Unstructured {
	s.t.Helper()
	text, err := json.Marshal(object)
	if err != nil {
		s.t.Fatal(err)
	}
	text = times.ReplaceAllFunc(text, func(b []byte) []byte {
		at, err := time.Parse(`"`+time.RFC3339+`"`, string(b))
		if err != nil {
			s.t.Fatal(err)
		}
		return []byte(at.Add(s.moved).UTC().Format(`"` + time.RFC3339 + `"`))
	})
	text = bytes.ReplaceAll(text, []byte(`"namespace":"search"`), []byte(`"namespace":"`+s.namespace+`"`))
	if s.uid != "" {
		text = bytes.ReplaceAll(text, []byte(s.uidSaid), []byte(s.uid))
	}
	out := &unstructured.Unstructured{}
	if err := json.Unmarshal(text, &out.Object); err != nil {
		s.t.Fatal(err)
	}
	for _, made := range []string{"uid", "creationTimestamp"} { // by the server
		unstructured.RemoveNestedField(out.Object, "metadata", made)
	}
	return out
}

// apply makes an object or replaces it, and its status where it has one.
func (s *stage) apply(gvr schema.GroupVersionResource, object map[string]any) *unstructured.Unstructured {
	s.t.Helper()
	o := s.here(object)
	api := dynamic.ResourceInterface(s.client.Resource(gvr))
	if gvr != namespaces {
		o.SetNamespace(s.namespace)
		api = s.client.Resource(gvr).Namespace(s.namespace)
	}
	status := o.Object["status"]
	delete(o.Object, "status")
	kept, err := api.Create(s.t.Context(), o, strict)
	if apierrors.IsAlreadyExists(err) {
		if kept, err = api.Get(s.t.Context(), o.GetName(), getOptions); err == nil {
			if o.Object["spec"] != nil {
				kept.Object["spec"] = o.Object["spec"]
			}
			kept, err = api.Update(s.t.Context(), kept, updateOptions)
		}
	}
	if err != nil {
		s.t.Fatal(gvr.Resource, err)
	}
	if status == nil {
		return kept
	}
	kept.Object["status"] = status
	kept, err = api.UpdateStatus(s.t.Context(), kept, updateOptions)
	if err != nil {
		s.t.Fatal(gvr.Resource, err)
	}
	return kept
}

// only deletes the objects of the namespace that a state doesn't have.
func (s *stage) only(gvr schema.GroupVersionResource, objects []map[string]any) {
	s.t.Helper()
	api := s.client.Resource(gvr).Namespace(s.namespace)
	list, err := api.List(s.t.Context(), metav1.ListOptions{})
	if err != nil {
		s.t.Fatal(err)
	}
	now := int64(0)
	for _, o := range list.Items {
		there := slices.ContainsFunc(objects, func(w map[string]any) bool { return w["metadata"].(map[string]any)["name"] == o.GetName() })
		if gvr == pods || gvr == workloads || !there { // these limit what may change, so they are made anew
			if err := api.Delete(s.t.Context(), o.GetName(), metav1.DeleteOptions{GracePeriodSeconds: &now}); err != nil {
				s.t.Fatal(err)
			}
		}
	}
}

func (s *stage) play(states []state) {
	var object, status map[string]any
	for i, state := range states {
		now, err := time.Parse(time.RFC3339, state.Now)
		if err != nil {
			s.t.Fatal(err)
		}
		if i == 0 {
			object = state.Object
			s.uidSaid = object["metadata"].(map[string]any)["uid"].(string)
			status, _ = object["status"].(map[string]any)
			s.moved = time.Since(now).Truncate(time.Second)
		}
		if state.Status != nil {
			status = state.Status
		}
		s.clock.set(time.Until(now.Add(s.moved)))
		if len(state.Lacks) > 0 || len(state.Absent) > 0 {
			continue // this server grants and has all; TestRights takes rights away
		}
		if state.Deleted {
			if err := s.client.Resource(rayJobs).Namespace(s.namespace).Delete(s.t.Context(), "nightly", metav1.DeleteOptions{}); err != nil {
				s.t.Fatal(err)
			}
		} else {
			s.set(object, status, &state)
		}
		for _, line := range state.Says {
			s.await(line)
		}
	}
}

// set makes the objects of the namespace those of a state.
func (s *stage) set(object, status map[string]any, state *state) {
	spec := map[string]any{}
	for _, from := range []map[string]any{object["spec"].(map[string]any), state.Spec} {
		for k, v := range from {
			spec[k] = v
		}
	}
	if s.uid == "" { // before what it owns
		made := s.apply(rayJobs, map[string]any{"apiVersion": "ray.io/v1", "kind": "RayJob", "metadata": object["metadata"], "spec": spec})
		s.uid = string(made.GetUID())
	}
	s.only(pods, state.Pods)
	s.only(workloads, state.Workloads)
	s.only(podGroups, state.PodGroups)
	if state.Cluster != nil {
		s.apply(rayClusters, state.Cluster)
	}
	for _, e := range state.Events {
		s.apply(events, with(e, "v1", "Event"))
	}
	for _, w := range state.Workloads {
		s.apply(workloads, wholeWorkload(with(w, "kueue.x-k8s.io/v1beta2", "Workload")))
	}
	for _, g := range state.PodGroups {
		s.apply(podGroups, with(g, "scheduling.volcano.sh/v1beta1", "PodGroup"))
	}
	for _, p := range state.Pods {
		s.apply(pods, wholePod(with(p, "v1", "Pod")))
	}
	if status == nil {
		status = map[string]any{}
	}
	s.apply(rayJobs, map[string]any{"apiVersion": "ray.io/v1", "kind": "RayJob", "metadata": object["metadata"], "spec": spec, "status": status})
}

func with(object map[string]any, version, kind string) map[string]any {
	out := map[string]any{"apiVersion": version, "kind": kind}
	for k, v := range object {
		out[k] = v
	}
	return out
}

// await waits until the source says what a line says: of which submission, which status and code, or that it is forgotten. Times
// are the server's.
func (s *stage) await(line string) {
	s.t.Helper()
	words := strings.Fields(line)
	code := ""
	if i := slices.Index(words, "waits"); i > 0 {
		code = words[i+1]
	}
	s.heard.await(s.t, "rayjob "+s.uid, words[0], line, func(o relay.Observation) bool {
		if strings.Contains(line, "forgotten") {
			return o.Forgotten
		}
		said := ""
		if o.Waits != nil {
			said = o.Waits.Code
		}
		return string(o.Status) == words[1] && said == code
	})
}
