package main

import (
	"slices"
	"strings"
	"testing"
)

// The command that repeats a run has all of its flags, and the seed if it was taken from the clock.
func TestAgain(t *testing.T) {
	for _, c := range []struct {
		args []string
		want string
	}{
		{nil, "go run ./services/headway/prove --seed 7"},
		{[]string{"--time", "100s", "--redis=cluster", "--only", "kill,wipe", "--slack", "2"}, "go run ./services/headway/prove --time 100s --redis=cluster --only kill,wipe --slack 2 --seed 7"},
		{[]string{"--seed", "7", "--bin", "/tmp/my programs"}, "go run ./services/headway/prove --seed 7 --bin '/tmp/my programs'"},
		{[]string{"--seed=7"}, "go run ./services/headway/prove --seed=7"},
	} {
		if got := again(c.args, 7); got != c.want {
			t.Errorf("got  %s\nwant %s", got, c.want)
		}
	}
}

// Addresses in replies of Redis lead to the links, also when a reply comes in pieces.
func TestDivert(t *testing.T) {
	ls, err := newLinks(t.Name(), "127.0.0.1:23456", "127.0.0.1:23457")
	if err != nil {
		t.Fatal(err)
	}
	defer ls.cut()
	reply := "*2\r\n*4\r\n:0\r\n:5460\r\n*3\r\n$9\r\n127.0.0.1\r\n:23456\r\n$40\r\nid\r\n-MOVED 7 127.0.0.1:23457\r\n" +
		"*2\r\n$9\r\n127.0.0.1\r\n$5\r\n23456\r\n$4\r\nport\r\n$5\r\n23457\r\n+switch-master m 127.0.0.1 23456 127.0.0.1 23457\r\n:23456\r\n:12345\r\n"
	port := func(i int) string { return ls.each[i].address()[len("127.0.0.1:"):] }
	want := strings.NewReplacer("23456", port(0), "23457", port(1)).Replace(strings.TrimSuffix(reply, ":23456\r\n:12345\r\n")) + ":23456\r\n:12345\r\n"
	for size := 1; size <= len(reply); size++ {
		var got, held []byte
		for rest := []byte(reply); len(rest) > 0; rest = rest[min(size, len(rest)):] {
			data := slices.Concat(held, rest[:min(size, len(rest))])
			ls.divert(data)
			held = slices.Clone(unfinished(data))
			got = append(got, data[:len(data)-len(held)]...)
		}
		if string(got) != want || len(held) > 0 {
			t.Fatalf("in pieces of %d: got\n%q, held %q, want\n%q", size, got, held, want)
		}
	}
}
