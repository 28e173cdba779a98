package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/headwayhq/headway/pkg/diagnostics"
	"github.com/headwayhq/headway/pkg/history"
	"github.com/headwayhq/headway/pkg/simulator"
	"github.com/headwayhq/headway/services/internal/backend"
)

const (
	historyBatches    = 1_000_000 // HEADWAY_BENCH_BATCHES is another number
	historyDays       = 400
	historyBusy       = 30_000 // batches of the busy day
	historyPartitions = 32
	historyRuns       = 5
	historyStream     = "BENCH_HISTORY"
	historySmall      = "small" // the namespace that one of a hundred batches is of
	historyMain       = "main"
)

// benchHistory measures what list rows of finished batches cost, evenly over 400 days and with one busy day: on disk, in the server's memory
// and at its start; and pages, searches and counts by day, in time and in processor time of the server.
func benchHistory(ctx context.Context, s *servers) error {
	b, js, err := s.publisher(ctx)
	if err != nil {
		return err
	}
	defer b.Close()
	n := historyBatches
	if text := os.Getenv("HEADWAY_BENCH_BATCHES"); text != "" {
		if n, err = strconv.Atoi(text); err != nil {
			return err
		}
	}
	h := &historyBench{s: s, today: time.Now().UTC().Truncate(24 * time.Hour), n: n}
	if err := h.fill(ctx, b, js); err != nil {
		return err
	}
	fmt.Printf("\n  %-44s %10s %10s %10s %10s\n", "medians of "+strconv.Itoa(historyRuns), "time", "CPU, own", "NATS", "examined")
	if err := h.read(ctx, history.NewRows(js, historyStream, "g")); err != nil {
		return err
	}
	return h.restarts(ctx)
}

type historyBench struct {
	s     *servers
	today time.Time
	n     int
}

// batch is one of the batches: where it is, and when it ended.
func (h *historyBench) batch(i int) (k history.Key, end time.Time) {
	k = history.Key{Partition: i * 7 % historyPartitions, Namespace: historyMain, Batch: fmt.Sprintf("btch_%07d", i)}
	if i%100 == 99 {
		k.Namespace = historySmall
	}
	if i >= h.n {
		k.Namespace = historyMain
		return k, h.today.Add(-24*time.Hour + time.Duration(i-h.n)*24*time.Hour/historyBusy)
	}
	return k, h.today.Add(-time.Duration(h.n-i) * (historyDays * 24 * time.Hour / time.Duration(h.n)))
}

// fill stores a small checkpoint of each batch, and then its row.
func (h *historyBench) fill(ctx context.Context, b *backend.Backend, js jetstream.JetStream) error {
	first := uint64(h.today.UnixMicro())
	_, err := js.CreateStream(ctx, jetstream.StreamConfig{
		Name: historyStream, Subjects: []string{"headway.history.>", "headway.history-row.>"}, MaxMsgsPerSubject: 1, AllowDirect: true, AllowMsgTTL: true, FirstSeq: first,
	})
	if err != nil {
		return err
	}
	rows, err := finishedRows()
	if err != nil {
		return err
	}
	r, all, payload := history.NewRows(js, historyStream, "g"), h.n+historyBusy, 0
	checkpoint := func(i int) history.Checkpoint {
		k, _ := h.batch(i)
		return history.Checkpoint{Subject: fmt.Sprintf("headway.history.g.%d.%s.%s", k.Partition, k.Namespace, k.Batch), Seq: first + uint64(i)}
	}
	type use struct{ disk, memory, peak int }
	using := func() use {
		return use{diskUse(h.dir()), processMemory(h.s.nats.Process.Pid), processPeak(h.s.nats.Process.Pid)}
	}
	send := func(message func(i int) *nats.Msg) (rate float64, err error) {
		began := time.Now()
		var last jetstream.PubAckFuture
		for i := range all {
			if last, err = js.PublishMsgAsync(message(i), jetstream.WithStallWait(time.Minute)); err != nil {
				return 0, err
			}
		}
		select {
		case <-js.PublishAsyncComplete():
		case <-time.After(5 * time.Minute):
			return 0, errors.New("messages weren't acknowledged in time")
		}
		select {
		case err = <-last.Err():
		default:
		}
		return float64(all) / time.Since(began).Seconds(), err
	}
	empty := using()
	bare, err := send(func(i int) *nats.Msg { return &nats.Msg{Subject: checkpoint(i).Subject, Data: []byte("{}")} })
	if err != nil {
		return err
	}
	before := using()
	rate, err := send(func(i int) *nats.Msg {
		k, end := h.batch(i)
		row := rows[i%len(rows)]
		row.BatchID, row.CompletedAt = k.Batch, &end
		data := row.AppendJSON(nil)
		payload += len(data)
		return r.Message(k, end, checkpoint(i), 0, data)
	})
	if err != nil {
		return err
	}
	after := using()
	info, err := js.Stream(ctx, historyStream)
	if err != nil {
		return err
	}
	if got := int(info.CachedInfo().State.Msgs); got != 2*all {
		return fmt.Errorf("%d messages are stored, not %d", got, 2*all)
	}
	mb := func(n int) float64 { return float64(n) / 1e6 }
	fmt.Printf("\nhistory: rows of %d finished batches, %d of them of one day, beside as many checkpoints of 2 bytes\n", all, historyBusy)
	fmt.Printf("  published                       %8.0f rows/s of one publisher, with the check of the checkpoint; checkpoints without a check %.0f/s\n", rate, bare)
	fmt.Printf("  a row                           %8.0f bytes, %.0f on disk; all %.0f MB\n", float64(payload)/float64(all), float64(after.disk-before.disk)/float64(all), mb(after.disk-before.disk))
	fmt.Printf("  memory of NATS                  %8.0f MB, with checkpoints alone %.0f, empty %.0f; at its peak %.0f\n", mb(after.memory), mb(before.memory), mb(empty.memory), mb(after.peak))
	return nil
}

