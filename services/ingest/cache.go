package ingest

import (
	"container/list"
	"strings"

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
}

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

// shrink forgets what was used longest ago. Nothing in the cache is dirty then.
func (c *cache) shrink() {
	for c.size > c.limit && c.used.Len() > 0 {
		last := c.used.Back()
		e := c.used.Remove(last).(*entry)
		delete(c.byName, e.name)
		c.size -= e.memory()
	}
}
