package relay

import (
	"context"
	"errors"
	"net/http"

	"github.com/headwayhq/headway/services/relay/machine"
	"github.com/headwayhq/headway/services/relay/rayapi"
)

// dataLoop requests the progress of Ray Data. Jobs without datasets are queried less and less often.
func (c *cluster) dataLoop(ctx context.Context) error {
	apart := map[string]int{} // by job id: the number of rounds to skip
	skip := map[string]int{}
	for sleep(ctx, c.polling.Data) {
		session := c.present()
		for job, d := range c.tracker.dataJobs(session, c.now()) {
			submission := d.Submission
			if skip[job] > 0 && !d.Over {
				skip[job]--
				continue
			}
			sets, err := c.api.Datasets(ctx, job)
			c.asked(err)
			var status *rayapi.StatusError
			switch {
			case ctx.Err() != nil:
				return nil
			case errors.As(err, &status) && (d.Over || status.Code == http.StatusServiceUnavailable):
				skip[job] = 60 // ray.data isn't available, or its data is gone
				if d.Over {
					c.tracker.note(machine.DataTold{Session: session, Submission: submission})
				}
			case err != nil:
				c.log.Debug("reading datasets failed", "job", submission, "error", err)
			case len(sets) == 0 && !d.Over:
				apart[job] = min(apart[job]+1, 6)
				skip[job] = apart[job]
			default:
				delete(apart, job)
				if err := c.tracker.step(ctx, machine.Counted{Session: session, Submission: submission, Sets: sets, At: c.now()}); err != nil {
					c.log.Warn("publishing progress of datasets failed", "job", submission, "error", err)
				} else if d.Over {
					delete(skip, job)
					c.tracker.note(machine.DataTold{Session: session, Submission: submission})
				}
			}
		}
	}
	return nil
}
