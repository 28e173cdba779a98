package api

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	neturl "net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/headwayhq/headway/pkg/diagnostics"
	"github.com/headwayhq/headway/pkg/eventlog"
	"github.com/headwayhq/headway/pkg/push"
	"github.com/headwayhq/headway/pkg/simulator"
	"github.com/headwayhq/headway/services/internal/folding"
)

// The stand-in of the log keeps messages of one stream, and answers about single batches as eventlog.Log does.

func (l *eventLog) Info(context.Context) (eventlog.Info, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now
	if now.IsZero() {
		now = time.Now()
	}
	info := eventlog.Info{Identity: "abc_0", First: 1, Last: uint64(len(l.history)), Now: now}
	if l.cut > 0 {
		info.First, info.GoneBefore = uint64(l.cut+1), now
		if l.cut < len(l.history) {
			info.GoneBefore = l.history[l.cut].Stored
		}
	}
	return info, l.err
}

func (l *eventLog) last(prefix string) (m eventlog.Message, found bool, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, m := range slices.Backward(l.history[l.cut:]) {
		if strings.HasPrefix(m.Subject, prefix) {
			return m, true, l.err
		}
	}
	return m, false, l.err
}

func (l *eventLog) LastOfBatch(_ context.Context, ns, batch string) (eventlog.Message, bool, error) {
	return l.last("headway.log.0." + ns + "." + batch + ".")
}

func (l *eventLog) LastAnnounced(_ context.Context, ns, batch string) (eventlog.Message, bool, error) {
	return l.last("headway.log.0." + ns + "." + batch + ".health")
}

func (l *eventLog) ReadBatch(_ context.Context, o eventlog.BatchOptions, sink func(eventlog.Message) error) error {
	l.mu.Lock()
	all := l.history[l.cut:]
	l.reads++
	l.mu.Unlock()
	for _, m := range all {
		if m.Seq < o.From || m.Seq > o.To || !strings.HasPrefix(m.Subject, "headway.log.0."+o.Namespace+"."+o.Batch+".") {
			continue
		}
		if err := sink(m); err != nil {
			return fmt.Errorf("read: %w", err)
		}
	}
	return nil
}

// pastWorld is a world whose views are folded from its log by a clock that the test sets.
type pastWorld struct {
	*world
	decoder diagnostics.Decoder
}

func newPastWorld(t testing.TB, change ...func(*Options)) *pastWorld {
	return &pastWorld{world: newWorld(t, change...)}
}

// store appends a message to the log and folds it, as ingest does. Its partition's time becomes that of the message.
func (w *pastWorld) store(ns, batch, kind string, data []byte, at time.Time) {
	w.t.Helper()
	m := eventlog.Message{Seq: uint64(len(w.log.history) + 1), Stored: at, Subject: "headway.log.0." + ns + "." + batch + "." + kind, Data: data}
	w.log.history = append(w.log.history, m)
	k := push.Key{Namespace: ns, Name: batch}
	w.fold(k, m)
	w.log.keeper.stored(w, k, &m)
}

func (w *pastWorld) fold(k push.Key, m eventlog.Message) {
	w.t.Helper()
	v := diagnostics.NewView(k.Namespace, k.Name)
	if old := w.shelf.values[k]; old != nil {
		var err error
		if v, err = diagnostics.Parse(old); err != nil {
			w.t.Fatal(err)
		}
	}
	if !w.foldInto(v, m) {
		return
	}
	w.shelf.values[k] = v.Append(nil)
	w.tick(m.Seq, m.Stored)
}

// foldInto reports whether the message is part of the view.
func (w *pastWorld) foldInto(v *diagnostics.View, m eventlog.Message) bool {
	w.t.Helper()
	event, rejection := folding.Decode(&w.decoder, &m)
	if rejection == nil {
		if _, _, err := folding.Into(diagnostics.Fold, v, event, m.Seq); err != nil {
			w.t.Fatal(err)
		}
		return true
	}
	r, whose := folding.Refused(&m, rejection)
	if whose {
		folding.Refusal(v, r, m.Seq)
	}
	return whose
}

// tick moves the time of all partitions.
func (w *pastWorld) tick(cursor uint64, at time.Time) {
	for p, f := range w.shelf.fence {
		next := *f
		next.identity, next.fold = w.shelf.id, diagnostics.FoldVersion
		next.cursor, next.watermark, next.asOf = max(cursor, f.cursor), at, at
		w.shelf.fence[p] = &next
	}
}

