package sim

import (
	"math"
	"math/rand/v2"
	"time"
)

// Network models what lies between a client and the coordinator.
type Network struct {
	Latency   time.Duration // median one-way delay of a message; default 40 ms
	Spread    float64       // sigma of the delay's lognormal law; default 0.3
	Bandwidth float64       // bytes per second each way; default 2.5e6
	Loss      float64       // share of messages lost, which are repeated after Retry
	Duplicate float64       // share of messages delivered twice, the second one late
	Retry     time.Duration // default 2 s
}

// Devices models the clients' machines.
type Devices struct {
	TrainPerExample time.Duration // per example and epoch on a median device; default 1 ms
	Spread          float64       // sigma of the speeds' lognormal law; default 0.4: stragglers
	Arrival         time.Duration // clients check in over this span after a round began; default 5 s
	Crypto          time.Duration // for answering one instruction; default 50 ms
}

// Point is where in an attempt a client vanishes.
type Point int

const (
	// BeforeUpload: after training, before the first byte of the upload.
	BeforeUpload Point = -1
	// DuringUpload: with half of the upload sent.
	DuringUpload Point = -2
	// AfterUpload: once the upload was acknowledged, before any later answer.
	AfterUpload Point = -3
	// A positive Point n is the step whose instruction is never answered.
)

// Faults is what goes wrong.
type Faults struct {
	// Dropout is the share of a round's invited clients that vanish, rounded down,
	// exactly that many, spread evenly over Points.
	Dropout float64
	Points  []Point // default BeforeUpload, DuringUpload, AfterUpload
	// Restart is the share of a round's invited clients that crash at some moment
	// and come back after Outage with what they had made durable.
	Restart float64
	Outage  time.Duration // of a client, the coordinator or the network; default 10 s
	// Cut is the share of a round's invited clients that a network partition cuts
	// off from the coordinator at some moment, for Outage.
	Cut float64
	// Crashes is the number of times the coordinator loses power in the run, at
	// moments drawn from the first Span of each of as many rounds.
	Crashes int
	Span    time.Duration // default 60 s
	// Committee is what goes wrong with decryptors.
	Committee []MemberFault
}

// MemberFault is what goes wrong with one decryptor.
type MemberFault struct {
	Member         int // index in the committee
	Round, Attempt int // zero for every one
	// Step is the first step of the attempt at which it happens; 0 is announcing.
	Step uint32
	Kind MemberFaultKind
}

// MemberFaultKind is a way in which a decryptor fails.
type MemberFaultKind int

const (
	// MemberGone answers nothing any more in the attempt.
	MemberGone MemberFaultKind = 1
	// MemberRestarts crashes once in the attempt, and comes back after Outage with
	// what it had made durable.
	MemberRestarts MemberFaultKind = 2
	// MemberGarbles flips a bit in what it says.
	MemberGarbles MemberFaultKind = 3
)

func (n Network) withDefaults() Network {
	preset(&n.Latency, 40*time.Millisecond)
	preset(&n.Spread, 0.3)
	preset(&n.Bandwidth, 2.5e6)
	preset(&n.Retry, 2*time.Second)
	return n
}

func (d Devices) withDefaults() Devices {
	preset(&d.TrainPerExample, time.Millisecond)
	preset(&d.Spread, 0.4)
	preset(&d.Arrival, 5*time.Second)
	preset(&d.Crypto, 50*time.Millisecond)
	return d
}

func (f Faults) withDefaults() Faults {
	if len(f.Points) == 0 {
		f.Points = []Point{BeforeUpload, DuringUpload, AfterUpload}
	}
	preset(&f.Outage, 10*time.Second)
	preset(&f.Span, time.Minute)
	return f
}

func preset[T comparable](v *T, value T) {
	var zero T
	if *v == zero {
		*v = value
	}
}

// stretch draws a duration from a lognormal law with the given median.
func stretch(rng *rand.Rand, median time.Duration, sigma float64) time.Duration {
	return time.Duration(float64(median) * math.Exp(sigma*rng.NormFloat64()))
}

// transfer is the time that n bytes take.
func (n Network) transfer(bytes int64) time.Duration {
	return time.Duration(float64(bytes) / n.Bandwidth * float64(time.Second))
}
