package sim

import (
	"sync"

	"github.com/choir-fl/choir/client"
	"github.com/choir-fl/choir/secagg"
)

// updates are those of one round from one model, each trained at most once: for the client
// itself, and for attackers that know it. They last as long as the round, so that there
// is at most one for each client of its cohort. Safe for concurrent use.
type updates struct {
	round uint32
	model secagg.Digest

	mu      sync.Mutex
	entries map[int]*trained // by client
}

type trained struct {
	once   sync.Once
	update client.Update
	err    error
}

// holds reports whether a task is of this round and model.
func (u *updates) holds(task secagg.Task) bool {
	return u != nil && u.round == task.Round.Round && u.model == task.Model
}

// of returns a client's update: that of train, unless it is known.
func (u *updates) of(index int, train func() (client.Update, error)) (client.Update, error) {
	u.mu.Lock()
	t := u.entries[index]
	if t == nil {
		t = new(trained)
		u.entries[index] = t
	}
	u.mu.Unlock()
	t.once.Do(func() {
		if t.update, t.err = train(); t.err == nil {
			t.update.Model = t.update.Model.Clone() // not what anybody else has
		}
	})
	return t.update, t.err
}

// keep forgets all updates but those of some clients.
func (u *updates) keep(some func(index int) bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for index := range u.entries {
		if !some(index) {
			delete(u.entries, index)
		}
	}
}
