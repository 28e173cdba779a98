package ingest

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/headwayhq/headway/pkg/viewstore"
)

// If a wipe removes members and fences together, the first process to notice claims only its own share.
func TestMembersAreRememberedAfterAWipe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &epoch{s: &Service{o: Options{Heartbeat: time.Second}}, fenced: make([]bool, 2)}
		there := []viewstore.Record{{Fence: &viewstore.Fence{}}, {Fence: &viewstore.Fence{}}}
		gone := []viewstore.Record{{}, {}}
		for _, c := range []struct {
			what    string
			joined  []string
			records []viewstore.Record
			later   time.Duration
			want    string
		}{
			{"all is well", []string{"a", "b", "c"}, there, 0, "[a b c]"},
			{"a member left", []string{"a", "b"}, there, 0, "[a b]"},
			{"a wipe", []string{"a"}, gone, 0, "[a b]"},
			{"somebody new", []string{"a", "d"}, there, time.Second / 2, "[a b d]"},
			{"b had time to join again, and didn't", []string{"a", "d"}, there, time.Second, "[a d]"},
		} {
			time.Sleep(c.later)
			if got := fmt.Sprint(e.present(c.joined, c.records)); got != c.want {
				t.Errorf("%s: %s, want %s", c.what, got, c.want)
			}
		}
	})
}

func TestGroups(t *testing.T) {
	e := &epoch{partitions: 4}
	for n, want := range map[int]string{0: "[]", 1: "[1]", 2: "[1 1]", 3: "[3]", 4: "[4]"} {
		var sizes []int
		for _, g := range e.groups(make([]*queue, n)) {
			sizes = append(sizes, len(g))
		}
		if got := fmt.Sprint(sizes); got != want {
			t.Errorf("%d partitions are read for in groups of %s, want %s", n, got, want)
		}
	}
}