func (h *historyBench) dir() string {
	return filepath.Join(h.s.dir, "js", "jetstream", "$G", "streams", historyStream)
}

// finishedRows are rows of simulated batches that have ended.
func finishedRows() (out []diagnostics.Row, err error) {
	views := map[string]*diagnostics.View{}
	start := time.Now().Add(-48 * time.Hour)
	var decoder diagnostics.Decoder
	for _, e := range simulator.Events(simulator.Config{Seed: 1, Batches: 300, Namespaces: []string{historyMain}, Start: start, Spacing: time.Second, Step: 20 * time.Second}) {
		event, rejection := decoder.Decode(diagnostics.Message{Subject: "headway.log.0" + strings.TrimPrefix(e.Subject, "headway.events"), Data: e.Data, Stored: start.Add(e.At)})
		if rejection != nil {
			return nil, fmt.Errorf("%s: %s", e.Subject, rejection.Reason)
		}
		if views[e.Batch] == nil {
			views[e.Batch] = diagnostics.NewView(historyMain, e.Batch)
		}
		diagnostics.Fold(views[e.Batch], event)
	}
	for _, v := range views {
		if row := diagnostics.NewRow(v, time.Now(), diagnostics.DefaultPolicy()); row.CompletedAt != nil {
			out = append(out, row)
		}
	}
	if len(out) == 0 {
		return nil, errors.New("no simulated batch has ended")
	}
	return out, nil
}

// read measures pages, searches and counts.
func (h *historyBench) read(ctx context.Context, r *history.Rows) error {
	end := h.today.Add(time.Second)
	year := history.Query{Namespace: historyMain, From: end.AddDate(0, 0, -historyDays), To: end}
	small, middle, busy := year, year, year
	small.Namespace = historySmall
	middle.To = end.AddDate(0, 0, -historyDays/2).Add(-5 * time.Hour)
	busy.To = h.today.Add(-12 * time.Hour)
	search := func(days int) history.Query {
		q := year
		q.From, q.To, q.Keep = end.AddDate(0, 0, -days-2), end.AddDate(0, 0, -2), containing("nothing-has-this")
		q.Examine = 1 << 30
		return q
	}
	bounded := search(historyDays - 10)
	bounded.Examine = 0
	for _, m := range []struct {
		what string
		q    history.Query
	}{
		{"page of 50, the newest, of a busy day", year}, {"page of 50, from the middle of the busy day", busy}, {"page of 50, half a history ago", middle},
		{"page of 50 of a small namespace", small}, {"search without a match in 1 day", search(1)}, {"  in 7 days", search(7)}, {"  in 30 days", search(30)},
		{"  in all days, one call, as far as its bound", bounded},
	} {
		if err := h.measure(m.what, func() (int, error) {
			p, err := r.Page(ctx, m.q)
			return p.Examined, err
		}); err != nil {
			return err
		}
	}
	for _, days := range []int{1, 30, historyDays} {
		if err := h.measure(fmt.Sprintf("counts of %d days", days), func() (n int, err error) {
			counts, err := r.Counts(ctx, historyMain, end.AddDate(0, 0, 1-days), end)
			for _, c := range counts {
				n += c
			}
			return n, err
		}); err != nil {
			return err
		}
	}
	return nil
}

