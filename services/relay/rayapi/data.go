package rayapi

import (
	"context"
	"math"
	"net/url"
	"time"
)

// Dataset is a dataset of Ray Data. Progress and Total count tasks of the last operator.
type Dataset struct {
	Name      string     `json:"dataset"`
	State     string     `json:"state"` // RUNNING, FINISHED, FAILED; stays RUNNING if the driver was killed
	Progress  *float64   `json:"progress"`
	Total     *float64   `json:"total"`
	Rows      *float64   `json:"total_rows"`
	Start     float64    `json:"start_time"`
	End       *float64   `json:"end_time"`
	Operators []Operator `json:"operators"`
}

// Operator is an operator of a dataset.
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

// Datasets requests the datasets of a driver. It fails with a *StatusError of 503 if the cluster has no ray.data. The
// first call takes 5 s.
func (c *Client) Datasets(ctx context.Context, jobID string) ([]Dataset, error) {
	var answer struct {
		Datasets []Dataset `json:"datasets"`
	}
	err := c.getJSON(ctx, "/api/data/datasets/"+url.PathEscape(jobID), nil, &answer)
	return answer.Datasets, err
}
