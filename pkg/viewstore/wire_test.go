package viewstore

import (
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/headwayhq/headway/pkg/headwaytest"
)

// through is a client whose connections go through a wire.
func through(t *testing.T, c *redis.Client) (*headwaytest.Wire, *redis.Client) {
	t.Helper()
	o := *c.Options()
	w := headwaytest.NewWire(t, o.Addr)
	cut := redis.NewClient(&redis.Options{Addr: w.Address, Username: o.Username, Password: o.Password, DB: o.DB, MaxRetries: -1, ContextTimeoutEnabled: true})
	t.Cleanup(func() { _ = cut.Close() })
	return w, cut
}
