package e2e

import "github.com/nats-io/nats.go"

type batchRef struct{ namespace, batch string }

type work struct {
	batches  []batchRef
	messages []*nats.Msg
}
