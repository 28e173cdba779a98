package backend

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/headwayhq/headway/pkg/eventlog"
)

var storageUsed = prometheus.NewDesc("headway_storage_used_ratio",
	"How much of its limit a stream, or Redis, uses; 0 without a limit. See docs/runbooks/HeadwayStorageFull.md.", []string{"of"}, nil)

// Storage measures at each scrape how full the streams and Redis are. A server that doesn't answer has no value.
func (b *Backend) Storage() prometheus.Collector { return storage{b} }

type storage struct{ b *Backend }

func (storage) Describe(to chan<- *prometheus.Desc) { to <- storageUsed }

// storageLimit limits how long a scrape waits for the servers. The other metrics wait with it, and matter most when a server is away.
const storageLimit = 500 * time.Millisecond

func (s storage) Collect(to chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), storageLimit)
	defer cancel()
	tell := func(of string, used float64) {
		to <- prometheus.MustNewConstMetric(storageUsed, prometheus.GaugeValue, used, of)
	}
	if streams, err := eventlog.Examine(ctx, s.b.Conn); err == nil {
		for _, e := range streams {
			tell(e.Name, e.Used())
		}
	}
	if redis, err := s.b.Store.Server(ctx); err == nil {
		tell("redis", redis.Used)
	}
}
