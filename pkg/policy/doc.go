// Package policy holds the thresholds of health as they are configured: defaults, the policy file, and what each
// namespace has of its own. It knows neither NATS nor Redis.
package policy
