package rayapi

import (
	"context"
	"math"
	"net/url"
	"time"
)

// Dataset of Ray Data. Progress and Total count tasks of the last operator.
type Dataset struct {
	Name      string     `json:"dataset"`
	State     string     `json:"state"` // RUNNING, FINISHED, FAILED; a killed driver's stays RUNNING
	Progress  *float64   `json:"progress"`
	Total     *float64   `json:"total"`
	Rows      *float64   `json:"total_rows"`
	Start     float64    `json:"start_time"`
	End       *float64   `json:"end_time"`
	Operators []Operator `json:"operators"`
}

// Operator of a dataset.
type Operator struct {
	ID       string   `json:"operator"`
	Name     string   `json:"name"`
	State    string   `json:"state"`
	Progress *float64 `json:"progress"`
	Total    *float64 `json:"total"`
	Rows     *float64 `json:"total_rows"`
	Queued   float64  `json:"queued_blocks"`
}

// Started is when the dataset began.
func (d *Dataset) Started() time.Time { return seconds(d.Start) }

// Ended is when the dataset ended; zero while it hasn't.
func (d *Dataset) Ended() time.Time {
	if d.End == nil {
		return time.Time{}
	}
	return seconds(*d.End)
}

func seconds(s float64) time.Time {
	if !(s > 0) || s > math.MaxInt32*10 {
		return time.Time{}
	}
	return time.UnixMicro(int64(s * 1e6)).UTC()
}

// Datasets asks for the datasets of a driver. *StatusError with 503 where the cluster has no ray.data; the first call takes 5 s.
func (c *Client) Datasets(ctx context.Context, jobID string) ([]Dataset, error) {
	var answer struct {
		Datasets []Dataset `json:"datasets"`
	}
	err := c.getJSON(ctx, "/api/data/datasets/"+url.PathEscape(jobID), nil, &answer)
	return answer.Datasets, err
}
