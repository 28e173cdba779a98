// Package runtime is what every program of Headway needs around its work: the policy file, logging,
// and a life cycle with named parts and a bounded stop. It knows neither NATS nor Redis.
package runtime
