package bundle

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
)

const event = `{"sequence":7,"stored":"2026-03-01T12:00:01Z","subject":"headway.log.1.n.b.job.j","event":{"specversion":"1.0","id":"e7","source":"s",` +
	`"type":"dev.headway.job.v1","time":"2026-03-01T12:00:00Z","data":{"tier_num":0,"submission_id":"j","status":"FAILED","started_at":"2026-03-01T11:59:00+00:00",` +
	`"message":"patient Jane Roe isn't in the file\nword","error_type":"KeyError","cluster":"s3://user:hunter2@h/x","submission_params":{"env_vars":{"MODE":"fast-lane"},"day":"2026-03-01T00:00:00Z"}}}}` + "\n"

func collected(t *testing.T, messages bool) (map[string]string, []byte, Manifest) {
	t.Helper()
	part := func(name, text string, err error) Part {
		return Part{Name: name, From: "test", Take: func(context.Context) ([]byte, error) {
			if text == "" {
				return nil, err
			}
			return []byte(text), err
		}}
	}
	c := Collect(t.Context(), Options{
		Taken: time.Date(2026, 3, 1, 12, 30, 0, 0, time.UTC), Namespace: "n", Batch: "b", Messages: messages, Secrets: []string{"s3cr3t-of-ours"}, Within: time.Minute,
	}, []Part{
		part("config.json", `{"ray-token":"plain","ray_token":{"a":"b1"},"token-file":"/k","x":"with s3cr3t-of-ours in it"}`, nil),
		part("streams.json", "", errors.New("nats://u:pw@h: no answer")),
		part(EventsName, event, errors.New("only the first 1 events are there")),
		part("batch/explanation.json", `{"rule":"it failed","steps":[{"says":"job j failed (Patient Jane Roe isn't in t…)"}],"messages":[{"text":"job j failed: patient Jane Roe isn't in the file"}]}`, nil),
		part("metrics/api.txt", "a 1\nb{token=\"s3cr3t-of-ours\"} 2\n", nil),
	})
	out := map[string]string{}
	for name, content := range c.content {
		out[name] = string(content)
	}
	var archive bytes.Buffer
	if err := c.Write(&archive, "dir", messages); err != nil {
		t.Fatal(err)
	}
	return out, archive.Bytes(), c.Manifest
}

// No secret is in any file, with or without texts of producers, and these are left out everywhere unless they are wanted.
func TestRedacted(t *testing.T) {
	for _, messages := range []bool{false, true} {
		got, _, m := collected(t, messages)
		all := fmt.Sprint(got, m)
		for _, secret := range []string{"plain", "b1", "s3cr3t-of-ours", "hunter2", "fast-lane", "u:pw"} {
			if strings.Contains(all, secret) {
				t.Errorf("%s is there: %s", secret, all)
			}
		}
		for _, text := range []string{"Jane Roe"} {
			if strings.Contains(all, text) != messages {
				t.Errorf("messages %v, but %q: %s", messages, text, all)
			}
		}
		for _, kept := range []string{"/k", "KeyError", "it failed", "MODE", `"status":"FAILED"`} {
			if !strings.Contains(all, kept) {
				t.Errorf("%s is missing: %s", kept, all)
			}
		}
		if len(m.Files) != 4 || len(m.Missing) != 2 || m.Missing[0].Name != "streams.json" {
			t.Errorf("%+v", m)
		}
	}
	got, _, _ := collected(t, false)
	if says := got["batch/explanation.json"]; strings.Count(says, "job j failed") != 2 || strings.Count(says, "[text 1, ") != 2 {
		t.Error(says)
	}
}

// What is read of an archive are its events, moved to now, and nothing that a producer named.
func TestScenario(t *testing.T) {
	for _, messages := range []bool{false, true} { // as .tar.gz, and as .zip
		_, archive, _ := collected(t, messages)
		s, err := Read(archive)
		if err != nil {
			t.Fatal(err)
		}
		if s.Batch != "b" || s.Messages != messages || len(s.Cut) != 1 {
			t.Errorf("%+v", s)
		}
		now := time.Date(2026, 11, 1, 12, 30, 0, 0, time.UTC)
		events, left, err := s.At(now, "other")
		if err != nil || left != 0 || len(events) != 1 || events[0].Subject != "headway.events.other.b.job.j" {
			t.Fatalf("%+v, %d, %v", events, left, err)
		}
		var e struct {
			Subject string
			Time    time.Time
			Data    struct {
				Started time.Time            `json:"started_at"`
				Params  struct{ Day string } `json:"submission_params"`
			}
		}
		if err := json.Unmarshal(events[0].Data, &e); err != nil {
			t.Fatal(err)
		}
		if e.Subject != "b" || now.Sub(e.Time) != 30*time.Minute || now.Sub(e.Data.Started) != 31*time.Minute || e.Data.Params.Day != "2026-03-01T00:00:00Z" {
			t.Errorf("%s", events[0].Data)
		}
	}
	for text, says := range map[string]string{"": "isn't an archive", "PK\x03\x04": "isn't an archive", "{}": "isn't an archive"} {
		if _, err := Read([]byte(text)); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%q: %v", text, err)
		}
	}
}
