package eventlog

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// ensureEvery is how long EnsureStreams trusts what it found.
const ensureEvery = 2 * time.Second

// streams are the streams of a Log as they were seen last.
type streams struct {
	log *slog.Logger

	mu   sync.Mutex
	want []jetstream.StreamConfig
	at   time.Time // of the last look
	err  error     // what it found
}

// EnsureStreams makes streams again that were deleted while this process runs, with the configuration under which they
// were seen last. It costs one request for each stream, at most every two seconds; in between it repeats what it found.
// Any number of processes may call it at once. A log whose events were deleted comes back empty under a new identity.
// Errors: ErrMismatch, the server's.
func (l *Log) EnsureStreams(ctx context.Context) error {
	s := &l.streams
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.at.IsZero() && time.Since(s.at) < ensureEvery {
		return s.err
	}
	var errs []error
	for i, want := range s.want {
		have, made, err := ensure(ctx, l.js, want)
		switch {
		case err != nil:
			errs = append(errs, fmt.Errorf("eventlog: ensure %s: %w", want.Name, err))
		case made:
			s.log.Error("deleted stream made again", "stream", want.Name)
		default:
			s.want[i] = again(have)
		}
		if ctx.Err() != nil || isTimeout(err) {
			break // the other streams would wait just as long
		}
	}
	err := errors.Join(errs...)
	if ctx.Err() == nil { // an error of this caller's context must not be remembered for the next
		s.at, s.err = time.Now(), err
	}
	return err
}

// again is the configuration with which a stream would be made like one that exists: without what the server says of it,
// and without its incarnation, which belongs to the one that was deleted.
func again(c jetstream.StreamConfig) jetstream.StreamConfig {
	metadata := maps.Clone(c.Metadata)
	maps.DeleteFunc(metadata, func(k, _ string) bool { return k == incarnationKey || strings.HasPrefix(k, "_nats.") })
	c.Metadata = metadata
	return c
}
