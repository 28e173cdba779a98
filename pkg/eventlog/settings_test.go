package eventlog_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/headwayhq/headway/pkg/eventlog"
	"github.com/headwayhq/headway/pkg/headwaytest"
)

// A log of one server is given three while it is in use: no event, no id of its identity and no duplicate window changes, and after the
// loss of a server it goes on.
func TestOneReplicaBecomesThree(t *testing.T) {
	cluster := headwaytest.NATSCluster(t, 3)
	nc := cluster[0].Conn()
	l, err := eventlog.Open(t.Context(), nc, eventlog.Config{Partitions: 4, First: 1})
	if err != nil {
		t.Fatal(err)
	}
	publish := func(id string) (seq uint64) {
		t.Helper()
		soon(t, "an event is stored", func() (err error) {
			seq, err = l.Publish(t.Context(), "headway.events.default.b.batch", nil, []byte(id))
			return err
		})
		return seq
	}
	publish("a")
	before, err := l.Info(t.Context())
	if err != nil {
		t.Fatal(err)
	}

	three, week := 3, 7*24*time.Hour
	wanted := eventlog.Wanted{Replicas: &three, MaxAge: &week}
	read := func() []eventlog.Settings {
		t.Helper()
		all, err := eventlog.ReadSettings(t.Context(), nc, wanted, "NONE")
		if err != nil {
			t.Fatal(err)
		}
		return all
	}
	changes := func(all []eventlog.Settings) (out []string) {
		for _, s := range all {
			for _, x := range s.Settings {
				if x.Changes() {
					out = append(out, fmt.Sprintf("%s %s %s %s", s.Stream, x.Name, x.Is, x.Want))
				}
			}
		}
		return out
	}
	want := []string{
		"HEADWAY_EVENTS replicas 1 3", "HEADWAY_EVENTS max age kept forever 168h0m0s", "HEADWAY_HEALTH replicas 1 3", "HEADWAY_DLQ replicas 1 3", "HEADWAY_HISTORY replicas 1 3",
	}
	all := read()
	if got := changes(all); !slices.Equal(got, want) {
		t.Errorf("it would change %q, want %q", got, want)
	}
	for i := range all {
		if err := eventlog.ApplySettings(t.Context(), nc, &all[i]); err != nil {
			t.Fatal(err)
		}
	}
	soon(t, "three servers have everything", func() error {
		for _, s := range read() {
			if !s.Spread() {
				return fmt.Errorf("%s on %v", s.Stream, s.Servers)
			}
		}
		return nil
	})
	if got := changes(read()); got != nil {
		t.Errorf("afterwards it would change %q", got)
	}
	if after, err := l.Info(t.Context()); err != nil || after.Identity != before.Identity || after.Last != before.Last {
		t.Errorf("the log was %v and is %v (%v)", before, after, err)
	}

	var leads int
	if _, err := fmt.Sscanf(read()[0].Servers[0].Name, "n%d", &leads); err != nil {
		t.Fatal(err)
	}
	leads--
	if leads == 0 { // the connection is to the first server
		nc = cluster[1].Conn()
		if l, err = eventlog.Open(t.Context(), nc, eventlog.Config{First: 1}); err != nil {
			t.Fatal(err)
		}
	}
	cluster[leads].Shutdown()
	if seq := publish("b"); seq != before.Last+1 {
		t.Errorf("the next event is %d, want %d", seq, before.Last+1)
	}
}

// A single server keeps one replica: asked for three it refuses, and the stream stays as it was. A stream that Headway can't use is named
// and not touched.
func TestSettingsThatCannotBe(t *testing.T) {
	nc := headwaytest.NATS(t).Conn()
	if all, err := eventlog.ReadSettings(t.Context(), nc, eventlog.Wanted{}); err != nil || len(all) != 4 || !all[0].Missing {
		t.Errorf("of an empty server: %v, %v", all, err)
	}
	if _, err := eventlog.Open(t.Context(), nc, eventlog.Config{First: 1}); err != nil {
		t.Fatal(err)
	}
	three := 3
	all, err := eventlog.ReadSettings(t.Context(), nc, eventlog.Wanted{Replicas: &three})
	if err != nil {
		t.Fatal(err)
	}
	if err := eventlog.ApplySettings(t.Context(), nc, &all[0]); err == nil || !strings.Contains(err.Error(), "10074") {
		t.Errorf("three replicas of one server: %v", err)
	}
	if all, err = eventlog.ReadSettings(t.Context(), nc, eventlog.Wanted{}); err != nil || all[0].Changes() || !all[0].Spread() {
		t.Errorf("afterwards: %+v, %v", all, err)
	}
}

// soon waits until something is so.
func soon(t *testing.T, what string, is func() error) {
	t.Helper()
	deadline := time.Now().Add(time.Minute)
	for err := is(); err != nil; err = is() {
		if time.Now().After(deadline) {
			t.Fatalf("%s: %v", what, err)
		}
		time.Sleep(20 * time.Millisecond) // between two looks
	}
}
