//go:build !unix

package bench

import "time"

// began anchors a monotonic clock.
var began = time.Now()

// processorTime is the time that has passed: this system does not tell it by process.
func processorTime() time.Duration { return time.Since(began) }
