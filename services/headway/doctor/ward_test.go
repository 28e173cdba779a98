package doctor

import (
	"context"
	"strconv"
	"testing"

	"github.com/headwayhq/headway/pkg/eventlog"
)

var streamConfig = eventlog.Config{Partitions: 4}

func itoa(n int) string { return strconv.Itoa(n) }

func contextOf(t *testing.T) (context.Context, context.CancelFunc) {
	return context.WithCancel(context.WithoutCancel(t.Context()))
}
