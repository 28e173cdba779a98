package doctor

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/headwayhq/headway/pkg/eventlog"
	"github.com/headwayhq/headway/services/internal/printable"
)

// disk says what a power cut of all servers that hold the event log can cost. Clients of NATS can't ask for it, only its monitoring
// endpoint tells.
func (x *examination) disk(ctx context.Context) {
	const check = "nats disk"
	replicas := 1
	for _, s := range x.streams {
		if s.Name == eventlog.EventsStream {
			replicas = max(1, s.Replicas)
		}
	}
	if x.o.NATSMonitor == "" {
		if replicas > 1 {
			x.sayf(check, Unknown, "Give --nats-monitor-url, the monitoring endpoint of a server.", "not known how often the servers sync their disks")
		}
		return
	}
	every, err := syncEvery(ctx, x.o.NATSMonitor)
	if err != nil {
		x.sayf(check, Wrong, "Check --nats-monitor-url: nats-server has such an endpoint with http_port in its configuration.", "%s: %s", printable.Address(x.o.NATSMonitor), cause(err))
		return
	}
	cut := "a power cut of this server"
	if replicas > 1 {
		cut = fmt.Sprintf("a power cut of all %d servers of a stream at once", replicas)
	}
	if every == 0 {
		x.sayf(check, OK, "", "each message is on disk before it is acknowledged: %s loses none", cut)
		return
	}
	do := "If that may not happen, set sync_interval: always in the jetstream block of nats-server's configuration, which costs throughput"
	if replicas == 1 {
		do += "; or keep three replicas on machines that don't lose power together (headway streams apply --replicas 3)"
	}
	x.sayf(check, Note, do+".", "disks are synced every %v: %s can lose messages of that time that were acknowledged", every, cut)
}

// syncEvery is how often a NATS server syncs what it has written; 0 means before each acknowledgement.
func syncEvery(ctx context.Context, monitor string) (time.Duration, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimSuffix(monitor, "/")+"/jsz", nil)
	if err != nil {
		return 0, err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, err
	}
	defer res.Body.Close()
	var info struct {
		Config struct {
			Interval time.Duration `json:"sync_interval"`
			Always   bool          `json:"sync_always"`
		} `json:"config"`
	}
	if res.StatusCode != http.StatusOK {
		return 0, fmt.Errorf("answers %s", res.Status)
	}
	if err := json.NewDecoder(res.Body).Decode(&info); err != nil {
		return 0, fmt.Errorf("answers what no NATS server does: %w", err)
	}
	switch {
	case info.Config.Always:
		return 0, nil
	case info.Config.Interval <= 0:
		return 0, errors.New("doesn't say how often it syncs its disk; does it have JetStream?")
	}
	return info.Config.Interval, nil
}