// live is the answer that the api gives now, with a clock that shows at.
func (w *pastWorld) live(k push.Key, at time.Time) []byte {
	w.t.Helper()
	w.tick(0, at)
	r, err := w.svc.source.Read(w.t.Context(), k)
	if err != nil || r.Frame == nil {
		return nil
	}
	return r.Frame.Content.(*shown).render(at, false).body
}

func pastURL(k push.Key, at string) string { return url(k) + "&at=" + neturl.QueryEscape(at) }

// asked is the answer about a moment, asked for afterwards.
func (w *pastWorld) asked(k push.Key, at time.Time) []byte {
	w.t.Helper()
	return w.status(w.unchecked(k, at), 200).Body.Bytes()
}

// unchecked asks without holding the answer against the description: it is compared with one that is as described.
func (w *pastWorld) unchecked(k push.Key, at time.Time) *httptest.ResponseRecorder {
	out := httptest.NewRecorder()
	w.svc.Handler().ServeHTTP(out, httptest.NewRequest(http.MethodGet, pastURL(k, at.Format(time.RFC3339Nano)), nil))
	return out
}

type kept struct {
	k    push.Key
	at   time.Time
	body []byte
}

// same asks for every moment that was kept, and compares what is answered with what was answered then.
func (w *pastWorld) same(all []kept) {
	w.t.Helper()
	for _, was := range all {
		if was.body == nil {
			if kind := w.problem(w.unchecked(was.k, was.at)); kind != "before_first_event" {
				w.t.Errorf("%v at %v: %s", was.k, was.at, kind)
			}
			continue
		}
		if got := w.asked(was.k, was.at); !bytes.Equal(got, was.body) {
			w.t.Fatalf("%v at %v: asked later\n%s\nit was\n%s", was.k, was.at, got, was.body)
		}
	}
}

// announce lets the detector speak: what is due at a moment is stored a moment later.
func (w *pastWorld) announce(k push.Key, at time.Time) {
	w.t.Helper()
	v, err := diagnostics.Parse(w.shelf.values[k])
	if err != nil {
		w.t.Fatal(err)
	}
	policy := diagnostics.DefaultPolicy()
	p, due := diagnostics.Due(v, at, policy)
	if !due || p.Announcement == nil {
		return
	}
	w.store(k.Namespace, k.Name, "health", announcement(k, at, p.Announcement, policy.Hash()), at.Add(5*time.Millisecond))
}

func announcement(k push.Key, at time.Time, a *diagnostics.Announcement, policy string) []byte {
	data := map[string]any{
		"ordinal": a.Ordinal, "batch_id": k.Name, "namespace": k.Namespace, "from": a.From, "to": a.To, "revision": "a-1-1",
		"as_of": stamped(at), "cause_from": a.CauseFrom, "cause_to": a.CauseTo, "policy_hash": policy,
	}
	text, _ := json.Marshal(map[string]any{
		"specversion": "1.0", "id": fmt.Sprintf("%s.health.%d", k.Name, a.Ordinal), "source": diagnostics.DetectorSource,
		"type": diagnostics.TypeHealthV1, "subject": k.Name, "time": stamped(at), "data": data,
	})
	return text
}

// What was answered at a moment is answered about it later, byte for byte: over all stories of the corpus, before and after each event,
// with what the detector announced.
func TestPastIsWhatWasAnsweredOverStories(t *testing.T) {
	w := newPastWorld(t)
	all := w.tellStories()
	w.log.now = time.Now()
	w.same(all)
}

