package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
)

func (w *world) post(kind string, body []byte, header ...string) (status int, answer map[string]any) {
	w.t.Helper()
	r := w.do(http.MethodPost, "/v1/events", bytes.NewReader(body), append([]string{"Content-Type", kind}, header...)...)
	if r.Code >= 400 {
		w.problem(r)
	}
	if err := json.Unmarshal(r.Body.Bytes(), &answer); err != nil {
		w.t.Fatal(err)
	}
	return r.Code, answer
}

// told are the refused events that an answer names, as "index field".
func told(answer map[string]any) (out []string) {
	details := answer["error"].(map[string]any)["details"].(map[string]any)
	list, _ := details["errors"].([]any)
	for _, e := range list {
		m := e.(map[string]any)
		if m["reason"] == "" {
			out = append(out, "no reason")
		}
		out = append(out, fmt.Sprint(m["index"], " ", m["field"]))
	}
	return out
}

func TestPostStructured(t *testing.T) {
	w := newWorld(t)
	e := eventJSON("e1", "b1", "tier", `{"tier_num":2,"processed_documents":5}`, time.Now())
	if code, answer := w.post(structuredType+"; charset=utf-8", e, "X-Namespace", "teamA"); code != 202 || answer["accepted"] != 1.0 {
		t.Fatal(code, answer)
	}
	m := w.log.kept[0]
	if m.subject != "headway.events.teamA.b1.tier.2.progress" || !bytes.Equal(m.data, e) || m.header.Get("Content-Type") != structuredType {
		t.Fatalf("%+v", m)
	}
}

func TestPostBinary(t *testing.T) {
	w := newWorld(t)
	header := []string{
		"ce-specversion", "1.0", "ce-id", "a%20b", "ce-source", "test", "ce-type", "dev.headway.batch.v1",
		"ce-subject", "b1", "ce-time", time.Now().UTC().Format(time.RFC3339),
	}
	if code, answer := w.post("application/json", []byte(`{"status":"PROCESSING"}`), header...); code != 202 {
		t.Fatal(code, answer)
	}
	m := w.log.kept[0]
	if m.subject != "headway.events.default.b1.batch" || m.header["ce-id"][0] != "a%20b" || string(m.data) != `{"status":"PROCESSING"}` {
		t.Fatalf("%+v", m)
	}
	if code, answer := w.post("application/json", []byte(`{}`), append(header, "ce-id", "again")...); code != 400 {
		t.Fatal(code, answer)
	}
}

func TestPostBatchIsAllOrNothing(t *testing.T) {
	w := newWorld(t)
	now := time.Now()
	good := func(i int) []byte {
		return eventJSON(fmt.Sprint("e", i), fmt.Sprint("b", i), "batch", `{"status":"PROCESSING"}`, now)
	}
	list := func(events ...[]byte) []byte { return fmt.Appendf(nil, "[%s]", bytes.Join(events, []byte(","))) }
	bad := eventJSON("x", "b\n1", "batch", `{}`, now)
	code, answer := w.post(batchType, list(good(0), bad, good(2), eventJSON("y", "b", "tier", `{}`, now)))
	if got := fmt.Sprint(told(answer)); code != 400 || got != "[1 subject 3 data.tier_num]" {
		t.Fatal(code, got, answer)
	}
	if len(w.log.kept) != 0 {
		t.Fatal("some of a bad batch was kept")
	}
	code, answer = w.post(batchType, list(good(0), good(1), good(2)))
	if code != 202 || answer["accepted"] != 3.0 || answer["last_sequence"] != 3.0 || len(w.log.kept) != 3 {
		t.Fatal(code, answer)
	}
	if code, _ = w.post(batchType, []byte(" [ ] ")); code != 202 {
		t.Fatal("an empty batch", code)
	}
	w.log.err = errors.New("no responders")
	if code, answer = w.post(batchType, list(good(0), good(1))); code != 503 {
		t.Fatal(code, answer)
	}
}

func TestPostRefusesWhatTheDetectorWrites(t *testing.T) {
	w := newWorld(t)
	health := `{"ordinal":0,"batch_id":"b1","namespace":"default","from":"ok","to":"stuck","revision":"a-1-1","as_of":"2026-01-01T00:00:00Z"}`
	for kind, data := range map[string]string{"batch.health.changed": health, "batch": `{"settled":true,"status":"COMPLETED"}`} {
		code, answer := w.post(structuredType, eventJSON("e", "b1", kind, data, time.Now()))
		if code != 400 || !strings.Contains(fmt.Sprint(answer), "detector only") {
			t.Fatal(kind, code, answer)
		}
	}
	if len(w.log.kept) != 0 {
		t.Fatal("kept")
	}
}

