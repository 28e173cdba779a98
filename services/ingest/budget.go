package ingest

import (
	"os"
	"runtime/debug"
	"sync"
	"sync/atomic"
)

// DefaultMemory is the budget of a process, in bytes.
const DefaultMemory = 320 << 20

// budget divides the memory of one process among its partitions: what waits to be folded, and views. The rest of the memory is for
// what is in progress, and for the garbage collector. Sizes are estimated.
type budget struct {
	queues  int64 // bytes of messages that wait
	decoded int64 // bytes of views that are decoded
	views   int64 // bytes of all views that are kept, decoded or not

	nowDecoded, nowViews atomic.Int64
	owned                atomic.Int64 // partitions
}

func newBudget(memory int64) *budget {
	return &budget{queues: memory / 16, decoded: memory / 4, views: memory / 8 * 5}
}

func newBuffers() *sync.Pool { return &sync.Pool{New: func() any { return new([]byte) }} }

// over reports whether there is more than there should be.
func (b *budget) over() bool {
	return b.nowDecoded.Load() > b.decoded || b.nowViews.Load() > b.views
}

// share is what one partition may keep of a part in any case.
func (b *budget) share(of int64) int64 { return of / max(1, b.owned.Load()) }

// garbage is how far the heap of a process that only ingests may grow beyond what is in use before it is collected, in percent.
// Most of what is in use are texts, which aren't searched for pointers.
const garbage = 50

// LimitMemory makes the Go runtime keep to a budget of bytes, unless GOMEMLIMIT says another one; GOGC wins too. It is for a
// process that does nothing but ingest.
func LimitMemory(bytes int64) {
	if _, set := os.LookupEnv("GOMEMLIMIT"); !set {
		debug.SetMemoryLimit(bytes)
	}
	if _, set := os.LookupEnv("GOGC"); !set {
		debug.SetGCPercent(garbage)
	}
}
