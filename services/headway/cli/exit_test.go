package cli

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/headwayhq/headway/services/headway/contexts"
)

// ends runs a command line as the program does, and returns its exit code.
func ends(t *testing.T, line string) (code int, err error) {
	t.Helper()
	k, _, err := parse(t, strings.Fields(line)...)
	if err == nil {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		k.BindTo(ctx, (*context.Context)(nil))
		err = k.Run()
	}
	err = Usage(err)
	var exit ExitError
	switch {
	case errors.As(err, &exit):
		return exit.Code, exit.Err
	case err != nil:
		return 1, err
	}
	return 0, nil
}

// Every verb has the exit codes of docs/cli.md: 80 for a command line that is wrong, 3 where there is no answer. A verb that isn't in this
// table fails the test.
func TestExitCodes(t *testing.T) {
	stored(t, contexts.File{})
	t.Setenv("XDG_DATA_HOME", t.TempDir())
	none := filepath.Join(t.TempDir(), "none")
	const (
		api  = " --url http://127.0.0.1:1"
		bus  = " --nats-url nats://127.0.0.1:1"
		both = api + bus
	)
	verbs := map[string]struct {
		silent string // arguments with which nobody answers
		code   int    // of that
	}{
		"get": {"b" + api, 3}, "explain": {"b" + api, 3}, "list": {api, 3}, "history": {api, 3}, "runs": {"p" + api, 3}, "erase": {"b --yes" + api, 3}, "watch": {"b --wait 10ms" + api, 3}, "wait": {"b --wait 10ms" + api, 3},
		"publish": {none + api, 80}, "demo": {"--batches 1" + api, 3}, "health": {bus, 3}, "whoami": {api, 3}, "doctor": {"--timeout 1s" + both, 1},
		"bundle":   {"b --timeout 1s --file " + none + ".zip" + both, 0}, // the archive says what is missing
		"dlq list": {bus, 3}, "dlq show": {"x" + bus, 3}, "dlq republish": {"x" + bus, 3}, "attach": {"http://127.0.0.1:1 --check" + bus, 3},
		"keys create": {"--name n --namespace x --role reader" + api, 3}, "keys list": {api, 3}, "keys revoke": {"x" + api, 3}, "keys rotate": {"x" + api, 3},
		"streams show": {bus, 3}, "streams apply": {bus, 3}, "upgrade status": {"--redis-url redis://127.0.0.1:1" + bus, 3},
		"upgrade serve": {"--fold 1 --redis-url redis://127.0.0.1:1" + bus, 3}, "upgrade finish": {"--redis-url redis://127.0.0.1:1" + bus, 3},
		"login": {"http://127.0.0.1:1 --token-file " + none, 80}, "logout": {"--context none", 80},
		"contexts list": {"", 0}, "contexts use": {"none", 80}, "contexts delete": {"none", 80},
		"completion": {"bash", 0}, "help": {"none", 80}, "ready": {"http://127.0.0.1:1", 3}, "version": {"", 0}, "policy check": {none, 1}, "policy show": {"--policy " + none, 1},
	}
	k, _, err := parse(t, "version")
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	for _, leaf := range k.Model.Leaves(true) {
		name := strings.TrimSpace(strings.TrimPrefix(leaf.Path(), "headway"))
		x, is := verbs[name]
		if seen++; !is {
			t.Errorf("headway %s: not in this table", name)
			continue
		}
		if code, err := ends(t, name+" --frob"); code != 80 || err == nil || strings.Count(err.Error(), "\n") > 2 {
			t.Errorf("headway %s --frob: exit code %d, %v", name, code, err)
		}
		if code, err := ends(t, name+" "+x.silent); code != x.code {
			t.Errorf("headway %s %s: exit code %d, want %d: %v", name, x.silent, code, x.code, err)
		}
	}
	if seen != len(verbs) {
		t.Errorf("%d verbs, and %d in this table", seen, len(verbs))
	}
}
