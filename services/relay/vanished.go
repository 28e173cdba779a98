package relay

import (
	"context"
	"fmt"
)

// lostLooks is the number of looks, a minute apart, at which tasks must be unknown before that is said: metrics are up to 15 s old.
const lostLooks = 2

// unknownToCore tells that Ray Data counts tasks of a job as running while Ray Core runs none of it; "" otherwise, and where the metrics of
// the nodes can't be read. Their results will never come.
func (j *jobLook) unknownToCore(ctx context.Context, jobID string) string {
	if jobID == "" {
		return ""
	}
	api := j.cluster.api
	running, err := api.Runs(ctx, jobID)
	j.cluster.asked(err)
	if err != nil || running > 0 {
		j.lost = 0
		return ""
	}
	sets, err := api.Datasets(ctx, jobID)
	j.cluster.asked(err)
	if err != nil || len(sets) == 0 {
		j.lost = 0
		return ""
	}
	metrics, err := j.cluster.nodeMetrics(ctx)
	j.cluster.asked(err)
	active := 0
	for _, s := range sets {
		if s.State == "RUNNING" {
			active += metrics.active[s.Name]
		}
	}
	if j.lost++; err != nil || active == 0 {
		j.lost = 0
	}
	if j.lost < lostLooks {
		return ""
	}
	return fmt.Sprintf("Ray Data counts %d tasks as running, and Ray Core runs none of this job: what they compute will not come.", active)
}
