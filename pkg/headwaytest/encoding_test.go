package headwaytest

import (
	"crypto/sha256"
	"encoding/hex"
	"math/rand/v2"
	"testing"

	"github.com/headwayhq/headway/pkg/diagnostics"
)

// encodingOfVersion2 is the hash over the stored states of a thousand views, folded from the same events each time. A
// change of it is a change of the fold, of the encoding, or of the generator of events; the first two raise FoldVersion.
const encodingOfVersion2 = "b25b9dce7f392da4659674bdfcec3e0f92eda3632ed1cda7cdd1bacda7401610"

func TestEncodingIsThatOfItsVersion(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	sum := sha256.New()
	for range 1_000 {
		v := diagnostics.NewView("n", "b")
		for range random.IntN(60) {
			e := AnyEvent(func(_ string, n int) int { return random.IntN(n) })
			diagnostics.Fold(v, &e)
		}
		sum.Write(v.AppendState(nil))
	}
	if got := hex.EncodeToString(sum.Sum(nil)); diagnostics.FoldVersion != 2 || got != encodingOfVersion2 {
		t.Errorf("fold version %d encodes to %s, want %s of version 2", diagnostics.FoldVersion, got, encodingOfVersion2)
	}
}