// tellStories stores the events of all stories, with what the detector announced, and returns what was answered before and after each.
func (w *pastWorld) tellStories() (all []kept) {
	t := w.t
	t.Helper()
	files, err := filepath.Glob("../../pkg/diagnostics/testdata/stories/*.story")
	if err != nil || len(files) < 40 {
		t.Fatal(len(files), err)
	}
	type told struct {
		storyLine
		of push.Key
	}
	var lines []told
	for _, file := range files {
		k := push.Key{Namespace: "search", Name: strings.TrimSuffix(filepath.Base(file), ".story")}
		for _, line := range storyLines(t, file) {
			lines = append(lines, told{line, k})
		}
	}
	slices.SortStableFunc(lines, func(a, b told) int { return a.at.Compare(b.at) })
	var begun []push.Key
	for _, line := range lines {
		k, at := line.of, w.end()
		switch stored := line.at; {
		case !slices.Contains(begun, k):
			begun = append(begun, k)
			all = append(all, kept{k, later(at, stored).Add(-time.Second), nil})
		case stored.After(at):
			for _, gap := range []time.Duration{time.Nanosecond, stored.Sub(at) / 2, stored.Sub(at) - time.Nanosecond} {
				moment := at.Add(gap)
				if moment.Add(10 * time.Millisecond).Before(stored) {
					w.announce(k, moment)
					moment = moment.Add(10 * time.Millisecond)
				}
				all = append(all, kept{k, moment, w.live(k, moment)})
			}
		}
		at = later(w.end(), line.at)
		w.store(k.Namespace, k.Name, line.kind, line.event(k.Name), at)
		all = append(all, kept{k, at, w.live(k, at)})
	}
	for _, k := range begun {
		at := w.end().Add(20 * time.Millisecond)
		w.store(k.Namespace, k.Name, "tier.1", []byte(`{"broken`), at)
		all = append(all, kept{k, at.Add(time.Hour), w.live(k, at.Add(time.Hour))})
	}
	if len(all) < 500 || len(begun) < 40 {
		t.Fatalf("%d moments of %d batches", len(all), len(begun))
	}
	return all
}

// end is when the log's last message was stored.
func (w *pastWorld) end() (at time.Time) {
	if n := len(w.log.history); n > 0 {
		at = w.log.history[n-1].Stored
	}
	return at
}

// later is a moment that is later than the last one: the log's times never go back.
func later(last, want time.Time) time.Time {
	if want.After(last) {
		return want
	}
	return last.Add(time.Millisecond)
}

type storyLine struct {
	at         time.Time
	kind, data string
	n          int
}

func (l storyLine) event(batch string) []byte {
	kind, _, _ := strings.Cut(l.kind, ".")
	return eventJSON(fmt.Sprint(l.n), batch, kind, "{"+l.data+"}", l.at)
}

var (
	storyEvent = regexp.MustCompile(`^(\d\d:\d\d(?::\d\d)?) (batch|tier\.\d+|job\.\S+|collection\.\S+|stage\.\d+) (".*)$`)
	storyTime  = regexp.MustCompile(`"@(\d\d:\d\d)(:\d\d)?"`)
)

// storyLines are the events of a story. Lines that say more than an event are left out.
func storyLines(t testing.TB, file string) (out []storyLine) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		parts := storyEvent.FindStringSubmatch(strings.TrimSpace(line))
		if parts == nil {
			continue
		}
		clock := parts[1]
		if len(clock) == 5 {
			clock += ":00"
		}
		at, err := time.Parse(time.RFC3339, "2026-03-01T"+clock+"Z")
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, storyLine{at, parts[2], storyTime.ReplaceAllStringFunc(parts[3], func(text string) string {
			if clock := strings.Trim(text, `"@`); len(clock) > 5 {
				return `"2026-03-01T` + clock + `Z"`
			}
			return `"2026-03-01T` + strings.Trim(text, `"@`) + `:00Z"`
		}), len(out)})
	}
	return out
}

// The same for batches of the simulator, whose events are repeated, late and in another order, and lie among one another in the log.
func TestPastIsWhatWasAnsweredOverSimulation(t *testing.T) {
	w := newPastWorld(t)
	w.same(w.simulate(3))
}

// simulate stores the events of simulated batches, and returns what was answered at some moments.
func (w *pastWorld) simulate(seed uint64) (all []kept) {
	t := w.t
	t.Helper()
	start := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	last := start
	for i, e := range simulator.Events(simulator.Config{Seed: seed, Batches: 12, Start: start, Dirty: simulator.RealisticDirt()}) {
		k := push.Key{Namespace: e.Namespace, Name: e.Batch}
		if at := start.Add(e.At); at.After(last) {
			last = at
		} else {
			last = last.Add(time.Microsecond)
		}
		w.store(k.Namespace, k.Name, strings.SplitN(e.Subject, ".", 5)[4], e.Data, last)
		if i%7 == 0 {
			all = append(all, kept{k, last, w.live(k, last)})
		}
	}
	all = slices.DeleteFunc(all, func(was kept) bool { return was.body == nil })
	if len(all) < 50 {
		t.Fatalf("%d moments", len(all))
	}
	return all
}

func pastBatch(t *testing.T, change ...func(*Options)) (*pastWorld, time.Time) {
	w := newPastWorld(t, change...)
	noon := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for i, data := range []string{`{"status":"PROCESSING","total_tiers":1}`, `{"name":"second"}`, `{"status":"COMPLETED"}`} {
		at := noon.Add(time.Duration(i) * time.Hour)
		w.store(one1.Namespace, one1.Name, "batch", eventJSON(fmt.Sprint("e", i), one1.Name, "batch", data, at), at)
	}
	return w, noon
}