func TestPostBadBodies(t *testing.T) {
	w := newWorld(t, func(o *Options) { o.Limits.Body, o.Limits.Events = 4<<20, 3 })
	now := time.Now()
	good := eventJSON("e", "b", "batch", `{}`, now)
	many := fmt.Appendf(nil, "[%s]", strings.Join([]string{string(good), string(good), string(good), string(good)}, ","))
	padded := eventJSON("e", "b", "batch", `{"x":"`+strings.Repeat("a", 700<<10)+`"}`, now)
	padded = bytes.Replace(padded, []byte(`"source"`), append(bytes.Repeat([]byte(" "), 500<<10), []byte(`"source"`)...), 1)
	for _, x := range []struct {
		name, kind string
		body       []byte
		want       int
	}{
		{"empty", structuredType, nil, 400},
		{"not json", structuredType, []byte("hello"), 400},
		{"two values", structuredType, append(good, good...), 400},
		{"no type given", "", good, 415},
		{"plain json", "application/json", good, 415},
		{"bad media type", ";;;", good, 415},
		{"object for a batch", batchType, good, 400},
		{"unclosed", batchType, []byte("[" + string(good)), 400},
		{"trailing", batchType, []byte("[" + string(good) + "]x"), 400},
		{"broken element", batchType, []byte("[" + string(good) + ",{]"), 400},
		{"scalars", batchType, []byte(`[1,"a",]`), 400},
		{"too many", batchType, many, 413},
		{"too large", structuredType, bytes.Repeat([]byte(" "), 5<<20), 413},
		{"too large for the log", structuredType, padded, 400},
		{"invalid UTF-8", structuredType, bytes.Replace(good, []byte(`"test"`), []byte("\"\xff\""), 1), 400},
		{"duplicate key", structuredType, bytes.Replace(good, []byte(`{"`), []byte(`{"id":"z","`), 1), 400},
		{"deep", structuredType, eventJSON("e", "b", "batch", `{"x":`+strings.Repeat("[", 99)+strings.Repeat("]", 99)+`}`, now), 400},
		{"clock off by years", structuredType, eventJSON("e", "b", "batch", `{}`, now.AddDate(3, 0, 0)), 400},
	} {
		if code, answer := w.post(x.kind, x.body); code != x.want {
			t.Errorf("%s: %d, want %d: %v", x.name, code, x.want, answer)
		}
	}
	if r := w.do(http.MethodPost, "/v1/events", bytes.NewReader(good), "Content-Type", structuredType, "Content-Encoding", "gzip"); r.Code != 415 {
		t.Error("gzip", r.Code)
	}
	if len(w.log.kept) != 0 {
		t.Fatalf("%d kept", len(w.log.kept))
	}
}

// Fields that an event type doesn't have are kept, and named.
func TestPostWarnsOfUnknownFields(t *testing.T) {
	w := newWorld(t)
	now := time.Now()
	fine := eventJSON("e1", "b1", "tier", `{"tier_num":2,"processed_documents":5}`, now)
	slip := eventJSON("e2", "b1", "tier", `{"tier_num":2,"procesed_documents":5,"x\u001b[31m":1}`, now)
	code, answer := w.post(batchType, fmt.Appendf(nil, "[%s,%s]", fine, slip))
	if code != 202 || answer["accepted"] != 2.0 || len(w.log.kept) != 2 {
		t.Fatal(code, answer)
	}
	warnings, _ := answer["warnings"].([]any)
	if len(warnings) != 2 {
		t.Fatal(answer)
	}
	first := warnings[0].(map[string]any)
	if first["index"] != 1.0 || first["field"] != "data.procesed_documents" ||
		first["message"] != "procesed_documents isn't a field; processed_documents?" {
		t.Fatal(first)
	}
	header := []string{
		"ce-specversion", "1.0", "ce-id", "1", "ce-source", "test", "ce-type", "dev.headway.batch.v1",
		"ce-subject", "b1", "ce-time", now.UTC().Format(time.RFC3339),
	}
	if _, answer := w.post("application/json", []byte(`{"stauts":"PROCESSING"}`), header...); !strings.Contains(fmt.Sprint(answer), "stauts isn't a field; status?") {
		t.Fatal(answer)
	}
	if _, answer := w.post(structuredType, fine); answer["warnings"] != nil {
		t.Fatal(answer)
	}
	var many []string
	for i := range 16 {
		many = append(many, fmt.Sprintf(`"unknown%d":1`, i))
	}
	var all []string
	for i := range 20 {
		all = append(all, string(eventJSON(fmt.Sprint("m", i), "b1", "batch", "{"+strings.Join(many, ",")+"}", now)))
	}
	code, answer = w.post(batchType, []byte("["+strings.Join(all, ",")+"]"))
	if warnings, _ := answer["warnings"].([]any); code != 202 || len(warnings) != maxWarnings {
		t.Fatal(code, len(warnings))
	}
}
