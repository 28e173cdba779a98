package doctor

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/headwayhq/headway/pkg/diagnostics"
	"github.com/headwayhq/headway/pkg/eventlog"
	"github.com/headwayhq/headway/pkg/viewstore"
)

// minRedis is the oldest major version that the tests run with.
const minRedis = 6

func (x *examination) askRedis(ctx context.Context) {
	if x.o.RedisURL == "" {
		x.sayf("redis", Unknown, "Give --redis-url if you run this Headway.", "not examined, because no address of it is known")
		return
	}
	address, err := x.o.Redis.Address(x.o.RedisURL)
	if err != nil {
		x.sayf("redis", Wrong, "Correct the flag.", "%s", err)
		return
	}
	options := address.Options
	options.ClientName = "headway-doctor"
	options.DialTimeout, options.DialerRetries = x.o.Timeout, 1
	options.ReadTimeout, options.WriteTimeout = x.o.Timeout, x.o.Timeout
	redis.SetLogger(silent{}) // go-redis would print what the finding already says
	c := address.Client()
	ctx, cancel := x.limited(ctx)
	defer cancel()
	if err := c.Ping(ctx).Err(); err != nil {
		_ = c.Close()
		x.unreached(err)
		return
	}
	x.redis = c
	info := fields(c.Info(ctx).Val())
	version, standIn := info["redis_version"], info["redis_version"] == ""
	major, _, _ := strings.Cut(version, ".")
	n, _ := strconv.Atoi(major)
	switch {
	case standIn:
		x.sayf("redis", Note, "Install redis-server: headway run uses it by itself.", "reached at %s: an in-memory stand-in that reports no version", x.o.BareRedisURL)
	case n < minRedis:
		x.sayf("redis", Wrong, "Update Redis.", "version %s is older than %d", version, minRedis)
	case address.Cluster:
		x.sayf("redis", OK, "", "reached at %s, a cluster, version %s", x.o.BareRedisURL, version)
	case info["redis_mode"] == "cluster":
		x.sayf("redis", Wrong, "Name it with --redis-url as redis+cluster://host:port.", "%s is a node of a Redis Cluster", x.o.BareRedisURL)
	case info["redis_mode"] == "sentinel":
		x.sayf("redis", Wrong, "Name it with --redis-url as redis+sentinel://host:port/primary.", "%s is a Redis Sentinel", x.o.BareRedisURL)
	case info["role"] == "slave":
		x.sayf("redis", Wrong, "Name the primary with --redis-url.", "%s is a replica: it accepts no writes", x.o.BareRedisURL)
	default:
		x.sayf("redis", OK, "", "reached at %s, version %s%s", x.o.BareRedisURL, version, redisUser(ctx, c))
	}
	if !standIn {
		x.eviction(info)
		x.persistence(info)
	}
	x.writeRedis(ctx)
	began := time.Now()
	if now, err := c.Time(ctx).Result(); err == nil {
		trip := time.Since(began)
		x.redisAhead = &skew{now.Sub(began.Add(trip / 2)), trip / 2}
	}
}

type silent struct{}

func (silent) Printf(context.Context, string, ...any) {}

// fields parses the lines of INFO.
func fields(info string) map[string]string {
	out := map[string]string{}
	lines := bufio.NewScanner(strings.NewReader(info))
	for lines.Scan() {
		if name, value, found := strings.Cut(strings.TrimSpace(lines.Text()), ":"); found {
			out[name] = value
		}
	}
	return out
}

func (x *examination) eviction(info map[string]string) {
	policy, limit := info["maxmemory_policy"], info["maxmemory"]
	used, _ := strconv.ParseUint(info["used_memory"], 10, 64)
	most, _ := strconv.ParseUint(limit, 10, 64)
	switch {
	case most > 0 && policy != "noeviction":
		x.sayf("redis eviction", Wrong, "Set maxmemory-policy noeviction: otherwise Redis drops views silently.", "maxmemory-policy is %s, with a limit of %s", policy, size(most))
	case policy != "noeviction":
		x.sayf("redis eviction", Note, "Set maxmemory-policy noeviction, before somebody sets maxmemory.", "maxmemory-policy is %s, without a limit", policy)
	case most > 0 && used > most/10*8:
		x.sayf("redis eviction", Note, "Raise maxmemory: at the limit ingest can't write any more. See docs/runbooks/HeadwayStorageFull.md.", "%s of at most %s used", size(used), size(most))
	case most > 0:
		x.sayf("redis eviction", OK, "", "noeviction, %s of at most %s used", size(used), size(most))
	default:
		x.sayf("redis eviction", OK, "", "noeviction, %s used, no limit", size(used))
	}
}

