package sim

import (
	"container/heap"
	"runtime"
	"slices"
	"time"
)

// world is virtual time: a heap of events that happen one after another, and a
// pool of workers for the computations whose results they wait for.
//
// An event is delivered at an instant that a model gives, never at one that was
// measured; between two events nothing else touches the simulated state. So a
// seed repeats a run exactly, however many workers there are.
type world struct {
	now     time.Time
	events  eventHeap
	count   uint64 // events scheduled, which breaks ties
	slots   chan struct{}
	waiting taskHeap // computations not begun
	ahead   int      // computations begun and not delivered
}

// task is a computation that an event waits for.
type task struct {
	at    time.Time
	order uint64
	work  func()
	done  chan struct{} // nil until it began
}

type taskHeap []*task

func (h taskHeap) Len() int { return len(h) }
func (h taskHeap) Less(i, j int) bool {
	if !h[i].at.Equal(h[j].at) {
		return h[i].at.Before(h[j].at)
	}
	return h[i].order < h[j].order
}
func (h taskHeap) Swap(i, j int) { h[i], h[j] = h[j], h[i] }
func (h *taskHeap) Push(x any)   { *h = append(*h, x.(*task)) }
func (h *taskHeap) Pop() any {
	old := *h
	t := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	return t
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

// aheadPerWorker bounds how many results wait for their instants: each may hold a
// model, and ten thousand clients train at once.
const aheadPerWorker = 4

// compute does work on a worker and delivers its end after a modelled duration. Work
// that is delivered first begins first.
func (w *world) compute(d time.Duration, work func(), then func()) {
	t := &task{at: w.now.Add(max(d, 0)), order: w.count, work: work}
	heap.Push(&w.waiting, t)
	w.after(d, func() {
		if t.done == nil { // others that come later filled the workers
			w.waiting = slices.DeleteFunc(w.waiting, func(other *task) bool { return other == t })
			heap.Init(&w.waiting)
			w.begin(t)
		}
		<-t.done
		w.ahead--
		then()
		w.fill()
	})
	w.fill()
}

// fill begins computations as long as not too many results are waiting.
func (w *world) fill() {
	for len(w.waiting) > 0 && w.ahead < aheadPerWorker*cap(w.slots) {
		w.begin(heap.Pop(&w.waiting).(*task))
	}
}

func (w *world) begin(t *task) {
	t.done = make(chan struct{})
	w.ahead++
	go func() {
		w.slots <- struct{}{}
		defer func() { <-w.slots; close(t.done) }()
		t.work()
		t.work = nil
	}()
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
