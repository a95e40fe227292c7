package oneshot

import (
	"bytes"
	"errors"
	"testing"

	"github.com/choir-fl/choir/fault"
	"github.com/choir-fl/choir/secagg"
	"github.com/stretchr/testify/require"
)

// atUpload returns a scene in phase upload, a client of it, and its instruction.
func atUpload(t *testing.T) (*scene, secagg.Party, []byte) {
	w := newScene(t, shape{})
	require.NoError(t, w.to("upload"))
	p, err := Scheme{}.NewParty(w.session, 3, w.clientKeys[3], coins("party"))
	require.NoError(t, err)
	instruction, asked := w.control.Instruction(3)
	require.True(t, asked)
	return w, p, instruction
}

func TestAClientLeavesWhenDeceived(t *testing.T) {
	for name, c := range map[string]struct {
		forge func(w *scene, m *start)
		want  error
	}{
		"by a quorum that is short": {func(w *scene, m *start) {
			seed, _ := w.control.(*control).attempt.seed(m.nonces)
			m.quorum = *w.quorumOf([]int{0, 3}, w.session.Context, labelSeed, seed[:])
		}, ErrQuorum},
		"by a quorum on another seed": {func(w *scene, m *start) {
			m.quorum = *w.quorumOf([]int{0, 1, 3}, w.session.Context, labelSeed, make([]byte, 32))
		}, ErrQuorum},
		"by a quorum on another context": {func(w *scene, m *start) {
			seed, _ := w.control.(*control).attempt.seed(m.nonces)
			m.quorum = *w.quorumOf([]int{0, 1, 3}, secagg.Hash("other"), labelSeed, seed[:])
		}, ErrQuorum},
		"by another nonce":  {func(_ *scene, m *start) { m.nonces = bytes.Clone(m.nonces); m.nonces[3] ^= 1 }, ErrNonce},
		"by missing nonces": {func(_ *scene, m *start) { m.nonces = m.nonces[nonceSize:] }, ErrNonce},
	} {
		t.Run(name, func(t *testing.T) {
			w, p, good := atUpload(t)
			m, err := decodeStart(bodyOf(t, good), 4)
			require.NoError(t, err)
			c.forge(w, &m)
			_, err = p.Step(envelope(w.session.Context, phaseUpload, m.encode()))
			require.ErrorIs(t, err, c.want)
			_, err = p.Step(good)
			require.ErrorIs(t, err, secagg.ErrDead)
			_, err = p.Seal(make([]uint32, 40), new(bytes.Buffer))
			require.ErrorIs(t, err, secagg.ErrDead)
		})
	}
}

func TestAClientSealsOnce(t *testing.T) {
	w, p, instruction := atUpload(t)
	_, err := p.Seal(make([]uint32, 40), new(bytes.Buffer))
	require.ErrorIs(t, err, secagg.ErrPhase)
	reply, err := p.Step(instruction)
	require.NoError(t, err)
	require.Equal(t, secagg.Reply{Seal: true}, reply)
	again, err := p.Step(instruction)
	require.NoError(t, err)
	require.Equal(t, reply, again)
	vector := bytes.Repeat([]byte{1}, 40)
	words := make([]uint32, 40)
	for i := range words {
		words[i] = uint32(vector[i])
	}
	done, err := p.Seal(words, new(bytes.Buffer))
	require.NoError(t, err)
	require.Equal(t, make([]uint32, 40), words, "the vector is erased")
	_, err = p.Seal(make([]uint32, 40), new(bytes.Buffer))
	require.ErrorIs(t, err, secagg.ErrRepeated)
	again, err = p.Step(instruction)
	require.NoError(t, err)
	require.Equal(t, done, again)

	other := start{nonces: []byte("x")}
	_, err = p.Step(envelope(w.session.Context, phaseUpload, other.encode()))
	require.ErrorIs(t, err, secagg.ErrRepeated)
	_, err = p.Step(envelope(w.session.Context, phaseSeed, nil))
	require.ErrorIs(t, err, secagg.ErrPhase)
	_, err = p.Step(envelope(secagg.Hash("other"), phaseUpload, nil))
	require.ErrorIs(t, err, ErrContext)
	require.Equal(t, fault.Conflict, fault.ClassOf(err))

	resumed, err := Scheme{}.ResumeParty(w.session, 3, w.clientKeys[3], done.Record)
	require.NoError(t, err)
	again, err = resumed.Step(instruction)
	require.NoError(t, err)
	require.Equal(t, done, again)
	_, err = resumed.Seal(make([]uint32, 40), new(bytes.Buffer))
	require.ErrorIs(t, err, secagg.ErrRepeated)
	_, err = resumed.Step(envelope(w.session.Context, phaseUpload, other.encode()))
	require.ErrorIs(t, err, secagg.ErrRepeated)

	for _, bad := range [][]byte{nil, done.Message, done.Record[1:]} {
		_, err = Scheme{}.ResumeParty(w.session, 3, w.clientKeys[3], bad)
		require.ErrorIs(t, err, secagg.ErrTombstone)
	}
	_, err = Scheme{}.ResumeParty(w.session, 2, w.clientKeys[2], done.Record)
	require.ErrorIs(t, err, secagg.ErrTombstone)
}

func TestAVectorThatDoesNotFitIsRefused(t *testing.T) {
	for name, vector := range map[string][]uint32{"short": make([]uint32, 39), "a word too wide": append(make([]uint32, 39), 1<<16)} {
		t.Run(name, func(t *testing.T) {
			_, p, instruction := atUpload(t)
			_, err := p.Step(instruction)
			require.NoError(t, err)
			out := new(bytes.Buffer)
			_, err = p.Seal(vector, out)
			require.ErrorIs(t, err, secagg.ErrVector)
			require.Zero(t, out.Len())
			_, err = p.Step(instruction)
			require.ErrorIs(t, err, secagg.ErrDead)
		})
	}
}

type fails struct{ after int }

func (f *fails) Write(p []byte) (int, error) {
	if f.after -= len(p); f.after < 0 {
		return 0, errors.New("disk full")
	}
	return len(p), nil
}

func (f *fails) Read(p []byte) (int, error) { return f.Write(p) }

func TestFailingCoinsAndDisksEndTheAttempt(t *testing.T) {
	w, _, instruction := atUpload(t)
	total := int(w.sum.Pieces().Total())
	for _, after := range []int{0, int(w.sum.Pieces().Body), total - 1} {
		_, p, _ := atUpload(t)
		_, err := p.Step(instruction)
		require.NoError(t, err)
		_, err = p.Seal(make([]uint32, 40), &fails{after})
		require.ErrorIs(t, err, ErrWrite)
		_, err = p.Step(instruction)
		require.ErrorIs(t, err, secagg.ErrDead)
	}
	for _, after := range []int{0, 17_000, 40_000} {
		p, err := Scheme{}.NewParty(w.session, 3, w.clientKeys[3], &fails{after})
		require.NoError(t, err)
		_, err = p.Step(instruction)
		require.NoError(t, err)
		_, err = p.Seal(make([]uint32, 40), new(bytes.Buffer))
		require.ErrorIs(t, err, ErrCoins, after)
	}
	_, err := Scheme{}.NewParty(w.session, 3, w.clientKeys[3], nil)
	require.ErrorIs(t, err, ErrCoins)
	_, err = Scheme{}.Announce(w.shape.round, w.session.Committee, 0, w.keys[0], &fails{31})
	require.ErrorIs(t, err, ErrCoins)
}
