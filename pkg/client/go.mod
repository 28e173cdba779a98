module github.com/headwayhq/headway/pkg/client

go 1.26.0

require (
	github.com/cenkalti/backoff/v4 v4.3.0
	github.com/nats-io/nats.go v1.55.0
)

require (
	github.com/klauspost/compress v1.20.3 // indirect
	github.com/nats-io/nkeys v0.4.16 // indirect
	github.com/nats-io/nuid v1.0.1 // indirect
	golang.org/x/crypto v0.58.0 // indirect
	golang.org/x/sys v0.49.0 // indirect
)

require (
	github.com/headwayhq/headway/pkg/diagnostics v0.2.0
	github.com/tmaxmax/go-sse v0.12.0
)
