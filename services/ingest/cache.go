package ingest

import (
	"container/list"
	"strings"
	"time"

	"github.com/headwayhq/headway/pkg/diagnostics"
	"github.com/headwayhq/headway/pkg/viewstore"
)

// cache holds the decoded views of one partition, those used last, up to a size.
type cache struct {
	limit, size int // bytes, estimated
	byName      map[string]*list.Element
	used        *list.List // of *entry, the last used in front
}

type entry struct {
	name  string // <namespace>.<batch>
	key   viewstore.Key
	view  *diagnostics.View // nil: there is none yet
	row   []byte            // as committed last
	size  int               // of stored value, in bytes
	dirty bool

	counted []byte    // header as the catalogue had it when it was loaded; nil where the view isn't counted
	since   position  // of a dirty view that isn't committed with the cursor: right before its first event
	later   time.Time // until then a large view isn't committed again
	rebuild *rebuild  // it is being rebuilt from the log
}

// pinned: what it holds is nowhere else.
func (e *entry) pinned() bool { return e.dirty || e.rebuild != nil }

// What an entry costs in memory: something by itself, and a multiple of its stored value, whose integers
// and references are spread out when it is decoded (measured: 26 KB for a view of 1.6 KB).
const (
	entrySize     = 512
	decodedFactor = 16
)

func (e *entry) memory() int { return entrySize + decodedFactor*e.size }

func newCache(limit int) *cache {
	return &cache{limit: limit, byName: map[string]*list.Element{}, used: list.New()}
}

func (c *cache) get(name string) *entry {
	e := c.byName[name]
	if e == nil {
		return nil
	}
	c.used.MoveToFront(e)
	return e.Value.(*entry)
}

func (c *cache) add(name string) *entry {
	name = strings.Clone(name)
	ns, batch, _ := strings.Cut(name, ".")
	e := &entry{name: name, key: viewstore.Key{Namespace: ns, Batch: batch}}
	c.byName[name] = c.used.PushFront(e)
	c.size += e.memory()
	return e
}

func (c *cache) resize(e *entry, stored int) {
	c.size -= e.memory()
	e.size = stored
	c.size += e.memory()
}

// shrink forgets what was used longest ago, but for what is pinned and for what was used last: a view larger than the
// limit would be loaded again for each of its events.
func (c *cache) shrink() {
	for last := c.used.Back(); c.size > c.limit && last != nil && last != c.used.Front(); {
		e, next := last.Value.(*entry), last.Prev()
		if !e.pinned() {
			c.forget(last)
		}
		last = next
	}
}

func (c *cache) forget(at *list.Element) {
	e := c.used.Remove(at).(*entry)
	delete(c.byName, e.name)
	c.size -= e.memory()
}

// each visits all entries, of which it may change anything but the key.
func (c *cache) each(visit func(*entry)) {
	for at := c.used.Front(); at != nil; at = at.Next() {
		visit(at.Value.(*entry))
	}
}
