package app_test

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"go.yaml.in/yaml/v3"

	"github.com/headwayhq/headway/pkg/headwaytest"
	"github.com/headwayhq/headway/services/internal/program"
)

// scrape reads a program's metrics in the format that is asked for.
func scrape(p *program.Program, accept string) (kind, body string, err error) {
	req, err := http.NewRequest(http.MethodGet, "http://"+p.Addr()+"/metrics", nil)
	if err != nil {
		return "", "", err
	}
	req.Header.Set("Accept", accept)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", "", err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	return res.Header.Get("Content-Type"), string(b), err
}

func families(p *program.Program) (map[string]*dto.MetricFamily, error) {
	_, body, err := scrape(p, "")
	if err != nil {
		return nil, err
	}
	parser := expfmt.NewTextParser(model.UTF8Validation)
	return parser.TextToMetricFamilies(strings.NewReader(body))
}

// shape is the type and the labels of a metric in a table of the documentation.
func shape(f *dto.MetricFamily) string {
	labels := map[string]bool{}
	for _, m := range f.GetMetric() {
		for _, l := range m.GetLabel() {
			labels[l.GetName()] = true
		}
	}
	return strings.ToLower(f.GetType().String()) + " " + fmt.Sprint(slices.Sorted(maps.Keys(labels)))
}

var tableRow = regexp.MustCompile("(?m)^\\| `(headway_[a-z_]+)` \\| ([a-z]+) \\|([^|]*)\\| .+ \\|$")

// documented are the metrics of the table in docs/operations.md.
func documented(t *testing.T) map[string]string {
	t.Helper()
	page, err := os.ReadFile(filepath.Join("..", "..", "..", "docs", "operations.md"))
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	for _, m := range tableRow.FindAllStringSubmatch(string(page), -1) {
		labels := strings.FieldsFunc(m[3], func(r rune) bool { return strings.ContainsRune("`, ", r) })
		slices.Sort(labels)
		out[m[1]] = m[2] + " " + fmt.Sprint(labels)
	}
	return out
}

// fakeRay is a Ray cluster with one job.
func fakeRay(t *testing.T) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body := `{}`
		switch r.URL.Path {
		case "/api/version":
			body = `{"ray_version":"2.60.0","session_name":"s"}`
		case "/api/jobs/":
			body = fmt.Sprintf(`[{"type":"SUBMISSION","submission_id":"j","status":"RUNNING","start_time":%d,"metadata":{"headway.batch_id":"b","headway.tier":"0"}}]`, time.Now().UnixMilli())
		}
		_, _ = io.WriteString(w, body)
	}))
	t.Cleanup(s.Close)
	return s.URL
}

// The programs have exactly the metrics that docs/operations.md lists. promtool has no objections, and OpenMetrics is served to
// those who ask for it. The counts of two ingest processes add up to the total.
func TestMetrics(t *testing.T) {
	programs := everyProgram(t, headwaytest.NATS(t).URL(), headwaytest.RedisChild(t).URL(), "--ray", "c="+fakeRay(t))
	for name, p := range programs {
		eventually(t, 20*time.Second, name+" is ready", func() error { return p.Ready(t.Context()) })
	}
	table := documented(t)
	help := map[string]string{}
	eventually(t, 20*time.Second, "every metric that is listed is served", func() error {
		served := map[string]string{}
		partitions, batches := 0.0, 0.0
		for name, p := range programs {
			all, err := families(p)
			if err != nil {
				return err
			}
			for _, needed := range []string{"headway_build_info", "go_goroutines", "process_cpu_seconds_total"} {
				if all[needed] == nil {
					t.Fatalf("%s doesn't serve %s", name, needed)
				}
			}
			for metric, f := range all {
				if strings.HasPrefix(metric, "go_") || strings.HasPrefix(metric, "process_") {
					continue
				}
				if table[metric] == "" {
					t.Fatalf("docs/operations.md doesn't list %s of %s", metric, name)
				}
				if got := shape(f); got != table[metric] {
					t.Fatalf("%s serves %s as %s, docs/operations.md lists it as %s", name, metric, got, table[metric])
				}
				served[metric], help[metric] = name, f.GetHelp()
			}
			for _, m := range all["headway_batches"].GetMetric() {
				batches += m.GetGauge().GetValue()
			}
			for _, m := range all["headway_batches_partitions"].GetMetric() {
				partitions += m.GetGauge().GetValue()
			}
		}
		for metric := range table {
			if served[metric] == "" {
				return errors.New("nobody serves " + metric)
			}
		}
		if partitions != 32 || batches != 1 {
			return fmt.Errorf("%v batches in %v partitions are counted", batches, partitions)
		}
		return nil
	})
	for _, r := range alerts(t) {
		for _, m := range selector.FindAllStringSubmatch(r.Expr, -1) {
			if page := "docs/runbooks/" + r.Alert + ".md"; !strings.Contains(help[strings.TrimSuffix(m[1], "_bucket")], page) {
				t.Errorf("the help of %s doesn't name %s", m[1], page)
			}
		}
	}
	for name, p := range programs {
		_, body, err := scrape(p, "text/plain")
		if err != nil {
			t.Fatal(err)
		}
		problems, err := promlint.New(strings.NewReader(body)).Lint()
		if err != nil || len(problems) > 0 {
			t.Errorf("%s: %v %v", name, problems, err)
		}
		const openMetrics = "application/openmetrics-text"
		kind, body, err := scrape(p, openMetrics+"; version=1.0.0, text/plain; q=0.5")
		if err != nil || !strings.HasPrefix(kind, openMetrics) || !strings.HasSuffix(body, "# EOF\n") || !strings.Contains(body, "headway_build_info{") {
			t.Errorf("%s answers OpenMetrics with %s, %v\n%s", name, kind, err, body)
		}
	}
}

