package history

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/headwayhq/headway/pkg/headwaytest"
)

// rig is a server with a stream for checkpoints and rows.
type rig struct {
	*Rows
	t      *testing.T
	server *headwaytest.NATSServer
	js     jetstream.JetStream
	stream jetstream.Stream
}

func newRig(t *testing.T) *rig {
	t.Helper()
	n := headwaytest.NATS(t)
	js, err := jetstream.New(n.Conn())
	if err != nil {
		t.Fatal(err)
	}
	return onStream(t, n, js, 1)
}

func onStream(t *testing.T, n *headwaytest.NATSServer, js jetstream.JetStream, replicas int) *rig {
	t.Helper()
	s, err := js.CreateStream(t.Context(), jetstream.StreamConfig{
		Name: "HISTORY", Subjects: []string{"headway.history.>", "headway.history-row.>"}, MaxMsgsPerSubject: 1, AllowDirect: true, AllowMsgTTL: true,
		FirstSeq: 1_700_000_000_000_000, Replicas: replicas,
	})
	if err != nil {
		t.Fatal(err)
	}
	return &rig{Rows: NewRows(js, "HISTORY", "g"), t: t, server: n, js: js, stream: s}
}

// checkpoint stores a checkpoint instead of another one.
func (r *rig) checkpoint(k Key, before Checkpoint) Checkpoint {
	r.t.Helper()
	subject := fmt.Sprintf("headway.history.g.%d.%s.%s", k.Partition, k.Namespace, k.Batch)
	ack, err := r.js.Publish(r.t.Context(), subject, []byte("{}"), jetstream.WithExpectLastSequencePerSubject(before.Seq))
	if err != nil {
		r.t.Fatal(err)
	}
	return Checkpoint{subject, ack.Sequence}
}

func (r *rig) put(k Key, end time.Time, c Checkpoint, text string) {
	r.t.Helper()
	if err := r.Put(r.t.Context(), k, end, c, 0, []byte(text)); err != nil {
		r.t.Fatal(err)
	}
}

// subjects are those of all rows.
func (r *rig) subjects() (out []string) {
	r.t.Helper()
	info, err := r.stream.Info(r.t.Context(), jetstream.WithSubjectFilter(rowPrefix+">"))
	if err != nil {
		r.t.Fatal(err)
	}
	for subject := range info.State.Subjects {
		out = append(out, subject)
	}
	slices.Sort(out)
	return out
}

var (
	batchA = Key{3, "n", "a"}
	night  = time.Date(2026, 11, 27, 23, 59, 0, 0, time.UTC)
)

const (
	rowOfNight   = "headway.history-row.g.3.n.202611.27.23.a"
	rowOfMorning = "headway.history-row.g.3.n.202611.28.07.a"
)

// A row that was sent by an owner that lost the batch arrives late: the batch was opened again and ended on another day since.
func TestRule34LateRowIsRefused(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	first := r.checkpoint(batchA, Checkpoint{})
	second := r.checkpoint(batchA, first)
	r.put(batchA, night.Add(8*time.Hour), second, "second")
	if err := r.Put(t.Context(), batchA, night, first, 0, []byte("late")); !errors.Is(err, ErrSuperseded) {
		t.Errorf("a late row on a day that has none: %v", err)
	}
	if err := r.Put(t.Context(), batchA, night.Add(8*time.Hour), first, 0, []byte("late")); !errors.Is(err, ErrSuperseded) {
		t.Errorf("a late row instead of a newer one: %v", err)
	}
	r.put(batchA, night.Add(8*time.Hour), second, "second again") // the first reply was lost
	if got := r.subjects(); !slices.Equal(got, []string{rowOfMorning}) {
		t.Errorf("rows: %q", got)
	}
}

func TestRule34OlderRowsGo(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	ctx := t.Context()
	first := r.checkpoint(batchA, Checkpoint{})
	r.put(batchA, night, first, "first")
	other := Key{3, "n", "b"}
	r.put(other, night, r.checkpoint(other, Checkpoint{}), "other")
	if err := r.RemoveOlder(ctx, batchA, night, first.Seq); err != nil || len(r.subjects()) != 2 {
		t.Errorf("with no older row: %v, %q", err, r.subjects())
	}
	second := r.checkpoint(batchA, first)
	r.put(batchA, night.Add(8*time.Hour), second, "second")
	if got := r.subjects(); len(got) != 3 {
		t.Fatalf("before: %q", got)
	}
	if err := r.RemoveOlder(ctx, batchA, night, first.Seq); !errors.Is(err, ErrSuperseded) || len(r.subjects()) != 3 {
		t.Errorf("by somebody whose checkpoint is old: %v, %q", err, r.subjects())
	}
	if err := r.RemoveOlder(ctx, batchA, time.Time{}, first.Seq); !errors.Is(err, ErrSuperseded) || len(r.subjects()) != 3 {
		t.Errorf("by somebody to whom the batch isn't finished: %v, %q", err, r.subjects())
	}
	if err := r.RemoveOlder(ctx, batchA, night.Add(8*time.Hour), second.Seq); err != nil {
		t.Error(err)
	}
	if got := r.subjects(); !slices.Equal(got, []string{"headway.history-row.g.3.n.202611.27.23.b", rowOfMorning}) {
		t.Errorf("after the end moved: %q", got)
	}
	third := r.checkpoint(batchA, second)
	if err := r.RemoveOlder(ctx, batchA, time.Time{}, third.Seq); err != nil || slices.Contains(r.subjects(), rowOfMorning) {
		t.Errorf("of a batch that was opened again: %v, %q", err, r.subjects())
	}
}