func TestPastMoments(t *testing.T) {
	for text, want := range map[string]string{
		"2026-11-20T03:00Z": "2026-11-20T03:00:00Z", "2026-11-20T03:00:05Z": "2026-11-20T03:00:05Z", "2026-11-20t03:00:05.25z": "2026-11-20T03:00:05.25Z",
		"2026-11-20T04:00+01:00": "2026-11-20T03:00:00Z", "2026-11-20T04:00:00 01:00": "2026-11-20T03:00:00Z", "2026-11-20 03:00Z": "2026-11-20T03:00:00Z",
		"2026-11-20 04:00 01:00": "2026-11-20T03:00:00Z", "2026-11-20T02:00:00-01:00": "2026-11-20T03:00:00Z",
	} {
		if at, err := pastMoment(text); err != nil || stamped(at) != want {
			t.Errorf("%q: %v %v, want %s", text, at, err, want)
		}
	}
	for _, text := range []string{"", "2h", "now", "2026-11-20", "2026-11-20T03:00", "03:00", "1763607600", "2026-13-20T03:00Z", "1969-01-01T00:00Z", "9999-01-01T00:00Z"} {
		if at, err := pastMoment(text); err == nil {
			t.Errorf("%q is %v", text, at)
		}
	}
}

func TestPastRefuses(t *testing.T) {
	w, noon := pastBatch(t)
	w.log.now = noon.Add(24 * time.Hour)
	early := w.status(w.get(pastURL(one1, "2026-03-01T11:59Z")), 404)
	if kind := w.problem(early); kind != "before_first_event" || !strings.Contains(early.Body.String(), `"first_event":"2026-03-01T12:00:00Z"`) {
		t.Error(early.Body)
	}
	future := w.status(w.get(pastURL(one1, "2026-03-02T12:00:01Z")), 400)
	if !strings.Contains(future.Body.String(), `"now":"2026-03-02T12:00:00Z"`) || !strings.Contains(future.Body.String(), "is in the future") {
		t.Error(future.Body)
	}
	for _, query := range []string{"&at=yesterday", "&at=", "&at=2026-03-01T12:00Z&at=2026-03-01T13:00Z"} {
		if r := w.status(w.get(url(one1)+query), 400); !strings.Contains(r.Body.String(), `"field":"at"`) {
			t.Errorf("%s: %s", query, r.Body)
		}
	}
	w.tick(0, time.Now())
	w.status(w.get(pastURL(push.Key{Namespace: "default", Name: "other"}, "2026-03-01T12:00Z")), 404)
	w.status(w.get(pastURL(push.Key{Namespace: "elsewhere", Name: "b1"}, "2026-03-01T12:00Z")), 404)
	w.status(w.get(pastURL(one1, "2026-03-01T12:00Z"), "Accept", "text/event-stream"), 400)
	w.status(w.get(strings.Replace(pastURL(one1, "2026-03-01T12:00Z"), "?", "/stream?", 1)), 400)
}

func TestPastParts(t *testing.T) {
	w, noon := pastBatch(t)
	var whole, part map[string]any
	_ = json.Unmarshal(w.asked(one1, noon.Add(30*time.Minute)), &whole)
	if whole["status"] != "PROCESSING" || whole["batch_name"] != "b1" || whole["at"] != nil {
		t.Errorf("%v", whole)
	}
	_ = json.Unmarshal(w.status(w.get(pastURL(one1, "2026-03-01T13:30Z")+"&fields=batch_name,status"), 200).Body.Bytes(), &part)
	if len(part) != 2 || part["batch_name"] != "second" {
		t.Errorf("%v", part)
	}
	explained := w.status(w.get(strings.Replace(pastURL(one1, "2026-03-01T12:30Z"), "?", "/explain?", 1)), 200)
	if !strings.Contains(explained.Body.String(), `"as_of":"2026-03-01T12:30:00Z"`) || !strings.Contains(explained.Body.String(), `"status":"PROCESSING"`) {
		t.Error(explained.Body)
	}
}

