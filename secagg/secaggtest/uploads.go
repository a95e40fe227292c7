package secaggtest

import (
	"io"
	"math"
	"runtime"
	"slices"
	"testing"

	"github.com/choir-fl/choir/secagg"
	"github.com/stretchr/testify/require"
)

// allocated returns how many bytes f allocates.
func allocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// hugeHeaders offers both halves bytes that promise gigabytes: they must be
// refused before memory is set aside for them.
func hugeHeaders(t *testing.T, scheme Scheme, c Config, f *Forger) {
	const limit = 1 << 20
	s, cohort := c.small(t, scheme)
	// Field 1, then a length of 2^40 - 1, then nothing.
	header := []byte{1, 0xff, 0xff, 0xff, 0xff, 0xff, 0x1f}
	for i := 0; ; i++ {
		a := c.attempt(t, scheme, s, cohort, 31)
		for range i {
			require.NoError(t, a.Advance())
		}
		phase := a.Control.Phase()
		if phase.Kind == secagg.PhaseOpen {
			break
		}
		instructions := [][]byte{header}
		if f != nil {
			instructions = append(f.Huge(s, phase.Name), header)
		}
		for member, instruction := range instructions {
			var err error
			used := allocated(func() { _, err = a.Parties[member].Step(instruction) })
			require.Error(t, err, "phase %s, instruction %d", phase.Name, member)
			require.Less(t, used, uint64(limit), "phase %s, instruction %d", phase.Name, member)
			used = allocated(func() { _, err = a.Control.Receive(member, instruction) })
			require.Error(t, err, "phase %s, message %d", phase.Name, member)
			require.Less(t, used, uint64(limit+len(instruction)), "phase %s, message %d", phase.Name, member)
		}
		for j, p := range a.Decryptors {
			var err error
			used := allocated(func() { _, err = p.Step(header) })
			require.Error(t, err, "phase %s, committee member %d", phase.Name, j)
			require.Less(t, used, uint64(limit), "phase %s, committee member %d", phase.Name, j)
			used = allocated(func() { _, err = a.Control.Receive(a.Number(j), header) })
			require.Error(t, err, "phase %s, committee member %d", phase.Name, j)
			require.Less(t, used, uint64(limit), "phase %s, committee member %d", phase.Name, j)
		}
	}
	s.Words = math.MaxInt32
	used := allocated(func() {
		_, err := scheme.NewAccumulator(s)
		require.Error(t, err)
	})
	require.Less(t, used, uint64(limit))
}

// partialUpload is a client that vanishes in mid-upload: nothing of it is in the sum.
func partialUpload(t *testing.T, scheme Scheme, c Config, _ *Forger) {
	s, cohort := c.session(t, scheme, c.Cohorts[0], Shape{Words: 1<<16 + 100, WordBits: 16})
	for _, kept := range []int64{0, 1, 2 * (1 << 16), 2*(1<<16) + 1} {
		a := c.attempt(t, scheme, s, cohort, 32)
		const cut = 6
		a.Upload = func(member int, sealed []byte) []byte {
			if member == cut {
				a.Parties[member] = nil
				return sealed[:kept]
			}
			return sealed
		}
		sums, err := a.Run()
		require.NoError(t, err)
		require.ErrorIs(t, a.Rejected[cut], secagg.ErrUpload)
		a.RequireSum(t, sums, everybodyBut(s, cut))
	}
}

// shortUpload is a client that signs less than a vector.
func shortUpload(t *testing.T, scheme Scheme, c Config, _ *Forger) {
	s, cohort := c.small(t, scheme)
	a := c.attempt(t, scheme, s, cohort, 33)
	require.NoError(t, a.RunTo(secagg.PhaseUpload))
	body, _ := a.Control.Instruction(0)
	_, err := a.Parties[0].Step(body)
	require.NoError(t, err)
	reply, err := a.Parties[0].Seal(slices.Clone(a.Vectors[0]), io.Discard)
	require.NoError(t, err)
	commit, err := secagg.PeekCommit(reply.Message)
	require.NoError(t, err)
	commit.Size--
	require.ErrorIs(t, requireRejected(t, a.Control, 0, secagg.SignCommit(cohort.Keys[0], s.Context, commit)), secagg.ErrUpload)
	require.Contains(t, a.Control.Waiting(), 0)
	fresh, err := a.Control.Receive(0, reply.Message)
	require.NoError(t, err, "the true frame is still taken")
	require.True(t, fresh)
}

// damagedUploads change an upload on its way: it is refused whole.
func damagedUploads(t *testing.T, scheme Scheme, c Config, _ *Forger) {
	s, cohort := c.session(t, scheme, c.Cohorts[0], Shape{Words: 1<<17 + 50, WordBits: 16})
	damage := map[int]func(pieces [][]byte) [][]byte{
		1: func(p [][]byte) [][]byte { p[2] = p[2][:len(p[2])-1]; return p }, // truncated
		3: func(p [][]byte) [][]byte { return append(p, make([]byte, 2)) },   // oversized
		5: func(p [][]byte) [][]byte { p[0], p[1] = p[1], p[0]; return p },   // re-ordered
		7: func(p [][]byte) [][]byte { p[1] = p[0]; return p },               // repeated for another
		9: func(p [][]byte) [][]byte { return append(p[:1:1], p...) },        // repeated
	}
	a := c.attempt(t, scheme, s, cohort, 34)
	a.Upload = func(member int, sealed []byte) []byte {
		if damage[member] == nil {
			return sealed
		}
		pieces, err := Cut(a.Accumulator, sealed)
		require.NoError(t, err)
		return append(slices.Concat(damage[member](pieces)...), sealed[a.Accumulator.Pieces().Body:]...)
	}
	sums, err := a.Run()
	require.NoError(t, err)
	require.Len(t, a.Rejected, len(damage))
	for i, err := range a.Rejected {
		require.ErrorIs(t, err, secagg.ErrUpload, "member %d", i)
	}
	a.RequireSum(t, sums, everybodyBut(s, 1, 3, 5, 7, 9))
}

// miscounted is a coordinator that adds a piece of an accepted upload twice, or
// forgets one: the sum does not open.
func miscounted(t *testing.T, scheme Scheme, c Config, f *Forger) {
	s, cohort := c.session(t, scheme, c.Cohorts[0], Shape{Words: 1<<16 + 100, WordBits: 16})
	for name, times := range map[string]int{"twice": 1, "never": -1} {
		t.Run(name, func(t *testing.T) {
			a := c.attempt(t, scheme, s, cohort, 35)
			a.Accumulator = &miscounter{Accumulator: a.Accumulator, times: times}
			sums, err := a.Run()
			if f != nil {
				require.ErrorIs(t, err, f.Pieces)
				return
			}
			requireHarm(t, a, sums, err)
		})
	}
}

// miscounter adds the first piece of the first upload 1 + times times.
type miscounter struct {
	secagg.Accumulator
	times int
	done  bool
}

func (m *miscounter) Add(bucket, piece int, p []byte) error {
	repeat := 1
	if piece == 0 && !m.done {
		m.done = true
		repeat += m.times
	}
	for range repeat {
		if err := m.Accumulator.Add(bucket, piece, p); err != nil {
			return err
		}
	}
	return nil
}
