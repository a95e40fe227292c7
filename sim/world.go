package sim

import (
	"container/heap"
	"runtime"
	"time"
)

// world is virtual time: a heap of events that happen one after another, and a
// pool of workers for the computations whose results they wait for.
//
// An event is delivered at an instant that a model gives, never at one that was
// measured; between two events nothing else touches the simulated state. So a
// seed repeats a run exactly, however many workers there are.
type world struct {
	now    time.Time
	events eventHeap
	count  uint64 // events scheduled, which breaks ties
	slots  chan struct{}
}

type event struct {
	at    time.Time
	order uint64
	do    func()
}

type eventHeap []event

func (h eventHeap) Len() int { return len(h) }
func (h eventHeap) Less(i, j int) bool {
	if !h[i].at.Equal(h[j].at) {
		return h[i].at.Before(h[j].at)
	}
	return h[i].order < h[j].order
}
func (h eventHeap) Swap(i, j int) { h[i], h[j] = h[j], h[i] }
func (h *eventHeap) Push(x any)   { *h = append(*h, x.(event)) }
func (h *eventHeap) Pop() any {
	old := *h
	e := old[len(old)-1]
	old[len(old)-1] = event{}
	*h = old[:len(old)-1]
	return e
}

func newWorld(workers int) *world {
	if workers < 1 {
		workers = runtime.GOMAXPROCS(0)
	}
	return &world{now: time.Unix(1_700_000_000, 0), slots: make(chan struct{}, workers)}
}

// after schedules an event.
func (w *world) after(d time.Duration, do func()) { w.at(w.now.Add(max(d, 0)), do) }

func (w *world) at(t time.Time, do func()) {
	if t.Before(w.now) {
		t = w.now
	}
	w.count++
	heap.Push(&w.events, event{at: t, order: w.count, do: do})
}

// compute starts work on a worker and delivers its end after a modelled duration.
func (w *world) compute(d time.Duration, work func(), then func()) {
	done := make(chan struct{})
	go func() {
		w.slots <- struct{}{}
		defer func() { <-w.slots; close(done) }()
		work()
	}()
	w.after(d, func() {
		<-done
		then()
	})
}

// next lets the next event happen. It reports false if there is none.
func (w *world) next() bool {
	if len(w.events) == 0 {
		return false
	}
	e := heap.Pop(&w.events).(event)
	w.now = e.at
	e.do()
	return true
}
