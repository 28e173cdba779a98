package ingest

import (
	"container/list"
	"strings"
	"time"

	"github.com/headwayhq/headway/pkg/diagnostics"
	"github.com/headwayhq/headway/pkg/viewstore"
)

// cache has the recently used decoded views of one partition, up to a size.
type cache struct {
	limit, size int // bytes, estimated
	byName      map[string]*list.Element
	used        *list.List // of *entry, the last used in front
}

type entry struct {
	name  string // <namespace>.<batch>
	key   viewstore.Key
	view  *diagnostics.View // nil: there is none yet
	row   []byte            // as last committed
	size  int               // of the stored value, in bytes
	dirty bool

	counted []byte    // header in the catalogue at the time of loading; nil if the view isn't counted
	since   position  // the position right before the first event of a dirty view that isn't committed with the cursor
	later   time.Time // a large view isn't committed again before this moment
	rebuild *rebuild  // it is being rebuilt from the log
}

// pinned reports whether the entry has data that exists nowhere else.
func (e *entry) pinned() bool { return e.dirty || e.rebuild != nil }

// The memory of an entry: a constant, and a multiple of its stored value, because integers
// and references are expanded when it is decoded (measured: 26 KB for a view of 1.6 KB).
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

// shrink evicts the least recently used entries, except pinned ones and the last one used: otherwise a view larger than the
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

// each visits all entries. visit may change anything but the key.
func (c *cache) each(visit func(*entry)) {
	for at := c.used.Front(); at != nil; at = at.Next() {
		visit(at.Value.(*entry))
	}
}
