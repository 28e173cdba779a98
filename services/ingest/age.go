package ingest

import (
	"fmt"
	"time"

	"github.com/headwayhq/headway/internal/seeded"
	"github.com/headwayhq/headway/pkg/policy"
)

const (
	// leastWindow is the shortest window: no request to announce a change of health may be older than the events that it knows (rule 27).
	leastWindow = time.Hour
	// defaultWindow is that of a log that was made by a version with a history.
	defaultWindow = 7 * 24 * time.Hour
	// AutoWindow is defaultWindow for such a log; others keep their events.
	AutoWindow time.Duration = -1
)

// window is how long events stay in the log after a checkpoint covers them; 0: forever. An older log may be read by tools that rely on all
// of its events, so somebody has to decide.
func window(option time.Duration, born uint64) time.Duration {
	switch {
	case option != AutoWindow:
		return option
	case born > 1:
		return defaultWindow
	}
	return 0
}

func (f Flags) validAges() error {
	if f.LogWindow != nil && *f.LogWindow != 0 && time.Duration(*f.LogWindow) < leastWindow && !seeded.Built {
		return fmt.Errorf("--log-window: %s is too short: must be at least 1h, or 0 to keep all events", *f.LogWindow)
	}
	if f.History != 0 && (f.RedisKeep == 0 || f.History < f.RedisKeep+policy.Age(time.Hour)) {
		return fmt.Errorf("--history: %s must be at least an hour longer than --redis-keep, %s", f.History, f.RedisKeep)
	}
	return nil
}

// Ages sets what the flags say of how long things are kept.
func (f Flags) Ages(o *Options) {
	o.LogWindow = AutoWindow
	if f.LogWindow != nil {
		o.LogWindow = time.Duration(*f.LogWindow)
	}
	o.HistoryAge = func(namespace string) time.Duration { return o.Policies.History(namespace, time.Duration(f.History)) }
	o.RedisKeep = func(namespace string) time.Duration {
		return o.Policies.RedisKeep(namespace, time.Duration(f.RedisKeep))
	}
}
