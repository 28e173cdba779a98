package eventlog

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// ErrMissing: the stream doesn't exist.
var ErrMissing = errors.New("stream doesn't exist")

// Examined describes the present state of a stream.
type Examined struct {
	Name        string
	Err         error // ErrMissing, ErrOverlap with the other stream, or ErrMismatch with the field; nil if the configuration is right
	Identity    string
	Partitions  int    // of the events' stream
	Born        uint64 // the first sequence that the stream ever had
	First, Last uint64
	Messages    uint64
	Deleted     int // deleted messages between First and Last
	Bytes       uint64
	MaxBytes    int64         // −1: no limit
	MaxMessages int64         // −1: no limit
	MaxAge      time.Duration // 0: forever
	Replicas    int
	DiscardsOld bool      // at a limit it discards old messages rather than refusing new ones
	Now         time.Time // the server's time of the answer
	Asked       time.Time // our time, in the middle of the request
	Trip        time.Duration
}

// Examine reads the state of the streams for diagnosis, and changes nothing. Errors: the
// server's, if it doesn't answer.
func Examine(ctx context.Context, nc *nats.Conn) ([]Examined, error) {
	js, err := jetstream.New(nc)
	if err != nil {
		return nil, fmt.Errorf("eventlog: examine: %w", err)
	}
	c := Config{}.withDefaults()
	out := make([]Examined, 0, 3)
	for _, want := range c.all() {
		e := Examined{Name: want.Name}
		began := time.Now()
		s, err := ask(ctx, js, want.Name)
		e.Trip = time.Since(began)
		e.Asked = began.Add(e.Trip / 2)
		switch {
		case errors.Is(err, jetstream.ErrStreamNotFound):
			e.Err = ErrMissing
			if others := holders(ctx, js, want); others != "" {
				e.Err = fmt.Errorf("%w: stream %s", ErrOverlap, others)
			}
		case err != nil:
			return nil, fmt.Errorf("eventlog: examine %s: %w", want.Name, err)
		default:
			e.fill(s.CachedInfo(), want)
		}
		out = append(out, e)
	}
	return out, nil
}

// Used is how much of its limits the stream uses, from 0 to 1. It is 0 without a limit, and for a stream of copies, which may drop old
// messages at its limit.
func (e *Examined) Used() float64 {
	if e.DiscardsOld && e.Name != EventsStream {
		return 0
	}
	used := 0.0
	if e.MaxBytes > 0 {
		used = float64(e.Bytes) / float64(e.MaxBytes)
	}
	if e.MaxMessages > 0 {
		used = max(used, float64(e.Messages)/float64(e.MaxMessages))
	}
	return used
}

func (e *Examined) fill(i *jetstream.StreamInfo, want jetstream.StreamConfig) {
	e.Partitions = partitionsOf(i.Config)
	e.Err = compareAsItIs(i.Config, want)
	e.Identity = identity(i.Created, incarnation(i.Config))
	e.Born = max(1, i.Config.FirstSeq)
	e.First, e.Last, e.Messages, e.Deleted, e.Bytes = i.State.FirstSeq, i.State.LastSeq, i.State.Msgs, i.State.NumDeleted, i.State.Bytes
	e.MaxBytes, e.MaxMessages, e.MaxAge, e.Replicas = i.Config.MaxBytes, i.Config.MaxMsgs, i.Config.MaxAge, i.Config.Replicas
	e.DiscardsOld = i.Config.Discard == jetstream.DiscardOld
	e.Now = i.TimeStamp
}
