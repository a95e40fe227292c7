package client

import (
	"bytes"
	"io"
	"maps"
	"sync"

	"github.com/choir-fl/choir/fault"
	"github.com/choir-fl/choir/secagg"
)

// ErrSealed is a ciphertext that is not there.
var ErrSealed = fault.New(fault.NotFound, "client/sealed", "there is no ciphertext of this attempt", "wait for the next round")

// Memory is a State that lives and ends with the process. A restart loses the
// contribution under way, which counts as a drop-out for the round, and the
// device's account, so that WithLifetime, a lifetime budget and the witness of the
// ledger mean little. The attempt's secrets are gone too, so it cannot be answered twice.
// Ciphertexts are held in memory: about the size of the model each.
type Memory struct {
	mu      sync.Mutex
	records map[secagg.RoundID][]byte
	sealed  map[secagg.RoundID][]byte
	account Account
}

// NewMemory returns an empty State in memory.
func NewMemory() *Memory {
	return &Memory{records: map[secagg.RoundID][]byte{}, sealed: map[secagg.RoundID][]byte{}}
}

// Put implements Records.
func (m *Memory) Put(round secagg.RoundID, record []byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	clear(m.records[round])
	delete(m.records, round)
	if record != nil {
		m.records[round] = bytes.Clone(record)
	}
	return nil
}

// All implements Records.
func (m *Memory) All() (map[secagg.RoundID][]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	out := maps.Clone(m.records)
	for id, r := range out {
		out[id] = bytes.Clone(r)
	}
	return out, nil
}

type memorySealed struct {
	bytes.Buffer
	done func([]byte)
}

// Close makes what was written the ciphertext.
func (w *memorySealed) Close() error {
	w.done(w.Bytes())
	return nil
}

// Create implements Sealed.
func (m *Memory) Create(round secagg.RoundID) (io.WriteCloser, error) {
	return &memorySealed{done: func(b []byte) {
		m.mu.Lock()
		defer m.mu.Unlock()
		m.sealed[round] = b
	}}, nil
}

type memoryReader struct{ *bytes.Reader }

// Close does nothing.
func (memoryReader) Close() error { return nil }

// Open implements Sealed.
func (m *Memory) Open(round secagg.RoundID) (io.ReadSeekCloser, int64, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	b, ok := m.sealed[round]
	if !ok {
		return nil, 0, ErrSealed.At("round %s", round)
	}
	return memoryReader{bytes.NewReader(b)}, int64(len(b)), nil
}

// Remove implements Sealed.
func (m *Memory) Remove(round secagg.RoundID) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.sealed, round)
	return nil
}

// Account implements Tally.
func (m *Memory) Account() (Account, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.account, nil
}

// Keep implements Tally.
func (m *Memory) Keep(a Account) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.account = a
	return nil
}
