package push

import (
	"bytes"
	"io"
	"net/http/httputil"
	"slices"
	"strings"
	"testing"

	"github.com/tmaxmax/go-sse"
)

// contents is what a client of HTTP/1.1 reads of chunks.
func contents(t testing.TB, chunks []byte) string {
	t.Helper()
	body, err := io.ReadAll(httputil.NewChunkedReader(bytes.NewReader(append(slices.Clone(chunks), lastChunk...))))
	if err != nil {
		t.Fatalf("%v: %q", err, chunks)
	}
	return string(body)
}

func FuzzEventIsOneEvent(f *testing.F) {
	f.Add("id", "update", []byte(`{"a":1}`))
	f.Add("a\nb", "x\r", []byte("a\r\nb\rc\nd\x00e\n\n"))
	f.Add("\x00", "", []byte("\n\nevent: forged\ndata: x\n\n"))
	f.Add("", ":", []byte("\r\r"))
	f.Fuzz(func(t *testing.T, id, name string, data []byte) {
		b := []byte(contents(t, AppendEvent(nil, id, name, data)))
		if !bytes.HasSuffix(b, []byte("\n\n")) || bytes.ContainsAny(b, "\r\x00") {
			t.Fatalf("%q", b)
		}
		if bytes.Count(b, []byte("\n\n")) != 1 {
			t.Fatalf("more than one event: %q", b)
		}
		for line := range strings.SplitSeq(strings.TrimSuffix(string(b), "\n\n"), "\n") {
			switch {
			case strings.HasPrefix(line, "data: "):
			case line == "id: "+id && !strings.ContainsAny(id, "\r\n\x00"):
			case line == "event: "+name && !strings.ContainsAny(name, "\r\n\x00"):
			default:
				t.Fatalf("forged line %q", line)
			}
		}
	})
}

// What a foreign parser reads is what was written.
func TestEventsAreReadByAParser(t *testing.T) {
	b := AppendEvent(nil, "a-1-2", "update", []byte("{\"x\":\r\n1}"))
	b = append(b, comment...)
	b = AppendEvent(b, "a\n-1-3", "health", []byte("{}"))
	var got []sse.Event
	for e, err := range sse.Read(strings.NewReader(contents(t, b)), nil) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, e)
	}
	if len(got) != 2 || got[0].LastEventID != "a-1-2" || got[0].Type != "update" || got[0].Data != "{\"x\":\n1}" ||
		got[1].LastEventID != "a-1-2" || got[1].Type != "health" {
		t.Fatalf("%+v", got)
	}
}
