// Package policy holds the configured thresholds of health: the defaults, the policy file, and the overrides of each
// namespace. It knows neither NATS nor Redis.
package policy
