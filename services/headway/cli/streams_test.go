package cli

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/headwayhq/headway/pkg/eventlog"
	"github.com/headwayhq/headway/pkg/headwaytest"
	"github.com/headwayhq/headway/services/headway/contexts"
)

// streams runs headway streams and returns its exit code and error.
func streams(t *testing.T, args ...string) (code int, says string) {
	t.Helper()
	k, _, err := parse(t, append([]string{"streams"}, args...)...)
	if err != nil {
		t.Fatal(err)
	}
	k.BindTo(t.Context(), (*context.Context)(nil))
	err = k.Run()
	var exit ExitError
	switch {
	case err == nil:
		return 0, ""
	case !errors.As(err, &exit):
		t.Fatalf("streams %q: %v", args, err)
	case exit.Err != nil:
		says = exit.Err.Error()
	}
	return exit.Code, says
}

func TestStreams(t *testing.T) {
	stored(t, contexts.File{})
	cluster := headwaytest.NATSCluster(t, 3)
	nc := cluster[0].Conn()
	url := []string{"--nats-url", cluster[0].URL()}
	if code, _ := streams(t, url...); code != exitNo {
		t.Errorf("of a cluster without streams: %d", code)
	}
	if _, err := eventlog.Open(t.Context(), nc, eventlog.Config{}); err != nil {
		t.Fatal(err)
	}
	if code, says := streams(t, url...); code != 0 {
		t.Errorf("of nothing configured: %d %s", code, says)
	}
	three := append(url, "--replicas", "3")
	if code, _ := streams(t, three...); code != exitNo {
		t.Errorf("of another number of replicas: %d", code)
	}
	if code, says := streams(t, append([]string{"apply", "--json"}, three...)...); code != 0 {
		t.Errorf("apply: %d %s", code, says)
	}
	if code, says := streams(t, append(three, "--json")...); code != 0 {
		t.Errorf("afterwards: %d %s", code, says)
	}
	five := append([]string{"apply"}, append(url, "--replicas", "5")...)
	if code, says := streams(t, five...); code != exitNo || !strings.Contains(says, "too few servers") {
		t.Errorf("five replicas of three servers: %d %s", code, says)
	}
}

func TestStreamsOfASingleServer(t *testing.T) {
	stored(t, contexts.File{})
	n := headwaytest.NATS(t)
	if _, err := eventlog.Open(t.Context(), n.Conn(), eventlog.Config{}); err != nil {
		t.Fatal(err)
	}
	if code, says := streams(t, "apply", "--replicas", "3", "--nats-url", n.URL()); code != exitNo || !strings.Contains(says, "single server") {
		t.Errorf("three replicas: %d %s", code, says)
	}
	if code, says := streams(t, "--replicas", "9", "--nats-url", n.URL()); code != exitUsage || !strings.Contains(says, "--replicas") {
		t.Errorf("nine replicas: %d %s", code, says)
	}
}
