package sim

import (
	"time"

	"github.com/choir-fl/choir/coordinator"
	"github.com/choir-fl/choir/secagg"
)

// host is the coordinator's machine in virtual time. Calls from before a crash are void.
type host struct {
	s    *simulation
	boot int
}

func (h *host) Now() time.Time { return h.s.world.now }

func (h *host) Wake(at time.Time) {
	h.s.wake++
	n := h.s.wake
	h.s.world.at(at, func() {
		if h.s.wake == n && h.s.boot == h.boot && h.s.engine != nil {
			h.s.engine.Tick()
		}
	})
}

// Modelled speed of the coordinator's vector work, in bytes per second.
const coordinatorSpeed = 1e9

func (h *host) Work(w coordinator.Work, run func() func()) {
	var finish func()
	var spent time.Duration
	d := time.Millisecond + time.Duration(float64(w.Bytes)/coordinatorSpeed*float64(time.Second))
	h.s.world.compute(d, func() {
		began := h.s.stopwatch()
		finish = run()
		spent = h.s.stopwatch() - began
	}, func() {
		if h.s.boot != h.boot || h.s.engine == nil {
			return
		}
		switch w.Name {
		case "add":
			h.s.attempt.addNanos += int64(spent)
		case "open":
			h.s.attempt.openNanos += int64(spent)
		}
		finish()
	})
}

func (h *host) Notify(ids []secagg.PartyID) {
	for _, id := range ids {
		if m := h.s.byAddress[id]; m != nil {
			h.s.world.after(0, m.poke)
			continue
		}
		d := h.s.byID[id]
		h.s.world.after(0, func() {
			if d.p != nil {
				d.poll()
			}
		})
	}
}
