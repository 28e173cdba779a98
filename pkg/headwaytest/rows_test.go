package headwaytest

import (
	"bytes"
	"encoding/json"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/headwayhq/headway/pkg/diagnostics"
)

// What a snapshot was, with what changed, is what it is: for whoever reads it with our types, and for whoever reads the documentation.
func TestLawRowsAddUp(t *testing.T) {
	kinds := map[string]int{}
	rapid.Check(t, func(t *rapid.T) {
		messages := Messages().Draw(t, "messages")
		v := diagnostics.NewView("n", "b")
		p := diagnostics.DefaultPolicy()
		var before *diagnostics.Parts
		var state []byte
		var typed diagnostics.Snapshot
		at := time.Unix(1_772_000_000, 0).UTC()
		for i := range messages {
			messages[i].Fold(v)
			if row := diagnostics.NewRow(v, at, p); row.LastActivityAt != nil && row.LastActivityAt.After(at) {
				at = *row.LastActivityAt
			}
			at = at.Add(time.Duration(rapid.IntRange(0, 600_000).Draw(t, "ms")) * time.Millisecond)
			if rapid.IntRange(0, 3).Draw(t, "skip") == 0 && i < len(messages)-1 {
				continue
			}
			s := diagnostics.Render(v, at, p, diagnostics.Meta{RevisionID: "s-1-1"})
			now := s.Encode()
			whole := s.AppendJSON(nil)
			if !bytes.Equal(now.JSON(), whole) {
				t.Fatalf("encoded as\n%s\nwant\n%s", now.JSON(), whole)
			}
			if before == nil {
				state = whole
				if err := json.Unmarshal(whole, &typed); err != nil {
					t.Fatal(err)
				}
			} else {
				change := now.AppendChange(nil, before)
				var err error
				if state, err = ApplyRows(state, change); err != nil {
					t.Fatalf("%v: %s", err, change)
				}
				if typed, err = typed.Apply(change); err != nil {
					t.Fatalf("%v: %s", err, change)
				}
				count(kinds, change)
			}
			if got, want := canonical(t, state), canonical(t, whole); got != want {
				t.Fatalf("got\n%s\nwant\n%s", got, want)
			}
			if got := typed.AppendJSON(nil); !bytes.Equal(got, whole) {
				t.Fatalf("with our types got\n%s\nwant\n%s", got, whole)
			}
			before = now
		}
	})
	for _, kind := range rowKinds {
		if kinds[kind] == 0 {
			t.Errorf("no change had %s: %v", kind, kinds)
		}
	}
}

// rowKinds are what a change can have.
var rowKinds = []string{`"after":`, `"clocks":`, `"row":`, `"jobs":`, `"phases":`, `"collections":`, `]]`, `"gone":`}

func count(kinds map[string]int, change []byte) {
	for _, kind := range rowKinds {
		if bytes.Contains(change, []byte(kind)) {
			kinds[kind]++
		}
	}
}

// canonical is JSON with its members in one order.
func canonical(t interface{ Fatal(...any) }, text []byte) string {
	var v any
	if err := decode(text, &v); err != nil {
		t.Fatal(err)
	}
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
