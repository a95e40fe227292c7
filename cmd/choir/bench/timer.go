package bench

import (
	"runtime"
	"time"
)

// How often a measurement is repeated: until the first two are met, or the third.
const (
	fewest = 5
	enough = 300 * time.Millisecond
	atMost = 4 * time.Second
	// once bounds what can be repeated a few times only.
	once = 10
	// always is no bound.
	always = 1 << 30
)

// batch is the least time that is measured at once, far above the clock's
// resolution of a microsecond.
const batch = 2 * time.Millisecond

// contestant is one thing to be timed. prepare runs off the clock before each
// repetition; without it, run may be called any number of times in a row. Without a
// clock, processor time is measured.
type contestant struct {
	prepare, run func() error
	clock        func() time.Duration
}

// race times contestants in turn, at most so many times, and returns the least time
// of each: what disturbs the machine for a while disturbs all of them. The first
// turn warms the caches up and counts like any other.
func race(most int, contestants ...contestant) ([]time.Duration, error) {
	least := make([]time.Duration, len(contestants))
	calls := make([]int, len(contestants))
	began := time.Now()
	for i := 0; ; i++ {
		if spent := time.Since(began); i >= most || i >= fewest && spent >= enough || i > 0 && spent >= atMost {
			return least, nil
		}
		for j, c := range contestants {
			spent, err := c.time(max(calls[j], 1))
			if err != nil {
				return nil, err
			}
			if i == 0 || spent < least[j] {
				least[j] = spent
			}
			if c.prepare == nil && calls[j] == 0 {
				calls[j] = int(batch/max(spent, time.Microsecond)) + 1
			}
		}
	}
}

// time returns the mean time of some calls.
func (c contestant) time(calls int) (time.Duration, error) {
	if c.prepare != nil {
		if err := c.prepare(); err != nil {
			return 0, err
		}
	}
	runtime.GC() // a collection that is due should not fall into the measurement
	clock := c.clock
	if clock == nil {
		clock = processorTime
	}
	start := clock()
	for range calls {
		if err := c.run(); err != nil {
			return 0, err
		}
	}
	return (clock() - start) / time.Duration(calls), nil
}

// per divides a time in nanoseconds.
func per(d time.Duration, things ...int) float64 {
	v := float64(d.Nanoseconds())
	for _, n := range things {
		v /= float64(n)
	}
	return v
}
