package e2e

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	gosse "github.com/tmaxmax/go-sse"
)

// sseEvent is one event as a client that isn't ours has read it.
type sseEvent struct {
	ID    string `json:"id"`
	Event string `json:"event"`
	Data  string `json:"data"`
}

// listener is a standard SSE client: it sends the events that it reads to a channel, and closes the channel at the end.
type listener func(ctx context.Context, t *testing.T, url, lastID string) <-chan sseEvent

// TestStandardClients shows that clients of server-sent events that know nothing of Headway get a snapshot, an
// update with its id, resume from it, and the end, and take no heartbeat for an event. The browser's is tested with the
// client in TypeScript.
func TestStandardClients(t *testing.T) {
	t.Parallel()
	r := runHeadway(t, headway(t), t.TempDir(), "--heartbeat", "100ms")
	python := sync.OnceValue(func() string { return inPython(t) })
	for _, c := range []struct {
		name    string
		needs   func(*testing.T) listener
		resumes bool // by itself
	}{
		{"curl", curl, false},
		{"go-sse", func(*testing.T) listener { return goSSE }, true},
		{"r3labs", r3labs, false},
		{"eventsource", npmEventSource, true},
		{"sseclient-py", func(t *testing.T) listener { return readsInPython(t, python(), "sseclient-py") }, false},
		{"httpx-sse", func(t *testing.T) listener { return readsInPython(t, python(), "httpx-sse") }, false},
		{"aiohttp-sse-client", func(t *testing.T) listener { return readsInPython(t, python(), "aiohttp-sse-client") }, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := &session{t: t, r: r, batch: c.name, listen: c.needs(t)}
			s.proxy(r.api)
			s.run(c.resumes)
		})
	}
}

// session takes one client through the life of a batch.
type session struct {
	t       *testing.T
	r       *running
	batch   string
	listen  listener
	front   *httptest.Server
	streams atomic.Int64
	beats   atomic.Int64
}

// proxy is between client and server, so that a connection can be cut and counted.
func (s *session) proxy(api string) {
	to, err := url.Parse(api)
	if err != nil {
		s.t.Fatal(err)
	}
	p := httputil.NewSingleHostReverseProxy(to)
	p.FlushInterval = -1
	p.ErrorLog = nil
	p.ModifyResponse = func(r *http.Response) error {
		s.streams.Add(1) // by now it is subscribed
		r.Body = &beats{r.Body, &s.beats}
		return nil
	}
	s.front = httptest.NewServer(p)
	s.t.Cleanup(s.front.Close)
}

// beats counts the heartbeats of a stream, each of which is written by itself.
type beats struct {
	io.ReadCloser
	n *atomic.Int64
}

func (b *beats) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if string(p[:n]) == ":\n" {
		b.n.Add(1)
	}
	return n, err
}

// quiet waits until the stream has carried three heartbeats more, and nothing else.
func (s *session) quiet() {
	s.t.Helper()
	before := s.beats.Load()
	eventually(s.t, 20*time.Second, "heartbeats", func() error {
		if n := s.beats.Load() - before; n < 3 {
			return fmt.Errorf("%d", n)
		}
		return nil
	})
}

func (s *session) say(kind, data string) {
	s.t.Helper()
	code, answer := s.r.post("application/json", data, map[string]string{
		"ce-specversion": "1.0", "ce-id": data, "ce-source": "test", "ce-type": "dev.headway." + kind + ".v1", "ce-subject": s.batch,
		"ce-time": time.Now().UTC().Format(time.RFC3339Nano),
	})
	if code != http.StatusAccepted {
		s.t.Fatalf("%d %s", code, answer)
	}
}

func (s *session) progress(n int) {
	s.t.Helper()
	s.say("tier", fmt.Sprintf(`{"tier_num":0,"processed_documents":%d,"total_documents":10}`, n))
}

