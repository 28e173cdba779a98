package app_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/alecthomas/kong"

	"github.com/headwayhq/headway/pkg/headwaytest"
	"github.com/headwayhq/headway/services/headway/app"
)

// overTLS is a headway run that serves TLS, and its output.
type overTLS struct {
	base     string
	out, err shared
	stop     context.CancelFunc
	ended    chan error
}

func startOverTLS(t *testing.T, ca *headwaytest.CA) *overTLS {
	t.Helper()
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	cert, key := ca.Pair("server")
	r := app.Run{}
	parser, err := kong.New(&r, kong.Vars{"version": "", "data_dir": ""})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := parser.Parse([]string{"--demo", "--tls-cert-file", cert, "--tls-key-file", key, "--listen", "127.0.0.1:0", "--nats-listen", "127.0.0.1:0", "--data-dir", t.TempDir()}); err != nil {
		t.Fatal(err)
	}
	x := &overTLS{ended: make(chan error, 1)}
	r.Stdout, r.Stderr = &x.out, &x.err
	ctx, cancel := context.WithCancel(t.Context())
	x.stop = cancel
	t.Cleanup(cancel)
	go func() { x.ended <- r.Run(ctx) }()
	ready := regexp.MustCompile(`ready api=(https://\S+)`)
	eventually(t, 60*time.Second, "ready with https", func() error {
		if !ready.MatchString(x.out.String()) {
			return errors.New(x.out.String() + x.err.String())
		}
		return nil
	})
	x.base = ready.FindStringSubmatch(x.out.String())[1]
	return x
}

const changesPath = "/v1/health-events?from=2026-01-01T00:00:00Z"

// Over TLS every stream delivers, over HTTP/1.1 and HTTP/2; a client that has left is noticed; and the end of the program ends them.
func TestStreamsOverTLS(t *testing.T) {
	ca := headwaytest.NewCA(t)
	x := startOverTLS(t, ca)
	const batch = "/v1/analytics/performance/batches/tls/diagnostics"
	paths := []string{batch + "/stream", "/v1/batches/stream", changesPath}
	for proto, two := range map[string]bool{"HTTP/1.1": false, "HTTP/2.0": true} {
		transport := &http.Transport{TLSClientConfig: ca.Client(), ForceAttemptHTTP2: two}
		c := &http.Client{Transport: transport}
		defer transport.CloseIdleConnections()
		tier := strings.TrimSuffix(strings.TrimPrefix(proto, "HTTP/"), ".0")[:1]
		post(t, c, x.base, "tier", "tls", fmt.Sprintf(`{"tier_num":%s,"status":"FAILED"}`, tier))
		var links []string
		eventually(t, 30*time.Second, "an announcement", func() error {
			body := get(t, c, x.base+changesPath)
			links = regexp.MustCompile(`"link":"([^"]*tls/diagnostics)"`).FindAllString(body, -1)
			if len(links) == 0 {
				return errors.New(body)
			}
			return nil
		})
		if !strings.HasPrefix(links[0], `"link":"`+x.base) {
			t.Errorf("%s: the link of an announcement is %s", proto, links[0])
		}
		streamsDeliver(t, c, x, proto, paths)
	}
	endsWithProgram(t, ca, x, paths[:2])
}

func post(t *testing.T, c *http.Client, base, kind, batch, data string) {
	t.Helper()
	now := time.Now().UTC().Format(time.RFC3339Nano)
	body := fmt.Sprintf(`{"specversion":"1.0","id":%q,"source":"test","type":"dev.headway.%s.v1","subject":%q,"time":%q,"data":%s}`, kind+now, kind, batch, now, data)
	res, err := c.Post(base+"/v1/events", "application/cloudevents+json", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	told, _ := io.ReadAll(res.Body)
	_ = res.Body.Close()
	if res.StatusCode != http.StatusAccepted {
		t.Fatalf("POST: %d %s", res.StatusCode, told)
	}
}

func get(t *testing.T, c *http.Client, url string) string {
	t.Helper()
	res, err := c.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, _ := io.ReadAll(res.Body)
	return string(body)
}

// open reads a stream up to its first event.
func open(t *testing.T, c *http.Client, url, proto string) (*http.Response, *bufio.Reader) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Accept", "text/event-stream")
	res, err := c.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = res.Body.Close() })
	if res.Proto != proto || res.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s %d", url, res.Proto, res.StatusCode)
	}
	return res, bufio.NewReader(res.Body)
}

// read reads a stream up to a text.
func read(t *testing.T, in *bufio.Reader, what, want string) {
	t.Helper()
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			t.Fatalf("%s ended before %q: %v", what, want, err)
		}
		if strings.Contains(line, want) {
			return
		}
	}
}

// streams is how many streams are open.
func streams(t *testing.T, c *http.Client, base string) string {
	t.Helper()
	for line := range strings.Lines(get(t, c, base+"/metrics")) {
		if n, found := strings.CutPrefix(line, "headway_api_streams "); found {
			return strings.TrimSpace(n)
		}
	}
	return "none"
}

func streamsDeliver(t *testing.T, c *http.Client, x *overTLS, proto string, paths []string) {
	t.Helper()
	before := streams(t, c, x.base)
	var open3 []*http.Response
	for _, path := range paths {
		res, in := open(t, c, x.base+path, proto)
		read(t, in, path, "data: ")
		if path == paths[0] {
			name := "name over " + proto
			post(t, c, x.base, "batch", "tls", fmt.Sprintf(`{"status":"PROCESSING","name":%q}`, name))
			read(t, in, path, name)
		}
		open3 = append(open3, res)
	}
	if now := streams(t, c, x.base); now == before {
		t.Errorf("%s: the streams aren't counted: %s", proto, now)
	}
	for _, res := range open3 {
		_ = res.Body.Close()
	}
	eventually(t, 10*time.Second, proto+": the server notices that clients have left", func() error {
		if now := streams(t, c, x.base); now != before {
			return errors.New(now + ", before " + before)
		}
		return nil
	})
}

func endsWithProgram(t *testing.T, ca *headwaytest.CA, x *overTLS, paths []string) {
	t.Helper()
	var all []*bufio.Reader
	for proto, two := range map[string]bool{"HTTP/1.1": false, "HTTP/2.0": true} {
		transport := &http.Transport{TLSClientConfig: ca.Client(), ForceAttemptHTTP2: two}
		defer transport.CloseIdleConnections()
		for _, path := range paths {
			_, in := open(t, &http.Client{Transport: transport}, x.base+path, proto)
			read(t, in, path, "data: ")
			all = append(all, in)
		}
	}
	x.stop()
	for _, in := range all {
		if _, err := io.Copy(io.Discard, in); err != nil {
			t.Errorf("a stream was cut: %v", err)
		}
	}
	select {
	case err := <-x.ended:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(30 * time.Second):
		t.Fatal("the program doesn't end")
	}
}