// A removal by sequence that arrives late doesn't remove the row that came since, on the same subject.
func TestRule34LateRemoval(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	first := r.checkpoint(batchA, Checkpoint{})
	r.put(batchA, night, first, "first")
	listed, err := r.of(t.Context(), batchA)
	if err != nil || len(listed) != 1 || listed[0].subject != rowOfNight || listed[0].checkpoint != first.Seq {
		t.Fatalf("%+v, %v", listed, err)
	}
	second := r.checkpoint(batchA, first)
	r.put(batchA, night, second, "second")
	if err := r.remove(t.Context(), listed[0].seq); err != nil {
		t.Error(err)
	}
	if got := r.subjects(); !slices.Equal(got, []string{rowOfNight}) {
		t.Errorf("rows: %q", got)
	}
}

// Between the deletion of an erased batch's checkpoint and its tombstone, and after the tombstone, no row can come back, and nothing of the erased ones is on disk.
func TestRule34ErasedRowsStayAway(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	ctx := t.Context()
	first := r.checkpoint(batchA, Checkpoint{})
	r.put(batchA, night, first, "SECRET of the night")
	if err := r.stream.SecureDeleteMsg(ctx, first.Seq); err != nil {
		t.Fatal(err)
	}
	if err := r.Put(ctx, batchA, night.Add(8*time.Hour), first, 0, []byte("SECRET in between")); !errors.Is(err, ErrSuperseded) {
		t.Errorf("between checkpoint and tombstone: %v", err)
	}
	r.checkpoint(batchA, Checkpoint{}) // the tombstone
	if n, err := r.Erase(ctx, batchA); n != 1 || err != nil {
		t.Errorf("erased %d rows: %v", n, err)
	}
	if err := r.Put(ctx, batchA, night, first, 0, []byte("SECRET and late")); !errors.Is(err, ErrSuperseded) {
		t.Errorf("after the tombstone: %v", err)
	}
	if n, err := r.Erase(ctx, batchA); n != 0 || err != nil {
		t.Errorf("erased again: %d rows, %v", n, err)
	}
	if got := r.subjects(); len(got) > 0 {
		t.Errorf("rows: %q", got)
	}
	r.server.Shutdown()
	if got := filesWith(t, r.server.Dir(), "SECRET"); len(got) > 0 {
		t.Errorf("on disk: %q", got)
	}
}