func (s *session) run(resumes bool) {
	t := s.t
	s.say("batch", `{"status":"PROCESSING","total_tiers":1}`)
	s.r.shows(s.batch, "status", "PROCESSING")
	events, stop := s.connect("")
	s.next(events, "snapshot", 0)
	s.quiet()
	s.progress(3)
	last := s.next(events, "update", 3)
	s.quiet()

	seen := s.streams.Load()
	if resumes {
		s.front.CloseClientConnections()
	} else {
		stop()
		events, stop = s.connect(last.ID)
	}
	eventually(t, 20*time.Second, "another connection", func() error {
		if s.streams.Load() == seen {
			return errors.New("none yet")
		}
		return nil
	})
	s.progress(5)
	if next := s.next(events, "update", 5); next.ID == last.ID || next.ID == "" {
		t.Errorf("the id of an update is %q, after %q", next.ID, last.ID)
	}
	s.say("batch", `{"status":"COMPLETED"}`)
	end := s.next(events, "end", 5)
	stop()
	events, _ = s.connect(end.ID)
	select {
	case e, more := <-events:
		if more {
			t.Errorf("after the end: %+v", e)
		}
	case <-time.After(20 * time.Second):
		t.Error("the client didn't stop at 204")
	}
}

// connect starts the client; stop ends it, and waits until it has.
func (s *session) connect(lastID string) (events <-chan sseEvent, stop func()) {
	s.t.Helper()
	ctx, cancel := context.WithCancel(s.t.Context())
	events = s.listen(ctx, s.t, s.front.URL+"/v1/analytics/performance/batches/"+s.batch+"/diagnostics/stream", lastID)
	stop = func() {
		cancel()
		for range events { // what it had heard before
		}
	}
	s.t.Cleanup(stop)
	return events, stop
}

// next is the next event that shows so many documents processed; it must be of the kind that is wanted, with the id of
// what it carries.
func (s *session) next(events <-chan sseEvent, kind string, processed int) sseEvent {
	s.t.Helper()
	for {
		select {
		case <-time.After(20 * time.Second):
			s.t.Fatalf("no %s", kind)
		case e, open := <-events:
			if !open {
				s.t.Fatalf("it ended before %s", kind)
			}
			var state struct {
				View  struct{ ID string }
				Tiers []struct {
					Progress *struct {
						Processed int `json:"processed_documents"`
					}
				}
			}
			if err := json.Unmarshal([]byte(e.Data), &state); err != nil {
				s.t.Fatalf("%s: %v", e.Event, err)
			}
			if id, tag, _ := strings.Cut(e.ID, "."); id == "" || id != state.View.ID || tag == "" {
				s.t.Errorf("%s has the id %q and shows %q", e.Event, e.ID, state.View.ID)
			}
			shown := 0
			if len(state.Tiers) > 0 && state.Tiers[0].Progress != nil {
				shown = state.Tiers[0].Progress.Processed
			}
			switch {
			case (e.Event == kind || kind == "update" && e.Event == "health") && shown == processed:
				return e
			case e.Event == "health", kind == "end" && e.Event == "update": // of its own accord
			default:
				s.t.Fatalf("got %s at %d, want %s at %d", e.Event, shown, kind, processed)
			}
		}
	}
}

func curl(t *testing.T) listener {
	t.Helper()
	path, err := exec.LookPath("curl")
	if err != nil {
		t.Skip("NOTE: no curl on this machine")
	}
	return func(ctx context.Context, t *testing.T, url, lastID string) <-chan sseEvent {
		t.Helper()
		args := []string{"-sSN", url}
		if lastID != "" {
			args = append(args, "-H", "Last-Event-ID: "+lastID)
		}
		return child(t, exec.CommandContext(ctx, path, args...), func(out io.Reader, to chan<- sseEvent) {
			var e sseEvent // as anyone reads it who pipes curl into a loop over lines
			lines := bufio.NewScanner(out)
			lines.Buffer(nil, 1<<20)
			for lines.Scan() {
				field, value, _ := strings.Cut(lines.Text(), ": ")
				switch field {
				case "id":
					e.ID = value
				case "event":
					e.Event = value
				case "data":
					e.Data = value
				case "":
					if e.Data != "" {
						to <- e
					}
					e = sseEvent{}
				}
			}
		})
	}
}

