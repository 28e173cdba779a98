package doctor

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/headwayhq/headway/pkg/eventlog"
)

// minNATS is the first version with the subject transforms of streams that the event log is made of.
var minNATS = [2]int{2, 10}

func (x *examination) askNATS(ctx context.Context) {
	nc, err := nats.Connect(x.o.NATSURL, nats.Name("headway doctor"), nats.Timeout(x.o.Timeout), nats.NoReconnect())
	switch {
	case errors.Is(err, nats.ErrAuthorization):
		x.say("nats", Wrong, "Give user and password, or a token, within --nats-url.", "%s refuses us", x.o.BareNATSURL)
	case err != nil:
		x.say("nats", Wrong, "Start NATS there, or name another with --nats-url.", "%s can't be reached: %s", x.o.BareNATSURL, cause(err))
	}
	if err != nil {
		x.say("jetstream", Unknown, "", "NATS wasn't reached")
		x.say("streams", Unknown, "", "NATS wasn't reached")
		return
	}
	x.nats = nc
	trip, err := nc.RTT()
	if err != nil {
		x.say("nats", Wrong, "See whether the server is overloaded.", "%s doesn't answer: %s", x.o.BareNATSURL, cause(err))
		return
	}
	version := nc.ConnectedServerVersion()
	if !atLeast(version, minNATS) {
		x.say("nats", Wrong, "Update nats-server.", "version %s is older than %d.%d", version, minNATS[0], minNATS[1])
	} else {
		x.say("nats", OK, "", "reached at %s, version %s, %.1f ms away", x.o.BareNATSURL, version, float64(trip.Microseconds())/1000)
	}
	x.jetStream(ctx, nc)
}

func atLeast(version string, want [2]int) bool {
	parts := strings.SplitN(strings.TrimPrefix(version, "v"), ".", 3)
	if len(parts) < 2 {
		return false
	}
	major, err1 := strconv.Atoi(parts[0])
	minor, err2 := strconv.Atoi(parts[1])
	return err1 == nil && err2 == nil && (major > want[0] || major == want[0] && minor >= want[1])
}

func (x *examination) jetStream(ctx context.Context, nc *nats.Conn) {
	ctx, cancel := x.limited(ctx)
	defer cancel()
	js, err := jetstream.New(nc)
	if err == nil {
		var account *jetstream.AccountInfo
		if account, err = js.AccountInfo(ctx); err == nil {
			limit := "no limit"
			if account.Limits.MaxStore > 0 {
				limit = fmt.Sprintf("a limit of %s", size(uint64(account.Limits.MaxStore)))
			}
			x.say("jetstream", OK, "", "%d streams, %s stored, %s for this account", account.Streams, size(account.Store), limit)
		}
	}
	if err != nil {
		x.say("jetstream", Wrong, "Start nats-server with --jetstream, and enable it for this account.", "not available: %s", cause(err))
		x.say("streams", Unknown, "", "JetStream isn't available")
		return
	}
	if x.streams, err = eventlog.Examine(ctx, nc); err != nil {
		x.say("streams", Wrong, "See whether this account may ask for streams.", "can't be asked for: %s", cause(err))
		return
	}
	for _, s := range x.streams {
		x.stream(s)
	}
}

func (x *examination) stream(s eventlog.Examined) {
	check := "stream " + s.Name
	switch {
	case errors.Is(s.Err, eventlog.ErrMissing):
		x.say(check, Wrong, "Start headway run, or ingest: it makes the streams.", "doesn't exist")
		return
	case s.Err != nil:
		x.say(check, Wrong, "Give the stream back the configuration it was made with, or move it away and let ingest make it anew.", "%s", s.Err)
		return
	}
	parts := []string{fmt.Sprintf("%d messages, %s", s.Messages, size(s.Bytes))}
	if s.Partitions > 0 {
		parts = append(parts, fmt.Sprintf("%d partitions", s.Partitions))
	}
	parts = append(parts, fmt.Sprintf("%d replicas", s.Replicas))
	state, do := OK, ""
	note := func(says, todo string) { parts, state, do = append(parts, says), Note, todo }
	if s.MaxAge > 0 {
		parts = append(parts, "kept for "+s.MaxAge.String())
	}
	if s.Name == eventlog.EventsStream {
		switch {
		case s.DiscardsOld && (s.MaxBytes > 0 || s.MaxMessages > 0):
			note("drops the oldest events at its limit", "Raise or remove the limit: a view rebuilt after that is incomplete.")
		case s.MaxBytes > 0 && s.Bytes > uint64(s.MaxBytes)/10*9:
			note(fmt.Sprintf("%s of at most %s: soon it refuses events", size(s.Bytes), size(uint64(s.MaxBytes))), "Raise the limit, or set max-age.")
		case s.First > 1 && s.Messages > 0 || s.Messages == 0 && s.Last > 0:
			note(fmt.Sprintf("begins at %d: what was before is gone (age, or a purge)", s.First), "Nothing, if that was intended: views of before say that they are incomplete.")
		case s.Deleted > 0:
			note(fmt.Sprintf("%d messages were deleted within", s.Deleted), "Nothing, if that was intended: rebuilt views won't have them.")
		}
	}
	if s.Name == eventlog.DeadStream && s.Messages > 0 {
		note("events that weren't understood", "headway dlq lists them with their reasons.")
	}
	x.say(check, state, do, "%s", strings.Join(parts, ", "))
}

func size(n uint64) string {
	switch {
	case n >= 1<<30:
		return fmt.Sprintf("%.1f GiB", float64(n)/(1<<30))
	case n >= 1<<20:
		return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20))
	case n >= 1<<10:
		return fmt.Sprintf("%.1f KiB", float64(n)/(1<<10))
	}
	return fmt.Sprintf("%d B", n)
}

// cause is the innermost words of an error: the outer ones may repeat an address with what is secret in it.
func cause(err error) string {
	for next := err; next != nil; next = errors.Unwrap(next) {
		err = next
	}
	return err.Error()
}

// behind is how far a moment is before another.
func behind(then, now time.Time) time.Duration { return max(0, now.Sub(then)) }
