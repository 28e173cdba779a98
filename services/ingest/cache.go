package ingest

import (
	"container/list"
	"strings"

	"github.com/headwayhq/headway/pkg/diagnostics"
	"github.com/headwayhq/headway/pkg/viewstore"
)

// cache holds the decoded views of one partition, those used last, up to a size.
type cache struct {
	limit, size int // bytes of stored values, which a decoded view exceeds a few times
	byName      map[string]*list.Element
	used        *list.List // of *entry, the last used in front
}

type entry struct {
	name  string // <namespace>.<batch>
	key   viewstore.Key
	view  *diagnostics.View // nil: there is none yet
	row   []byte            // as committed last
	size  int
	dirty bool
}

// entrySize is what an entry costs beside its view.
const entrySize = 512

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
	e := &entry{name: name, key: viewstore.Key{Namespace: ns, Batch: batch}, size: entrySize}
	c.byName[name] = c.used.PushFront(e)
	c.size += e.size
	return e
}

func (c *cache) resize(e *entry, stored int) {
	size := entrySize + stored
	c.size += size - e.size
	e.size = size
}

// shrink forgets what was used longest ago. Nothing in the cache is dirty then.
func (c *cache) shrink() {
	for c.size > c.limit && c.used.Len() > 0 {
		last := c.used.Back()
		e := c.used.Remove(last).(*entry)
		delete(c.byName, e.name)
		c.size -= e.size
	}
}
