package relay

import (
	"bytes"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/headwayhq/headway/services/relay/rayapi"
)

// agent answers as a dashboard with one node, whose agent reports these metrics.
type agent []byte

func (a agent) RoundTrip(req *http.Request) (*http.Response, error) {
	body := []byte(a)
	if req.URL.Path == "/api/prometheus/sd" {
		body = []byte(`[{"labels":{"job":"ray"},"targets":["192.0.2.2:8080"]}]`)
	}
	return &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(bytes.NewReader(body)), Header: http.Header{}, Request: req}, nil
}

// What real agents of Ray 2.60 reported: the count of all pulls since the start is none of pulls that wait. Of a store that work waits
// for, the lines are as Ray's source has them.
func TestMetricsOfNodes(t *testing.T) {
	read := func(name string) nodeMetrics {
		t.Helper()
		page, err := os.ReadFile(filepath.Join("testdata", "metrics", name+".txt"))
		if err != nil {
			t.Fatal(err)
		}
		api, err := rayapi.New(rayapi.Options{URL: "http://head:8265", Transport: agent(page)})
		if err != nil {
			t.Fatal(err)
		}
		m, err := (&cluster{api: api}).nodeMetrics(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	if m := read("store_in_use"); len(m.full) != 0 || len(m.inGet) != 0 || len(m.starts) != 0 {
		t.Errorf("80 of 100 MB are in use, and nothing waits: %+v", m)
	}
	if m := read("waits_for_itself"); len(m.full) != 0 || m.inGet["02000000"] != 1 {
		t.Errorf("one task is in ray.get: %+v", m)
	}
	m := read("store_full")
	if len(m.full) != 1 || m.full[0].Waiting != 2 || !strings.Contains(m.full[0].Detail, "are in use") || len(m.starts) != 1 || m.starts[0].Waiting != 7 {
		t.Errorf("two tasks wait for memory, and seven for worker processes: %+v", m)
	}
}
