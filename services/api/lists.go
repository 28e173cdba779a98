package api

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

const (
	listRepair = 2 * time.Second
	listLinger = 2 * time.Minute
)

// lists are the indexes of the namespaces in use. One is loaded on first use, kept true by the push path
// and by repair, and freed when nobody has used it for a while.
type lists struct {
	source *source
	done   <-chan struct{}
	log    *slog.Logger
	kick   chan struct{}

	mu  sync.Mutex
	per map[string]*index
}

func newLists(s *source, done <-chan struct{}, log *slog.Logger) *lists {
	return &lists{source: s, done: done, log: log, kick: make(chan struct{}, 1), per: map[string]*index{}}
}

// use returns the loaded index of ns; give it back with done.
func (l *lists) use(ctx context.Context, ns string) (x *index, done func(), err error) {
	l.mu.Lock()
	x = l.per[ns]
	if x == nil {
		x = newIndex(ns, len(l.source.newest))
		l.per[ns] = x
	}
	x.refs++
	l.mu.Unlock()
	done = func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		x.refs--
		x.used = time.Now()
	}
	if err := x.fill(ctx, l.source); err != nil {
		done()
		return nil, nil, err
	}
	return x, done, nil
}

func (l *lists) lookup(ns string) *index {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.per[ns]
}

func (l *lists) len() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.per)
}

// changed takes in a row that was heard of.
func (l *lists) changed(ns string, raw []byte) error {
	x := l.lookup(ns)
	if x == nil {
		return nil
	}
	r, err := parseRow(raw)
	if err != nil {
		return err
	}
	x.put([]*row{r}, l.source.partition)
	return nil
}

// repairSoon makes run repair now: the subscription was interrupted.
func (l *lists) repairSoon() {
	select {
	case l.kick <- struct{}{}:
	default:
	}
}

// renew loads all indexes anew: the stream that they were built from is no more.
func (l *lists) renew(ctx context.Context) {
	for _, x := range l.sweep(time.Now()) {
		x.empty()
		if err := x.fill(ctx, l.source); err != nil {
			l.log.Warn("api: a list wasn't loaded anew", "error", err)
		}
	}
}

func (l *lists) run(ctx context.Context) error {
	tick := time.NewTicker(listRepair)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-l.kick:
		case <-tick.C:
		}
		for _, x := range l.sweep(time.Now()) {
			limited, cancel := context.WithTimeout(ctx, 10*time.Second)
			if err := x.repair(limited, l.source); err != nil && ctx.Err() == nil {
				l.log.Warn("api: a list wasn't repaired", "error", err)
			}
			cancel()
		}
	}
}

// sweep frees what is out of use and returns the rest.
func (l *lists) sweep(now time.Time) []*index {
	l.mu.Lock()
	defer l.mu.Unlock()
	var out []*index
	for ns, x := range l.per {
		if x.refs == 0 && now.Sub(x.used) > listLinger {
			delete(l.per, ns)
			l.source.feed.unwatchRows(ns)
			continue
		}
		out = append(out, x)
	}
	return out
}
