package push

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// mergePatch is section 2 of RFC 7396, as written there.
func mergePatch(target, patch any) any {
	changes, is := patch.(map[string]any)
	if !is {
		return patch
	}
	to, is := target.(map[string]any)
	if !is {
		to = map[string]any{}
	}
	for name, value := range changes {
		if value == nil {
			delete(to, name)
			continue
		}
		to[name] = mergePatch(to[name], value)
	}
	return to
}

// nulls drops members that are null: in a merge patch null and absent are one.
func nulls(v any) any {
	if object, is := v.(map[string]any); is {
		for name, value := range object {
			if value == nil {
				delete(object, name)
				continue
			}
			object[name] = nulls(value)
		}
	}
	return v
}

func decode(t interface{ Fatalf(string, ...any) }, text string) (v any) {
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	if err := d.Decode(&v); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	return v
}

// reader is a client of one topic over all of its connections.
type reader struct {
	format Format
	sub    *Subscription
	at     int // the hub that it is connected to
	lastID string
	doc    any
	ended  bool
	names  []string
}

func (c *reader) connect(t *rapid.T, hubs []*Hub, at int) {
	if c.sub != nil {
		c.sub.Close()
	}
	sub, err := hubs[at].Subscribe(t.Context(), topicKey, c.lastID, nil)
	if err != nil {
		t.Fatalf("subscribe: %v", err)
	}
	sub.format = c.format
	c.sub, c.at = sub, at
}

// read takes what there is now: frames since the last time are skipped.
func (c *reader) read(t *rapid.T, frames []map[string]*Frame) {
	if c.ended {
		return
	}
	out := httptest.NewRecorder()
	end, err := c.sub.advance(&Writer{hub: c.sub.hub, w: out}, c.sub.topic.state.Load())
	if err != nil {
		t.Fatal(err)
	}
	c.ended = end
	for event := range strings.SplitSeq(strings.TrimSuffix(out.Body.String(), "\n\n"), "\n\n") {
		if event == "" {
			continue
		}
		f := map[string]string{}
		for line := range strings.SplitSeq(event, "\n") {
			name, value, _ := strings.Cut(line, ": ")
			f[name] = value
		}
		c.lastID = f["id"]
		c.names = append(c.names, f["event"])
		if strings.HasSuffix(f["event"], suffixes[Patch]) {
			if c.format != Patch {
				t.Fatalf("a patch for a client that asked for none")
			}
			c.doc = mergePatch(c.doc, decode(t, f["data"]))
		} else {
			c.doc = decode(t, f["data"])
		}
		want := nulls(decode(t, frames[c.at][c.lastID].Content.(text).json))
		if got := nulls(c.doc); !reflect.DeepEqual(got, want) {
			t.Fatalf("after %s\n got %v\nwant %v", event, got, want)
		}
	}
}

// A client that applies patches has, after each event, what one with whole frames has: over skipped frames,
// reconnections to one replica or another, changes of health and the end.
func TestPatchesAddUp(t *testing.T) {
	patched := 0
	rapid.Check(t, func(t *rapid.T) {
		value := rapid.SampledFrom([]string{`1`, `2`, `12345678901234567890`, `0.1`, `null`, `"x<\u2028"`, `[]`, `[1,null]`, `[{"a":null}]`, `{}`,
			`{"a":1,"b":null}`, `{"a":2,"b":{"c":1}}`, `{"b":{"c":null,"d":[1]}}`, `true`})
		field := rapid.SampledFrom([]string{"eta", "summary", "tiers", "lag", "weird/~ key"})
		hubs, frames, seen := make([]*Hub, 2), make([]map[string]*Frame, 2), map[string]string{}
		stands := []*stand{newStand("a"), newStand("a")}
		seq := uint64(0)
		publish := func(final bool) {
			seq++
			if rapid.Bool().Draw(t, "change") {
				seen[field.Draw(t, "field")] = value.Draw(t, "value")
			}
			mark := rapid.SampledFrom([]string{"ok", "ok", "stuck"}).Draw(t, "mark")
			for i := range hubs {
				// Each replica renders at its own moment: one revision, two texts.
				var b bytes.Buffer
				fmt.Fprintf(&b, `{"pad":"%060d","n":%d,"clock":%d`, 0, seq, rapid.IntRange(0, 1).Draw(t, "clock"))
				for name, v := range seen {
					fmt.Fprintf(&b, `,%q:%s`, name, v)
				}
				b.WriteByte('}')
				f := &Frame{Identity: "a", Seq: seq, ID: fmt.Sprintf("a-1-%d", seq), Content: text{json: b.String(), mark: mark, final: final}}
				if frames[i] == nil {
					frames[i] = map[string]*Frame{}
				}
				frames[i][f.ID] = f
				stands[i].put(topicKey, f)
				if hubs[i] == nil {
					hubs[i] = New(stands[i], Config{})
				}
				hubs[i].Publish(topicKey, f)
			}
		}
		publish(false)
		clients := make([]*reader, 4)
		for i := range clients {
			clients[i] = &reader{format: Patch}
			clients[i].connect(t, hubs, i%2)
		}
		clients[0].format, clients[0].sub.format = Full, Full
		for range rapid.IntRange(1, 40).Draw(t, "steps") {
			c := clients[rapid.IntRange(0, len(clients)-1).Draw(t, "client")]
			switch rapid.IntRange(0, 6).Draw(t, "step") {
			case 0:
				c.connect(t, hubs, rapid.IntRange(0, 1).Draw(t, "hub"))
			case 1, 2:
				publish(false)
			default:
				c.read(t, frames)
			}
		}
		publish(true)
		for i, c := range clients {
			c.read(t, frames)
			if !c.ended || c.lastID != fmt.Sprintf("a-1-%d", seq) {
				t.Fatalf("client %d ends on %s, ended %v", i, c.lastID, c.ended)
			}
			c.sub.Close()
			patched += strings.Count(strings.Join(c.names, " "), suffixes[Patch])
		}
	})
	if patched == 0 {
		t.Fatal("no patch was ever sent")
	}
}

