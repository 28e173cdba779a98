package kuberay

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// standIn is an API server as far as a Source sees one: it lists, watches from a version, ends watches, and forgets old versions.
// kubetest holds the same stories against a real one.
type standIn struct {
	t       *testing.T
	URL     *url.URL
	mu      sync.Mutex
	version int
	jobs    map[string]map[string]any
	pods    []map[string]any
	log     []logged       // what a watch tells
	forgot  int            // the last version that a watch can't begin at any more
	news    chan struct{}  // closed and replaced at each change
	cut     chan struct{}  // closed and replaced to end all watches
	refuse  map[string]int // status code by "pods" or "rayjobs"
	lists   int            // of RayJobs so far
	watches int
}

type logged struct {
	version int
	line    []byte
}

func newStandIn(t *testing.T) *standIn {
	t.Helper()
	s := &standIn{t: t, version: 1, jobs: map[string]map[string]any{}, news: make(chan struct{}), cut: make(chan struct{}), refuse: map[string]int{}}
	server := httptest.NewServer(s)
	s.URL, _ = url.Parse(server.URL + "/prefix")
	t.Cleanup(func() { s.endWatches(); server.Close() })
	return s
}

// put stores a RayJob, new or changed; remove deletes it.
func (s *standIn) put(object map[string]any) {
	name := object["metadata"].(map[string]any)["name"].(string)
	s.mu.Lock()
	defer s.mu.Unlock()
	kind := "ADDED"
	if s.jobs[name] != nil {
		kind = "MODIFIED"
	}
	s.jobs[name] = object
	s.tell(kind, object)
}

func (s *standIn) remove(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	object := s.jobs[name]
	delete(s.jobs, name)
	s.tell("DELETED", object)
}

func (s *standIn) tell(kind string, object map[string]any) {
	s.version++
	object["metadata"].(map[string]any)["resourceVersion"] = strconv.Itoa(s.version)
	line, err := json.Marshal(map[string]any{"type": kind, "object": object})
	if err != nil {
		s.t.Error(err)
	}
	s.log = append(s.log, logged{s.version, line})
	close(s.news)
	s.news = make(chan struct{})
}

// endWatches ends all watches.
func (s *standIn) endWatches() {
	s.mu.Lock()
	defer s.mu.Unlock()
	close(s.cut)
	s.cut = make(chan struct{})
}

// forget makes the server forget what it told so far: no watch can begin at an older version.
func (s *standIn) forget() {
	s.mu.Lock()
	s.log, s.forgot = nil, s.version
	s.mu.Unlock()
}

func (s *standIn) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	kind := r.URL.Path[strings.LastIndex(r.URL.Path, "/")+1:]
	if code := s.refuse[kind]; code != 0 || !strings.HasPrefix(r.URL.Path, "/prefix/api") {
		s.mu.Unlock()
		w.WriteHeader(max(code, http.StatusBadRequest))
		_ = json.NewEncoder(w).Encode(map[string]any{"kind": "Status", "code": code, "message": kind + " is refused"})
		return
	}
	if r.URL.Query().Get("watch") == "true" {
		s.watches++
		cut := s.cut
		s.mu.Unlock()
		s.watch(w, r, cut)
		return
	}
	defer s.mu.Unlock()
	items := []map[string]any{}
	switch {
	case kind == "pods" && r.URL.Query().Get("labelSelector") != "":
		items = s.pods
	case kind == "rayjobs":
		s.lists++
		for _, j := range s.jobs {
			items = append(items, j)
		}
	}
	_ = json.NewEncoder(w).Encode(map[string]any{"metadata": map[string]any{"resourceVersion": strconv.Itoa(s.version)}, "items": items})
}

func (s *standIn) watch(w http.ResponseWriter, r *http.Request, cut chan struct{}) {
	from, err := strconv.Atoi(r.URL.Query().Get("resourceVersion"))
	if err != nil {
		s.t.Error(err)
	}
	for {
		s.mu.Lock()
		log, news, forgot := s.log, s.news, s.forgot
		s.mu.Unlock()
		if from < forgot {
			_, _ = w.Write([]byte(`{"type":"ERROR","object":{"kind":"Status","code":410,"message":"too old resource version"}}` + "\n"))
			return
		}
		for _, l := range log {
			if l.version > from {
				from = l.version
				_, _ = w.Write(append(l.line, '\n'))
			}
		}
		_ = http.NewResponseController(w).Flush()
		select {
		case <-news:
			select {
			case <-cut: // before the news
				return
			default:
			}
		case <-cut:
			return
		case <-r.Context().Done():
			return
		}
	}
}
