package doctor

import (
	"context"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/redis/go-redis/v9"

	"github.com/headwayhq/headway/pkg/client"
	"github.com/headwayhq/headway/pkg/eventlog"
	"github.com/headwayhq/headway/services/internal/backend"
)

// State is the state of what a finding examined.
type State string

// The states of a finding.
const (
	OK      State = "ok"
	Note    State = "note" // works, but is worth knowing
	Wrong   State = "wrong"
	Unknown State = "unknown" // can't be examined until something else is repaired
)

// Finding is the result of one examination.
type Finding struct {
	Check string `json:"check"`
	State State  `json:"state"`
	Says  string `json:"says"`
	Do    string `json:"do,omitempty"` // what to do about it
}

// Options say where to look. The fields whose names begin with Bare are the addresses without secrets, for printing. An empty address of
// NATS or Redis isn't examined.
type Options struct {
	API                                *client.Reader // with the credential and the namespace
	As                                 string         // whose credential that is, and where it comes from
	NATSURL, RedisURL                  string
	BareURL, BareNATSURL, BareRedisURL string
	NATS                               backend.NATSLogin
	Redis                              backend.RedisLogin
	NATSMonitor                        string        // address of the monitoring endpoint of a NATS server; "": not asked
	Namespace                          string        // "": the credential's default
	Timeout                            time.Duration // of each request
}

// examination is one run of the doctor.
type examination struct {
	o       Options
	found   func(Finding)
	streams []eventlog.Examined
	covered eventlog.Covered
	redis   redis.UniversalClient // nil: not reachable
	nats    *nats.Conn            // nil: not reachable
	// redisAhead is Redis' clock minus ours.
	redisAhead *skew
}

// Examine examines everything once and passes each finding to found. What others depend on is examined first.
func Examine(ctx context.Context, o Options, found func(Finding)) {
	x := &examination{o: o, found: found}
	x.askNATS(ctx)
	if x.nats != nil {
		defer x.nats.Close()
	}
	x.askRedis(ctx)
	if x.redis != nil {
		defer x.redis.Close()
	}
	x.clocks()
	x.lag(ctx)
	x.api(ctx)
}

func (x *examination) sayf(check string, s State, do, format string, args ...any) {
	x.found(Finding{Check: check, State: s, Says: fmt.Sprintf(format, args...), Do: do})
}

func (x *examination) limited(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, x.o.Timeout)
}

// skew is how far another clock is ahead of ours, with the measurement error.
type skew struct{ by, give time.Duration }

func (s skew) String() string {
	return fmt.Sprintf("%+.3f s (± %.3f s)", s.by.Seconds(), s.give.Seconds())
}

// Clock differences that matter. Leases and watermarks tolerate a second; the API reports that it isn't ready when the
// watermark is half a minute behind.
const (
	skewNote  = time.Second
	skewWrong = 30 * time.Second
)

func (x *examination) clocks() {
	judge := func(name string, s skew) {
		beyond := s.by.Abs() - s.give
		state, do := OK, ""
		switch {
		case beyond > skewWrong:
			state, do = Wrong, "Set the clocks by NTP: one of the two is wrong, and so are the ages and lags computed from it."
		case beyond > skewNote:
			state, do = Note, "Set the clocks by NTP."
		}
		x.sayf("clock", state, do, "%s's clock minus this machine's: %v", name, s)
	}
	asked := false
	for _, s := range x.streams {
		if !s.Now.IsZero() {
			asked = true
			judge("NATS", skew{s.Now.Sub(s.Asked), s.Trip / 2})
			break
		}
	}
	if !asked {
		x.sayf("clock", Unknown, "", "NATS wasn't asked for the time: it has no stream of Headway's")
	}
	if x.redisAhead != nil {
		judge("Redis", *x.redisAhead)
	} else {
		x.sayf("clock", Unknown, "", "Redis wasn't asked for the time")
	}
}