// Who has the answer about a moment isn't sent it again, and the log isn't read for it, until the thresholds change.
func TestPastDoesNotChange(t *testing.T) {
	hash := "p1"
	w, _ := pastBatch(t, func(o *Options) { o.Policies = hashed{&hash} })
	ask := func(header ...string) *http.Response {
		return w.get(pastURL(one1, "2026-03-01T12:30Z"), header...).Result()
	}
	tag := ask().Header.Get("ETag")
	reads := w.log.reads
	if r := ask("If-None-Match", tag); r.StatusCode != 304 || w.log.reads != reads || tag == "" {
		t.Error(r.StatusCode, w.log.reads-reads, tag)
	}
	if r := w.get(pastURL(one1, "2026-03-01T12:31Z"), "If-None-Match", tag); r.Code != 200 {
		t.Error("another moment: ", r.Code)
	}
	if r := w.get(pastURL(one1, "2026-03-01T12:30Z")+"&fields=status", "If-None-Match", tag); r.Code != 200 {
		t.Error("another part: ", r.Code)
	}
	if r := w.get(url(one1), "If-None-Match", tag); r.Code != 200 {
		t.Error("the present: ", r.Code)
	}
	hash = "p2"
	if r := ask("If-None-Match", tag); r.StatusCode != 200 {
		t.Error("other thresholds: ", r.StatusCode)
	}
}

type hashed struct{ hash *string }

func (hashed) For(string) diagnostics.Policy { return diagnostics.DefaultPolicy() }
func (h hashed) Hash() string                { return *h.hash }

// Where the last announcement says that it was made under other thresholds, the answer says so.
func TestPastUnderOtherThresholds(t *testing.T) {
	w, noon := pastBatch(t)
	said := func(after time.Duration, ordinal int64, policy string) {
		at := noon.Add(3*time.Hour + after)
		w.store(one1.Namespace, one1.Name, "health", announcement(one1, at, &diagnostics.Announcement{Ordinal: ordinal, To: diagnostics.HealthStuck}, policy), at.Add(time.Second))
	}
	said(0, 0, "")
	said(10*time.Minute, 1, "0123456789ab")
	said(20*time.Minute, 2, diagnostics.DefaultPolicy().Hash())
	said(30*time.Minute, 3, "0123456789ab")
	for after, want := range map[time.Duration]string{
		5 * time.Minute: "", 15 * time.Minute: `"at":{"policy_changed":true,"announced_at":"2026-03-01T15:10:00Z"}`, 25 * time.Minute: "", 35 * time.Minute: `"at":{"policy_changed":true,"announced_at":"2026-03-01T15:30:00Z"}`,
	} {
		at := stamped(noon.Add(3*time.Hour + after))
		for _, path := range []string{pastURL(one1, at), strings.Replace(pastURL(one1, at), "?", "/explain?", 1)} {
			body := w.status(w.get(path), 200).Body.String()
			if got := strings.Contains(body, want); !got || (want == "") == strings.Contains(body, `"at":{"policy_changed"`) {
				t.Errorf("%v later: want %s: %s", after, want, body)
			}
		}
	}
}

// Once the log is cut, an answer is exact or there is none: batches that began after the cut are answered as before, others from their
// last event on, by their view.
func TestPastOfWhatIsGone(t *testing.T) {
	w, noon := pastBatch(t)
	w.store("default", "between", "batch", eventJSON("b", "between", "batch", `{}`, noon.Add(4*time.Hour)), noon.Add(4*time.Hour))
	young := push.Key{Namespace: "default", Name: "young"}
	for i, data := range []string{`{"status":"PROCESSING"}`, `{"status":"COMPLETED"}`} {
		at := noon.Add(time.Duration(i+5) * time.Hour)
		w.store(young.Namespace, young.Name, "batch", eventJSON(fmt.Sprint("y", i), young.Name, "batch", data, at), at)
	}
	var all []kept
	for _, at := range []time.Duration{time.Minute, 90 * time.Minute, 2 * time.Hour, 3 * time.Hour} {
		all = append(all, kept{one1, noon.Add(at), w.asked(one1, noon.Add(at))}, kept{young, noon.Add(5*time.Hour + at/4), w.asked(young, noon.Add(5*time.Hour+at/4))})
	}
	gone := func(at time.Time, from string) {
		t.Helper()
		r := w.status(w.get(pastURL(one1, stamped(at))), 410)
		if kind := w.problem(r); kind != "moment_gone" || !strings.Contains(r.Body.String(), `"answerable_from":"`+from+`"`) ||
			!strings.Contains(r.Body.String(), `"change":"started"`) || strings.Contains(r.Body.String(), `"change":"COMPLETED"`) {
			t.Error(r.Body)
		}
	}
	w.log.cut = 1
	gone(noon.Add(time.Minute), "2026-03-01T14:00:00Z")
	gone(noon.Add(90*time.Minute), "2026-03-01T14:00:00Z")
	after := func(was kept) bool { return was.k == one1 && was.at.Before(noon.Add(2*time.Hour)) }
	w.same(slices.DeleteFunc(slices.Clone(all), after))
	w.log.cut = 3 // all of the first batch
	gone(noon.Add(time.Minute), "2026-03-01T16:00:00Z")
	w.same(slices.DeleteFunc(slices.Clone(all), func(was kept) bool { return was.k == one1 }))
	var whole map[string]any
	if _ = json.Unmarshal(w.asked(one1, noon.Add(5*time.Hour)), &whole); whole["status"] != "COMPLETED" {
		t.Error(whole)
	}
}

