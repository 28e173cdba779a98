package doctor

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/redis/go-redis/v9"
)

// whoWithin is how long a server may take to say who we are. A user without the right to ask gets no answer.
const whoWithin = time.Second

// natsUser asks NATS for whom it takes us; "" if it doesn't tell.
func natsUser(ctx context.Context, nc *nats.Conn) string {
	ctx, cancel := context.WithTimeout(ctx, whoWithin)
	defer cancel()
	m, err := nc.RequestWithContext(ctx, "$SYS.REQ.USER.INFO", nil)
	var info struct {
		Data struct{ User, Account string }
	}
	switch {
	case err != nil || json.Unmarshal(m.Data, &info) != nil || info.Data.Account == "":
		return ""
	case info.Data.User == "":
		return ", without a credential, in the account " + info.Data.Account
	}
	return fmt.Sprintf(", as %s in the account %s", info.Data.User, info.Data.Account)
}

// redisUser asks Redis for whom it takes us; "" if it doesn't tell.
func redisUser(ctx context.Context, c redis.UniversalClient) string {
	user, err := c.ACLWhoAmI(ctx).Result()
	if err != nil || user == "" {
		return ""
	}
	return ", as the user " + user
}
