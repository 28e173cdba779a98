package doctor

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/headwayhq/headway/pkg/eventlog"
	"github.com/headwayhq/headway/pkg/viewstore"
)

// versions looks in this Redis for fences of other fold versions and logs that a process still works on: two Headways
// side by side, or an upgrade in progress.
func (x *examination) versions(ctx context.Context, log *eventlog.Examined, ours int) {
	if x.redisAhead == nil {
		return
	}
	const page = 10_000
	now := time.Now().Add(x.redisAhead.by)
	var others []string
	holder, err := x.holder(ctx, "hw:{p00}:")
	if err != nil {
		x.sayf("versions", Unknown, "", "the records can't be listed: %s", cause(err))
		return
	}
	for cursor := uint64(0); ; {
		keys, next, err := holder.Scan(ctx, cursor, "hw:{p00}:*:fence", page).Result()
		if err != nil {
			x.sayf("versions", Unknown, "", "the records can't be listed: %s", cause(err))
			return
		}
		for _, key := range keys {
			f, err := viewstore.ParseFence(holder.Get(ctx, key).Val())
			if err != nil || f.Identity == log.Identity && f.Fold == ours || time.UnixMilli(f.LeaseUntil).Before(now) {
				continue
			}
			what := fmt.Sprintf("fold version %d", f.Fold)
			if f.Identity != log.Identity {
				what = "another log (" + f.Identity + ")"
			}
			others = append(others, what)
		}
		if cursor = next; cursor == 0 {
			break
		}
	}
	if len(others) == 0 {
		x.sayf("versions", OK, "", "fold version %d alone works in this Redis", ours)
		return
	}
	x.sayf("versions", Note, "Nothing during an upgrade, or where two Headways share this Redis on purpose; else stop the ingest of the other one.",
		"ingest of %s works in this Redis too; ours is fold version %d", strings.Join(others, ", "), ours)
}

// holder is the server that has a key. Of a cluster, each server lists only its own keys.
func (x *examination) holder(ctx context.Context, key string) (redis.Cmdable, error) {
	if cluster, ok := x.redis.(*redis.ClusterClient); ok {
		return cluster.MasterForKey(ctx, key)
	}
	return x.redis, nil
}
