package relay

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/headwayhq/headway/services/relay/rayapi"
)

// exportCount counts what nodes exported, by session, so that a check can tell what was received from what is only configured.
type exportCount struct {
	mu       sync.Mutex
	sessions map[string]*exports
}

// exports are the exported events of one session.
type exports struct {
	events int
	last   time.Time
	others map[string]int // events of types that the relay doesn't know, by type
}

// Bounds of what is counted: anybody who knows the secret may name sessions and types.
const (
	exportSessions = 1000
	exportTypes    = 20
)

func (x *exportCount) add(events []rayapi.Exported, now time.Time) {
	x.mu.Lock()
	defer x.mu.Unlock()
	for i := range events {
		e := &events[i]
		of := x.sessions[e.Session]
		if of == nil {
			if len(x.sessions) >= exportSessions {
				continue
			}
			if x.sessions == nil {
				x.sessions = map[string]*exports{}
			}
			of = &exports{others: map[string]int{}}
			x.sessions[e.Session] = of
		}
		of.events++
		of.last = now
		if _, has := of.others[e.Type]; !e.Known && (has || len(of.others) < exportTypes) {
			of.others[e.Type]++
		}
	}
}

// says describes what was received of a session; ok is false if nothing was.
func (x *exportCount) says(session string) (text string, ok bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	of := x.sessions[session]
	if of == nil {
		return "", false
	}
	text = fmt.Sprintf("%d events received, the last at %s", of.events, of.last.UTC().Format(time.TimeOnly+"Z"))
	if len(of.others) > 0 {
		var types []string
		for _, name := range slices.Sorted(maps.Keys(of.others)) {
			types = append(types, fmt.Sprintf("%d × %s", of.others[name], cut(name)))
		}
		text += "; of types that aren't used: " + strings.Join(types, ", ")
	}
	return text, true
}

// exportWait is how long a check waits for exported events. A node that couldn't deliver some repeats them every 5 s.
const exportWait = 10 * time.Second

// awaited describes what was received of a session, waiting for something if nothing was.
func (x *exportCount) awaited(ctx context.Context, session string) (text string, ok bool) {
	for end := time.Now().Add(exportWait); ; {
		if text, ok = x.says(session); ok || time.Now().After(end) || !sleep(ctx, 100*time.Millisecond) {
			return text, ok
		}
	}
}
