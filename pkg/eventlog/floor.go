package eventlog

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/headwayhq/headway/internal/seeded"
)

// Floor says how far checkpoints cover the log. It is a record in the history, and is raised before each removal of events.
type Floor struct {
	Identity string `json:"identity"` // of the log in which its sequences count
	// Covered: each event up to here is in a checkpoint.
	Covered uint64 `json:"covered"`
	// Points are earlier values of Covered, so that events can be removed a fixed time after they were covered. Oldest first.
	Points []Point `json:"points,omitempty"`
	// Hole is what somebody else removed from the log before it was covered.
	Hole *Hole `json:"hole,omitempty"`

	Seq uint64 `json:"-"` // of the record in the history; 0 if there is none
}

// Point is what was covered at a moment of the log's clock.
type Point struct {
	At      time.Time `json:"at"`
	Covered uint64    `json:"covered"`
}

// Hole is a gap in the log that no checkpoint covers.
type Hole struct {
	End   uint64 `json:"end"`   // the last sequence that is gone
	Noted uint64 `json:"noted"` // the log's last sequence when the hole was noted
}

// ReadFloor reads the floor; the zero value with the sequence 0 if there is none.
func (l *Log) ReadFloor(ctx context.Context, generation string) (f Floor, err error) {
	m, found, err := l.leaderLast(ctx, HistoryStream, floorPrefix+generation)
	if err == nil && found {
		err = json.Unmarshal(m.Data, &f)
		f.Seq = m.Seq
	}
	if err != nil {
		return Floor{}, fmt.Errorf("eventlog: floor: %w", err)
	}
	return f, nil
}

// WriteFloor replaces the floor that was read. Errors: WrongLastError if it was replaced meanwhile.
func (l *Log) WriteFloor(ctx context.Context, generation string, f Floor) (seq uint64, err error) {
	ctx, cancel := bounded(ctx)
	defer cancel()
	data, err := json.Marshal(f)
	if err != nil {
		return 0, fmt.Errorf("eventlog: floor: %w", err)
	}
	subject := floorPrefix + generation
	ack, err := l.js.PublishMsg(ctx, &nats.Msg{Subject: subject, Data: data},
		jetstream.WithExpectLastSequenceForSubject(f.Seq, subject), jetstream.WithRetryAttempts(0))
	if isWrongLast(err) {
		return 0, fmt.Errorf("eventlog: floor: %w", WrongLastError{})
	}
	if err != nil {
		return 0, fmt.Errorf("eventlog: floor: %w", refusal(err))
	}
	return ack.Sequence, nil
}

// maxPurge is how many messages are removed at once: the server takes no event meanwhile (0.35 s for a million).
const maxPurge = 100_000

// Purge removes events of the log up to a sequence, in steps, but never its last one (rule 25). It returns the first sequence that is left. Only a
// caller that has raised the floor to upTo before may call it. Errors: ErrIdentityChanged.
func (l *Log) Purge(ctx context.Context, identity string, upTo uint64) (first uint64, err error) {
	for {
		info, err := l.Info(ctx)
		if err != nil {
			return 0, err
		}
		if info.Identity != identity {
			return 0, fmt.Errorf("eventlog: purge: %w: was %s, is %s", ErrIdentityChanged, identity, info.Identity)
		}
		// A purge beyond the end would move the end of the stream there.
		to := min(upTo, info.First+maxPurge-1)
		if info.Last == 0 || to > info.Last-1 {
			to = min(to, max(info.Last, 1)-1)
		}
		if to < info.First {
			return info.First, nil
		}
		limited, cancel := bounded(ctx)
		s, err := l.js.Stream(limited, EventsStream)
		if err == nil {
			err = s.Purge(limited, jetstream.WithPurgeSequence(to+1))
		}
		cancel()
		if err != nil {
			return info.First, fmt.Errorf("eventlog: purge: %w", refusal(err))
		}
	}
}

// HealthSourced reports whether the stream of health changes has all that the log has: what it still has to fetch must not be removed.
func (l *Log) HealthSourced(ctx context.Context) (bool, error) {
	s, err := ask(ctx, l.js, HealthStream)
	if err != nil {
		return false, fmt.Errorf("eventlog: changes of health: %w", err)
	}
	for _, from := range s.CachedInfo().Sources {
		// Active is the time since the last sign of life; −1 before the first.
		if from.Lag > 0 || from.Active < 0 || from.Active > time.Minute || from.Name != EventsStream {
			return false, nil
		}
	}
	return len(s.CachedInfo().Sources) > 0, nil
}

// Covered is how far checkpoints cover the log.
type Covered struct {
	First, Last uint64 // of the log
	Floor       Floor
	History     HistoryInfo
}

// ReadCovered reads how far checkpoints cover the log, and changes nothing.
func ReadCovered(ctx context.Context, nc *nats.Conn) (Covered, error) {
	js, err := jetstream.New(nc)
	if err != nil {
		return Covered{}, fmt.Errorf("eventlog: covered: %w", err)
	}
	l := &Log{js: js}
	s, err := ask(ctx, js, EventsStream)
	if err != nil {
		return Covered{}, fmt.Errorf("eventlog: covered: %w", err)
	}
	l.partitions = partitionsOf(s.CachedInfo().Config)
	info, err := l.Info(ctx)
	if err != nil {
		return Covered{}, err
	}
	c := Covered{First: info.First, Last: info.Last}
	if c.History, err = l.HistoryInfo(ctx); err != nil {
		return c, err
	}
	c.Floor, err = l.ReadFloor(ctx, c.History.Generation)
	if c.Floor.Identity != info.Identity {
		c.Floor = Floor{}
	}
	return c, err
}

var errNoHistory = errors.New("the history has no generation")

// CheckGeneration is an error if a history has none: then it wasn't made by Headway.
func (i HistoryInfo) CheckGeneration() error {
	if i.Generation == "" || seeded.Bug("no-generation") {
		return fmt.Errorf("eventlog: history: %w: delete the stream %s", errNoHistory, HistoryStream)
	}
	return nil
}