func (x *examination) persistence(info map[string]string) {
	switch {
	case info["aof_enabled"] == "1" && info["aof_last_write_status"] == "err":
		x.sayf("redis persistence", Wrong, "See the log of Redis: the disk may be full.", "the append-only file can't be written")
	case info["aof_enabled"] == "1":
		x.sayf("redis persistence", OK, "", "append-only file")
	case strings.HasPrefix(x.o.RedisURL, "unix://"):
		x.sayf("redis persistence", OK, "", "none: headway run rebuilds its views from the log at each start")
	default:
		x.sayf("redis persistence", Note, "Set appendonly yes: otherwise every view has to be rebuilt from the log after a restart of Redis.", "no append-only file")
	}
}

// lagWrong is the lag from which on the API no longer reports its data as fresh.
const lagWrong = 30 * time.Second

// lag compares the fence of each partition with the log.
func (x *examination) lag(ctx context.Context) {
	var log *eventlog.Examined
	for i := range x.streams {
		if s := &x.streams[i]; s.Name == eventlog.EventsStream && s.Identity != "" && s.Partitions > 0 {
			log = s
		}
	}
	if log == nil || x.redis == nil {
		x.sayf("lag", Unknown, "", "it can only be determined if the event log and Redis answer")
		return
	}
	ctx, cancel := x.limited(ctx)
	defer cancel()
	store, err := viewstore.Open(ctx, viewstore.Options{Client: x.redis, Identity: log.Identity, Fold: diagnostics.FoldVersion, Partitions: log.Partitions})
	if err != nil {
		x.sayf("lag", Unknown, "", "the records can't be read: %s", cause(err))
		return
	}
	fences, unreadable, err := x.fences(ctx, store)
	if err != nil {
		x.sayf("lag", Wrong, "Check that this user of Redis may read all keys.", "the records can't be read: %s", cause(err))
		return
	}
	x.versions(ctx, log, store.Fold())
	now := log.Now.Add(time.Since(log.Asked))
	var missing, incomplete, late, left []int
	oldest := time.Duration(0)
	for p, f := range fences {
		if f == nil {
			if !slices.Contains(unreadable, p) {
				missing = append(missing, p)
			}
			continue
		}
		d := behind(time.Unix(0, f.Watermark), now)
		oldest = max(oldest, d)
		switch {
		case !f.Complete:
			incomplete = append(incomplete, p)
		case d > lagWrong:
			late = append(late, p)
		}
		if x.redisAhead != nil && time.UnixMilli(f.LeaseUntil).Before(time.Now().Add(x.redisAhead.by)) {
			left = append(left, p)
		}
	}
	all := len(fences)
	switch {
	case len(unreadable) > 0:
		x.sayf("lag", Wrong, "Wait: ingest claims these partitions again and rebuilds their views. If that doesn't end, see the log of ingest.", "the records of %s can't be read", some(unreadable, all))
	case len(missing) == all:
		x.sayf("lag", Wrong, "Start headway run, or ingest; or use the headway program of the running version (records belong to a fold version, and this program's is "+strconv.Itoa(diagnostics.FoldVersion)+").",
			"none of %d partitions has a record: no process folds events", all)
	case len(left) > 0:
		x.sayf("lag", Wrong, "Start ingest: it takes over partitions without an owner. See docs/runbooks/HeadwayPartitionUnowned.md.", "%s without an owner: no ingest works on them", some(left, all))
	case len(missing)+len(incomplete) > 0:
		x.sayf("lag", Wrong, "Wait: views are being rebuilt from the log. If that doesn't end, see the log of ingest.", "%s not complete", some(append(missing, incomplete...), all))
	case len(late) > 0:
		x.sayf("lag", Wrong, "Add ingest processes, or see in their log what delays them. See docs/runbooks/HeadwayViewsLag.md.", "%s lag, at most by %v", some(late, all), oldest.Round(time.Second))
	default:
		x.sayf("lag", OK, "", "all %d partitions complete, lag at most %.1f s", all, oldest.Seconds())
	}
}

// fences reads the fences one by one, so that an unreadable one doesn't hide the others.
func (x *examination) fences(ctx context.Context, store *viewstore.Store) (fences []*viewstore.Fence, unreadable []int, err error) {
	fences = make([]*viewstore.Fence, store.Partitions())
	for p := range fences {
		f, err := store.Fence(ctx, p)
		var lost net.Error
		switch {
		case err == nil:
			fences[p] = f
		case ctx.Err() != nil || errors.As(err, &lost) || redis.HasErrorPrefix(err, "NOPERM"):
			return nil, nil, err
		default:
			unreadable = append(unreadable, p)
		}
	}
	return fences, unreadable, nil
}

// some names partitions, and only the first few of many.
func some(p []int, all int) string {
	const few = 5
	numbers := make([]string, 0, few+1)
	for _, n := range p[:min(few, len(p))] {
		numbers = append(numbers, strconv.Itoa(n))
	}
	if len(p) > few {
		numbers = append(numbers, "…")
	}
	return fmt.Sprintf("%d of %d partitions (%s)", len(p), all, strings.Join(numbers, ", "))
}
