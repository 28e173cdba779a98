package api

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/headwayhq/headway/pkg/headwaytest"
)

// On a real Redis: two thousand lists of namespaces that don't exist read no rows and leave no channel, and a page that
// was opened before the first event of its namespace fills.
func TestUnknownNamespacesOverRedis(t *testing.T) {
	server := headwaytest.RedisChild(t)
	w, redis, store, base := overRedis(t, address(t, server.URL()))
	fold := newWorker(t, store)
	c := &http.Client{Transport: &http.Transport{}}
	defer c.CloseIdleConnections()
	awaitStatus(t, c, base+"/readyz", 200)
	// ranges tells how often Redis was asked for many entries at once, but for the names of namespaces.
	ranges := func() (n int) {
		t.Helper()
		stats, err := redis.Info(t.Context(), "commandstats").Result()
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(stats) {
			for _, name := range []string{"hvals", "hgetall", "hmget", "zrange", "zrangebyscore"} {
				var calls int
				if _, err := fmt.Sscanf(line, "cmdstat_"+name+":calls=%d,", &calls); err == nil {
					n += calls
				}
			}
		}
		return n
	}
	before := ranges()
	for i := range 2000 {
		if status, body := fetch(t, c, fmt.Sprint(base, "/v1/batches?namespace=none", i)); status != 200 || !strings.Contains(body, `"batches":[]`) {
			t.Fatal(status, body)
		}
	}
	early := open(t, c, base+"/v1/batches/stream?namespace=new")
	early.want("snapshot", `"batches":[]`)
	channels, err := redis.PubSubChannels(t.Context(), "*rowpush*").Result()
	if err != nil || len(channels) != 0 || ranges() != before || w.svc.lists.len() != 1 {
		t.Fatalf("%d channels (%v), %d reads, %d lists", len(channels), err, ranges()-before, w.svc.lists.len())
	}
	fold.say("new", "first", "batch", `{"status":"PROCESSING"}`)
	early.want("update", `"batch_id":"first"`)
	early.want("counts", `"total":1`)
}
