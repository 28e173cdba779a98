package main

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/headwayhq/headway/pkg/diagnostics"
	"github.com/headwayhq/headway/pkg/eventlog"
)

// TestScriptsAgreeWithTheFold checks that the scripts expect what the product shows for their events, in any order. Otherwise the
// proving ground would report faults of its own.
func TestScriptsAgreeWithTheFold(t *testing.T) {
	told := map[string]int{}
	for n := range 400 {
		rng := rand.New(rand.NewPCG(7, uint64(n)))
		p := newPlan(rng, n, 1+n%6, time.Now().Add(-time.Hour))
		rng.Shuffle(len(p.events), func(i, j int) { p.events[i], p.events[j] = p.events[j], p.events[i] })
		view := diagnostics.NewView(p.ns, p.batch)
		for _, e := range p.events {
			d := new(diagnostics.Decoder)
			folded, rejection := d.Decode(diagnostics.Message{Subject: "headway.log.0." + e.ns + "." + e.batch + "." + e.kind, Data: e.data, Stored: p.begin.Add(e.at + e.delay)})
			if (rejection != nil) != e.poison {
				t.Fatalf("poison %t, refused with %v: %s", e.poison, rejection, e.data)
			}
			if rejection == nil {
				diagnostics.Fold(view, folded)
			}
		}
		if says := p.differs(render(t, view, p)); says != "" {
			t.Errorf("%s: %s", p.story, says)
		}
		told[p.story]++
	}
	for _, s := range stories {
		if told[s.name] == 0 {
			t.Errorf("%s was never told", s.name)
		}
	}
}

func render(t *testing.T, v *diagnostics.View, p *plan) *told {
	t.Helper()
	asOf := p.begin.Add(max(p.skew, 0) + 10*time.Minute)
	limits := diagnostics.Policy{WindowGPU: 8 * time.Second, WindowNoGPU: 6 * time.Second, Timeout: stallTimeout, Grace: grace, Settle: 5 * time.Second, ScalingDelay: 2 * time.Second}
	text, err := json.Marshal(diagnostics.Render(v, asOf, limits, diagnostics.Meta{}))
	if err != nil {
		t.Fatal(err)
	}
	var out told
	if err := json.Unmarshal(text, &out); err != nil {
		t.Fatal(err)
	}
	return &out
}

// TestDiffers checks that each possible difference in an answer is found.
func TestDiffers(t *testing.T) {
	for n := range 60 {
		p := newPlan(rand.New(rand.NewPCG(8, uint64(n))), n, 1+n%6, time.Now().Add(-time.Hour))
		view := diagnostics.NewView(p.ns, p.batch)
		for _, e := range p.events {
			d := new(diagnostics.Decoder)
			if folded, rejection := d.Decode(diagnostics.Message{Subject: "headway.log.0." + e.ns + "." + e.batch + "." + e.kind, Data: e.data, Stored: p.begin.Add(e.at + e.delay)}); rejection == nil {
				diagnostics.Fold(view, folded)
			}
		}
		for what, harm := range map[string]func(*told){
			"status":    func(x *told) { x.Status = "DRAFT" },
			"health":    func(x *told) { x.Health = "unheard of" },
			"tiers":     func(x *told) { x.Tiers = x.Tiers[1:] },
			"processed": func(x *told) { x.Tiers[0].Progress.Processed++ },
			"total":     func(x *told) { x.Tiers[0].Progress.Total++ },
			"failed":    func(x *told) { x.Tiers[0].Failed++ },
			"jobs":      func(x *told) { x.Tiers[0].Jobs = nil },
			"job":       func(x *told) { x.Tiers[0].Jobs[0].Status = "STOPPED" },
		} {
			x := render(t, view, p)
			harm(x)
			if p.differs(x) == "" {
				t.Errorf("%s: wrong %s was not seen", p.story, what)
			}
		}
	}
}

func TestPartition(t *testing.T) {
	for n := range 100 {
		k := key{fmt.Sprint("ns", n%7), fmt.Sprint("batch", n)}
		if got, want := partition(k), eventlog.Partition(k.ns, k.batch, partitions); got != want {
			t.Errorf("%s is in partition %d, want %d", k, got, want)
		}
	}
	for p, k := range pulses() {
		if partition(k) != p {
			t.Errorf("%s doesn't probe partition %d", k, p)
		}
	}
}