// runbook checks the page of an alert: the alert links to it, and it has the four sections and three commands that the shell understands.
func runbook(t *testing.T, alert, url string) {
	t.Helper()
	path := "docs/runbooks/" + alert + ".md"
	if !strings.HasSuffix(url, "/"+path) {
		t.Errorf("%s links to %q instead of %s", alert, url, path)
	}
	page, err := os.ReadFile(filepath.Join("..", "..", "..", filepath.FromSlash(path)))
	if err != nil {
		t.Error(err)
		return
	}
	m := regexp.MustCompile("(?s)^# " + alert + "\n\n## What it means\n\n.+\n\n## What users see\n\n.+\n\n## First three commands\n\n```sh\n(.+)```\n\n## How to end it\n\n.+$").FindSubmatch(page)
	if m == nil {
		t.Errorf("%s lacks a section", path)
		return
	}
	if n := strings.Count(string(m[1]), "\n"); n != 3 {
		t.Errorf("%s has %d commands", path, n)
	}
	check := exec.Command("bash", "-n")
	check.Stdin = strings.NewReader(string(m[1]))
	if out, err := check.CombinedOutput(); err != nil {
		t.Errorf("%s: %v\n%s", path, err, out)
	}
}

// rule of an alert.
type rule struct {
	Alert       string            `yaml:"alert"`
	Expr        string            `yaml:"expr"`
	For         string            `yaml:"for"`
	Labels      map[string]string `yaml:"labels"`
	Annotations map[string]string `yaml:"annotations"`
}

var (
	prometheusDir = filepath.Join("..", "..", "..", "deployments", "prometheus")
	selector      = regexp.MustCompile(`(headway_[a-z_]+)(?:\{([^}]*)\})?`)
)

// alerts are those of alerts.yaml.
func alerts(t *testing.T) (all []rule) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(prometheusDir, "alerts.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Groups []struct {
			Name  string `yaml:"name"`
			Rules []rule `yaml:"rules"`
		} `yaml:"groups"`
	}
	decoder := yaml.NewDecoder(strings.NewReader(string(text)))
	decoder.KnownFields(true)
	if err := decoder.Decode(&file); err != nil {
		t.Fatal(err)
	}
	for _, g := range file.Groups {
		all = append(all, g.Rules...)
	}
	return all
}

// The alerts are about metrics and labels that exist. Each has a runbook, and tests of when it fires.
func TestAlerts(t *testing.T) {
	tests, err := os.ReadFile(filepath.Join(prometheusDir, "alerts.test.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	closed := func(m []string) bool { return m[1] == "}" } // a test on one line expects no alert
	table := documented(t)
	label := regexp.MustCompile(`(?:^|,)([a-z_]+)[=!]~?`)
	rules := alerts(t)
	for _, r := range rules {
		if r.Alert == "" || r.Labels["severity"] == "" || r.Annotations["summary"] == "" || r.Annotations["description"] == "" {
			t.Errorf("%+v lacks something", r)
		}
		runbook(t, r.Alert, r.Annotations["runbook_url"])
		if tested := regexp.MustCompile(`(?m)alertname: `+r.Alert+`(\}?)$`).FindAllStringSubmatch(string(tests), -1); !slices.ContainsFunc(tested, closed) ||
			!slices.ContainsFunc(tested, func(m []string) bool { return !closed(m) }) {
			t.Errorf("alerts.test.yaml doesn't show both when %s fires and when it doesn't", r.Alert)
		}
		found := selector.FindAllStringSubmatch(r.Expr, -1)
		if len(found) == 0 {
			t.Errorf("%s is about no metric: %s", r.Alert, r.Expr)
		}
		for _, m := range found {
			if base, ok := strings.CutSuffix(m[1], "_bucket"); ok && strings.HasPrefix(table[base], "histogram ") {
				m[1] = base
			}
			if table[m[1]] == "" {
				t.Errorf("%s is about %s, which isn't served", r.Alert, m[1])
			}
			for _, l := range label.FindAllStringSubmatch(m[2], -1) {
				if !slices.Contains(strings.FieldsFunc(table[m[1]], func(c rune) bool { return strings.ContainsRune(" []", c) }), l[1]) {
					t.Errorf("%s is about the label %s, which %s doesn't have", r.Alert, l[1], m[1])
				}
			}
		}
	}
	if pages, err := filepath.Glob(filepath.Join("..", "..", "..", "docs", "runbooks", "*.md")); err != nil || len(rules) != len(pages) || len(pages) == 0 {
		t.Errorf("there are %d alerts and %d runbooks, %v", len(rules), len(pages), err)
	}
	promtool, err := exec.LookPath("promtool")
	if err != nil {
		t.Skip("SKIPPED: no promtool on this machine: whether the alerts fire is not tested")
	}
	for _, args := range [][]string{{"check", "rules", "alerts.yaml"}, {"test", "rules", "alerts.test.yaml"}} {
		cmd := exec.Command(promtool, args...)
		cmd.Dir = prometheusDir
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("promtool %v: %v\n%s", args, err, out)
		}
	}
}
