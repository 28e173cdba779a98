package push

import (
	"bytes"
	"slices"
	"strconv"
)

// chunkExtra is at least how much a chunk is longer than what it contains.
const chunkExtra = 20

// lastChunk ends a body.
var lastChunk = []byte("0\r\n\r\n")

func appendChunkSize(dst []byte, n int) []byte {
	return append(strconv.AppendInt(dst, int64(n), 16), "\r\n"...)
}

// chunk turns everything after begin into one chunk.
func chunk(b []byte, begin int) []byte {
	var size [chunkExtra]byte
	return append(slices.Insert(b, begin, appendChunkSize(size[:0], len(b)-begin)...), "\r\n"...)
}

// unchunked is what chunks that were made here contain.
func unchunked(b []byte) (all []byte) {
	for len(b) > 0 {
		size, rest, _ := bytes.Cut(b, []byte("\r\n"))
		n, _ := strconv.ParseInt(string(size), 16, 0)
		one := rest[:n]
		if b = rest[n+int64(len("\r\n")):]; all == nil && len(b) == 0 {
			return one
		}
		all = append(all, one...)
	}
	return all
}