// TestDeadline checks that a fault extends the deadlines only of what it affected, and only while it could.
func TestDeadline(t *testing.T) {
	due := time.Now()
	at := func(s int) time.Time { return due.Add(time.Duration(s) * time.Second) }
	for what, c := range map[string]struct {
		windows []window
		want    time.Time
		touched bool
	}{
		"no fault":        {nil, at(5), false},
		"over before":     {[]window{{from: at(-9), to: at(-4)}}, at(5), false},
		"across":          {[]window{{from: at(-9), to: at(3)}}, at(13), true},
		"begins later":    {[]window{{from: at(4), to: at(6)}}, at(16), true},
		"too late":        {[]window{{from: at(6), to: at(9)}}, at(5), false},
		"one after other": {[]window{{from: at(-1), to: at(2)}, {from: at(9), to: at(12)}}, at(22), true},
		"aimed elsewhere": {[]window{{from: at(-1), to: at(2), none: true}}, at(5), false},
		"other partition": {[]window{{from: at(-1), to: at(2), parts: map[int]bool{4: true}}}, at(5), false},
		"its partition":   {[]window{{from: at(-1), to: at(2), parts: map[int]bool{3: true}}}, at(12), true},
	} {
		r := &run{options: options{Slack: 1}, windows: c.windows}
		if by, touched := r.deadline(due, 3); !by.Equal(c.want) || touched != c.touched {
			t.Errorf("%s: %v touched %t, want %v, %t", what, by.Sub(due), touched, c.want.Sub(due), c.touched)
		}
	}
}

// TestSeams checks that each seam is recognized on the wire, and not confused with another one of its connection.
func TestSeams(t *testing.T) {
	const base = "hw:{p03}:abc_0-1:"
	wire := map[string]string{
		"ingest.read":        "HMSG _INBOX.x.1 7 $JS.ACK.HEADWAY_EVENTS.c.1.1.1.1.0 20 30\r\n headway.log.3.n.b.batch",
		"ingest.load":        "*3\r\n$4\r\nmget\r\n$1\r\n" + base + "fence\r\n$9\r\n" + base + "v:n:b\r\n",
		"ingest.commit":      "*9\r\n$7\r\nevalsha\r\n" + base + "fence\r\n" + base + "due\r\n" + base + "ns\r\n" + base + "v:n:b\r\n",
		"ingest.committed":   "*2\r\n$13\r\n1790000000000\r\n",
		"ingest.bury":        "HPUB headway.dlq.abc_0.17 _INBOX.x 20 40\r\n",
		"ingest.buried":      `MSG _INBOX.x.2 1 40` + "\r\n" + `{"stream":"HEADWAY_DLQ", "seq":3}`,
		"detector.due":       "*7\r\n$7\r\nevalsha\r\n" + base + "fence\r\n" + base + "due\r\n",
		"detector.announce":  "HPUB headway.events.n.b.health _INBOX.x 20 40\r\n",
		"detector.announced": `MSG _INBOX.x.2 1 40` + "\r\n" + `{"stream":"HEADWAY_EVENTS", "seq":3}`,
		"detector.moved":     "*7\r\n$7\r\nevalsha\r\n" + base + "due\r\n" + base + "v:n:b\r\n",
		"api.look":           "*3\r\n$4\r\nmget\r\n$1\r\n" + base + "fence\r\n$9\r\n" + base + "v:n:b\r\n",
		"api.push":           "*3\r\n$7\r\nmessage\r\n$9\r\n" + base + "push:n:b\r\n",
		"api.subscribe":      "*2\r\n$9\r\nsubscribe\r\n$9\r\n" + base + "push:n:b\r\n",
		"api.keep":           "HPUB headway.events.n.b.batch _INBOX.x 20 40\r\n",
		"api.kept":           `MSG _INBOX.x.2 1 40` + "\r\n" + `{"stream":"HEADWAY_EVENTS", "seq":3}`,
	}
	for _, s := range seams() {
		text, ok := wire[s.kind+"."+s.name]
		if !ok || !s.match([]byte(text)) {
			t.Errorf("%s.%s isn't recognized", s.kind, s.name)
		}
	}
}
