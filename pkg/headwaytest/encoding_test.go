package headwaytest

import (
	"crypto/sha256"
	"encoding/hex"
	"math/rand/v2"
	"testing"

	"github.com/headwayhq/headway/pkg/diagnostics"
)

// encodingOfVersion5 is the hash over the stored states of a thousand views, folded from the same messages each time. A
// change of it is a change of the fold, of the encoding, or of the generator of messages; the first two raise FoldVersion.
const encodingOfVersion5 = "0a0397d49caeaaa4df22c67ae3e8b57caa0c9f1794cbb878913012bbdb97a9e1"

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
	if got := hex.EncodeToString(sum.Sum(nil)); diagnostics.FoldVersion != 5 || got != encodingOfVersion5 {
		t.Errorf("fold version %d encodes to %s, want %s of version 5", diagnostics.FoldVersion, got, encodingOfVersion5)
	}
}
