package rayapi

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

// Metric is one value that a node's agent reports.
type Metric struct {
	Name   string
	Labels map[string]string
	Value  float64
}

// MetricAddresses requests the addresses, host:port, at which the nodes' agents report metrics. The last ones are those of the
// dashboard and the autoscaler.
func (c *Client) MetricAddresses(ctx context.Context) (out []string, err error) {
	var groups []struct {
		Targets []string `json:"targets"`
	}
	if err := c.getJSON(ctx, "/api/prometheus/sd", nil, &groups); err != nil {
		return nil, err
	}
	for _, g := range groups {
		out = append(out, g.Targets...)
	}
	return out, nil
}

// Metrics requests the metrics of these names from an agent. The cluster's token isn't sent to it.
func (c *Client) Metrics(ctx context.Context, address string, names ...string) ([]Metric, error) {
	agent := *c
	agent.base, agent.token = &url.URL{Scheme: "http", Host: address}, ""
	body, err := agent.fetch(ctx, http.MethodGet, "/metrics", nil, "text/plain")
	if err != nil {
		return nil, err
	}
	return parseMetrics(body, names), nil
}

// parseMetrics reads the lines of Prometheus' text format that begin with one of the names.
func parseMetrics(body []byte, names []string) (out []Metric) {
	lines := bufio.NewScanner(bytes.NewReader(body))
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		line := lines.Text()
		for _, name := range names {
			if rest, ok := strings.CutPrefix(line, name); ok && strings.HasPrefix(rest, "{") {
				if m, err := parseMetric(name, rest); err == nil {
					out = append(out, m)
				}
			}
		}
	}
	return out
}

// parseMetric reads what follows a name: {label="value",…} 1.5.
func parseMetric(name, rest string) (Metric, error) {
	m := Metric{Name: name, Labels: map[string]string{}}
	rest = strings.TrimPrefix(rest, "{")
	for !strings.HasPrefix(rest, "}") {
		key, after, ok := strings.Cut(rest, "=")
		if !ok {
			return m, fmt.Errorf("rayapi: metric %s: a label has no value", name)
		}
		quoted, err := strconv.QuotedPrefix(after)
		if err != nil {
			return m, fmt.Errorf("rayapi: metric %s: %w", name, err)
		}
		value, err := strconv.Unquote(quoted)
		if err != nil {
			return m, fmt.Errorf("rayapi: metric %s: %w", name, err)
		}
		m.Labels[key] = value
		rest = strings.TrimPrefix(after[len(quoted):], ",")
	}
	fields := strings.Fields(rest[1:])
	if len(fields) == 0 {
		return m, fmt.Errorf("rayapi: metric %s has no value", name)
	}
	n, err := strconv.ParseFloat(fields[0], 64)
	if err != nil {
		return m, fmt.Errorf("rayapi: metric %s: %w", name, err)
	}
	m.Value = n
	return m, nil
}
