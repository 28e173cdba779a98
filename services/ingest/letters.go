package ingest

import (
	"context"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v4"
	"golang.org/x/sync/errgroup"

	"github.com/headwayhq/headway/internal/seeded"
	"github.com/headwayhq/headway/pkg/eventlog"
)

// position is a place in the log: everything up to seq.
type position struct {
	seq    uint64
	stored int64 // when the message there was stored, ns; 0 if unknown
}

// letter is a dead letter, and the position right before its event.
type letter struct {
	eventlog.DeadLetter
	before position
}

// letters are the dead letters of one partition that aren't stored yet. Only the cursor waits for them (rule 12): views
// are folded and committed beyond them. After a crash those events are folded again, which changes nothing.
type letters struct {
	needs  *needs
	number int

	mu      sync.Mutex
	pending []letter // in the order of the log
	bytes   int
	burying bool

	stored chan struct{} // signals that fewer are pending than before
}

// At these limits the partition stops folding until some letters are stored.
const (
	maxLetters     = 4096
	maxLetterBytes = 64 << 20
)

func newLetters(n *needs, number int) *letters {
	return &letters{needs: n, number: number, stored: make(chan struct{}, 1)}
}

// before is the position that the cursor must not pass, if there is one.
func (l *letters) before() (at position, held bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.pending) == 0 {
		return position{}, false
	}
	return l.pending[0].before, true
}

func (l *letters) full() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.pending) >= maxLetters || l.bytes >= maxLetterBytes
}

// buryWait limits how long a fold waits until its own letters are stored. Normally they are stored at once.
const buryWait = 500 * time.Millisecond

// bury stores letters, or keeps them pending and retries until ctx ends.
func (l *letters) bury(ctx context.Context, dead []letter) {
	if len(dead) == 0 {
		return
	}
	if seeded.Bug("cursor-before-dead-letter") {
		for _, d := range dead {
			go func() { _ = l.needs.log.DeadLetter(context.WithoutCancel(ctx), d.DeadLetter) }()
		}
		return
	}
	l.needs.metrics.dead.Add(float64(len(dead)))
	l.mu.Lock()
	for _, d := range dead {
		l.pending = append(l.pending, d)
		l.bytes += len(d.Data)
	}
	waits := l.burying
	l.burying = true
	l.mu.Unlock()
	l.needs.metrics.letters.Add(float64(len(dead)))
	if waits {
		return
	}
	try, cancel := context.WithTimeout(ctx, buryWait)
	defer cancel()
	if err := l.try(try); err != nil {
		l.needs.logger.Error("storing dead letter failed, cursor waits for it", "partition", l.number, "error", err)
		l.needs.wg.Go(func() { l.again(ctx) })
	}
}

// again retries until nothing is pending.
func (l *letters) again(ctx context.Context) {
	retry := backoff.NewExponentialBackOff(backoff.WithInitialInterval(100*time.Millisecond),
		backoff.WithMaxInterval(5*time.Second), backoff.WithMaxElapsedTime(0))
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(retry.NextBackOff()):
		}
		if err := l.try(ctx); err == nil {
			l.needs.logger.Info("dead letters stored", "partition", l.number)
			return
		}
	}
}

// buryAtOnce limits how many dead letters are sent concurrently.
const buryAtOnce = 16

// try stores what is pending, in order, and ends with nil once nothing is.
func (l *letters) try(ctx context.Context) error {
	for {
		l.mu.Lock()
		page := l.pending[:min(buryAtOnce, len(l.pending))]
		if len(page) == 0 {
			l.burying = false
			l.mu.Unlock()
			return nil
		}
		l.mu.Unlock()
		stored := make([]bool, len(page))
		g, limited := errgroup.WithContext(ctx)
		for i, d := range page {
			g.Go(func() error {
				err := l.needs.log.DeadLetter(limited, d.DeadLetter)
				stored[i] = err == nil
				return err
			})
		}
		err := g.Wait()
		n := 0
		for n < len(stored) && stored[n] {
			n++
		}
		l.forget(n)
		if err != nil {
			return err
		}
	}
}

// forget removes the first n, which are stored.
func (l *letters) forget(n int) {
	l.mu.Lock()
	n = min(n, len(l.pending)) // they may have been dropped meanwhile
	for _, d := range l.pending[:n] {
		l.bytes -= len(d.Data)
	}
	l.pending = append([]letter(nil), l.pending[n:]...)
	l.mu.Unlock()
	l.needs.metrics.letters.Sub(float64(n))
	if n > 0 {
		select {
		case l.stored <- struct{}{}:
		default:
		}
	}
}

// drop removes all, with the partition.
func (l *letters) drop() {
	l.mu.Lock()
	n := len(l.pending)
	l.mu.Unlock()
	l.forget(n)
}
