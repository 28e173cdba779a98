package eventlog

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"
)

// Stored changes are read by namespace, from a sequence or a time on, and reading ends after the last one.
func TestReadHealth(t *testing.T) {
	l, _ := open(t)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	info := func() Info {
		i, err := l.HealthInfo(ctx)
		if err != nil {
			t.Fatal(err)
		}
		return i
	}
	read := func(o HealthOptions, atMost int) (seqs []uint64, stored []time.Time) {
		t.Helper()
		o.Identity = info().Identity
		err := l.ReadHealth(ctx, o, func(m Message) bool {
			seqs, stored = append(seqs, m.Seq), append(stored, m.Stored)
			return len(seqs) < atMost
		})
		if err != nil {
			t.Fatalf("%+v: %v", o, err)
		}
		return seqs, stored
	}
	if got, _ := read(HealthOptions{From: 1}, 9); got != nil {
		t.Errorf("in an empty stream: %v", got)
	}
	for i := range 6 {
		if _, err := l.PublishHealth(ctx, []string{"n", "other"}[i%2], fmt.Sprint("b", i), 0, nil); err != nil {
			t.Fatal(err)
		}
		for info().Last < uint64(i+1) { // so that each has a time of its own
			if ctx.Err() != nil {
				t.Fatal(ctx.Err())
			}
		}
	}
	all, stored := read(HealthOptions{From: 1}, 9)
	for _, x := range []struct {
		o      HealthOptions
		atMost int
		want   []uint64
	}{
		{HealthOptions{From: 1, Namespace: "n"}, 9, []uint64{1, 3, 5}},
		{HealthOptions{From: 2, Namespace: "n", AtOnce: 1}, 9, []uint64{3, 5}},
		{HealthOptions{From: 2, Namespace: "n"}, 1, []uint64{3}},
		{HealthOptions{From: 6, Namespace: "n"}, 9, nil},
		{HealthOptions{From: 7}, 9, nil},
		{HealthOptions{From: 1, Namespace: "nobody"}, 9, nil},
		{HealthOptions{Since: stored[3]}, 9, []uint64{4, 5, 6}},
		{HealthOptions{Since: stored[3], Namespace: "n"}, 9, []uint64{5}},
		{HealthOptions{Since: stored[5].Add(1)}, 9, nil},
	} {
		if got, _ := read(x.o, x.atMost); !slices.Equal(got, x.want) {
			t.Errorf("%+v: got %v, want %v", x.o, got, x.want)
		}
	}
	if len(all) != 6 {
		t.Error(all)
	}
	none := func(Message) bool { t.Error("a message"); return true }
	if err := l.ReadHealth(ctx, HealthOptions{From: 1, Identity: "another_0"}, none); !errors.Is(err, ErrIdentityChanged) {
		t.Error(err)
	}
}
