package answer

import (
	"bytes"
	"strconv"
)

// AppendChange appends what makes p of the snapshot from, as Snapshot.Apply reads it. It compares encoded bytes. The result is
// nil if the two don't have the same members, so that this can't be expressed.
func (p *Parts) AppendChange(dst []byte, from *Parts) []byte {
	c := changeWriter{now: p, old: from, out: append(dst, `{"set":{`...)}
	var plain []int
	for i := range snapshotMembers {
		m := &snapshotMembers[i]
		now, old := p.members[i], from.members[i]
		switch {
		case (now.to == 0) != (old.to == 0):
			return nil
		case m.keyed >= 0 || bytes.Equal(p.of(now), from.of(old)):
		case len(p.elements[i]) > 0 && len(from.elements[i]) > 0:
			plain = append(plain, i)
		default:
			c.set(m, now)
		}
	}
	c.add(`},"lists":{`)
	for _, i := range plain {
		c.comma('{')
		c.add(snapshotMembers[i].name[1:])
		c.elements(p.elements[i], from.elements[i])
	}
	c.add("}")
	for i, name := range keyedNames {
		c.list(name, keyedShapes[i], p.rows[i], from.rows[i])
	}
	c.add("}")
	return c.out
}

type changeWriter struct {
	now, old *Parts
	out      []byte
}

func (c *changeWriter) add(text string) { c.out = append(c.out, text...) }

// comma separates what follows from what stands before it, unless that is the beginning.
func (c *changeWriter) comma(begin byte) {
	if c.out[len(c.out)-1] != begin {
		c.out = append(c.out, ',')
	}
}

func (c *changeWriter) set(m *member, now extent) {
	c.comma('{')
	c.add(m.name[1:])
	c.out = append(c.out, c.now.of(now)...)
}

// elements appends a list without keys: its elements, and [from, count] in the place of those that are in the earlier list.
func (c *changeWriter) elements(now, old []extent) {
	c.add("[")
	var known map[string]int
	next := 0 // the element of the earlier list that is expected
	for i := 0; i < len(now); {
		from, same := next, 0
		if next >= len(old) || !bytes.Equal(c.now.of(now[i]), c.old.of(old[next])) {
			if known == nil {
				known = c.places(old)
			}
			from = known[string(c.now.of(now[i]))]
		}
		for i+same < len(now) && from+same < len(old) && bytes.Equal(c.now.of(now[i+same]), c.old.of(old[from+same])) {
			same++
		}
		c.comma('[')
		if same == 0 {
			c.out = append(c.out, c.now.of(now[i])...)
			i, next = i+1, next+1
			continue
		}
		c.out = strconv.AppendInt(append(c.out, '['), int64(from), 10)
		c.out = strconv.AppendInt(append(c.out, ','), int64(same), 10)
		c.add("]")
		i, next = i+same, from+same
	}
	c.add("]")
}

// places says where each element is.
func (c *changeWriter) places(old []extent) map[string]int {
	known := make(map[string]int, len(old))
	for i, e := range old {
		known[string(c.old.of(e))] = i
	}
	return known
}

// list appends the member with the changes of a list, if there are any.
func (c *changeWriter) list(name string, s *rowShape, now, old []encodedRow) {
	begin := len(c.out)
	c.add(`,"` + name + `":[`)
	empty := len(c.out)
	c.rows(s, now, old)
	if len(c.out) == empty {
		c.out = c.out[:begin]
		return
	}
	c.add("]")
}

// rows compares two lists. Rows at the beginning and at the end of both are only compared with each other, which is all
// there is to do while no row comes or goes.
func (c *changeWriter) rows(s *rowShape, now, old []encodedRow) {
	i := 0
	for i < len(now) && i < len(old) && c.changed(s, &now[i], &old[i]) {
		i++
	}
	last := []byte("null")
	if i > 0 {
		last = c.now.key(&now[i-1])
	}
	now, old = now[i:], old[i:]
	for len(now) > 0 && len(old) > 0 && bytes.Equal(c.now.of(now[len(now)-1].extent), c.old.of(old[len(old)-1].extent)) {
		now, old = now[:len(now)-1], old[:len(old)-1]
	}
	if len(now)+len(old) > 0 {
		c.moved(s, last, now, old)
	}
}

