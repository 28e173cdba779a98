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
	objects map[string]map[string]map[string]any // by resource and name
	log     []logged                             // what a watch tells
	forgot  int                                  // the last version that a watch can't begin at any more
	news    chan struct{}                        // closed and replaced at each change
	cut     chan struct{}                        // closed and replaced to end all watches
	answers map[string]string                    // to paths that aren't lists
	queries map[string]url.Values                // with which they were asked for
	refuse  map[string]int                       // status code by resource
	lists   map[string]int                       // so far, by resource
	watches map[string]int
}

type logged struct {
	version  int
	resource string
	labels   map[string]any
	line     []byte
}

func newStandIn(t *testing.T) *standIn {
	t.Helper()
	s := &standIn{t: t, version: 1, objects: map[string]map[string]map[string]any{}, news: make(chan struct{}), cut: make(chan struct{}),
		answers: map[string]string{}, queries: map[string]url.Values{}, refuse: map[string]int{}, lists: map[string]int{}, watches: map[string]int{}}
	server := httptest.NewServer(s)
	s.URL, _ = url.Parse(server.URL + "/prefix")
	t.Cleanup(func() { s.endWatches(); server.Close() })
	return s
}

// put stores an object, new or changed; remove deletes it.
func (s *standIn) put(resource string, object map[string]any) {
	name := object["metadata"].(map[string]any)["name"].(string)
	s.mu.Lock()
	defer s.mu.Unlock()
	kind := "ADDED"
	if s.objects[resource] == nil {
		s.objects[resource] = map[string]map[string]any{}
	}
	if s.objects[resource][name] != nil {
		kind = "MODIFIED"
	}
	s.objects[resource][name] = object
	s.tell(kind, resource, object)
}

// putState stores all objects of a state of a story.
func (s *standIn) putState(state state) {
	for i := range others {
		for _, text := range state.lists(s.t)[others[i].id] {
			var object map[string]any
			if err := json.Unmarshal(text, &object); err != nil {
				s.t.Fatal(err)
			}
			s.put(others[i].name, object)
		}
	}
	s.put("rayjobs", state.Object)
}

func (s *standIn) remove(resource, name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	object := s.objects[resource][name]
	delete(s.objects[resource], name)
	s.tell("DELETED", resource, object)
}

func (s *standIn) tell(kind, resource string, object map[string]any) {
	s.version++
	metadata := object["metadata"].(map[string]any)
	metadata["resourceVersion"] = strconv.Itoa(s.version)
	labels, _ := metadata["labels"].(map[string]any)
	line, err := json.Marshal(map[string]any{"type": kind, "object": object})
	if err != nil {
		s.t.Error(err)
	}
	s.log = append(s.log, logged{s.version, resource, labels, line})
	close(s.news)
	s.news = make(chan struct{})
}

// selected evaluates the selectors that the source uses.
func selected(selector string, labels map[string]any) bool {
	for _, term := range strings.Split(selector, ",") {
		key, not := strings.CutPrefix(term, "!")
		if _, has := labels[key]; term != "" && has == not {
			return false
		}
	}
	return true
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
	if code := s.refuse[kind]; code != 0 && s.answers[strings.TrimPrefix(r.URL.Path, "/prefix/")] == "" || !strings.HasPrefix(r.URL.Path, "/prefix/api") {
		s.mu.Unlock()
		w.WriteHeader(max(code, http.StatusBadRequest))
		_ = json.NewEncoder(w).Encode(map[string]any{"kind": "Status", "code": code, "message": kind + " is refused"})
		return
	}
	if text, ok := s.answers[strings.TrimPrefix(r.URL.Path, "/prefix/")]; ok {
		s.queries[strings.TrimPrefix(r.URL.Path, "/prefix/")] = r.URL.Query()
		s.mu.Unlock()
		_, _ = w.Write([]byte(text))
		return
	}
	if r.URL.Query().Get("watch") == "true" {
		s.watches[kind]++
		cut := s.cut
		s.mu.Unlock()
		s.watch(w, r, kind, cut)
		return
	}
	defer s.mu.Unlock()
	items := []map[string]any{}
	s.lists[kind]++
	for _, o := range s.objects[kind] {
		labels, _ := o["metadata"].(map[string]any)["labels"].(map[string]any)
		if selected(r.URL.Query().Get("labelSelector"), labels) {
			items = append(items, o)
		}
	}
	_ = json.NewEncoder(w).Encode(map[string]any{"metadata": map[string]any{"resourceVersion": strconv.Itoa(s.version)}, "items": items})
}

func (s *standIn) watch(w http.ResponseWriter, r *http.Request, kind string, cut chan struct{}) {
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
			if l.version <= from {
				continue
			}
			if from = l.version; l.resource == kind && selected(r.URL.Query().Get("labelSelector"), l.labels) {
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
