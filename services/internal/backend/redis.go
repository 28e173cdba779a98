package backend

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/headwayhq/headway/services/internal/printable"
)

// RedisAddress is what --redis-url names: one server, the primary that sentinels know, or a cluster.
type RedisAddress struct {
	Servers []string // host:port: the server, the sentinels, or nodes of the cluster
	Primary string   // the name by which sentinels know the primary; "" without sentinels
	Cluster bool

	// Options are those of each server: credentials, database, TLS and timeouts. The client must not repeat a write whose reply was
	// lost, because the fence decides whether it was applied.
	Options *redis.Options
	// Sentinel are the credentials for the sentinels, which have none by default.
	Sentinel *url.Userinfo
}

const (
	redisForms = "redis://host:6379/0, rediss://…, unix://…, redis+sentinel://host1,host2,host3/primary/0 or redis+cluster://host1,host2,host3"

	redisPort    = "6379"
	sentinelPort = "26379"

	// clusterReload is the age at which a client that is in use asks anew which server has which slots. It isn't told when the server
	// that it asks is gone: only a server that answers can redirect it.
	clusterReload = time.Second
)

// ParseRedis parses a --redis-url. Errors never contain a password.
func ParseRedis(address string) (a RedisAddress, err error) {
	wrong := func(why string) (RedisAddress, error) {
		return RedisAddress{}, fmt.Errorf("--redis-url: %s %s", printable.Address(address), why)
	}
	scheme, rest, _ := strings.Cut(address, "://")
	kind := ""
	if base, after, ok := strings.Cut(scheme, "+"); ok {
		scheme, kind = base, after
	}
	one := address
	switch {
	case kind == "":
	case scheme != "redis" && scheme != "rediss":
		return wrong("is not an address such as " + redisForms)
	default:
		if one, err = a.several(kind, scheme, rest); err != nil {
			return wrong(err.Error())
		}
	}
	a.Options, err = redis.ParseURL(one)
	if err != nil {
		return wrong("is not an address such as " + redisForms)
	}
	if kind == "" {
		a.Servers = []string{a.Options.Addr}
	} else if a.Options.TLSConfig != nil {
		a.Options.TLSConfig.ServerName = "" // each server has its own name
	}
	if a.Cluster && a.Options.DB != 0 {
		return wrong("names a database, but a cluster has only one")
	}
	a.Options.MaxRetries = -1
	a.Options.ContextTimeoutEnabled = true
	return a, nil
}

// several reads an address of several servers, and returns one with the same user, database and settings, but a single server.
func (a *RedisAddress) several(kind, scheme, rest string) (one string, err error) {
	user := ""
	if at := strings.LastIndexByte(rest, '@'); at >= 0 {
		user, rest = rest[:at+1], rest[at+1:]
	}
	rest, query, _ := strings.Cut(rest, "?")
	hosts, path, _ := strings.Cut(rest, "/")
	port := redisPort
	switch kind {
	case "cluster":
		a.Cluster = true
	case "sentinel":
		port = sentinelPort
		if a.Primary, path, _ = strings.Cut(path, "/"); a.Primary == "" {
			return "", errors.New("names no primary: its name follows the sentinels, as in redis+sentinel://host1,host2,host3/primary")
		}
	default:
		return "", fmt.Errorf("is of the unknown kind %q: it must be redis+sentinel or redis+cluster", printable.Text(kind))
	}
	for host := range strings.SplitSeq(hosts, ",") {
		if host = strings.TrimSpace(host); host == "" {
			return "", errors.New("lacks the name of a server")
		}
		if _, _, err := net.SplitHostPort(host); err != nil {
			host = net.JoinHostPort(strings.Trim(host, "[]"), port)
		}
		a.Servers = append(a.Servers, host)
	}
	if query != "" {
		values, err := url.ParseQuery(query)
		if err != nil {
			return "", errors.New("has settings after the ? that can't be read")
		}
		if name, password := values.Get("sentinel_username"), values.Get("sentinel_password"); name != "" || password != "" {
			a.Sentinel = url.UserPassword(name, password)
		}
		values.Del("sentinel_username")
		values.Del("sentinel_password")
		query = "?" + values.Encode()
	}
	return scheme + "://" + user + a.Servers[0] + "/" + path + query, nil
}

// Client connects, lazily. It finds out by itself when another server becomes the primary.
func (a RedisAddress) Client() redis.UniversalClient {
	o := a.Options
	if a.Primary == "" && !a.Cluster {
		return redis.NewClient(o)
	}
	u := &redis.UniversalOptions{
		Addrs: a.Servers, MasterName: a.Primary, IsClusterMode: a.Cluster, DB: o.DB, ClientName: o.ClientName,
		Username: o.Username, Password: o.Password, CredentialsProviderContext: o.CredentialsProviderContext,
		Dialer: o.Dialer, TLSConfig: o.TLSConfig, Protocol: o.Protocol, MaxRetries: o.MaxRetries, ContextTimeoutEnabled: o.ContextTimeoutEnabled, DisableIdentity: o.DisableIdentity,
		DialTimeout: o.DialTimeout, DialerRetries: o.DialerRetries, ReadTimeout: o.ReadTimeout, WriteTimeout: o.WriteTimeout, PoolSize: o.PoolSize, PoolTimeout: o.PoolTimeout,
		MinIdleConns: o.MinIdleConns, MaxIdleConns: o.MaxIdleConns, MaxActiveConns: o.MaxActiveConns,
		ConnMaxIdleTime: o.ConnMaxIdleTime, ConnMaxLifetime: o.ConnMaxLifetime,
	}
	if a.Sentinel != nil {
		u.SentinelUsername = a.Sentinel.Username()
		u.SentinelPassword, _ = a.Sentinel.Password()
	}
	if a.Cluster {
		c := u.Cluster()
		c.ClusterStateReloadInterval = clusterReload
		return redis.NewClusterClient(c)
	}
	return redis.NewUniversalClient(u)
}
