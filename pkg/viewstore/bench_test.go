package viewstore

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/headwayhq/headway/pkg/diagnostics"
)

// benchRedis is a redis-server of its own on a port of its own.
func benchRedis(b *testing.B) *redis.Client {
	b.Helper()
	path, err := exec.LookPath("redis-server")
	if err != nil {
		b.Skip("no redis-server on this machine")
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	port := l.Addr().(*net.TCPAddr).Port
	_ = l.Close()
	cmd := exec.Command(path, "--port", strconv.Itoa(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no")
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	c := redis.NewClient(&redis.Options{Addr: fmt.Sprintf("127.0.0.1:%d", port), MaxRetries: -1})
	b.Cleanup(func() { _ = c.Close() })
	for deadline := time.Now().Add(5 * time.Second); c.Ping(b.Context()).Err() != nil; {
		if time.Now().After(deadline) {
			b.Fatal("redis-server doesn't answer")
		}
	}
	return c
}

// BenchmarkCommit compares the script with WATCH … MULTI … EXEC, where the record is watched and read again in
// the same round trip that ends the commit before (rule 4): the same writes, the same pushes. The bare variant is
// the least that WATCH could cost; it breaks rule 4, since it doesn't validate, and makes up its lease. The
// other one does what the script does, with the types and the time read in that same round trip, as it can only be
// while commits follow one another: an idle worker would need one more.
func BenchmarkCommit(b *testing.B) {
	const size = 4096 // a large view; a common one has 1.6 KB
	for _, views := range []int{1, 16, 64} {
		writes := make([]Write, views)
		for i := range writes {
			writes[i] = Write{
				Key: Key{"bench", fmt.Sprintf("btch_%04d", i)}, Value: make([]byte, size), Revision: uint64(i), Due: 1_900_000_000_000,
				Row: make([]byte, 400),
			}
		}
		b.Run(fmt.Sprintf("script/views=%d", views), func(b *testing.B) {
			c := benchRedis(b)
			s, err := Open(b.Context(), Options{Client: c, Identity: "bench_0", Fold: 1, Partitions: 1})
			if err != nil {
				b.Fatal(err)
			}
			f, err := s.Claim(b.Context(), 0, Record{}, Fence{Identity: "bench_0", Fold: 1, Token: "t"}, time.Minute)
			if err != nil {
				b.Fatal(err)
			}
			b.ResetTimer()
			for range b.N {
				next := f
				next.Cursor++
				if f, err = s.Commit(b.Context(), 0, f, next, time.Minute, writes); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(views*b.N)/b.Elapsed().Seconds(), "views/s")
		})
		for name, bare := range map[string]bool{"watch": false, "watch-bare": true} {
			b.Run(fmt.Sprintf("%s/views=%d", name, views), func(b *testing.B) {
				c := benchRedis(b)
				w := &watchCommitter{conn: c.Conn(), base: "hw:{p00}:bench_0-1:", bare: bare}
				b.Cleanup(func() { _ = w.conn.Close() })
				if err := w.arm(b.Context()); err != nil {
					b.Fatal(err)
				}
				b.ResetTimer()
				for i := range b.N {
					if err := w.commit(b.Context(), Fence{Identity: "bench_0", Fold: 1, Token: "t", Cursor: uint64(i + 1)}, time.Minute, writes); err != nil {
						b.Fatal(err)
					}
				}
				b.ReportMetric(float64(views*b.N)/b.Elapsed().Seconds(), "views/s")
			})
		}
	}
}

// BenchmarkLargestCommit measures how long the largest commit occupies Redis, which serves nobody else meanwhile.
func BenchmarkLargestCommit(b *testing.B) {
	writes := make([]Write, MaxCommitViews)
	for i := range writes {
		writes[i] = Write{
			Key: Key{"bench", fmt.Sprintf("btch_%04d", i)}, Value: make([]byte, MaxCommitBytes/MaxCommitViews), Revision: uint64(i),
			Due: 1_900_000_000_000, Row: make([]byte, 400),
		}
	}
	c := benchRedis(b)
	s, err := Open(b.Context(), Options{Client: c, Identity: "bench_0", Fold: 1, Partitions: 1})
	if err != nil {
		b.Fatal(err)
	}
	f, err := s.Claim(b.Context(), 0, Record{}, Fence{Identity: "bench_0", Fold: 1, Token: "t"}, time.Minute)
	if err != nil {
		b.Fatal(err)
	}
	if err := c.ConfigResetStat(b.Context()).Err(); err != nil {
		b.Fatal(err)
	}
	b.ResetTimer()
	for range b.N {
		next := f
		next.Cursor++
		if f, err = s.Commit(b.Context(), 0, f, next, time.Minute, writes); err != nil {
			b.Fatal(err)
		}
	}
	b.StopTimer()
	stats, err := c.Info(b.Context(), "commandstats").Result()
	if err != nil {
		b.Fatal(err)
	}
	for line := range strings.Lines(stats) {
		var calls int
		var total, each float64
		if n, _ := fmt.Sscanf(line, "cmdstat_evalsha:calls=%d,usec=%f,usec_per_call=%f", &calls, &total, &each); n == 3 {
			b.ReportMetric(each/1000, "ms-in-redis/op")
		}
	}
}

// watchCommitter is the variant with WATCH, which wasn't chosen.
type watchCommitter struct {
	conn  *redis.Conn
	base  string
	bare  bool
	armed looked
}

// looked is what was read after a WATCH.
type looked struct {
	record string
	time   time.Time
	err    error
}

// look queues a WATCH and the reads that must follow it. The answers are available once the pipeline has run.
func (w *watchCommitter) look(ctx context.Context, p redis.Pipeliner) func() looked {
	p.Do(ctx, "WATCH", w.base+"fence")
	record := p.Get(ctx, w.base+"fence")
	if w.bare {
		return func() looked { return looked{record: record.Val()} }
	}
	now := p.Time(ctx)
	types := map[string]*redis.StatusCmd{}
	for key, want := range map[string]string{"due": "zset", "ns": "hash", "cat": "hash", "list:bench": "zset", "rows:bench": "hash"} {
		types[want+" "+key] = p.Type(ctx, w.base+key)
	}
	return func() looked {
		out := looked{record: record.Val(), time: now.Val()}
		for name, is := range types {
			if v := is.Val(); v != "none" && !strings.HasPrefix(name, v+" ") {
				out.err = fmt.Errorf("%s is a %s", name, v)
			}
		}
		return out
	}
}

func (w *watchCommitter) arm(ctx context.Context) error {
	var answer func() looked
	_, err := w.conn.Pipelined(ctx, func(p redis.Pipeliner) error {
		answer = w.look(ctx, p)
		return nil
	})
	if err != nil && !errors.Is(err, redis.Nil) { // no record yet
		return err
	}
	w.armed = answer()
	return w.armed.err
}

func (w *watchCommitter) commit(ctx context.Context, next Fence, lease time.Duration, writes []Write) error {
	next.LeaseUntil = w.armed.time.Add(lease).UnixMilli()
	record := next.String()
	var answer func() looked
	var exec *redis.Cmd
	_, err := w.conn.Pipelined(ctx, func(p redis.Pipeliner) error {
		p.Do(ctx, "MULTI")
		set, due, list, rows := []any{"MSET"}, []any{"ZADD", w.base + "due"}, []any{"ZADD", w.base + "list:bench"}, []any{"HSET", w.base + "rows:bench"}
		cat := []any{"HSET", w.base + "cat"}
		for _, x := range writes {
			cat = append(cat, x.member(), x.Value[:diagnostics.HeaderSize])
			set = append(set, w.base+"v:"+x.member(), x.Value)
			due = append(due, x.Due, x.member())
			list = append(list, x.Revision, x.Batch)
			rows = append(rows, x.Batch, x.Row)
		}
		for _, args := range [][]any{set, cat, due, list, rows, {"HSET", w.base + "ns", "bench", len(writes)}, {"SET", w.base + "fence", record}} {
			p.Do(ctx, args...)
		}
		for _, x := range writes {
			p.Do(ctx, "PUBLISH", w.base+"push:"+x.member(), record+"\n"+string(x.Value))
			p.Do(ctx, "PUBLISH", w.base+"rowpush:bench", x.Row)
		}
		exec = p.Do(ctx, "EXEC")
		answer = w.look(ctx, p)
		return nil
	})
	if err != nil {
		return err
	}
	if exec.Err() != nil {
		return exec.Err()
	}
	w.armed = answer()
	if w.armed.record != record {
		return ErrFenced
	}
	return w.armed.err
}