func TestPatchEvents(t *testing.T) {
	pad := strings.Repeat("x", 100)
	make := func(seq uint64, state, mark string) *Frame {
		return &Frame{Identity: "a", Seq: seq, ID: fmt.Sprint("a-1-", seq), Content: text{json: state, mark: mark}}
	}
	one := make(1, `{"pad":"`+pad+`","n":1}`, "ok")
	two := make(2, `{"pad":"`+pad+`","n":2}`, "ok")
	stuck := make(3, `{"pad":"`+pad+`","n":2,"why":"x"}`, "stuck")
	for _, x := range []struct {
		name string
		f    *Frame
		kind Kind
		base *Frame
		want string
	}{
		{"update", two, Update, one, "id: a-1-2\nevent: update-patch\ndata: {\"n\":2}\n\n"},
		{"health", stuck, Health, two, "id: a-1-3\nevent: health-patch\ndata: {\"why\":\"x\"}\n\n"},
		{"skipped one", stuck, Health, one, "id: a-1-3\nevent: health-patch\ndata: {\"n\":2,\"why\":\"x\"}\n\n"},
		{"nothing in common", make(4, `{"m":1}`, "ok"), Update, make(3, `{"n":{"o":[]}}`, "ok"), "id: a-1-4\nevent: update\ndata: {\"m\":1}\n\n"},
		{"not an object", make(4, `[1]`, "ok"), Update, one, "id: a-1-4\nevent: update\ndata: [1]\n\n"},
		{"several lines", make(4, "{\n}", "ok"), Update, one, "id: a-1-4\nevent: update\ndata: {\ndata: }\n\n"},
	} {
		if got := contents(t, x.f.differing(Patch, x.kind, x.base)); got != x.want {
			t.Errorf("%s: %q, want %q", x.name, got, x.want)
		}
	}
	if a, b := two.differing(Patch, Update, one), two.differing(Patch, Update, one); &a[0] != &b[0] {
		t.Error("a patch was made twice for the same base")
	}
	large := make(5, `{"pad":"`+strings.Repeat(pad, maxPatched/100)+`"}`, "ok")
	if got := contents(t, large.differing(Patch, Update, one)); !strings.HasPrefix(got, "id: a-1-5\nevent: update\n") {
		t.Errorf("above the limit: %.40q", got)
	}
	for i := range 2 * maxBases { // clients that skipped differently: at most some patches, then the whole
		stuck.differing(Patch, Health, make(uint64(i), `{"n":9}`, "ok"))
	}
	if n := len(stuck.differences[Patch].to); n != maxBases {
		t.Errorf("%d patches of one frame", n)
	}
}

// rows is a content whose change is given.
type rows struct {
	text
	change string
}

func (r rows) AppendChange(dst []byte, from Content) []byte {
	if r.change == "" {
		return nil
	}
	return append(append(dst, r.change...), from.(rows).mark...)
}

func TestRowEvents(t *testing.T) {
	pad := strings.Repeat("x", maxPatched+100) // there is no limit as there is for patches
	make := func(seq uint64, change, mark string, final bool) *Frame {
		return &Frame{Identity: "a", Seq: seq, ID: fmt.Sprint("a-1-", seq), Content: rows{text{json: `{"pad":"` + pad + `"}`, mark: mark, final: final}, change}}
	}
	h := New(newStand("a"), Config{})
	defer h.Close()
	one, two, stuck, over := make(1, "1 ", "ok", false), make(2, "2 ", "ok", false), make(3, "3 ", "stuck", false), make(4, "4 ", "ok", true)
	s := &Subscription{hub: h, format: Rows}
	if got := s.event(Snapshot, one); &got[0] != &one.encoded(Snapshot)[0] {
		t.Errorf("the first event isn't whole: %.60q", got)
	}
	if got := s.event(End, over); &got[0] != &over.encoded(End)[0] {
		t.Errorf("the first event isn't whole: %.60q", got)
	}
	for _, x := range []struct {
		kind    Kind
		base, f *Frame
		want    string
	}{
		{Update, one, two, "id: a-1-2\nevent: update-rows\ndata: 2 ok\n\n"},
		{Health, one, stuck, "id: a-1-3\nevent: health-rows\ndata: 3 ok\n\n"},
		{End, stuck, over, "id: a-1-4\nevent: end-rows\ndata: 4 stuck\n\n"},
	} {
		s.base = x.base
		got := s.event(x.kind, x.f)
		if contents(t, got) != x.want {
			t.Errorf("%s: %.80q, want %q", x.kind, got, x.want)
		}
		if again := s.event(x.kind, x.f); &again[0] != &got[0] {
			t.Errorf("%s: a change was computed twice for the same base", x.kind)
		}
	}
	s.base = one
	whole := make(5, "", "ok", false)
	if got := s.event(Update, whole); &got[0] != &whole.encoded(Update)[0] {
		t.Errorf("what can't be expressed isn't whole: %.60q", got)
	}
	large := make(6, pad+pad, "ok", false)
	if got := s.event(Update, large); &got[0] != &large.encoded(Update)[0] {
		t.Errorf("what isn't smaller isn't whole: %.60q", got)
	}
	s.format = Patch // the same base, in another format
	if got := s.event(Update, two); &got[0] != &two.encoded(Update)[0] {
		t.Errorf("a patch of a large state: %.60q", got)
	}
}
