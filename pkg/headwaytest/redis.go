package headwaytest

import (
	"context"
	"errors"
	"net"
	"net/url"
	"os"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	goredis "github.com/redis/go-redis/v9"
	"github.com/testcontainers/testcontainers-go"
	"github.com/testcontainers/testcontainers-go/modules/redis"
)

// redisImage is the image of the container.
const redisImage = "redis:7.2-alpine"

// Redis gives a test its own Redis: the one at HEADWAY_TEST_REDIS_URL (which is emptied first), else a container if a
// Docker engine answers, else a redis-server installed on this machine, else an in-memory stand-in. what names the
// chosen kind and is also logged. args are the arguments of the redis-server; if there are any, only an installed
// redis-server is used, and url is "" without one.
func Redis(t testing.TB, args ...string) (url, what string) {
	t.Helper()
	for _, try := range []struct {
		what  string
		start func() (string, error)
	}{
		{"HEADWAY_TEST_REDIS_URL", func() (string, error) { return givenRedis(t.Context(), args) }},
		{"a container of " + redisImage, func() (string, error) { return containerRedis(t, args) }},
		{"redis-server", func() (string, error) { return childRedis(t, args) }},
		{standIn, func() (string, error) {
			if len(args) > 0 {
				return "", errNone
			}
			return "redis://" + miniredis.RunT(t).Addr() + "/0", nil
		}},
	} {
		url, err := try.start()
		if err == nil {
			t.Logf("Redis: %s", try.what)
			return url, try.what
		}
		if !errors.Is(err, errNone) {
			t.Logf("Redis: not %s: %v", try.what, err)
		}
	}
	return "", "none"
}

// standIn is the value of what for the in-memory stand-in.
const standIn = "an in-memory stand-in (miniredis)"

var errNone = errors.New("none")

func givenRedis(ctx context.Context, args []string) (string, error) {
	url := os.Getenv("HEADWAY_TEST_REDIS_URL")
	if url == "" || len(args) > 0 {
		return "", errNone
	}
	o, err := goredis.ParseURL(url)
	if err != nil {
		return "", err
	}
	c := goredis.NewClient(o)
	defer c.Close()
	return url, c.FlushDB(ctx).Err()
}

// engineAnswers checks for a Docker engine, because testcontainers would wait a long time for a missing one.
func engineAnswers() bool {
	address := os.Getenv("DOCKER_HOST")
	if address == "" {
		address = "unix:///var/run/docker.sock"
	}
	u, err := url.Parse(address)
	if err != nil {
		return false
	}
	network, to := "tcp", u.Host
	if u.Scheme == "unix" {
		network, to = "unix", u.Path
	}
	c, err := net.DialTimeout(network, to, time.Second)
	if err != nil {
		return false
	}
	return c.Close() == nil
}

// containerLimit bounds pulling the image and starting the container.
const containerLimit = 60 * time.Second

func containerRedis(t testing.TB, args []string) (string, error) {
	t.Helper()
	if len(args) > 0 || !engineAnswers() {
		return "", errNone
	}
	ctx, cancel := context.WithTimeout(t.Context(), containerLimit)
	defer cancel()
	c, err := redis.Run(ctx, redisImage)
	testcontainers.CleanupContainer(t, c)
	if err != nil {
		return "", err
	}
	return c.ConnectionString(ctx)
}

func childRedis(t testing.TB, args []string) (string, error) {
	t.Helper()
	r, err := newChild(t, args)
	if err != nil {
		return "", err
	}
	return r.url, nil
}
