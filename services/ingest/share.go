package ingest

import "hash/fnv"

// share computes which partitions belong to a member, by rendezvous hashing: each partition goes to the member
// with the greatest hash of both. When a member joins or leaves, only its partitions move.
func share(member string, members []string, partitions int) []bool {
	mine := make([]bool, partitions)
	for p := range mine {
		best, bestHash := "", uint64(0)
		for _, m := range members {
			if h := weight(m, p); best == "" || h > bestHash || h == bestHash && m > best {
				best, bestHash = m, h
			}
		}
		mine[p] = best == member
	}
	return mine
}

func weight(member string, p int) uint64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte(member))
	_, _ = h.Write([]byte{byte(p), byte(p >> 8)})
	// FNV mixes its last bytes poorly; this finalizer (of MurmurHash3) distributes them.
	x := h.Sum64()
	x ^= x >> 33
	x *= 0xff51afd7ed558ccd
	x ^= x >> 33
	x *= 0xc4ceb9fe1a85ec53
	return x ^ x>>33
}