// containing is a search by text, as the list of batches has it.
func containing(text string) func(*history.Row) bool {
	return func(r *history.Row) bool {
		var row struct {
			BatchID   string          `json:"batch_id"`
			BatchName string          `json:"batch_name"`
			Pipeline  string          `json:"pipeline"`
			Owner     string          `json:"owner"`
			Labels    json.RawMessage `json:"labels"`
		}
		return json.Unmarshal(r.Data, &row) == nil && strings.Contains(strings.ToLower(row.BatchID+"\x00"+row.BatchName+"\x00"+row.Pipeline+"\x00"+row.Owner+"\x00"+string(row.Labels)), text)
	}
}

func (h *historyBench) measure(what string, do func() (examined int, err error)) error {
	var took, own, theirs []float64
	var n int
	for range historyRuns {
		before, began := h.s.cpu(), time.Now()
		var err error
		if n, err = do(); err != nil {
			return fmt.Errorf("%s: %w", what, err)
		}
		used := h.s.cpu().since(before)
		took, own, theirs = append(took, time.Since(began).Seconds()*1e3), append(own, used.self.Seconds()*1e3), append(theirs, used.nats.Seconds()*1e3)
	}
	fmt.Printf("  %-44s %7.1f ms %7.1f ms %7.0f ms %10d\n", what, median(took), median(own), median(theirs), n)
	return nil
}

// restarts measures starts of the server until it answers for the stream, and the first page after each.
func (h *historyBench) restarts(ctx context.Context) error {
	for _, how := range []struct {
		what  string
		sign  syscall.Signal
		index bool
	}{{"stopped", syscall.SIGTERM, true}, {"killed", syscall.SIGKILL, true}, {"killed, its index lost", syscall.SIGKILL, false}} {
		if err := h.s.nats.Process.Signal(how.sign); err != nil {
			return err
		}
		_ = h.s.nats.Wait() // it says that it was killed
		if !how.index {
			if err := os.Remove(filepath.Join(h.dir(), "msgs", "index.db")); err != nil {
				return err
			}
		}
		began := time.Now()
		c := exec.Command(h.s.nats.Path, h.s.nats.Args[1:]...)
		c.SysProcAttr = endsWithUs()
		if err := c.Start(); err != nil {
			return err
		}
		h.s.nats = c
		page, took, used, err := h.answers(ctx, began)
		if err != nil {
			return err
		}
		fmt.Printf("  NATS %-24s answers after %6.2f s (%.2f s of processor time)   first page %6.1f ms   memory %4.0f MB\n", how.what, took.Seconds(), used.Seconds(), page.Seconds()*1e3, float64(processMemory(c.Process.Pid))/1e6)
	}
	return nil
}

// answers waits until the server answers for the stream, and reads a page.
func (h *historyBench) answers(ctx context.Context, began time.Time) (page, took, used time.Duration, err error) {
	nc, err := nats.Connect(h.s.natsURL, nats.RetryOnFailedConnect(true), nats.ReconnectWait(5*time.Millisecond), nats.MaxReconnects(-1))
	if err != nil {
		return 0, 0, 0, err
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		return 0, 0, 0, err
	}
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	for {
		once, done := context.WithTimeout(ctx, 100*time.Millisecond)
		_, err = js.Stream(once, historyStream)
		done()
		if err == nil || ctx.Err() != nil {
			break
		}
	}
	if err := cmp.Or(ctx.Err(), err); err != nil {
		return 0, 0, 0, err
	}
	took, used, began = time.Since(began), processCPU(h.s.nats.Process.Pid), time.Now()
	_, err = history.NewRows(js, historyStream, "g").Page(ctx, history.Query{Namespace: historyMain, From: h.today.AddDate(0, 0, -historyDays), To: h.today.AddDate(0, 0, -historyDays/2)})
	return time.Since(began), took, used, err
}
