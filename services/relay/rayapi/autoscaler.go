package rayapi

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"net/url"
	"slices"
	"strings"
	"time"
)

// Autoscaler is the report of a cluster's autoscaler, of either version.
type Autoscaler struct {
	At        time.Time // time of the report; zero if the autoscaler doesn't report
	Launching []Launch
	Failures  []Failure
	// PendingTotal is the sum of what is being launched, by camelCased resource name. Only version 1 reports it.
	PendingTotal map[string]float64
	// UsageByNode is [used, total] by node id and camelCased resource name. Only version 1 reports it.
	UsageByNode map[string]map[string][2]float64
	// Usage of the whole cluster: [used, total].
	Usage map[string][2]float64
	// V2 tells that version 2 reports, whose word that a shape can't be met may also mean that no more nodes may be launched.
	V2 bool
	// Groups are the placement groups that wait. They name no job.
	Groups []GroupDemand
	// Demands are the unmet requests for resources. They name no job.
	Demands []Demand
}

// Demand is the number of requests for one shape.
type Demand struct {
	Shape   map[string]float64
	Count   int
	AtLeast bool // there may be more than Count
}

// GroupDemand is a waiting placement group, with the strategy, which the state API doesn't have.
type GroupDemand struct {
	Bundles  []map[string]float64
	Strategy string
}

// Launch is a number of nodes of one type that are being launched.
type Launch struct {
	Type  string
	Count int
	Up    int // of Count, those whose machine exists and that haven't joined Ray yet
	// Machines are the addresses or ids of those that are up, sorted.
	Machines []string
}

// Failure is a node type that could not be launched.
type Failure struct {
	Type     string
	Category string // version 1: the provider's category; version 2: LaunchFailed
	Detail   string // version 1 only
	At       time.Time
}

// Autoscaler requests the status: as JSON, which version 1 fills, else as text, which both versions provide.
func (c *Client) Autoscaler(ctx context.Context, now time.Time) (Autoscaler, error) {
	var answer struct {
		Data struct {
			Status json.RawMessage `json:"clusterStatus"`
		} `json:"data"`
	}
	if err := c.getJSON(ctx, "/api/cluster_status", nil, &answer); err != nil {
		return Autoscaler{}, err
	}
	if s := answer.Data.Status; len(s) > 0 && string(s) != "null" {
		return decodeStatus(s)
	}
	var text struct {
		Data struct {
			Status string `json:"clusterStatus"`
		} `json:"data"`
	}
	if err := c.getJSON(ctx, "/api/cluster_status", url.Values{"format": {"1"}}, &text); err != nil {
		return Autoscaler{}, err
	}
	return parseStatus(text.Data.Status, now), nil
}

// decodeStatus reads the status of version 1. The dashboard camelCases the keys of its objects.
func decodeStatus(b []byte) (Autoscaler, error) {
	var s struct {
		Time   float64 `json:"time"`
		Report struct {
			PendingLaunches map[string]int     `json:"pendingLaunches"`
			PendingNodes    [][]string         `json:"pendingNodes"` // [id, type, state]
			Pending         map[string]float64 `json:"pendingResources"`
			Summary         struct {
				Nodes map[string]struct {
					Type    string  `json:"nodeType"`
					Checked float64 `json:"lastCheckedTimestamp"`
					Why     *struct {
						Category    string `json:"category"`
						Description string `json:"description"`
					} `json:"unavailableNodeInformation"`
				} `json:"nodeAvailabilities"`
			} `json:"nodeAvailabilitySummary"`
		} `json:"autoscalerReport"`
		Load struct {
			Usage  map[string][2]float64            `json:"usage"`
			ByNode map[string]map[string][2]float64 `json:"usageByNode"`
			Demand [][]json.RawMessage              `json:"resourceDemand"` // [shape, count]
			Groups [][]json.RawMessage              `json:"pgDemand"`       // [{bundles: [[shape, count]], strategy}, count]
		} `json:"loadMetricsReport"`
	}
	if err := json.Unmarshal(b, &s); err != nil {
		return Autoscaler{}, errors.New("rayapi: the autoscaler's status can't be read: " + err.Error())
	}
	a := Autoscaler{At: seconds(s.Time), PendingTotal: s.Report.Pending, Usage: s.Load.Usage, UsageByNode: s.Load.ByNode}
	for _, d := range s.Load.Demand {
		demand := Demand{}
		if len(d) == 2 && json.Unmarshal(d[0], &demand.Shape) == nil && json.Unmarshal(d[1], &demand.Count) == nil {
			a.Demands = append(a.Demands, demand)
		}
	}
	for _, g := range s.Load.Groups {
		var group struct {
			Bundles  [][]json.RawMessage `json:"bundles"`
			Strategy string              `json:"strategy"`
		}
		if len(g) == 0 || json.Unmarshal(g[0], &group) != nil {
			continue
		}
		demand := GroupDemand{Strategy: group.Strategy}
		for _, b := range group.Bundles {
			demand.add(b)
		}
		a.Groups = append(a.Groups, demand)
	}
	for t, n := range s.Report.PendingLaunches {
		a.launching(Camel(t), n)
	}
	for _, n := range s.Report.PendingNodes {
		if len(n) > 1 {
			a.launching(Camel(n[1]), 1, n[0])
		}
	}
	for key, n := range s.Report.Summary.Nodes {
		if n.Why != nil {
			a.Failures = append(a.Failures, Failure{cmp.Or(n.Type, key), n.Why.Category, n.Why.Description, seconds(n.Checked)})
		}
	}
	a.sort()
	return a, nil
}

// bundlesKept is how many bundles of one group are told apart.
const bundlesKept = 1000

// add adds a number of bundles of one shape, given as [shape, count].
func (g *GroupDemand) add(b []json.RawMessage) {
	var shape map[string]float64
	n := 0
	if len(b) == 2 && json.Unmarshal(b[0], &shape) == nil && json.Unmarshal(b[1], &n) == nil {
		for range min(n, bundlesKept-len(g.Bundles)) {
			g.Bundles = append(g.Bundles, shape)
		}
	}
}

func (a *Autoscaler) sort() {
	for i := range a.Launching {
		slices.Sort(a.Launching[i].Machines)
	}
	slices.SortFunc(a.Launching, func(a, b Launch) int { return cmp.Compare(a.Type, b.Type) })
	slices.SortFunc(a.Failures, func(a, b Failure) int { return cmp.Or(a.At.Compare(b.At), cmp.Compare(a.Type, b.Type)) })
}

// Camel converts a name as the dashboard does for the keys of its JSON: gpu_workers becomes gpuWorkers.
func Camel(s string) string {
	parts := strings.Split(s, "_")
	for i, p := range parts {
		if i > 0 && p != "" {
			parts[i] = strings.ToUpper(p[:1]) + p[1:]
		}
	}
	return strings.Join(parts, "")
}
