package rayapi

import (
	"context"
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

// Infeasible requests all reports of infeasible shapes so far.
func (c *Client) Infeasible(ctx context.Context) ([]Word, error) {
	var answer struct {
		Data struct {
			Events map[string][]struct {
				Source    string   `json:"sourceType"`
				Message   string   `json:"message"`
				Timestamp flexible `json:"timestamp"`
			} `json:"events"`
		} `json:"data"`
	}
	if err := c.getJSON(ctx, "/events", nil, &answer); err != nil {
		return nil, err
	}
	var out []Word
	for _, events := range answer.Data.Events {
		for _, e := range events {
			if e.Source != "AUTOSCALER" || !strings.Contains(e.Message, infeasibleWords) {
				continue
			}
			w := Word{At: seconds(float64(e.Timestamp)), Shapes: shapes(e.Message)}
			if strings.Contains(e.Message, "placement group") {
				w.Detail = e.Message
			}
			out = append(out, w)
		}
	}
	return out, nil
}

// infeasibleWords starts the line in both versions:
//
//	Error: No available node types can fulfill resource request {'GPU': 8.0}. Add suitable …
//	No available node types can fulfill resource requests {'GPU': 8.0}*1, {'CPU': 64.0}*2. Add suitable …
const infeasibleWords = "No available node types can fulfill"

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
