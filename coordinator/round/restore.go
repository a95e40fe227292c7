package round

import (
	"fmt"
)

// Restore rebuilds an attempt from its journal records and returns what is to be
// done now: envelopes to repeat, uploads to add that no checkpoint holds, and the
// charge, which may not have reached the ledger before the restart. The caller
// steps with a Tick next: an unmasking that is asked for again has its time again.
func Restore(s Settings, records [][]byte) (*Machine, Effects, error) {
	m, _ := New(s)
	for i, r := range records {
		ev, err := decode(r)
		if err != nil {
			return nil, Effects{}, fmt.Errorf("record %d: %w", i, err)
		}
		if _, err := m.Step(ev); err != nil {
			return nil, Effects{}, ErrJournal.At("record %d", i).Because(err)
		}
	}
	m.fx = Effects{Wake: m.deadline, Notify: m.asked(), Outcome: m.outcome}
	switch {
	case m.control == nil:
	case !m.state.Over():
		m.fx.Charge = ChargeReserve
	case !m.unmasked:
		m.fx.Charge = ChargeVoid
	}
	if m.state.Over() {
		return m, m.take(), nil
	}
	m.tasks = map[TaskID]Task{}
	if len(m.saved.Members) > 0 {
		m.run(Task{Kind: TaskMerge, Blob: m.saved.Blob})
	}
	for i := range m.roster.Len() {
		if u := m.uploads[i]; u.ready && !u.added {
			m.run(m.addTask(i))
		}
	}
	if m.state == Unmasking { // what members released is lost with the last process
		m.renew, m.deadline, m.fx.Wake = true, 0, 0
	}
	if err := m.openWhenAdded(); err != nil {
		return nil, Effects{}, err
	}
	m.audit("attempt %s resumes in state %s", s.ID, m.state)
	return m, m.take(), nil
}
