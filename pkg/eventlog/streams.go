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

// streams are the streams of a Log as last seen.
type streams struct {
	log *slog.Logger

	mu    sync.Mutex
	want  []jetstream.StreamConfig
	first uint64    // Config.First
	at    time.Time // of the last check
	err   error     // what it found
}

// EnsureStreams recreates streams that were deleted while this process runs, with their last known
// configuration. It sends one request for each stream, at most every two seconds; in between it returns its last result.
// Any number of processes may call it at once. If the event stream was deleted, it is recreated empty, with a new identity.
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
			s.log.Error("deleted stream recreated", "stream", want.Name)
		default:
			s.want[i] = again(have, s.first)
		}
		if ctx.Err() != nil || isTimeout(err) {
			break // requests for the other streams would time out too
		}
	}
	err := errors.Join(errs...)
	if ctx.Err() == nil { // an error of this caller's context must not be returned to the next caller
		s.at, s.err = time.Now(), err
	}
	return err
}

// again is the configuration for recreating a stream: without the metadata that the server adds,
// and without the incarnation and the numbering, which belong to the deleted stream.
func again(c jetstream.StreamConfig, first uint64) jetstream.StreamConfig {
	metadata := maps.Clone(c.Metadata)
	maps.DeleteFunc(metadata, func(k, _ string) bool {
		return k == incarnationKey || k == generationKey || strings.HasPrefix(k, "_nats.")
	})
	if c.Metadata, c.FirstSeq = metadata, 0; numbered(c.Name) {
		c.FirstSeq = first
	}
	return c
}
