package view

import "time"

// erase forgets everything that is known of the batch, but when it was erased. This is the greatest of all states: whatever is joined into
// it, before or after, is absorbed.
func (s *State) erase(at int64) (changed bool) {
	if at == 0 || s.Erased != 0 && s.Erased <= at {
		return false
	}
	*s = State{Erased: at, tracked: s.tracked}
	s.touchAll()
	return true
}

// ErasedAt is when the batch was erased; ok is false if it wasn't. Nothing else is known of an erased batch.
func (v *View) ErasedAt() (at time.Time, ok bool) {
	if v.state.Erased == 0 {
		return at, false
	}
	return time.Unix(0, v.state.Erased).UTC(), true
}

// walkErased writes or reads the part of an erased view. A version that doesn't know this part refuses the view.
func walkErased(w *walker, at, _ *int64) { w.i(at) }
