package backend

import (
	"slices"
	"strings"
	"testing"

	"github.com/headwayhq/headway/services/internal/printable"
)

func TestRedisAddresses(t *testing.T) {
	for _, x := range []struct {
		address, primary string
		servers          []string
		cluster, tls     bool
		db               int
		user, password   string
	}{
		{address: "redis://h:1/2", servers: []string{"h:1"}, db: 2},
		{address: "unix:///run/redis.sock?db=1", servers: []string{"/run/redis.sock"}, db: 1},
		{address: "redis+sentinel://u:p@a,b:7,[::1]/mymaster/3", primary: "mymaster", servers: []string{"a:26379", "b:7", "[::1]:26379"}, db: 3, user: "u", password: "p"},
		{address: "rediss+sentinel://a/m", primary: "m", servers: []string{"a:26379"}, tls: true},
		{address: "redis+cluster://:p%2Cq@a,b", cluster: true, servers: []string{"a:6379", "b:6379"}, password: "p,q"},
		{address: "rediss+cluster://a:1?read_timeout=3s", cluster: true, servers: []string{"a:1"}, tls: true},
	} {
		a, err := ParseRedis(x.address)
		if err != nil {
			t.Errorf("%s: %v", x.address, err)
			continue
		}
		o := a.Options
		if !slices.Equal(a.Servers, x.servers) || a.Primary != x.primary || a.Cluster != x.cluster || (o.TLSConfig != nil) != x.tls || o.DB != x.db || o.Username != x.user || o.Password != x.password {
			t.Errorf("%s: %+v, database %d, user %q, password %q", x.address, a, o.DB, o.Username, o.Password)
		}
		if x.tls && o.TLSConfig.ServerName != "" {
			t.Errorf("%s: every server would have to be named %s", x.address, o.TLSConfig.ServerName)
		}
	}
}

func TestWrongRedisAddresses(t *testing.T) {
	for address, why := range map[string]string{
		"http://u:secret@h":                        "such as",
		"redis+sentinel://u:secret@a,b":            "names no primary",
		"redis+sentinel://u:sec,ret@a,b":           "names no primary",
		"redis+sentinel://u:secret@a,,b/m":         "lacks the name",
		"redis+ring://u:secret@a":                  "unknown kind",
		"redis+cluster://u:secret@a/1":             "only one",
		"redis+cluster://u:secret@a/?secret=1":     "such as",
		"redis+sentinel://u:secret@a/m/secret":     "such as",
		"redis+sentinel://a/m?sentinel_password=%": "can't be read",
	} {
		_, err := ParseRedis(address)
		if err == nil || !strings.Contains(err.Error(), why) || !strings.HasPrefix(err.Error(), "--redis-url: ") {
			t.Errorf("%s: %v", address, err)
		} else if text := err.Error(); strings.Contains(text, "u:secret") || strings.Contains(text, "ret@") || strings.Contains(text, "sec,") {
			t.Errorf("%s: the error tells the password: %v", address, err)
		}
		if text := printable.Address(address); strings.Contains(text, "u:sec") {
			t.Errorf("%s: printed as %s", address, text)
		}
	}
}
