package ingest

import (
	"container/list"
	"strings"
	"time"

	"github.com/headwayhq/headway/pkg/diagnostics"
	"github.com/headwayhq/headway/pkg/viewstore"
)

// cache has views of one partition. Those used recently are decoded. Others are packed, which takes an eighth of the memory, and of
// those the ones that are in the store are forgotten first. The limits are those of the whole process.
type cache struct {
	budget *budget
	byName map[string]*entry
	used   *list.List // of *entry that aren't packed, the last used in front
	packed *list.List // of *entry, the last packed in front

	decoded, size int64 // bytes, estimated: of what isn't packed, and of all
}

type entry struct {
	name   string // <namespace>.<batch>
	key    viewstore.Key
	view   *diagnostics.View // nil: it is packed, or there is none yet
	packed []byte            // the stored value of a view that isn't decoded
	row    uint64            // hash of the row as last committed; 0: it has to be written
	size   int               // of the stored value, in bytes; estimated since its last commit
	memory int64             // as counted
	at     *list.Element
	dirty  bool
	apart  bool // its parts are stored apart

	mark     *mark  // what no checkpoint covers; nil if one covers everything, or if that wasn't looked up
	covers   uint64 // every event up to here is in a checkpoint
	expect   uint64 // sequence of the checkpoint that is in the view; 0: none is known
	asOf     int64  // the moment that this one stands for; 0: none is known
	first    uint64 // the batch's first event, as that one says; 0: not known
	recalled bool   // it is known whether there was one
	rowed    bool   // there is a list row in the history, or once was one
	sealed   bool   // there is one that can't be read; it is never replaced

	counted []byte    // header in the catalogue at the time of loading; nil if the view isn't counted
	since   position  // the position right before the first event of a dirty view that isn't committed with the cursor
	later   time.Time // a large view isn't committed again before this moment
	rebuild *rebuild  // it is being rebuilt from the log
}

// pinned reports whether the entry has data that exists nowhere else.
func (e *entry) pinned() bool { return e.dirty || e.rebuild != nil }

// there reports whether there is a view.
func (e *entry) there() bool { return e.view != nil || e.packed != nil }

// grow estimates the size of the stored value after an event of so many bytes (measured: the first few events of a batch add half
// of their size, the others a twelfth; what is large is text).
func (e *entry) grow(event int) int {
	switch {
	case event >= 4<<10:
		return e.size + event
	case e.size < 1<<10:
		return e.size + event/2
	}
	return e.size + event/12
}

// The memory of an entry: a constant, and its stored value or, when it is decoded, a multiple of that, because integers and
// references are expanded (measured: 33 KB for a view of 4.5 KB, 7.8 KB for one of 0.9 KB).
const (
	entrySize     = 512
	decodedFactor = 8
)

func newCache(b *budget) *cache {
	return &cache{budget: b, byName: map[string]*entry{}, used: list.New(), packed: list.New()}
}

func (c *cache) get(name string) *entry {
	e := c.byName[name]
	if e != nil && e.packed == nil {
		c.used.MoveToFront(e.at)
	}
	return e
}

func (c *cache) add(name string) *entry {
	name = strings.Clone(name)
	ns, batch, _ := strings.Cut(name, ".")
	e := &entry{name: name, key: viewstore.Key{Namespace: ns, Batch: batch}}
	e.at = c.used.PushFront(e)
	c.byName[name] = e
	c.resize(e, 0)
	return e
}

// resize notes the size of an entry's stored value.
func (c *cache) resize(e *entry, stored int) {
	if e.packed != nil {
		stored = len(e.packed)
		c.count(e, int64(entrySize+stored))
	} else {
		c.count(e, int64(entrySize+decodedFactor*stored))
	}
	e.size = stored
}

func (c *cache) count(e *entry, memory int64) {
	by := memory - e.memory
	e.memory = memory
	c.size += by
	c.budget.nowViews.Add(by)
	if e.packed == nil {
		c.decoded += by
		c.budget.nowDecoded.Add(by)
	}
}

// pack replaces an entry's view by its stored value, and unpack the other way round.
func (c *cache) pack(e *entry, value []byte) {
	c.count(e, 0)
	c.used.Remove(e.at)
	e.view, e.packed = nil, value
	e.at = c.packed.PushFront(e)
	c.resize(e, 0)
}

func (c *cache) unpack(e *entry, view *diagnostics.View) {
	c.count(e, 0)
	c.packed.Remove(e.at)
	e.view, e.packed = view, nil
	e.at = c.used.PushFront(e)
	c.resize(e, e.size)
}

// shrink packs the least recently used views if those of the process take too much memory, and forgets packed ones. It never touches
// what this partition may have in any case, nor the last one used: otherwise a view larger than the limit would be loaded again for each
// of its events. encode returns a view's stored value.
func (c *cache) shrink(encode func(*entry) ([]byte, bool)) {
	b := c.budget
	share := b.share(b.decoded)
	for at := c.used.Back(); at != nil && at != c.used.Front() && c.decoded > share && b.nowDecoded.Load() > b.decoded; {
		e, next := at.Value.(*entry), at.Prev()
		if e.view == nil && !e.pinned() {
			c.forget(e)
		} else if e.view != nil && e.rebuild == nil {
			if value, ok := encode(e); ok {
				c.pack(e, value)
			}
		}
		at = next
	}
	share = b.share(b.views)
	for at := c.packed.Back(); at != nil && c.size > share && b.nowViews.Load() > b.views; {
		e, next := at.Value.(*entry), at.Prev()
		if !e.pinned() {
			c.forget(e)
		}
		at = next
	}
}

// full reports whether the process has too much although this partition has forgotten what it could.
func (c *cache) full() bool {
	return c.size > c.budget.share(c.budget.views) && c.budget.nowViews.Load() > c.budget.views
}

func (c *cache) forget(e *entry) {
	c.count(e, 0)
	if e.packed != nil {
		c.packed.Remove(e.at)
	} else {
		c.used.Remove(e.at)
	}
	delete(c.byName, e.name)
}

// drop gives back the memory of all entries.
func (c *cache) drop() {
	c.each(c.forget)
}

// each visits all entries. visit may change anything but the key.
func (c *cache) each(visit func(*entry)) {
	for _, e := range c.byName {
		visit(e)
	}
}
