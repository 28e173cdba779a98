package answer

import (
	"bytes"
	"encoding/json"
)

// AppendJSON appends the snapshot as one line of JSON.
func (s *Snapshot) AppendJSON(dst []byte) []byte { return appendJSON(dst, s) }

func appendJSON(dst []byte, v any) []byte {
	b := bytes.NewBuffer(dst)                            // Marshal would make another copy, of megabytes where a batch is large
	if err := json.NewEncoder(b).Encode(v); err != nil { // only plain types and valid raw JSON are in it
		panic("diagnostics: " + err.Error())
	}
	return b.Bytes()[:b.Len()-1] // without the end of the line
}
