package relay

import (
	"context"
	"time"
)

// hintsFor is how long a hint is followed. The jobs API was seen to lag 0.9 to 1.7 s behind the death of a supervisor.
const hintsFor = 10 * time.Second

// hintsLoop requests single jobs that may have ended, until they have or hintsFor has passed.
func (c *cluster) hintsLoop(ctx context.Context) error {
	until := map[string]time.Time{}
	timer := time.NewTimer(0)
	defer timer.Stop()
	wait := firstHint
	for {
		select {
		case <-ctx.Done():
			return nil
		case submissions := <-c.hints:
			for _, id := range submissions {
				until[id] = c.now().Add(hintsFor)
			}
			wait = firstHint
		case <-timer.C:
		}
		for id, end := range until {
			over, err := c.lookAtJob(ctx, id)
			if ctx.Err() != nil {
				return nil
			}
			if over || err == nil && c.now().After(end) || err != nil && c.now().After(end) {
				delete(until, id)
			}
		}
		if len(until) > 0 {
			timer.Reset(wait)
			wait = min(2*wait, time.Second)
		}
	}
}

const firstHint = 50 * time.Millisecond

func (c *cluster) lookAtJob(ctx context.Context, id string) (over bool, err error) {
	j, err := c.api.Job(ctx, id)
	c.asked(err)
	if err != nil {
		return false, err
	}
	o := c.observation(&j, c.present(), c.now())
	if o.Submission == "" {
		return true, nil
	}
	return o.Status.Terminal(), c.tracker.observe(ctx, o)
}
