package app_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

var update = flag.Bool("update", false, "write the dashboards of deployments/grafana")

// board is a dashboard in the table of deployments/grafana/dashboards.yaml.
type board struct {
	File       string `yaml:"file"`
	Title      string `yaml:"title"`
	About      string `yaml:"about"`
	Namespaces bool   `yaml:"namespaces"` // whether its reader chooses namespaces
	Rows       []struct {
		Title  string  `yaml:"title"`
		Panels []panel `yaml:"panels"`
	} `yaml:"rows"`
}

type panel struct {
	Title  string   `yaml:"title"`
	About  string   `yaml:"about"`
	Kind   string   `yaml:"kind"` // "stat"; a time series otherwise
	Unit   string   `yaml:"unit"` // one of Grafana's
	Query  string   `yaml:"query"`
	Legend string   `yaml:"legend"`
	Stack  bool     `yaml:"stack"`
	Alert  string   `yaml:"alert"` // whose page it links to
	Warn   *float64 `yaml:"warn"`  // from where on a stat is orange
	Bad    *float64 `yaml:"bad"`   // and red
}

type object = map[string]any

// dashboard is what Grafana reads.
func (b *board) dashboard() object {
	source := object{"type": "prometheus", "uid": "${source}"}
	var panels []object
	y := 0
	for _, row := range b.Rows {
		panels = append(panels, object{"id": len(panels) + 1, "type": "row", "title": row.Title, "gridPos": object{"x": 0, "y": y, "w": 24, "h": 1}})
		y++
		x, height := 0, 0
		for i := range row.Panels {
			p := &row.Panels[i]
			width, tall := 8, 8
			if p.Kind == "stat" {
				width, tall = 4, 4
			}
			if x+width > 24 {
				x, y, height = 0, y+height, 0
			}
			panels = append(panels, p.panel(len(panels)+1, source, object{"x": x, "y": y, "w": width, "h": tall}))
			x, height = x+width, max(height, tall)
		}
		y += height
	}
	variables := []object{{"name": "source", "label": "Prometheus", "type": "datasource", "query": "prometheus"}}
	if b.Namespaces {
		const names = "label_values(headway_batches, namespace)"
		variables = append(variables, object{
			"name": "namespace", "label": "Namespace", "type": "query", "datasource": source, "definition": names,
			"query": object{"query": names, "refId": "namespaces"}, "refresh": 2, "sort": 1, "multi": true, "includeAll": true, "allValue": ".*", "current": object{"text": "All", "value": "$__all"},
		})
	}
	return object{
		"uid": "headway-" + b.File, "title": b.Title, "description": b.About, "tags": []string{"headway"}, "schemaVersion": 39, "editable": true,
		"time": object{"from": "now-6h", "to": "now"}, "refresh": "30s", "graphTooltip": 1,
		"templating": object{"list": variables}, "panels": panels,
	}
}

func (p *panel) panel(id int, source, at object) object {
	steps := []object{{"color": "green", "value": nil}}
	if p.Warn != nil {
		steps = append(steps, object{"color": "orange", "value": *p.Warn})
	}
	if p.Bad != nil {
		steps = append(steps, object{"color": "red", "value": *p.Bad})
	}
	custom := object{}
	if p.Stack {
		custom = object{"stacking": object{"mode": "normal"}, "fillOpacity": 30}
	}
	kind, options := "timeseries", object{"tooltip": object{"mode": "multi", "sort": "desc"}}
	if p.Kind == "stat" {
		kind, options = "stat", object{"reduceOptions": object{"calcs": []string{"lastNotNull"}}, "colorMode": "value", "graphMode": "area"}
	}
	out := object{
		"id": id, "type": kind, "title": p.Title, "description": p.About, "datasource": source, "gridPos": at, "options": options,
		"fieldConfig": object{"defaults": object{"unit": p.Unit, "min": 0, "custom": custom, "thresholds": object{"mode": "absolute", "steps": steps}}, "overrides": []any{}},
		"targets":     []object{{"refId": "A", "datasource": source, "expr": p.Query, "legendFormat": p.Legend, "instant": p.Kind == "stat", "range": p.Kind != "stat"}},
	}
	if p.Alert != "" {
		out["links"] = []object{{"title": "What to do", "url": "https://github.com/headwayhq/headway/blob/main/docs/runbooks/" + p.Alert + ".md", "targetBlank": true}}
	}
	return out
}

