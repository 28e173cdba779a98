package rayapi

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// Word is a report of the autoscaler that no node type can fulfill shapes.
type Word struct {
	At     time.Time
	Shapes []map[string]float64
	Detail string // for placement groups, if it gives no shapes
}

// Kill is a report that a node's memory monitor killed workers.
type Kill struct {
	At     time.Time
	Node   string
	Jobs   []string // job ids of the tasks that were killed, one for each
	Detail string   // the first sentences of the report
}

// Events are the reports of a cluster that concern waits and failures.
type Events struct {
	Words    []Word
	Kills    []Kill
	Failures []Failure // launches that failed; only these tell of a provider that raises an error of no kind that Ray knows
}

// Events requests the reports so far of the cluster, without those of single jobs.
func (c *Client) Events(ctx context.Context) (out Events, err error) {
	var answer struct {
		Data struct {
			Events json.RawMessage `json:"events"`
		} `json:"data"`
	}
	if err := c.getJSON(ctx, "/events", url.Values{"job_id": {"global"}}, &answer); err != nil {
		return out, err
	}
	var events []clusterEvent
	if json.Unmarshal(answer.Data.Events, &events) != nil {
		var byJob map[string][]clusterEvent // a dashboard that doesn't filter
		if err := json.Unmarshal(answer.Data.Events, &byJob); err != nil {
			return out, fmt.Errorf("rayapi: /events: %w", err)
		}
		for _, of := range byJob {
			events = append(events, of...)
		}
	}
	for _, e := range events {
		switch {
		case e.Source == "AUTOSCALER" && strings.Contains(e.Message, infeasibleWords):
			w := Word{At: seconds(float64(e.Timestamp)), Shapes: shapes(e.Message)}
			if strings.Contains(e.Message, "placement group") {
				w.Detail = e.Message
			}
			out.Words = append(out.Words, w)
		case e.Source == "AUTOSCALER" && strings.HasPrefix(e.Message, failedLaunch):
			if m := launchFailed.FindStringSubmatch(e.Message); m != nil {
				out.Failures = append(out.Failures, Failure{Type: m[1], Category: cmp.Or(m[2], "LaunchFailed"), Detail: m[3], At: seconds(float64(e.Timestamp))})
			}
		case e.Source == "RAYLET" && e.Label == "Out of Memory":
			k := Kill{At: seconds(float64(e.Timestamp)), Node: e.Custom["nodeId"], Detail: firstLine(e.Message)}
			_, killed, _ := strings.Cut(e.Message, "Selected to kill:")
			killed, _, _ = strings.Cut(killed, "\n]")
			for _, m := range killedJob.FindAllStringSubmatch(killed, -1) {
				k.Jobs = append(k.Jobs, m[1])
			}
			out.Kills = append(out.Kills, k)
		}
	}
	return out, nil
}

type clusterEvent struct {
	Source    string            `json:"sourceType"`
	Label     string            `json:"label"`
	Message   string            `json:"message"`
	Timestamp flexible          `json:"timestamp"`
	Custom    map[string]string `json:"customFields"`
}

var killedJob = regexp.MustCompile(`job ID=([0-9a-f]{8})`)

func firstLine(s string) string {
	s, _, _ = strings.Cut(s, "\n")
	return s
}

// infeasibleWords starts the line in both versions:
//
//	Error: No available node types can fulfill resource request {'GPU': 8.0}. Add suitable …
//	No available node types can fulfill resource requests {'GPU': 8.0}*1, {'CPU': 64.0}*2. Add suitable …
const infeasibleWords = "No available node types can fulfill"

// failedLaunch starts the line of version 1 about launches that failed:
//
//	Failed to launch 2 node(s) of type gpu_workers. (InsufficientInstanceCapacity): no stock
const failedLaunch = "Failed to launch "

var launchFailed = regexp.MustCompile(`^Failed to launch \d+ node\(s\) of type (\S+?)\.(?: \(([^)]*)\): (.*))?$`)

var (
	wordShape = regexp.MustCompile(`\{([^{}]*)\}`)
	wordEntry = regexp.MustCompile(`'([^']+)':\s*([0-9.eE+-]+)`)
)

// shapes parses Python's notation of dicts of numbers.
func shapes(message string) (out []map[string]float64) {
	for _, m := range wordShape.FindAllStringSubmatch(message, -1) {
		shape := map[string]float64{}
		for _, e := range wordEntry.FindAllStringSubmatch(m[1], -1) {
			if n, err := strconv.ParseFloat(e[2], 64); err == nil {
				shape[e[1]] = n
			}
		}
		if len(shape) > 0 {
			out = append(out, shape)
		}
	}
	return out
}

// flexible is a number that may be encoded as a string.
type flexible float64

// UnmarshalJSON accepts 12, "12" and null.
func (f *flexible) UnmarshalJSON(b []byte) error {
	n, err := strconv.ParseFloat(strings.Trim(string(b), `"`), 64)
	if err == nil {
		*f = flexible(n)
	}
	return nil
}
