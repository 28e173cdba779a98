package viewstore

import (
	"context"
	"fmt"
	"net"
	"os/exec"
	"strconv"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
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
// the same round trip that ends the commit before (rule 4): the same writes, the same pushes.
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
			f, err := s.Claim(b.Context(), 0, nil, Fence{Identity: "bench_0", Fold: 1, Token: "t"}, time.Minute)
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
		b.Run(fmt.Sprintf("watch/views=%d", views), func(b *testing.B) {
			c := benchRedis(b)
			w := &watchCommitter{conn: c.Conn(), base: "hw:{p00}:bench_0-1:"}
			b.Cleanup(func() { _ = w.conn.Close() })
			if err := w.arm(b.Context()); err != nil {
				b.Fatal(err)
			}
			b.ResetTimer()
			for i := range b.N {
				if err := w.commit(b.Context(), Fence{Identity: "bench_0", Fold: 1, Token: "t", Cursor: uint64(i + 1)}.String(), writes); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(views*b.N)/b.Elapsed().Seconds(), "views/s")
		})
	}
}

// watchCommitter is the variant that isn't taken.
type watchCommitter struct {
	conn    *redis.Conn
	base    string
	current string
}

func (w *watchCommitter) arm(ctx context.Context) error {
	_, err := w.conn.Pipelined(ctx, func(p redis.Pipeliner) error {
		p.Do(ctx, "WATCH", w.base+"fence")
		return nil
	})
	return err
}

func (w *watchCommitter) commit(ctx context.Context, record string, writes []Write) error {
	var read *redis.StringCmd
	var exec *redis.Cmd
	_, err := w.conn.Pipelined(ctx, func(p redis.Pipeliner) error {
		p.Do(ctx, "MULTI")
		set, due, list, rows := []any{"MSET"}, []any{"ZADD", w.base + "due"}, []any{"ZADD", w.base + "list:bench"}, []any{"HSET", w.base + "rows:bench"}
		for _, x := range writes {
			set = append(set, w.base+"v:"+x.member(), x.Value)
			due = append(due, x.Due, x.member())
			list = append(list, x.Revision, x.Batch)
			rows = append(rows, x.Batch, x.Row)
		}
		for _, args := range [][]any{set, due, list, rows, {"SADD", w.base + "ns", "bench"}, {"SET", w.base + "fence", record}} {
			p.Do(ctx, args...)
		}
		for _, x := range writes {
			p.Do(ctx, "PUBLISH", w.base+"push:"+x.member(), record+"\n"+string(x.Value))
			p.Do(ctx, "PUBLISH", w.base+"rowpush:bench", x.Row)
		}
		exec = p.Do(ctx, "EXEC")
		p.Do(ctx, "WATCH", w.base+"fence")
		read = p.Get(ctx, w.base+"fence")
		return nil
	})
	if err != nil {
		return err
	}
	if exec.Err() != nil {
		return exec.Err()
	}
	if w.current = read.Val(); w.current != record {
		return ErrFenced
	}
	return nil
}
