package embedded

import (
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"
)

// An embedded server that ended is restarted, at once the first time and later after startPause. It is given up after
// maxTries starts in a row that failed, or after which it ran for less than steady.
const (
	maxTries   = 3
	steady     = 5 * time.Second
	startPause = 200 * time.Millisecond
)

// Server is the common part of the embedded servers: they are watched, and restarted when they end.
type Server struct {
	name    string
	log     *slog.Logger
	trouble atomic.Pointer[trouble]
	failed  chan error
	stop    chan struct{} // closed to end the server
	ended   chan struct{} // closed when it has ended and is no longer watched
}

func newServer(name string, log *slog.Logger) *Server {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &Server{name: name, log: log, failed: make(chan error, 1), stop: make(chan struct{}), ended: make(chan struct{})}
}

// Failed yields the reason when the server can't be kept running.
func (s *Server) Failed() <-chan error { return s.failed }

type trouble struct {
	says  string
	since time.Time
}

// Trouble returns the last failure of the server and its time, until Recovered is called; "" means none.
func (s *Server) Trouble() (says string, since time.Time) {
	if t := s.trouble.Load(); t != nil {
		return t.says, t.since
	}
	return "", time.Time{}
}

// Recovered clears the trouble once everything works again.
func (s *Server) Recovered() { s.trouble.Store(nil) }

func (s *Server) sayf(format string, args ...any) {
	s.trouble.Store(&trouble{fmt.Sprintf(format, args...), time.Now()})
}

// supervise waits for the end of the server and restarts it, until it is stopped. started is when it was first
// started. await returns why the server ended, or "" once it is to stop; start returns when the server answers.
func (s *Server) supervise(started time.Time, await func() string, start func() error) {
	defer close(s.ended)
	for tries := 0; ; {
		why := await()
		if why == "" {
			return
		}
		at := time.Now().UTC().Format("15:04:05Z")
		s.log.Error("embedded server ended", "server", s.name, "reason", why, "lived_seconds", time.Since(started).Seconds())
		s.sayf("%s ended at %s (%s) and is being restarted", s.name, at, why)
		if time.Since(started) > steady {
			tries = 0
		}
		for ok := false; !ok; {
			if tries++; tries > maxTries {
				s.failed <- fmt.Errorf("%s can't be kept running: started %d times in a row, last: %s", s.name, maxTries, why)
				return
			}
			if tries > 1 && !s.pause() {
				return
			}
			if err := start(); err != nil {
				why = err.Error()
				s.log.Error("starting embedded server failed", "server", s.name, "error", why)
			} else {
				ok = true
			}
		}
		started = time.Now()
		s.log.Warn("embedded server restarted", "server", s.name, "try", tries)
		s.sayf("%s ended at %s (%s) and was restarted", s.name, at, why)
	}
}

func (s *Server) pause() bool {
	select {
	case <-s.stop:
		return false
	case <-time.After(startPause):
		return true
	}
}
