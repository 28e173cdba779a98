package eventlog

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Wanted are the settings of existing streams that an operator may change. What is nil stays as it is.
type Wanted struct {
	Replicas *int           // of each stream
	MaxAge   *time.Duration // of events; 0 keeps them forever
}

// Setting is one property of a stream, as text for people.
type Setting struct {
	Name string `json:"name"`
	Is   string `json:"is"`
	Want string `json:"want"` // Is, if nothing else is wanted
}

// Changes reports whether something else is wanted.
func (s Setting) Changes() bool { return s.Is != s.Want }

// Settings are those of one stream.
type Settings struct {
	Stream   string    `json:"stream"`
	Missing  bool      `json:"missing"` // the stream doesn't exist
	Settings []Setting `json:"settings"`
	// Wrong is a setting that Headway can't work with and that can't be changed while events are kept; "" if there is none.
	Wrong string `json:"wrong,omitempty"`
	// Servers hold the stream, the leader first. A server that isn't part of a cluster has no name here.
	Servers []Server `json:"servers"`

	set jetstream.StreamConfig // as wanted
}

// Server is one of those that hold a stream.
type Server struct {
	Name    string `json:"name"`
	Leader  bool   `json:"leader"`
	Current bool   `json:"current"` // it has everything that the leader has acknowledged
	Offline bool   `json:"offline"`
	Behind  uint64 `json:"behind"` // messages
}

// Changes reports whether Apply would change the stream.
func (s *Settings) Changes() bool { return slices.ContainsFunc(s.Settings, Setting.Changes) }

// Spread reports whether as many servers as wanted hold all of the stream.
func (s *Settings) Spread() bool {
	current := 0
	for _, one := range s.Servers {
		if one.Current && !one.Offline {
			current++
		}
	}
	return len(s.Servers) == 0 && s.set.Replicas <= 1 || len(s.Servers) == s.set.Replicas && current == len(s.Servers)
}

// ReadSettings reads the settings of Headway's streams and of others, which are left out if they don't exist. It changes nothing.
// Errors: the server's, if it doesn't answer.
func ReadSettings(ctx context.Context, nc *nats.Conn, w Wanted, others ...string) ([]Settings, error) {
	js, err := jetstream.New(nc)
	if err != nil {
		return nil, fmt.Errorf("eventlog: settings: %w", err)
	}
	var out []Settings
	for _, ours := range (Config{}).withDefaults().all() {
		s, err := ask(ctx, js, ours.Name)
		switch {
		case errors.Is(err, jetstream.ErrStreamNotFound):
			out = append(out, Settings{Stream: ours.Name, Missing: true})
		case err != nil:
			return nil, fmt.Errorf("eventlog: settings of %s: %w", ours.Name, err)
		default:
			out = append(out, settings(s.CachedInfo(), &ours, w))
		}
	}
	for _, name := range others {
		s, err := ask(ctx, js, name)
		switch {
		case errors.Is(err, jetstream.ErrStreamNotFound):
		case err != nil:
			return nil, fmt.Errorf("eventlog: settings of %s: %w", name, err)
		default:
			out = append(out, settings(s.CachedInfo(), nil, w))
		}
	}
	return out, nil
}

// ApplySettings changes a stream as wanted. The events that it holds and its identity stay. Errors: the server's; ErrMismatch if Headway
// can't work with the stream anyway.
func ApplySettings(ctx context.Context, nc *nats.Conn, s *Settings) error {
	if s.Wrong != "" {
		return fmt.Errorf("eventlog: apply to %s: %w: %s", s.Stream, ErrMismatch, s.Wrong)
	}
	js, err := jetstream.New(nc)
	if err != nil {
		return fmt.Errorf("eventlog: apply to %s: %w", s.Stream, err)
	}
	ctx, cancel := bounded(ctx)
	defer cancel()
	if _, err := js.UpdateStream(ctx, s.set); err != nil {
		return fmt.Errorf("eventlog: apply to %s: %w", s.Stream, err)
	}
	return nil
}

// settings compares a stream with what is wanted. ours is its configuration if it is one of Headway's, with defaults.
func settings(i *jetstream.StreamInfo, ours *jetstream.StreamConfig, w Wanted) Settings {
	has, set := i.Config, i.Config
	if w.Replicas != nil {
		set.Replicas = *w.Replicas
	}
	if ours != nil {
		if w.MaxAge != nil && has.Name == EventsStream {
			set.MaxAge = *w.MaxAge
		}
		if ours.Duplicates > 0 && has.Duplicates > ours.Duplicates {
			set.Duplicates = ours.Duplicates
		}
	}
	s := Settings{Stream: has.Name, Servers: servers(i), set: set}
	add := func(name string, text func(jetstream.StreamConfig) string) {
		s.Settings = append(s.Settings, Setting{name, text(has), text(set)})
	}
	add("replicas", func(c jetstream.StreamConfig) string { return strconv.Itoa(max(1, c.Replicas)) })
	add("max age", func(c jetstream.StreamConfig) string {
		return limited(int64(c.MaxAge), c.MaxAge.String(), "kept forever")
	})
	add("max bytes", func(c jetstream.StreamConfig) string {
		return limited(c.MaxBytes, strconv.FormatInt(c.MaxBytes, 10), "no limit")
	})
	add("max messages", func(c jetstream.StreamConfig) string {
		return limited(c.MaxMsgs, strconv.FormatInt(c.MaxMsgs, 10), "no limit")
	})
	add("at a limit", func(c jetstream.StreamConfig) string {
		if c.Discard == jetstream.DiscardNew {
			return "refuses new messages"
		}
		return "drops old messages"
	})
	add("duplicate window", func(c jetstream.StreamConfig) string { return c.Duplicates.String() })
	add("storage", func(c jetstream.StreamConfig) string { return strings.ToLower(c.Storage.String()) })
	if has.Name == EventsStream {
		add("partitions", func(c jetstream.StreamConfig) string { return strconv.Itoa(partitionsOf(c)) })
	}
	if len(has.Subjects) > 0 {
		add("subjects", func(c jetstream.StreamConfig) string { return strings.Join(c.Subjects, ", ") })
	}
	if len(has.Sources) > 0 {
		add("sources", func(c jetstream.StreamConfig) string {
			names := make([]string, len(c.Sources))
			for i, from := range c.Sources {
				names[i] = from.Name
			}
			return strings.Join(names, ", ")
		})
	}
	if ours != nil {
		if err := compareAsItIs(has, *ours); err != nil {
			s.Wrong = strings.TrimPrefix(err.Error(), ErrMismatch.Error()+": ")
		}
	}
	return s
}

func limited(n int64, text, none string) string {
	if n <= 0 {
		return none
	}
	return text
}

func servers(i *jetstream.StreamInfo) []Server {
	if i.Cluster == nil || i.Cluster.Name == "" {
		return nil
	}
	var out []Server
	if i.Cluster.Leader != "" {
		out = append(out, Server{Name: i.Cluster.Leader, Leader: true, Current: true})
	}
	for _, p := range i.Cluster.Replicas {
		out = append(out, Server{Name: p.Name, Current: p.Current, Offline: p.Offline, Behind: p.Lag})
	}
	return out
}