// asksFor checks that a query is about metrics and labels that exist, and that it takes the rate of counters alone. TestMetrics shows
// that the programs serve what the table has.
func (p *panel) asksFor(t *testing.T, table map[string]string) {
	t.Helper()
	found := regexp.MustCompile(`\b(headway_[a-z_]+)(?:\{([^}]*)\})?(\[)?`).FindAllStringSubmatch(p.Query, -1)
	if len(found) == 0 {
		t.Errorf("%s: no metric of Headway in %s", p.Title, p.Query)
	}
	known := []string{"le", "job", "instance"}
	for _, m := range found {
		name := m[1]
		if base, ok := strings.CutSuffix(name, "_bucket"); ok && strings.HasPrefix(table[base], "histogram ") {
			name = base
		}
		kind, labels, _ := strings.Cut(table[name], " ")
		if kind == "" {
			t.Errorf("%s: %s isn't served", p.Title, m[1])
		}
		if counts := kind == "counter" || kind == "histogram"; counts != (m[3] != "") {
			t.Errorf("%s: %s is a %s", p.Title, m[1], kind)
		}
		has := strings.Fields(strings.Trim(labels, "[]"))
		for _, l := range regexp.MustCompile(`([a-z_]+)[=!]~?"`).FindAllStringSubmatch(m[2], -1) {
			if !slices.Contains(has, l[1]) {
				t.Errorf("%s: %s has no label %s", p.Title, m[1], l[1])
			}
		}
		known = append(known, has...)
	}
	for _, by := range regexp.MustCompile(`\b(?:by|on) \(([^)]*)\)|\{\{([a-z_]+)\}\}`).FindAllStringSubmatch(p.Query+p.Legend, -1) {
		for l := range strings.SplitSeq(by[1]+by[2], ",") {
			if l = strings.TrimSpace(l); !slices.Contains(known, l) {
				t.Errorf("%s: nothing in it has the label %s", p.Title, l)
			}
		}
	}
}

// The dashboards are those of the table. Their queries are about what is served, and Prometheus understands them.
func TestDashboards(t *testing.T) {
	dir := filepath.Join("..", "..", "..", "deployments", "grafana")
	text, err := os.ReadFile(filepath.Join(dir, "dashboards.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var boards []board
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	decoder.KnownFields(true)
	if err := decoder.Decode(&boards); err != nil {
		t.Fatal(err)
	}
	table := documented(t)
	var pages []string
	for _, a := range alerts(t) {
		pages = append(pages, a.Alert)
	}
	var rules []object // a way to let promtool parse queries
	for i := range boards {
		b := &boards[i]
		for _, row := range b.Rows {
			for i := range row.Panels {
				p := &row.Panels[i]
				p.asksFor(t, table)
				if p.Alert != "" && !slices.Contains(pages, p.Alert) {
					t.Errorf("%s: there is no alert %s", p.Title, p.Alert)
				}
				rules = append(rules, object{"record": "query", "labels": object{"of": b.File + " " + p.Title + " " + p.Kind}, "expr": strings.NewReplacer("$__rate_interval", "1m", "$namespace", ".*").Replace(p.Query)})
			}
		}
		want, err := json.MarshalIndent(b.dashboard(), "", "  ")
		if err != nil {
			t.Fatal(err)
		}
		want = append(want, '\n')
		file := filepath.Join(dir, b.File+".json")
		if *update {
			if err := os.WriteFile(file, want, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if have, err := os.ReadFile(file); err != nil || !bytes.Equal(have, want) {
			t.Errorf("%s isn't what dashboards.yaml says (%v): go test ./services/headway/app -run TestDashboards -update", file, err)
		}
	}
	if files, err := filepath.Glob(filepath.Join(dir, "*.json")); err != nil || len(files) != len(boards) || len(boards) == 0 {
		t.Errorf("%v for %d dashboards, %v", files, len(boards), err)
	}
	promtool, err := exec.LookPath("promtool")
	if err != nil {
		t.Skip("SKIPPED: no promtool on this machine: whether Prometheus understands the queries is not tested")
	}
	all, err := yaml.Marshal(object{"groups": []object{{"name": "queries", "rules": rules}}})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "queries.yaml")
	if err := os.WriteFile(file, all, 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(promtool, "check", "rules", file).CombinedOutput(); err != nil {
		t.Errorf("promtool: %v\n%s", err, out)
	}
}