func filesWith(t *testing.T, dir, text string) (out []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		if bytes.Contains(b, []byte(text)) {
			out = append(out, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestRowExpires(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	if err := r.Put(t.Context(), batchA, night, r.checkpoint(batchA, Checkpoint{}), time.Millisecond, []byte("short")); err != nil {
		t.Fatal(err)
	}
	for len(r.subjects()) > 0 { // until the test's own deadline
		time.Sleep(50 * time.Millisecond)
	}
}

// With replicas the check holds too.
func TestRule34OnThreeServers(t *testing.T) {
	t.Parallel()
	servers := headwaytest.NATSCluster(t, 3)
	js, err := jetstream.New(servers[0].Conn())
	if err != nil {
		t.Fatal(err)
	}
	r := onStream(t, servers[0], js, 3)
	first := r.checkpoint(batchA, Checkpoint{})
	r.put(batchA, night, first, "first")
	second := r.checkpoint(batchA, first)
	if err := r.Put(t.Context(), batchA, night.Add(8*time.Hour), first, 0, []byte("late")); !errors.Is(err, ErrSuperseded) {
		t.Errorf("a late row: %v", err)
	}
	r.put(batchA, night.Add(8*time.Hour), second, "second")
	if err := r.RemoveOlder(t.Context(), batchA, night.Add(8*time.Hour), second.Seq); err != nil {
		t.Error(err)
	}
	if got := r.subjects(); !slices.Equal(got, []string{rowOfMorning}) {
		t.Errorf("rows: %q", got)
	}
}

// walkAll reads all pages of a query.
func (r *rig) walkAll(q Query) (batches []string, pages, examined int) {
	r.t.Helper()
	for {
		p, err := r.Page(r.t.Context(), q)
		if err != nil {
			r.t.Fatal(err)
		}
		for _, row := range p.Rows {
			batches = append(batches, row.Batch)
		}
		if pages++; !p.More {
			return batches, pages, examined + p.Examined
		}
		if examined += p.Examined; pages > 1000 {
			r.t.Fatal("pages without an end")
		}
		q.After = p.Next
	}
}

// Pages have each finished batch once, the latest end first, whatever the number of rows in a day or month.
func TestPages(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	var want []string
	put := func(end time.Time, name string) {
		k := Key{len(want) % 4, "n", name}
		r.put(k, end, r.checkpoint(k, Checkpoint{}), name)
		want = append(want, name)
	}
	at := time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)
	for i := range 40 { // a busy day
		put(at.Add(-time.Duration(i)*7*time.Minute), fmt.Sprintf("busy%02d", i))
	}
	put(at.Add(-40*7*time.Minute), "twin1") // ended at once
	put(at.Add(-40*7*time.Minute), "twin2")
	for i := range 10 { // days with few, over two months
		put(at.Add(-time.Duration(i+1)*73*time.Hour), fmt.Sprintf("rare%02d", i))
	}
	put(at.AddDate(-1, 0, 0), "old")
	r.put(Key{1, "other", "z"}, at, r.checkpoint(Key{1, "other", "z"}, Checkpoint{}), "z")
	all := Query{Namespace: "n", From: at.AddDate(-2, 0, 0), To: at.Add(time.Second)}
	for _, atOnce := range []int{1, 31, 2000} {
		r.atOnce = atOnce
		for _, limit := range []int{7, 100} {
			q := all
			q.Limit = limit
			if got, _, n := r.walkAll(q); !slices.Equal(got, want) {
				t.Fatalf("atOnce %d, limit %d: %q (%d examined)", atOnce, limit, got, n)
			}
		}
		q := all
		q.From, q.To = at.Add(-7*time.Minute), at
		if got, _, _ := r.walkAll(q); !slices.Equal(got, want[1:2]) {
			t.Errorf("atOnce %d: from inclusive, to exclusive: %q", atOnce, got)
		}
		q = all
		q.Examine, q.Keep = 5, func(row *Row) bool { return string(row.Data) == "old" }
		got, pages, n := r.walkAll(q)
		if !slices.Equal(got, []string{"old"}) || n != len(want) || atOnce == 1 && pages < 4 {
			t.Errorf("atOnce %d: a search found %q in %d pages and examined %d", atOnce, got, pages, n)
		}
	}
	if p, err := r.Page(t.Context(), Query{Namespace: "nobody", From: all.From, To: all.To}); err != nil || len(p.Rows) > 0 || p.More {
		t.Errorf("of an empty namespace: %+v, %v", p, err)
	}
	if _, err := r.Page(t.Context(), Query{Namespace: "n", To: all.To}); err == nil {
		t.Error("since the year 1: no error")
	}
	counts, err := r.Counts(t.Context(), "n", at.AddDate(0, 0, -3), at)
	if day := at.Truncate(24 * time.Hour); err != nil || len(counts) != 4 || counts[day] != 42 || counts[day.AddDate(0, 0, -1)] != 0 || counts[day.AddDate(0, 0, -3)] != 1 {
		t.Errorf("counts: %v, %v", counts, err)
	}
}

// While the end of a batch is being corrected there are two rows. A page shows the newer one.
func TestPageShowsABatchOnce(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	first := r.checkpoint(batchA, Checkpoint{})
	r.put(batchA, night, first, "first")
	second := r.checkpoint(batchA, first)
	r.put(batchA, night.Add(-time.Minute), second, "second") // the same hour: instead of it
	third := r.checkpoint(batchA, second)
	r.put(batchA, night.Add(8*time.Hour), third, "third")
	q := Query{Namespace: "n", From: night.AddDate(0, -1, 0), To: night.AddDate(0, 1, 0)}
	p, err := r.Page(t.Context(), q)
	if err != nil || len(p.Rows) != 1 || string(p.Rows[0].Data) != "third" || !p.Rows[0].End.Equal(night.Add(8*time.Hour)) {
		t.Errorf("%+v, %v", p, err)
	}
}

func TestPageEndsWithItsContext(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := r.Page(ctx, Query{Namespace: "n", From: night, To: night.Add(time.Hour)}); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}