// moved compares lists of which rows have come, gone or moved. last is the key of the row before them.
func (c *changeWriter) moved(s *rowShape, last []byte, now, old []encodedRow) {
	stays := make(map[string]bool, len(now))
	for i := range now {
		stays[string(c.now.key(&now[i]))] = true
	}
	known := make(map[string]*encodedRow, len(old))
	kept := make([]string, 0, len(old))
	for i := range old {
		key := string(c.old.key(&old[i]))
		if known[key] = &old[i]; stays[key] {
			kept = append(kept, key)
			continue
		}
		c.comma('[')
		c.add(`{"key":` + key + `,"gone":true}`)
	}
	away := map[string]bool{} // rows that are put elsewhere
	for i := range now {
		key := c.now.key(&now[i])
		for len(kept) > 0 && away[kept[0]] {
			kept = kept[1:]
		}
		switch {
		case len(kept) > 0 && kept[0] == string(key):
			kept = kept[1:]
		case len(kept) > 1 && kept[1] == string(key):
			away[kept[0]] = true
			kept = kept[2:]
		default:
			away[string(key)] = true
		}
		if o := known[string(key)]; o == nil || away[string(key)] {
			c.put(key, last, &now[i])
		} else {
			c.changed(s, &now[i], o)
		}
		last = key
	}
}

// put appends a whole row with its place.
func (c *changeWriter) put(key, last []byte, r *encodedRow) {
	c.comma('[')
	c.add(`{"key":`)
	c.out = append(c.out, key...)
	c.add(`,"after":`)
	c.out = append(c.out, last...)
	c.add(`,"row":`)
	c.out = append(c.out, c.now.of(r.extent)...)
	c.add("}")
}

// changed appends how a row differs from an earlier one with the same key. It returns false if the keys differ.
func (c *changeWriter) changed(s *rowShape, now, old *encodedRow) bool {
	if bytes.Equal(c.now.of(now.extent), c.old.of(old.extent)) {
		return true
	}
	key := c.now.key(now)
	if !bytes.Equal(key, c.old.key(old)) {
		return false
	}
	c.comma('[')
	c.add(`{"key":`)
	c.out = append(c.out, key...)
	body := len(c.out)
	if !c.clocks(s, now, old) {
		c.add(`,"row":`)
		c.out = append(c.out, c.now.body[now.from:now.own]...)
		c.add("}")
	}
	if s.inner != nil && !bytes.Equal(c.now.body[now.own:now.to], c.old.body[old.own:old.to]) {
		if c.unique(c.now, now.rows) && c.unique(c.old, old.rows) {
			c.list(s.fields[len(s.fields)-1].title(), s.inner, now.rows, old.rows)
		} else {
			c.out = append(append(c.out[:body], `,"row":`...), c.now.of(now.extent)...)
		}
	}
	c.add("}")
	return true
}

// unique reports whether each row has a key of its own. Those of a tier's jobs may not: clusters, and runs after one another, may use
// the same submission id.
func (c *changeWriter) unique(p *Parts, rows []encodedRow) bool {
	seen := make(map[string]bool, len(rows))
	for i := range rows {
		seen[string(p.key(&rows[i]))] = true
	}
	return len(seen) == len(rows)
}

// clocks appends the running times that differ. It returns false, and appends nothing, if anything else in the row's own part does.
func (c *changeWriter) clocks(s *rowShape, now, old *encodedRow) bool {
	n, o := now.from, old.from
	for i := range s.clocks {
		a, b := now.clocks[i], old.clocks[i]
		if (a.to == 0) != (b.to == 0) {
			return false
		}
		if a.to == 0 {
			continue
		}
		if !bytes.Equal(c.now.body[n:a.from], c.old.body[o:b.from]) {
			return false
		}
		n, o = a.to, b.to
	}
	if !bytes.Equal(c.now.body[n:now.own], c.old.body[o:old.own]) {
		return false
	}
	begin := len(c.out)
	c.add(`,"clocks":{`)
	empty := len(c.out)
	for i, name := range s.clocks {
		if a, b := c.now.of(now.clocks[i]), c.old.of(old.clocks[i]); !bytes.Equal(a, b) {
			c.comma('{')
			c.add(`"` + name + `":`)
			c.out = append(c.out, a...)
		}
	}
	if len(c.out) == empty {
		c.out = c.out[:begin]
		return true
	}
	c.add("}")
	return true
}