// A rejected message has no trustworthy time. So where some of a batch's are gone, no moment before its end is answered.
func TestPastOfRejectedMessagesThatAreGone(t *testing.T) {
	w := newPastWorld(t)
	noon := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	w.store("default", "b1", "batch", []byte("{first"), noon)
	w.store("default", "other", "batch", eventJSON("o", "other", "batch", `{}`, noon.Add(time.Hour)), noon.Add(time.Hour))
	for i, data := range []string{`{"status":"PROCESSING"}`, `{"status":"COMPLETED"}`} {
		at := noon.Add(time.Duration(i+2) * time.Hour)
		w.store("default", "b1", "batch", eventJSON(fmt.Sprint("e", i), "b1", "batch", data, at), at)
	}
	at := stamped(noon.Add(150 * time.Minute))
	w.status(w.get(pastURL(one1, at)), 200)
	w.log.cut = 1
	if r := w.status(w.get(pastURL(one1, at)), 410); w.problem(r) != "moment_gone" {
		t.Error(r.Body)
	}
	w.status(w.get(pastURL(one1, stamped(noon.Add(3*time.Hour)))), 200)
}

func TestPastOfTooMuch(t *testing.T) {
	w, noon := pastBatch(t, func(o *Options) { o.Limits.PastEvents = 2 })
	w.status(w.get(pastURL(one1, stamped(noon.Add(time.Minute)))), 200)
	if r := w.status(w.get(pastURL(one1, stamped(noon.Add(119*time.Minute)))), 422); w.problem(r) != "too_many_events" {
		t.Error(r.Body)
	}
}

// The same on a real log: one batch among others, with an announcement, then cut.
func TestPastOnARealLog(t *testing.T) {
	a := newAnnouncements(t)
	w := newPastWorld(t, func(o *Options) { o.Log = a.log })
	info, err := a.log.Info(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	w.shelf.id = info.Identity
	var all []kept
	last := uint64(0)
	stored := func(k push.Key) {
		t.Helper()
		m, found, err := a.log.LastOfBatch(t.Context(), k.Namespace, k.Name)
		if err != nil || !found || m.Seq <= last {
			t.Fatal(m.Seq, last, found, err)
		}
		last = m.Seq
		w.fold(k, m)
		all = append(all, kept{k, m.Stored, w.live(k, m.Stored)})
	}
	for i, data := range []string{`{"status":"PROCESSING"}`, `{"name":"second"}`, `{"status":"COMPLETED"}`} {
		for _, k := range []push.Key{one1, {Namespace: "default", Name: "other"}} {
			if _, err := a.log.Publish(t.Context(), "headway.events."+k.Namespace+"."+k.Name+".batch", eventlog.Structured(), eventJSON(fmt.Sprint("e", i), k.Name, "batch", data, time.Now())); err != nil {
				t.Fatal(err)
			}
			stored(k)
		}
		a.say(one1.Namespace, one1.Name, "degraded", "PROGRAM:FAILED")
		stored(one1)
	}
	all = append(all, kept{one1, all[0].at.Add(-time.Nanosecond), nil})
	w.same(all)
	stream, err := a.js.Stream(t.Context(), eventlog.EventsStream)
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.Purge(t.Context(), jetstream.WithPurgeSequence(info.First+1)); err != nil {
		t.Fatal(err)
	}
	if r := w.status(w.unchecked(one1, all[0].at), 410); w.problem(r) != "moment_gone" {
		t.Error(r.Body)
	}
	end := all[len(all)-2].at
	w.same(slices.DeleteFunc(all, func(was kept) bool { return was.at.Before(end) }))
}
