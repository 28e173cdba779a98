package api

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"sync"
	"time"
)

const (
	listRepair = 2 * time.Second
	listLinger = 2 * time.Minute
)

// lists are the indexes of the namespaces in use. An index is loaded on first use, kept up to date by pushes
// and by repair, and freed when it hasn't been used for a while. For a namespace without rows nothing is loaded; a stream
// waits for its first row with an empty index.
type lists struct {
	source *source
	rows   rows
	feed   feed
	names  *names
	log    *slog.Logger
	kick   chan struct{}

	mu  sync.Mutex
	per map[string]*index
}

func newLists(s *source, r rows, f feed, log *slog.Logger) *lists {
	return &lists{
		source: s, rows: r, feed: f, names: newNames(r, s.views.identity, len(s.newest)), log: log,
		kick: make(chan struct{}, 1), per: map[string]*index{},
	}
}

// use returns the index of ns, loaded if the namespace has rows; done releases it. With stay the caller follows later changes.
func (l *lists) use(ctx context.Context, ns string, stay bool) (x *index, done func(), err error) {
	begun := time.Now()
	known, err := l.names.has(ctx, ns)
	if err != nil {
		return nil, nil, waited("Redis", begun, err)
	}
	if !known && !stay {
		return newIndex(ns, len(l.source.newest)), func() {}, nil
	}
	x = l.hold(ns)
	done = func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		x.refs--
		x.used = time.Now()
	}
	if known {
		err = x.fill(ctx, l)
	} else if l.names.holds(ns) {
		l.repairSoon() // the namespace appeared before its index existed
	}
	if err != nil {
		done()
		return nil, nil, waited("Redis", begun, err)
	}
	return x, done, nil
}

func (l *lists) hold(ns string) *index {
	l.mu.Lock()
	defer l.mu.Unlock()
	x := l.per[ns]
	if x == nil {
		x = newIndex(ns, len(l.source.newest))
		l.per[ns] = x
	}
	x.refs++
	return x
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

// changed handles a pushed row.
func (l *lists) changed(ns string, raw []byte) error {
	x := l.lookup(ns)
	if x == nil {
		return nil
	}
	var gone struct {
		Batch string `json:"gone"`
	}
	if bytes.HasPrefix(raw, []byte(`{"gone":`)) { // its view was dropped: the history has it
		err := json.Unmarshal(raw, &gone)
		x.remove(gone.Batch)
		return err
	}
	r, err := parseRow(raw)
	if err != nil {
		return err
	}
	x.put([]*row{r}, l.source.partition)
	return nil
}

// appeared handles the first row of ns.
func (l *lists) appeared(ns string) {
	l.names.add(ns)
	if x := l.lookup(ns); x != nil && !x.ready.Load() {
		l.repairSoon()
	}
}

// repairSoon makes run repair now.
func (l *lists) repairSoon() {
	select {
	case l.kick <- struct{}{}:
	default:
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
			if err := l.repair(ctx, x); err != nil && ctx.Err() == nil {
				l.log.Warn("repairing list failed", "error", err)
			}
		}
	}
}

func (l *lists) repair(ctx context.Context, x *index) error {
	ctx, cancel := context.WithTimeout(ctx, storeWithin)
	defer cancel()
	known, err := l.names.has(ctx, x.ns)
	if err != nil || !known {
		return err
	}
	if err := x.fill(ctx, l); err != nil {
		return err
	}
	return x.repair(ctx, l)
}

// sweep frees unused indexes and returns the others.
func (l *lists) sweep(now time.Time) []*index {
	l.mu.Lock()
	defer l.mu.Unlock()
	var out []*index
	for ns, x := range l.per {
		if x.refs > 0 || x.ready.Load() && now.Sub(x.used) <= listLinger {
			out = append(out, x)
			continue
		}
		delete(l.per, ns)
		l.feed.unwatchRows(ns)
	}
	return out
}
