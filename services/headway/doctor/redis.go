package doctor

import (
	"bufio"
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/headwayhq/headway/pkg/diagnostics"
	"github.com/headwayhq/headway/pkg/eventlog"
	"github.com/headwayhq/headway/pkg/viewstore"
)

// minRedis is the oldest major version that the tests run on.
const minRedis = 6

func (x *examination) askRedis(ctx context.Context) {
	options, err := redis.ParseURL(x.o.RedisURL)
	if err != nil {
		x.say("redis", Wrong, "Give --redis-url as redis://, rediss:// or unix://.", "%s isn't an address of a Redis", x.o.BareRedisURL)
		return
	}
	options.MaxRetries, options.ContextTimeoutEnabled, options.ClientName = -1, true, "headway-doctor"
	options.DialTimeout, options.DialerRetries = x.o.Timeout, 1
	redis.SetLogger(silent{}) // it prints what the finding says
	c := redis.NewClient(options)
	ctx, cancel := x.limited(ctx)
	defer cancel()
	if err := c.Ping(ctx).Err(); err != nil {
		_ = c.Close()
		do := "Start Redis there, or name another with --redis-url."
		if strings.HasPrefix(err.Error(), "NOAUTH") || strings.HasPrefix(err.Error(), "WRONGPASS") {
			do = "Give user and password within --redis-url."
		}
		x.say("redis", Wrong, do, "%s can't be reached: %s", x.o.BareRedisURL, cause(err))
		return
	}
	x.redis = c
	info := fields(c.Info(ctx).Val())
	version, standIn := info["redis_version"], info["redis_version"] == ""
	major, _, _ := strings.Cut(version, ".")
	n, _ := strconv.Atoi(major)
	switch {
	case standIn:
		x.say("redis", Note, "Install redis-server: headway run takes it by itself.", "reached at %s: an in-memory stand-in that tells no version", x.o.BareRedisURL)
	case n < minRedis:
		x.say("redis", Wrong, "Update Redis.", "version %s is older than %d", version, minRedis)
	case info["role"] == "slave":
		x.say("redis", Wrong, "Name the primary with --redis-url.", "%s is a replica: it takes no writes", x.o.BareRedisURL)
	default:
		x.say("redis", OK, "", "reached at %s, version %s", x.o.BareRedisURL, version)
	}
	if !standIn {
		x.eviction(info)
		x.persistence(info)
	}
	began := time.Now()
	if now, err := c.Time(ctx).Result(); err == nil {
		trip := time.Since(began)
		x.redisAhead = &skew{now.Sub(began.Add(trip / 2)), trip / 2}
	}
}

type silent struct{}

func (silent) Printf(context.Context, string, ...any) {}

// fields are the lines of INFO.
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
		x.say("redis eviction", Wrong, "Set maxmemory-policy noeviction: else views are dropped in silence.", "maxmemory-policy is %s, with a limit of %s", policy, size(most))
	case policy != "noeviction":
		x.say("redis eviction", Note, "Set maxmemory-policy noeviction, before somebody sets maxmemory.", "maxmemory-policy is %s, without a limit", policy)
	case most > 0 && used > most/10*9:
		x.say("redis eviction", Note, "Raise maxmemory: at the limit ingest can write no more.", "%s of at most %s used", size(used), size(most))
	case most > 0:
		x.say("redis eviction", OK, "", "noeviction, %s of at most %s used", size(used), size(most))
	default:
		x.say("redis eviction", OK, "", "noeviction, %s used, no limit", size(used))
	}
}

func (x *examination) persistence(info map[string]string) {
	switch {
	case info["aof_enabled"] == "1" && info["aof_last_write_status"] == "err":
		x.say("redis persistence", Wrong, "See the log of Redis: the disk may be full.", "the append-only file can't be written")
	case info["aof_enabled"] == "1":
		x.say("redis persistence", OK, "", "append-only file")
	case strings.HasPrefix(x.o.RedisURL, "unix://"):
		x.say("redis persistence", OK, "", "none: the views of headway run are made from the log at its start")
	default:
		x.say("redis persistence", Note, "Set appendonly yes: else a restart of Redis rebuilds every view from the log.", "no append-only file")
	}
}

// lagWrong is what the API takes as no longer fresh.
const lagWrong = 30 * time.Second

// lag compares each partition's record with the log.
func (x *examination) lag(ctx context.Context) {
	var log *eventlog.Examined
	for i := range x.streams {
		if s := &x.streams[i]; s.Name == eventlog.EventsStream && s.Identity != "" && s.Partitions > 0 {
			log = s
		}
	}
	if log == nil || x.redis == nil {
		x.say("lag", Unknown, "", "it takes the event log and Redis to tell")
		return
	}
	ctx, cancel := x.limited(ctx)
	defer cancel()
	store, err := viewstore.Open(ctx, viewstore.Options{Client: x.redis, Identity: log.Identity, Fold: diagnostics.FoldVersion, Partitions: log.Partitions})
	if err != nil {
		x.say("lag", Unknown, "", "the records can't be read: %s", cause(err))
		return
	}
	fences, err := store.Fences(ctx)
	if err != nil {
		x.say("lag", Wrong, "See whether this user of Redis may read all keys.", "the records can't be read: %s", cause(err))
		return
	}
	now := log.Now.Add(time.Since(log.Asked))
	var missing, incomplete, late, left []int
	oldest := time.Duration(0)
	for p, f := range fences {
		if f == nil {
			missing = append(missing, p)
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
	case len(missing) == all:
		x.say("lag", Wrong, "Start headway run, or ingest; or use a headway of the version that runs (records are kept by fold version, ours is "+strconv.Itoa(diagnostics.FoldVersion)+").",
			"none of %d partitions has a record: nothing folds", all)
	case len(left) > 0:
		x.say("lag", Wrong, "Start ingest: it takes over what nobody works on.", "%s nobody's: no ingest works on them", some(left, all))
	case len(missing)+len(incomplete) > 0:
		x.say("lag", Wrong, "Wait: views are being rebuilt from the log. If that doesn't end, see the log of ingest.", "%s not complete", some(append(missing, incomplete...), all))
	case len(late) > 0:
		x.say("lag", Wrong, "Add ingest processes, or see their log for what holds them up.", "%s behind, the furthest by %v", some(late, all), oldest.Round(time.Second))
	default:
		x.say("lag", OK, "", "all %d partitions complete, the furthest %.1f s behind", all, oldest.Seconds())
	}
}

// some names partitions, the first few of many.
func some(p []int, all int) string {
	const few = 5
	out := fmt.Sprintf("%d of %d partitions (", len(p), all)
	for i, n := range p {
		if i == few {
			out += ", …"
			break
		}
		if i > 0 {
			out += ", "
		}
		out += strconv.Itoa(n)
	}
	return out + ")"
}