// goSSE keeps its own connection, and makes it again by itself.
func goSSE(ctx context.Context, t *testing.T, url, lastID string) <-chan sseEvent {
	t.Helper()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	if lastID != "" {
		request.Header.Set("Last-Event-ID", lastID)
	}
	to := make(chan sseEvent, 64)
	connection := gosse.NewConnection(request)
	for _, name := range []string{"snapshot", "update", "health", "end"} {
		connection.SubscribeEvent(name, func(e gosse.Event) { to <- sseEvent{e.LastEventID, e.Type, e.Data} })
	}
	go func() {
		defer close(to)
		_ = connection.Connect() // it ends with the context, or at 204
	}()
	return to
}

func r3labs(t *testing.T) listener {
	t.Helper()
	path := filepath.Join(t.TempDir(), "r3labs")
	build := exec.Command("go", "build", "-o", path, ".")
	build.Dir, build.Env = "testdata/readers/r3labs", append(os.Environ(), "GOWORK=off")
	if out, err := build.CombinedOutput(); err != nil {
		t.Skipf("NOTE: r3labs/sse can't be had: %v %s", err, out)
	}
	return func(ctx context.Context, t *testing.T, url, lastID string) <-chan sseEvent {
		t.Helper()
		return child(t, exec.CommandContext(ctx, path, url, lastID), readJSON)
	}
}

// npmEventSource keeps its own connection, and makes it again by itself.
func npmEventSource(t *testing.T) listener {
	t.Helper()
	dir := t.TempDir()
	for _, name := range []string{"package.json", "listen.mjs"} {
		text, err := os.ReadFile(filepath.Join("testdata/readers", name))
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, name), text, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	install := exec.Command("npm", "install", "--no-audit", "--no-fund", "--no-package-lock")
	install.Dir = dir
	if out, err := install.CombinedOutput(); err != nil {
		t.Skipf("NOTE: no npm, or no package index for it: %v %s", err, out)
	}
	return func(ctx context.Context, t *testing.T, url, lastID string) <-chan sseEvent {
		t.Helper()
		return child(t, exec.CommandContext(ctx, "node", filepath.Join(dir, "listen.mjs"), url, lastID), readJSON)
	}
}

// inPython returns an interpreter in which the readers are installed.
func inPython(t *testing.T) string {
	t.Helper()
	venv := filepath.Join(t.TempDir(), "venv")
	if out, err := exec.Command("python3", "-m", "venv", venv).CombinedOutput(); err != nil {
		t.Logf("NOTE: no Python with venv: %v %s", err, out)
		return ""
	}
	pip := exec.Command(filepath.Join(venv, "bin", "pip"), "install", "-q", "--disable-pip-version-check", "-r", "testdata/readers/requirements.txt")
	if out, err := pip.CombinedOutput(); err != nil {
		t.Logf("NOTE: no package index for Python: %v %s", err, out)
		return ""
	}
	return filepath.Join(venv, "bin", "python")
}

func readsInPython(t *testing.T, python, reader string) listener {
	t.Helper()
	if python == "" {
		t.Skip("NOTE: no Python with this reader")
	}
	return func(ctx context.Context, t *testing.T, url, lastID string) <-chan sseEvent {
		t.Helper()
		return child(t, exec.CommandContext(ctx, python, "testdata/readers/listen.py", reader, url, lastID), readJSON)
	}
}

// readJSON reads what a reader of testdata/readers prints.
func readJSON(out io.Reader, to chan<- sseEvent) {
	for from := json.NewDecoder(out); ; {
		var e sseEvent
		if from.Decode(&e) != nil {
			return
		}
		to <- e
	}
}

// child runs a client that writes what it hears.
func child(t *testing.T, cmd *exec.Cmd, read func(io.Reader, chan<- sseEvent)) <-chan sseEvent {
	t.Helper()
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	to := make(chan sseEvent, 64)
	go func() {
		defer close(to)
		read(out, to)
		_ = cmd.Wait() // stopped by us, or at its end
	}()
	return to
}
