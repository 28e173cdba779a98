package cli

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/headwayhq/headway/services/headway/contexts"
)

// A command line that isn't understood gets at most three lines, which name the flag or argument, the reason, and where to read on.
func TestUsageErrors(t *testing.T) {
	stored(t, contexts.File{})
	for line, says := range map[string]string{
		"list --health bad":             "--health: must be one of ok, scaling, stuck, degraded, and is \"bad\"\nheadway list --help",
		"list --sort oldest":            "--sort: must be one of need, newest, and is \"oldest\"\n",
		"list --limit x":                "--limit: expected a valid 64 bit int but got \"x\"\n",
		"list --limit=-1":               "--limit: must not be negative; 0 lists all\n",
		"list --stat FAILED":            "--stat: there is no such flag; did you mean one of --status, --sort?\n",
		"list --since tomorrow":         "--since: \"tomorrow\" isn't a time; give 2h or 3d for so long ago",
		"list --since 1h --until 2h":    "--until: is before --since\n",
		"runs p --limit=-1":             "--limit: must not be negative; 0 lists all\n",
		"history --since 1h --until 2h": "--until: is before --since\n",
		"history --status processing":   "--status: must be one of COMPLETED",
		"list --namespace":              "--namespace: needs a value\n",
		"demo --batches 0":              "--batches: must be at least 1\n",
		"list --label x":                "--label: expected",
		"list nightly":                  "nightly: one argument too many\nheadway list --help",
		"get":                           "<batch>: must be given\nheadway get --help",
		"get a b":                       "b: one argument too many\n",
		"get a -o xml":                  "--output: must be one of text, wide, json, yaml, name, and is \"xml\"\n",
		"gett":                          "gett: there is no such verb; did you mean get?\nheadway --help",
		"":                              "name a verb\nheadway --help",
		"keys":                          "name a verb\nheadway keys --help",
		"keys create --name n --namespace x --role x": "--role: must be one of reader, writer, operator, admin, and is \"x\"\n",
		"keys create --name n --role reader":          "--namespace: must be given\n",
		"watch":                                       "name a batch, or give --all; headway list shows the batches\nheadway watch --help",
		"watch a --wait 5":                            "--wait: \"5\" isn't a duration; give one with a unit, as 30s, 10m or 2h\n",
		"completion csh":                              "<shell>: must be one of bash, zsh, fish, and is \"csh\"\n",
		"help frob":                                   "frob: there is no such verb",
	} {
		k, _, err := parse(t, strings.Fields(line)...)
		if err == nil {
			err = k.Run()
		}
		var exit ExitError
		if err = Usage(err); !errors.As(err, &exit) || exit.Code != exitUsage {
			t.Errorf("%q: %v", line, err)
			continue
		}
		if text := exit.Err.Error(); !strings.Contains(text, says) || strings.Count(text, "\n") > 2 || strings.Contains(text, "%!") {
			t.Errorf("%q: got %q, want %q", line, text, says)
		}
	}
}

// A time may be given as people say it, in lower case, and relative to now.
func TestTimes(t *testing.T) {
	zone := time.FixedZone("", 2*3600)
	now := time.Date(2026, 3, 1, 12, 30, 0, 0, zone)
	for text, want := range map[string]string{
		"2h": "2026-03-01T10:30:00+02:00", "90m": "2026-03-01T11:00:00+02:00", "3d": "2026-02-26T12:30:00+02:00", "1W": "2026-02-22T12:30:00+02:00", "2h ago": "2026-03-01T10:30:00+02:00",
		"08:15": "2026-03-01T08:15:00+02:00", "2026-02-28": "2026-02-28T00:00:00+02:00", "2026-02-28 07:00": "2026-02-28T07:00:00+02:00", "yesterday": "2026-02-28T00:00:00+02:00",
		"2026-02-28T07:00:00Z": "2026-02-28T07:00:00Z", "2026-02-28t07:00:00z": "2026-02-28T07:00:00Z", "now": "2026-03-01T12:30:00+02:00",
		"-2h": "2026-03-01T10:30:00+02:00", "2026-02-28T07:00Z": "2026-02-28T07:00:00Z", "soon": "", "--2h": "", "25:00": "", "d": "", "": "", "99999999d": "",
	} {
		got, err := parseMoment(text, now)
		if shown := got.Format(time.RFC3339); (err == nil) != (want != "") || err == nil && shown != want {
			t.Errorf("%q: %s, %v; want %s", text, shown, err, want)
		}
	}
}

// Values of a fixed set may be given in lower case, and as words are joined elsewhere.
func TestChoicesInAnyCase(t *testing.T) {
	stored(t, contexts.File{})
	_, verbs, err := parse(t, "list", "--status", "failed,Completed-with-errors", "--health", "STUCK", "--sort", "Newest", "--created-after", "2h", "-o", "JSON", "-n", "team-a")
	if l := verbs.List; err != nil || strings.Join(texts(l.Status), " ")+" "+strings.Join(texts(l.Health), " ") != "FAILED COMPLETED_WITH_ERRORS stuck" ||
		l.Sort != "newest" || l.Since.IsZero() || l.Output != "json" || l.Namespace != "team-a" {
		t.Errorf("%+v, %v", verbs.List, err)
	}
}
