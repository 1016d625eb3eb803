package engine

import (
	"time"

	"github.com/flowshunt/flowshunt/flows"
)

// bucket is a token bucket over instants.
type bucket struct {
	rate   float64 // tokens per second, and
	burst  float64 // the most that are kept
	tokens float64
	at     flows.Instant
}

func newBucket(rate float64, depth time.Duration) bucket {
	burst := max(1, rate*depth.Seconds())
	return bucket{rate: rate, burst: burst, tokens: burst}
}

func (b *bucket) refill(now flows.Instant) {
	b.tokens = min(b.burst, b.tokens+b.rate*now.Sub(b.at).Seconds())
	b.at = now
}

// take takes n tokens if they are there.
func (b *bucket) take(n float64) bool {
	if b.tokens < n {
		return false
	}
	b.tokens -= n
	return true
}
