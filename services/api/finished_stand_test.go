package api

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/headwayhq/headway/pkg/diagnostics"
	"github.com/headwayhq/headway/pkg/eventlog"
	"github.com/headwayhq/headway/pkg/headwaytest"
	"github.com/headwayhq/headway/pkg/history"
	"github.com/headwayhq/headway/pkg/push"
	"github.com/headwayhq/headway/services/api/access"
)

// archive is a real history, into which rows of finished batches are put as ingest does.
type archive struct {
	t          *testing.T
	log        *eventlog.Log
	rows       *history.Rows
	generation string
}

func newArchive(t *testing.T) *archive {
	t.Helper()
	nc := headwaytest.NATS(t).Conn()
	l, err := eventlog.Open(t.Context(), nc, eventlog.Config{Partitions: partitions})
	if err != nil {
		t.Fatal(err)
	}
	info, err := l.HistoryInfo(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	return &archive{t, l, history.NewRows(js, eventlog.HistoryStream, info.Generation), info.Generation}
}

func (a *archive) present(context.Context) (*history.Rows, error) { return a.rows, nil }

// ends puts the row of a batch that ended at a moment.
func (a *archive) ends(ns, batch, status, more string, at time.Time) {
	a.t.Helper()
	var d diagnostics.Decoder
	v := diagnostics.NewView(ns, batch)
	data := `{"status":"` + status + `","completed_at":"` + at.Format(time.RFC3339Nano) + `"` + more + `}`
	e, no := d.Decode(diagnostics.Message{Namespace: ns, Data: eventJSON(batch, batch, "batch", data, at), Stored: at})
	if no != nil {
		a.t.Fatal(no)
	}
	diagnostics.Fold(v, e)
	v.Revision = 1
	p := a.log.Partition(ns, batch)
	c := eventlog.Checkpoint{Namespace: ns, Batch: batch, Identity: "log", Covers: 1, Fold: diagnostics.FoldVersion, Over: at, Value: v.Append(nil)}
	seq, err := a.log.StoreCheckpoint(a.t.Context(), a.generation, c, 0, 0)
	if err != nil {
		a.t.Fatal(err)
	}
	subject := fmt.Sprintf("headway.history.%s.%d.%s.%s", a.generation, p, ns, batch)
	row := diagnostics.NewRow(v, at.Add(time.Second), diagnostics.DefaultPolicy())
	if err := a.rows.Put(a.t.Context(), history.Key{Partition: p, Namespace: ns, Batch: batch}, at, history.Checkpoint{Subject: subject, Seq: seq}, 0, row.AppendJSON(nil)); err != nil {
		a.t.Fatal(err)
	}
}

type finishedList struct {
	listed
	Searched searched
}

func (w *world) finished(query string) (ids []string, next string, in searched) {
	w.t.Helper()
	var l finishedList
	if err := json.Unmarshal(w.status(w.get("/v1/batches/history?"+query), 200).Body.Bytes(), &l); err != nil {
		w.t.Fatal(err)
	}
	for _, b := range l.Batches {
		ids = append(ids, b.BatchID)
	}
	if l.NextCursor != nil {
		next = *l.NextCursor
	}
	return ids, next, l.Searched
}

// allFinished follows the cursors, and checks that the answers search the time without a gap.
func (w *world) allFinished(query string) (ids []string, pages int) {
	w.t.Helper()
	var before time.Time
	for next := ""; ; pages++ {
		some, cursor, in := w.finished(query + "&cursor=" + next)
		if ids = append(ids, some...); pages > 0 && !in.To.Equal(before) {
			w.t.Errorf("searched to %v after from %v", in.To, before)
		}
		if before, next = in.From, cursor; next == "" {
			return ids, pages + 1
		}
	}
}

var (
	noon = time.Date(2020, 3, 10, 12, 0, 0, 0, time.UTC)
	days = "from=2020-03-01&to=2020-03-10"
)

func TestFinishedBatches(t *testing.T) {
	t.Parallel()
	a := newArchive(t)
	w := newWorld(t, func(o *Options) { o.Finished = a.present })
	var want []string
	for i := range 30 {
		id := fmt.Sprintf("b%02d", i)
		status, more := "COMPLETED", `,"pipeline":"media","name":"Nightly"`
		if i%3 == 0 {
			status, more = "FAILED", `,"pipeline":"text"`
		}
		a.ends("default", id, status, more, noon.Add(-time.Duration(i/2)*6*time.Hour)) // two at each moment
		want = append(want, id)
	}
	a.ends("other", "elsewhere", "COMPLETED", "", noon)
	a.ends("default", "before", "COMPLETED", "", time.Date(2020, 2, 29, 23, 59, 59, 999_999_000, time.UTC))
	a.ends("default", "after", "COMPLETED", "", time.Date(2020, 3, 11, 0, 0, 0, 0, time.UTC))

	for _, limit := range []int{1, 7, 200} {
		if got, _ := w.allFinished(fmt.Sprintf("%s&limit=%d", days, limit)); !slices.Equal(got, want) {
			t.Errorf("limit %d: %v", limit, got)
		}
	}
	for query, n := range map[string]int{"status=FAILED": 10, "pipeline=media": 20, "q=NIGHT": 20, "q=b1": 10, "status=COMPLETED&pipeline=text": 0, "health=degraded": 10} {
		if got, _ := w.allFinished(days + "&limit=3&" + query); len(got) != n {
			t.Errorf("%s: %v", query, got)
		}
	}
	if got, _, in := w.finished("from=2020-03-10T06:00:00Z&to=2020-03-10T12:00:00Z"); !slices.Equal(got, []string{"b02", "b03"}) || !in.From.Equal(noon.Add(-6*time.Hour)) || !in.To.Equal(noon) || in.Examined != 2 {
		t.Errorf("between two moments: %v, %v", got, in)
	}
	if got, _, _ := w.finished("namespace=other&" + days); !slices.Equal(got, []string{"elsewhere"}) {
		t.Errorf("of another namespace: %v", got)
	}
	if got, next, in := w.finished(""); len(got) != 0 || next != "" || in.To.Sub(in.From) != 7*aDay || !time.Now().Before(in.To) {
		t.Errorf("the last days: %v, %v", got, in)
	}

	var counted struct{ Days []dayCount }
	if err := json.Unmarshal(w.status(w.get("/v1/batches/history/days?from=2020-03-08&to=2020-03-10"), 200).Body.Bytes(), &counted); err != nil {
		t.Fatal(err)
	}
	if want := []dayCount{{"2020-03-08", 8}, {"2020-03-09", 8}, {"2020-03-10", 6}}; !slices.Equal(counted.Days, want) {
		t.Errorf("counted %v", counted.Days)
	}
}

// A search has a bound: it ends there, says how far it came, and goes on from its cursor.
func TestFinishedSearchIsBounded(t *testing.T) {
	t.Parallel()
	a := newArchive(t)
	w := newWorld(t, func(o *Options) { o.Finished, o.Limits.FinishedRows = a.present, 5 })
	for i := range 12 {
		a.ends("default", fmt.Sprintf("b%02d", i), "COMPLETED", "", noon.Add(-time.Duration(i)*10*aDay))
	}
	const months = "from=2019-11-01&to=2020-03-10"
	got, next, in := w.finished(months + "&q=b11")
	if len(got) != 0 || next == "" || in.Examined != 5 || !in.From.Equal(noon.Add(-40*aDay).Truncate(aDay)) { // the day of the fifth
		t.Errorf("a search for the last of 12 looked at %v and found %v, %q", in, got, next)
	}
	at := noon.Add(-115 * aDay) // before all others, and in Redis only
	w.shelf.sayAt(t, listKey("recent"), "batch", `{"status":"COMPLETED","completed_at":"`+at.Format(time.RFC3339)+`"}`, at)
	if got, pages := w.allFinished(months); len(got) != 13 || !slices.IsSorted(got) || pages < 2 {
		t.Errorf("all in %d pages: %v", pages, got)
	}
	if got, pages := w.allFinished(months + "&q=b11"); !slices.Equal(got, []string{"b11"}) || pages < 2 {
		t.Errorf("found %v in %d pages", got, pages)
	}
}

// A batch that Redis has is listed once, and as Redis has it.
func TestFinishedAsInRedis(t *testing.T) {
	t.Parallel()
	a := newArchive(t)
	w := newWorld(t, func(o *Options) { o.Finished = a.present })
	say := func(batch, data string, at time.Time) {
		w.shelf.sayAt(t, push.Key{Namespace: "default", Name: batch}, "batch", data, at)
	}
	ended := func(status string, at time.Time) string {
		return `{"status":"` + status + `","completed_at":"` + at.Format(time.RFC3339Nano) + `"}`
	}
	a.ends("default", "both", "COMPLETED", "", noon)
	say("both", ended("FAILED", noon), noon) // known better since
	a.ends("default", "corrected", "COMPLETED", "", noon.Add(-3*time.Hour))
	say("corrected", ended("COMPLETED", noon.Add(-time.Hour)), noon)
	a.ends("default", "again", "COMPLETED", "", noon.Add(-2*time.Hour))
	say("again", `{"status":"PROCESSING"}`, noon) // it goes on
	a.ends("default", "old", "COMPLETED", "", noon.Add(-4*time.Hour))
	say("new", ended("COMPLETED", noon.Add(-5*time.Hour)), noon) // no checkpoint yet
	say("far", ended("COMPLETED", noon.Add(-60*24*time.Hour)), noon)
	want := []string{"both", "corrected", "old", "new"}
	for _, limit := range []int{1, 2, 3, 4, 50} {
		if got, _ := w.allFinished(fmt.Sprintf("%s&limit=%d", days, limit)); !slices.Equal(got, want) {
			t.Errorf("limit %d: %v", limit, got)
		}
	}
	if got, _ := w.allFinished(days + "&status=FAILED"); !slices.Equal(got, []string{"both"}) {
		t.Errorf("failed: %v", got)
	}
	if got, _ := w.allFinished(days + "&status=COMPLETED&limit=1"); !slices.Equal(got, want[1:]) {
		t.Errorf("completed: %v", got)
	}
	w.shelf.say(t, push.Key{Namespace: "shelf", Name: "only"}, "batch", ended("COMPLETED", noon))
	if got, _, _ := w.finished(days + "&namespace=shelf"); !slices.Equal(got, []string{"only"}) {
		t.Errorf("without any in the history: %v", got)
	}
}

func TestFinishedRefusals(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for i := range 3 {
		at := noon.Add(-time.Duration(i) * time.Hour)
		w.shelf.sayAt(t, listKey(fmt.Sprint("b", i)), "batch", `{"status":"COMPLETED","completed_at":"`+at.Format(time.RFC3339)+`"}`, at)
	}
	_, next, _ := w.finished(days + "&limit=1")
	forged := (&finishedQuery{from: noon.Add(-4000 * aDay), to: noon, key: "x"}).cursor(history.Place{End: noon.Add(-time.Hour)})
	for query, field := range map[string]string{
		"from=yesterday": "from", "to=2020-13-01": "to", "from=2020-03-11&to=2020-03-10": "from", "from=2019-01-01&to=2020-03-10": "from",
		"status=PROCESSING": "status", "status=NOPE": "status", "health=fine": "health", "limit=0": "limit", "limit=201": "limit", "form=2020-03-01": "form",
		"cursor=AAAA": "cursor", "q=" + strings.Repeat("x", 201): "q",
		days + "&q=b&cursor=" + next: "cursor", "from=2020-03-02&to=2020-03-10&cursor=" + next: "cursor", days + "&namespace=n&cursor=" + next: "cursor", days + "&cursor=" + forged: "cursor",
	} {
		r := w.status(w.get("/v1/batches/history?"+query), 400)
		if !strings.Contains(r.Body.String(), `"detail":"`+field+": ") {
			t.Errorf("%s: %s", query, r.Body)
		}
	}
	for query, field := range map[string]string{"from=x": "from", "q=x": "q", "from=2019-01-01&to=2020-03-10": "from"} {
		if r := w.status(w.get("/v1/batches/history/days?"+query), 400); !strings.Contains(r.Body.String(), `"detail":"`+field+": ") {
			t.Errorf("days %s: %s", query, r.Body)
		}
	}
	few := newWorld(t, func(o *Options) { o.Limits.FinishedDays = 3 })
	few.status(few.get("/v1/batches/history?from=2020-03-08&to=2020-03-10"), 200)
	few.status(few.get("/v1/batches/history?from=2020-03-07&to=2020-03-10"), 400)
}

// Who may not look into a namespace learns nothing of its finished batches; public tokens show none.
func TestFinishedNeedsARole(t *testing.T) {
	t.Parallel()
	a := newArchive(t)
	k := newKeyed(t, nil, func(o *Options) { o.Finished = a.present })
	a.ends("team-a", "mine", "COMPLETED", "", noon)
	a.ends("team-b", "theirs", "COMPLETED", "", noon)
	reader := as(k.key(access.Wanted{Name: "r", Namespaces: []string{"team-a"}, Roles: []string{"reader"}}, "reader"))
	writer := as(k.key(access.Wanted{Name: "w", Namespaces: []string{"team-a"}, Roles: []string{"writer"}}, "writer"))
	for _, path := range []string{"/v1/batches/history?", "/v1/batches/history/days?"} {
		k.status(k.get(path+days), http.StatusUnauthorized)
		k.status(k.get(path+days, writer...), http.StatusForbidden)
		k.status(k.get(path+days+"&namespace=team-b", reader...), http.StatusNotFound)
		if r := k.status(k.get(path+days, reader...), 200); strings.Contains(r.Body.String(), "theirs") {
			t.Errorf("%s: %s", path, r.Body)
		}
	}
	if r := k.get("/v1/batches/history?"+days, reader...); !strings.Contains(r.Body.String(), `"mine"`) {
		t.Error(r.Body)
	}
	token := as(publicToken(k, writer, `{"label":"team:search"}`))
	k.status(k.get("/v1/batches/history?"+days, token...), http.StatusForbidden)
}
