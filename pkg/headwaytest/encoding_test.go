package headwaytest

import (
	"crypto/sha256"
	"encoding/hex"
	"math/rand/v2"
	"testing"

	"github.com/headwayhq/headway/pkg/diagnostics"
)

// encodingOfVersion6 is the hash over the stored states of a thousand views, folded from the same messages each time. A
// change of it is a change of the fold, of the encoding, or of the generator of messages; the first two raise FoldVersion.
const encodingOfVersion6 = "1ff23ec722847e0d44d30f722c0c47319b99da312740bd9baa254d270728b3af"

func TestEncodingIsThatOfItsVersion(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	sum := sha256.New()
	for range 1_000 {
		v := diagnostics.NewView("n", "b")
		for range random.IntN(60) {
			m := AnyMessage(func(_ string, n int) int { return random.IntN(n) })
			m.Fold(v)
		}
		sum.Write(v.AppendState(nil))
	}
	if got := hex.EncodeToString(sum.Sum(nil)); diagnostics.FoldVersion != 6 || got != encodingOfVersion6 {
		t.Errorf("fold version %d encodes to %s, want %s of version 6", diagnostics.FoldVersion, got, encodingOfVersion6)
	}
}
