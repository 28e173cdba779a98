package api

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// What is given holds for all namespaces, or for one, whatever comes first; everything else has its default.
func TestQuotasAsGiven(t *testing.T) {
	l := Limits{
		Principal: map[string]LimitSet{"requests_per_second": "7", "bytes_per_second": "none"},
		Namespace: map[string]LimitSet{"a/streams": "3", "streams": "9", "a/events_per_second": "none", "a-b/batches": "2"},
	}
	l.fill()
	for _, keyed := range []bool{true, false} {
		p, err := l.principalQuotas(keyed)
		if err != nil {
			t.Fatal(err)
		}
		n, err := l.namespaceQuotas(keyed)
		if err != nil {
			t.Fatal(err)
		}
		byDefault := func(v int64) int64 {
			if keyed {
				return v
			}
			return 0
		}
		for _, x := range []struct{ got, want int64 }{
			{p.of("k")[requestRate], 7}, {p.of("k")[byteRate], 0}, {p.of("k")[eventRate], byDefault(5_000)}, {p.of("k")[waitingStreams], 100},
			{n.of("b")[openStreams], 9}, {n.of("a")[openStreams], 3}, {n.of("a-b")[openStreams], 9}, {n.of("a-b")[keptBatches], 2}, {n.of("b")[keptBatches], 0},
			{n.of("a")[eventRate], 0}, {n.of("b")[eventRate], byDefault(10_000)}, {n.of("a")[requestRate], byDefault(2_000)}, {n.of("b")[waitingStreams], 1_000},
		} {
			if x.got != x.want {
				t.Errorf("with keys %v: %d, want %d", keyed, x.got, x.want)
			}
		}
	}
}

// What can't hold is refused, by the name of its flag.
func TestQuotasRefused(t *testing.T) {
	for _, x := range []struct{ flag, name, value, want string }{
		{"principal", "event_per_second", "1", `--principal-limit: "event_per_second" isn't a limit: events_per_second?`},
		{"principal", "batches", "1", `--principal-limit: "batches" isn't a limit: must be one of requests_per_second`},
		{"principal", "streams", "0", `--principal-limit: streams: "0" must be a whole number from 1 to`},
		{"principal", "a/streams", "1", `--principal-limit: "a/streams" isn't a limit`},
		{"namespace", "streams", "-1", `--namespace-limit: streams: "-1" must be`},
		{"namespace", "streams", "many", `--namespace-limit: streams: "many" must be`},
		{"namespace", "streams", "1.5", `--namespace-limit: streams: "1.5" must be`},
		{"namespace", "streams", "1099511627777", `--namespace-limit: streams: "1099511627777" must be`},
		{"namespace", "a b/streams", "1", `--namespace-limit: "a b" isn't a namespace`},
		{"namespace", "a/stream", "1", `--namespace-limit: "stream" isn't a limit: streams?`},
		{"namespace", "body_bytes", "1", `--namespace-limit: "body_bytes" isn't a limit`},
	} {
		l := Limits{Heartbeat: time.Second}
		given := map[string]LimitSet{x.name: LimitSet(x.value)}
		if l.Principal = given; x.flag == "namespace" {
			l.Principal, l.Namespace = nil, given
		}
		if err := l.Check(); err == nil || !strings.HasPrefix(err.Error(), x.want) {
			t.Errorf("%s=%s: %v", x.name, x.value, err)
		}
	}
}

// However many are counted, their number is bounded. Who is forgotten has nothing left to pay.
func TestMetersAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMeters(&quotas{scope: ofNamespace, standard: quota{requestRate: 10}, own: map[string]*quota{"own": {requestRate: 1}}}, 1000)
		m.most = 100
		busy := func(kind string) (n int) {
			for i := range 1000 {
				now := time.Now()
				x := m.of(subject{kind, strings.Repeat("x", i)}, now)
				if x.charge(requestRate, now, 50); x == m.shared {
					n++
				}
			}
			return n
		}
		if n := busy("first"); n != 900 || len(m.per) != 100 {
			t.Errorf("%d of a thousand share, %d are kept", n, len(m.per))
		}
		if m.of(subject{"late", "x"}, time.Now()).take(requestRate, time.Now(), 1) {
			t.Error("one that is counted with others isn't limited with them")
		}
		if x := m.of(subject{"first", "own"}, time.Now()); x == m.shared || !x.take(requestRate, time.Now(), 5) || x.take(requestRate, time.Now(), 1) {
			t.Error("a namespace with a limit of its own isn't counted by itself")
		}
		time.Sleep(4 * time.Second)
		if n := busy("second"); n != 1000 {
			t.Errorf("%d share while all that are kept have something to pay", n)
		}
		time.Sleep(time.Hour)
		if n := busy("third"); n != 900 || len(m.per) != 100 {
			t.Errorf("later %d share, %d are kept", n, len(m.per))
		}
	})
}
