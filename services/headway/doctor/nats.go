package doctor

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/headwayhq/headway/pkg/eventlog"
	"github.com/headwayhq/headway/services/internal/printable"
)

func (x *examination) askNATS(ctx context.Context) {
	if x.o.NATSURL == "" {
		x.sayf("nats", Unknown, "Give --nats-url if you run this Headway.", "not examined, because no address of it is known")
		return
	}
	options, err := x.o.NATS.Options(x.o.NATSURL, "headway doctor")
	var nc *nats.Conn
	if err == nil {
		nc, err = nats.Connect(x.o.NATSURL, append(options, nats.Timeout(x.o.Timeout), nats.NoReconnect(),
			nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {}))...) // the findings say it
	}
	switch {
	case errors.Is(err, nats.ErrAuthorization):
		x.sayf("nats", Wrong, "Give them with --nats-creds-file, --nats-nkey-file, --nats-user or --nats-token-file.", "%s refuses the credentials", x.o.BareNATSURL)
	case err != nil:
		x.sayf("nats", Wrong, "Start NATS there, or name another with --nats-url.", "%s can't be reached: %s", x.o.BareNATSURL, cause(err))
	}
	if err != nil {
		x.sayf("jetstream", Unknown, "", "NATS wasn't reached")
		x.sayf("streams", Unknown, "", "NATS wasn't reached")
		return
	}
	x.nats = nc
	trip, err := nc.RTT()
	if err != nil {
		x.sayf("nats", Wrong, "Check whether the server is overloaded.", "%s doesn't answer: %s", x.o.BareNATSURL, cause(err))
		return
	}
	version := nc.ConnectedServerVersion()
	if !eventlog.Supported(version) {
		x.sayf("nats", Wrong, "Update nats-server.", "version %s is older than %s", version, eventlog.MinServer)
	} else {
		x.sayf("nats", OK, "", "reached at %s, version %s, %.1f ms away%s", x.o.BareNATSURL, version, float64(trip.Microseconds())/1000, natsUser(ctx, nc))
	}
	x.jetStream(ctx, nc)
}

func (x *examination) jetStream(ctx context.Context, nc *nats.Conn) {
	ctx, cancel := x.limited(ctx)
	defer cancel()
	js, err := jetstream.New(nc)
	if err == nil {
		var account *jetstream.AccountInfo
		if account, err = js.AccountInfo(ctx); err == nil {
			x.account(account)
		}
	}
	if err != nil {
		x.sayf("jetstream", Wrong, "Start nats-server with --jetstream, and enable it for this account.", "not available: %s", cause(err))
		x.sayf("streams", Unknown, "", "JetStream isn't available")
		return
	}
	if x.streams, err = eventlog.Examine(ctx, nc); err != nil {
		x.sayf("streams", Wrong, "Check that this account may list streams.", "can't be listed: %s", cause(err))
		return
	}
	x.covered, _ = eventlog.ReadCovered(ctx, nc) // otherwise nothing is known to be covered
	for _, s := range x.streams {
		x.stream(s)
	}
	x.disk(ctx)
	x.writeNATS(ctx, nc, js)
}

func (x *examination) account(a *jetstream.AccountInfo) {
	limit := "no limit"
	if a.Limits.MaxStore > 0 {
		limit = "a limit of " + size(uint64(a.Limits.MaxStore))
	}
	state, do := OK, ""
	if a.Limits.MaxStore > 0 && a.Store > uint64(a.Limits.MaxStore)/10*8 {
		state, do = Note, "Raise the account's limit, or let "+eventlog.EventsStream+" drop old events with max-age: at the limit every publish is refused. See docs/runbooks/HeadwayStorageFull.md."
	}
	x.sayf("jetstream", state, do, "%d streams, %s stored, %s for this account", a.Streams, size(a.Store), limit)
	const event = 1 << 20
	if most := x.nats.MaxPayload(); most < event {
		x.sayf("jetstream payload", Note, "Set max_payload of nats-server to 1MB or more.", "events above %s are refused by the server", size(uint64(most)))
	}
}

func (x *examination) stream(s eventlog.Examined) {
	check := "stream " + s.Name
	switch {
	case errors.Is(s.Err, eventlog.ErrMissing):
		x.sayf(check, Wrong, "Start headway run, or ingest: it creates the streams.", "doesn't exist")
		return
	case errors.Is(s.Err, eventlog.ErrOverlap):
		x.sayf(check, Wrong, "Remove Headway's subjects from that stream or delete it, then start ingest.", "can't be created: %s", s.Err)
		return
	case s.Err != nil:
		x.sayf(check, Wrong, "Restore the configuration with which the stream was created, or move it away and let ingest create it again.", "%s", s.Err)
		return
	}
	parts := []string{fmt.Sprintf("%d messages, %s", s.Messages, size(s.Bytes))}
	if s.Partitions > 0 {
		parts = append(parts, fmt.Sprintf("%d partitions", s.Partitions))
	}
	parts = append(parts, replicasOf(s.Replicas))
	state, do := OK, ""
	note := func(says, todo string) { parts, state, do = append(parts, says), Note, todo }
	if s.MaxAge > 0 {
		parts = append(parts, "kept for "+s.MaxAge.String())
	}
	if s.Name == eventlog.EventsStream {
		left, full := limits(&s)
		switch {
		case full:
			x.sayf(check, Wrong, "Raise the stream's limit, or set max-age: every publish is refused. See docs/runbooks/HeadwayDetectorFails.md.", "%s", left)
			return
		case s.DiscardsOld && (s.MaxBytes > 0 || s.MaxMessages > 0):
			note("drops the oldest events at its limit", "Raise or remove the limit: a view rebuilt after that is incomplete.")
		case left != "":
			note(left, "Raise the limit, or set max-age. See docs/runbooks/HeadwayStorageFull.md.")
		case s.First > s.Born && s.First-1 <= x.covered.Floor.Covered:
			parts = append(parts, "earlier events were removed, checkpoints cover them")
		case s.First > s.Born && s.Messages > 0 || s.Messages == 0 && s.Last >= s.Born:
			note(fmt.Sprintf("begins at %d: earlier messages are gone (age, or a purge)", s.First), "Nothing, if that was intended: batches that no checkpoint covered are marked as incomplete. See docs/operations/retention.md.")
		case s.Deleted > 0:
			note(fmt.Sprintf("%d messages in between were deleted", s.Deleted), "Nothing, if that was intended: rebuilt views won't have them.")
		}
	}
	if s.Name == eventlog.DeadStream && s.Messages > 0 {
		note("events that couldn't be understood", "headway dlq lists them with their reasons. See docs/runbooks/HeadwayDeadLetters.md.")
	}
	x.sayf(check, state, do, "%s", strings.Join(parts, ", "))
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

// cause returns the innermost message of an error, without an address.
func cause(err error) string { return printable.Cause(err) }

// behind returns how far one time is before another.
func behind(then, now time.Time) time.Duration { return max(0, now.Sub(then)) }

func replicasOf(n int) string {
	if n == 1 {
		return "1 replica"
	}
	return fmt.Sprintf("%d replicas", n)
}
