package kuberay

import (
	"context"

	"github.com/headwayhq/headway/services/relay"
)

// Look lists everything once and returns what follows from it at the moment that Options.Now gives. It is Run without its
// watches and its clock: recorded objects are played with it. It isn't to be called beside Run.
func (s *Source) Look(ctx context.Context) (seen []relay.Observation, err error) {
	var jobs change
	if err := s.listOnce(ctx, &rayJobs, func(c change) { jobs = c }); err != nil {
		return nil, err
	}
	if !s.store.complete() { // so that it is known what belongs to them
		seen = s.take(jobs)
	}
	for i := range others {
		if err := s.listOnce(ctx, &others[i], func(c change) { seen = append(seen, s.take(c)...) }); err != nil {
			return seen, err
		}
	}
	for _, queue := range s.queues() {
		s.store.places[queue] = s.server.places(ctx, queue)
	}
	s.store.prune(s.o.Now())
	seen = append(seen, s.take(jobs)...)
	for _, want := range s.logs.take() {
		seen = append(seen, s.server.lines(ctx, want))
	}
	return seen, nil
}

// listOnce lists a resource in the first version of its API group that is served.
func (s *Source) listOnce(ctx context.Context, r *resource, take func(change)) error {
	f := &follower{source: s, of: r, tell: func(c change) error { take(c); return nil }}
	err := f.list(ctx)
	for err != nil && f.otherVersion(err) {
		err = f.list(ctx)
	}
	if err == nil || f.denied(err) {
		return nil
	}
	return err
}
