package round

import (
	"bytes"

	"github.com/choir-fl/choir/secagg"
)

func (m *Machine) uploaded(ev Uploaded) error {
	member, err := m.party(ev.From, ev.Step)
	if err != nil {
		return err
	}
	c, err := secagg.PeekCommit(ev.Frame)
	if err != nil {
		return err
	}
	if member >= m.roster.Len() || c.Content != ev.Content || c.Size != ev.Size {
		return secagg.ErrUpload.At("party %s", ev.From)
	}
	fresh, err := m.control.Receive(member, ev.Frame)
	if err != nil {
		return err
	}
	m.now(ev.At)
	if !fresh {
		return nil
	}
	m.fx.Persist = encode(ev, m.at)
	m.uploads[member] = upload{content: ev.Content, frame: bytes.Clone(ev.Frame)}
	m.order = append(m.order, member)
	m.addReady()
	for i := m.roster.Len(); i < m.session.Parties(); i++ { // there is a letter for each
		if m.asks(i) {
			m.fx.Notify = append(m.fx.Notify, i)
		}
	}
	if k := m.set.Plan.CloseAt(); k > 0 && len(m.uploads) >= k {
		return m.advance("enough uploads")
	}
	return m.advanceWhenComplete()
}

// addReady adds the uploads that the scheme lets into the sums by now.
func (m *Machine) addReady() {
	for _, i := range m.control.Ready() {
		u := m.uploads[i]
		u.ready = true
		m.uploads[i] = u
		m.run(m.addTask(i))
	}
}

func (m *Machine) addTask(member int) Task {
	return Task{Kind: TaskAdd, Member: member, Bucket: m.control.Bucket(member), Blob: m.uploads[member].content}
}

// checkpoint takes a new checkpoint in place of the last one. One that lacks a
// member of the last would leave that member out of the sum after a restart.
func (m *Machine) checkpoint(ev Checkpoint) error {
	in := make(map[int]bool, len(ev.Members))
	for _, i := range ev.Members {
		if !m.uploads[i].ready || in[i] {
			return ErrTask.At("checkpoint with member %d", i)
		}
		in[i] = true
	}
	for _, i := range m.saved.Members {
		if !in[i] {
			return ErrTask.At("checkpoint without member %d", i)
		}
	}
	for _, i := range ev.Members {
		u := m.uploads[i]
		u.added = true
		m.uploads[i] = u
	}
	m.now(ev.At)
	m.saved = ev
	m.fx.Persist = encode(ev, m.at)
	return nil
}
