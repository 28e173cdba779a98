package ingest

import (
	"context"
	"errors"
	"time"

	"github.com/headwayhq/headway/pkg/diagnostics"
	"github.com/headwayhq/headway/pkg/viewstore"
)

// sweepEvery is the interval at which the scores of the due index are recomputed without a reason, as a safety net.
const sweepEvery = 10 * time.Minute

// sweep recomputes the scores of the partition's due index: at once if the policy has changed, and otherwise regularly
// (rule 9).
func (p *partition) sweep(ctx context.Context) {
	first := sweepEvery
	if p.rescore {
		first = 0
	}
	timer := time.NewTimer(first)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-p.stopped:
			return
		case <-timer.C:
		}
		asOf := p.state.Load().asOf
		err := p.store.Sweep(ctx, p.number, func(k viewstore.Key, value []byte) int64 {
			v, err := diagnostics.Parse(value)
			if err != nil {
				select {
				case p.corrupt <- k:
				case <-ctx.Done():
				case <-p.stopped:
				}
				return 0
			}
			at, _ := diagnostics.NextCheck(v, asOf, p.policies.For(k.Namespace))
			return dueScore(at, asOf)
		})
		if err != nil && !errors.Is(err, context.Canceled) {
			p.logger.Warn("rescoring due index failed", "partition", p.number, "error", err)
		}
		timer.Reset(sweepEvery)
	}
}
