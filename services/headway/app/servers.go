package app

import (
	"context"
	"log/slog"
	"path/filepath"
	"time"

	"github.com/headwayhq/headway/services/headway/embedded"
	"github.com/headwayhq/headway/services/internal/printable"
)

// servers are the NATS and the Redis of a headway run: the given ones, else embedded ones.
type servers struct {
	natsURL, redisURL string
	events, views     string // texts for the user: where events and views are stored
	running           Running
	loaded            bool // Redis has what an earlier one saved
	embedded          []*embedded.Server
	stops             []func()
}

func startServers(ctx context.Context, f *Flags, log *slog.Logger) (s *servers, err error) {
	s = &servers{
		natsURL: f.NATSURL, events: printable.Address(f.NATSURL),
		redisURL: f.RedisURL, views: printable.Address(f.RedisURL),
	}
	if err := embedded.DataDir(f.DataDir, log); err != nil {
		return nil, err
	}
	if s.natsURL == "" {
		n, err := embedded.StartNATS(f.NATSListen, f.DataDir, log)
		if err != nil {
			return nil, err
		}
		s.natsURL, s.events, s.running.NATS = n.URL, filepath.Join(f.DataDir, "nats"), n.URL
		s.embedded, s.stops = append(s.embedded, n.Server), append(s.stops, n.Stop)
	}
	if s.redisURL == "" {
		r, err := embedded.StartRedis(ctx, filepath.Join(f.DataDir, "redis"), log)
		if err != nil {
			s.stop()
			return nil, err
		}
		s.redisURL, s.views, s.running.Redis, s.loaded = r.URL, r.What, r.URL, r.Loaded
		s.embedded, s.stops = append(s.embedded, r.Server), append(s.stops, r.Stop)
	}
	return s, nil
}

// stop stops the servers, the last started first.
func (s *servers) stop() {
	for i := len(s.stops) - 1; i >= 0; i-- {
		s.stops[i]()
	}
}

// watch returns when a server can't be kept running, or when ctx ends.
func (s *servers) watch(ctx context.Context) error {
	failed := make(chan error, len(s.embedded))
	for _, e := range s.embedded {
		go func() {
			select {
			case err := <-e.Failed():
				failed <- err
			case <-ctx.Done():
			}
		}()
	}
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
		return nil
	}
}

// trouble returns the failure that a server hasn't recovered from yet, and its time; "" means none.
func (s *servers) trouble() (says string, since time.Time) {
	for _, e := range s.embedded {
		if says, since = e.Trouble(); says != "" {
			return says, since
		}
	}
	return "", time.Time{}
}

func (s *servers) recovered() {
	for _, e := range s.embedded {
		e.Recovered()
	}
}
