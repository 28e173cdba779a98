package cli

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/charmbracelet/x/ansi"

	"github.com/headwayhq/headway/pkg/client"
	"github.com/headwayhq/headway/pkg/diagnostics"
)

var moment = time.Date(2026, 3, 1, 12, 30, 0, 0, time.UTC)

// Moments are printed in the reader's zone; that of the tests is UTC.
func TestMain(m *testing.M) {
	time.Local = time.UTC
	os.Exit(m.Run())
}

func sceneOf(s *client.Snapshot) *scene {
	out := newScene([]string{s.BatchID}, "default", nil)
	out.apply(update{batch: s.BatchID, connection: &client.Connection{Live: true}}, moment)
	out.apply(update{batch: s.BatchID, snapshot: s}, moment)
	return out
}

// Every story is rendered in every width, and no line is wider than that.
func TestViewFitsItsWidth(t *testing.T) {
	stories, err := filepath.Glob("../../../pkg/diagnostics/testdata/stories/*.golden.json")
	if err != nil || len(stories) < 50 {
		t.Fatal(len(stories), err)
	}
	for _, path := range stories {
		story := strings.TrimSuffix(filepath.Base(path), ".golden.json")
		for _, at := range told(t, story) {
			for _, width := range []int{10, 40, 41, 80, 200} {
				for _, line := range sceneOf(&at.Answer).lay(width, moment) {
					if got := ansi.StringWidth(line); got > max(width, minWidth) || strings.Contains(line, "\n") {
						t.Errorf("%s: %d cells of %d: %q", story, got, width, line)
					}
					if strings.Contains(line, "%!") {
						t.Errorf("%s: a bad format: %q", story, line)
					}
				}
			}
		}
	}
}

func TestViewSaysWhatIsWrong(t *testing.T) {
	all := told(t, "07-infeasible-at-the-entrypoint")
	s := sceneOf(&all[len(all)-1].Answer)
	text := ansi.Strip(strings.Join(s.lay(200, moment), "\n"))
	for _, part := range []string{"■ stuck", "cause", "No node can take the job", "proof", " since ", "limit ", "waits for resources 1 GPU", "offered 0 GPUs",
		"PLACEMENT:TOO_LARGE, known, since 12:00:05 UTC, whoever wrote or submitted the job has to act, waiting doesn't help", "next", "tier 1", "░", "PENDING", ", live"} {
		if !strings.Contains(text, part) {
			t.Errorf("no %q in\n%s", part, text)
		}
	}
	// While disconnected, the data stays, the clock stops, and the next attempt is announced.
	lost := moment.Add(90 * time.Second)
	s.apply(update{batch: s.batches[0].name, connection: &client.Connection{StaleSince: moment, Err: errors.New("x: connection refused"), NextTry: lost.Add(3 * time.Second)}}, lost)
	then := strings.Join(s.lay(100, lost), "\n")
	for _, part := range []string{"No node can take the job", "disconnected 1 min 30 s ago", "connection refused", "next try in 3 s"} {
		if !strings.Contains(ansi.Strip(then), part) {
			t.Errorf("disconnected, no %q in\n%s", part, then)
		}
	}
	if s.batches[0].asOf(lost) != s.batches[0].snapshot.View.AsOf {
		t.Error("the clock runs on although nothing is heard")
	}
}

// Of thousands of tiers, those that matter are shown.
func TestManyTiers(t *testing.T) {
	s := client.Snapshot{BatchID: "b", CurrentTier: 5000}
	for n := range 10_000 {
		status := "PENDING"
		if n < 5000 {
			status = "COMPLETED"
		}
		s.Tiers = append(s.Tiers, diagnostics.TierDiagnostic{TierNum: n, Status: status})
	}
	s.Tiers[77].Status = "FAILED"
	lines := sceneOf(&s).lay(80, moment)
	text := strings.Join(lines, "\n")
	if len(lines) > 20 || !strings.Contains(text, "tier 78") || !strings.Contains(text, "tier 5001") || !strings.Contains(text, "9998 more tiers") {
		t.Errorf("%d lines\n%s", len(lines), text)
	}
}

func TestHostileTextInViews(t *testing.T) {
	const evil = "a\x1b]0;x\x07b\u009bc\u202ed\r\ne\x00"
	text := evil
	s := client.Snapshot{
		BatchID: evil, BatchName: evil + "2", Status: evil, BlockedReason: &text, NextActions: []string{evil}, ETA: &diagnostics.ETA{Confidence: evil},
		Cause: evilCause(), Doubts: []client.Cause{*evilCause()},
		HealthEvidence: diagnostics.Evidence{Signal: evil, RayJobID: &text, WaitingOn: &diagnostics.WaitingOn{Kind: evil, Demand: []byte(evil), Offered: []byte(evil)}},
		Tiers:          []diagnostics.TierDiagnostic{{Status: evil, Error: &text}},
	}
	live := sceneOf(&s)
	live.apply(update{batch: evil, connection: &client.Connection{Err: errors.New(evil)}}, moment)
	list := newScene(nil, "default", nil)
	list.apply(update{rows: []client.Row{{BatchID: evil, Status: evil, BlockedReason: &text, Cause: &text}}}, moment)
	var b bytes.Buffer
	told := textLines(&b, &b, list)
	for _, u := range []update{{rows: []client.Row{list.list.rows[evil]}}, {batch: evil, snapshot: &s}, {batch: evil, connection: &client.Connection{Err: errors.New(evil), NextTry: moment}}} {
		if err := told(u); err != nil {
			t.Fatal(err)
		}
	}
	for _, line := range slices.Concat(live.lay(80, moment), list.lay(80, moment), live.last(), strings.Split(b.String(), "\n")) {
		if own := ansi.Strip(line); strings.ContainsAny(own, "\x1b\x07\u009b\u202e\r\x00") || strings.Contains(line, "\x1b]") {
			t.Errorf("%q", line)
		}
	}
}

func TestListIsByNeedAndNeverGoesBack(t *testing.T) {
	s := newScene(nil, "default", []string{"stuck", "degraded"})
	row := func(id string, h diagnostics.Health, revision uint64, age time.Duration) client.Row {
		return client.Row{BatchID: id, Health: h, Revision: revision, OrderedAt: moment.Add(-age)}
	}
	s.apply(update{rows: []client.Row{row("old", diagnostics.HealthStuck, 3, time.Hour), row("new", diagnostics.HealthStuck, 4, 0), row("ill", diagnostics.HealthDegraded, 5, 0), row("well", diagnostics.HealthOK, 6, 0)}}, moment)
	s.apply(update{rows: []client.Row{row("new", diagnostics.HealthOK, 2, 0)}}, moment) // was listed before it changed
	var ids []string
	for _, r := range s.list.shown() {
		ids = append(ids, r.BatchID)
	}
	if got := strings.Join(ids, " "); got != "new old ill" {
		t.Error(got)
	}
	if text := strings.Join(s.lay(40, moment), "\n"); !strings.Contains(text, "2 stuck, 1 degraded") || strings.Contains(text, "well") {
		t.Error(text)
	}
	// In line mode, a row that no longer matches the filter is printed once more, so that the reader knows.
	var b bytes.Buffer
	told := jsonLines(&b, &b, s)
	for _, r := range []client.Row{row("ill", diagnostics.HealthDegraded, 5, 0), row("well", diagnostics.HealthOK, 6, 0), row("ill", diagnostics.HealthOK, 7, 0), row("ill", diagnostics.HealthOK, 8, 0)} {
		u := update{rows: []client.Row{r}}
		s.apply(u, moment)
		if err := told(u); err != nil {
			t.Fatal(err)
		}
	}
	if n := strings.Count(b.String(), "\n"); n != 2 {
		t.Errorf("%d lines\n%s", n, b.String())
	}
}

func TestVerdict(t *testing.T) {
	for _, x := range []struct {
		statuses string
		err      error
		code     int
	}{
		{"COMPLETED SKIPPED", nil, 0},
		{"COMPLETED COMPLETED_WITH_ERRORS", nil, 2},
		{"COMPLETED_WITH_ERRORS FAILED", nil, 1},
		{"CANCELED", nil, 1},
		{"FAILED PROCESSING", nil, 3},
		{"COMPLETED", client.ErrNotFound, 3},
	} {
		ids := strings.Fields(x.statuses)
		s := newScene(ids, "default", nil)
		for _, id := range ids {
			s.apply(update{batch: id, snapshot: &client.Snapshot{BatchID: id, Status: id}}, moment)
			s.apply(update{batch: id, ended: true, err: x.err}, moment)
		}
		var w Watch
		err := w.verdict(t.Context(), s)
		var exit ExitError
		if errors.As(err, &exit); exit.Code != x.code || (err == nil) != (x.code == 0) {
			t.Errorf("%s: %v", x.statuses, err)
		}
		interrupted, cancel := context.WithCancel(t.Context())
		cancel()
		if errors.As(w.verdict(interrupted, s), &exit); exit.Code != 3 {
			t.Errorf("interrupted: %d", exit.Code)
		}
	}
}

func TestWatchArguments(t *testing.T) {
	ok := Watch{Batches: []string{"b"}, Wait: 1}
	if err := ok.Validate(); err != nil {
		t.Error(err)
	}
	for _, w := range []Watch{
		{Wait: 1}, {Batches: []string{"b"}, All: true, Wait: 1}, {Batches: []string{"b"}, Health: []choice{"ok"}, Wait: 1},
		{Batches: make([]string, maxWatched+1), Wait: 1}, {All: true},
	} {
		if w.Validate() == nil {
			t.Errorf("%+v was taken", w)
		}
	}
}

// What can't be parsed or reached is reported with the name of its flag and without secrets.
func TestErrorsNameTheFlag(t *testing.T) {
	s := shared{target: target{URL: "http://u:secret@127.0.0.1:1"}, NATSURL: "nats://u:secret@127.0.0.1:1", Namespace: "default"}
	r, err := s.reader(nil)
	if err != nil {
		t.Fatal(err)
	}
	_, unreachable := r.Diagnostics(t.Context(), "b")
	_, noNATS := s.connect("test")
	bad := s
	bad.URL = "u:secret@h"
	_, badURL := bad.reader(nil)
	bad.URL, bad.Namespace = s.URL, "a.*"
	_, badNamespace := bad.reader(nil)
	for _, x := range []struct {
		err  error
		code int
		says string
	}{
		{s.failed(unreachable, "b"), 3, "--url: http://127.0.0.1:1 can't be reached (connection refused)"},
		{noNATS, 3, "--nats-url: nats://127.0.0.1:1 can't be reached"},
		{badURL, 80, "--url: "},
		{badNamespace, 80, "--namespace: "},
		{s.failed(&client.StatusError{Status: 401, Detail: "No."}, "b"), 3, "headway login"},
		{s.failed(client.ErrNotFound, "b"), 3, "--namespace"},
		{s.failed(context.Canceled, "b"), 3, "interrupted"},
	} {
		var exit ExitError
		if !errors.As(x.err, &exit) || exit.Code != x.code || !strings.Contains(x.err.Error(), x.says) || strings.Contains(x.err.Error(), "secret") {
			t.Errorf("%v, want %d and %q", x.err, x.code, x.says)
		}
	}
}
