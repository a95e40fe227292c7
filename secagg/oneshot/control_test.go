package oneshot

import (
	"testing"

	"github.com/choir-fl/choir/secagg"
	"github.com/stretchr/testify/require"
)

func TestTheCoordinatorTakesOneAnswerInEachPhase(t *testing.T) {
	w := newScene(t, shape{})
	w.message = func(phase string, party int, body []byte) []byte {
		other := envelope(w.session.Context, w.control.(*control).phase, []byte("other"))
		_, err := w.control.Receive(party, other)
		require.Error(t, err, phase)
		if party < w.shape.n {
			return body
		}
		stranger := envelope(secagg.Hash("x"), w.control.(*control).phase, bodyOf(t, body))
		_, err = w.control.Receive(party, stranger)
		require.ErrorIs(t, err, ErrContext, phase)
		elsewhere := envelope(w.session.Context, w.control.(*control).phase%phaseUnmask+1, bodyOf(t, body))
		_, err = w.control.Receive(party, elsewhere)
		require.ErrorIs(t, err, secagg.ErrPhase, phase)
		if phase != "records" { // which waits for nobody here
			fresh, err := w.control.Receive(party, body)
			require.NoError(t, err)
			require.True(t, fresh)
		}
		fresh, err := w.control.Receive(party, body)
		require.NoError(t, err)
		require.False(t, fresh)
		if phase != "upload" && phase != "records" {
			_, err = w.control.Receive(party, other)
			require.ErrorIs(t, err, secagg.ErrRepeated)
		}
		return body
	}
	w.opens()
	for _, party := range []int{-1, 0, 8, 12} {
		_, asked := w.control.Instruction(party)
		require.False(t, asked)
		_, err := w.control.Receive(party, nil)
		require.ErrorIs(t, err, secagg.ErrNotAsked)
	}
	require.ErrorIs(t, w.control.Advance(), secagg.ErrPhase)
}

func TestAVerdictIsNotChanged(t *testing.T) {
	w := newScene(t, shape{})
	require.NoError(t, w.to("upload"))
	w.exchange()
	all := verdicts{list: append([]verdict(nil), w.control.(*control).jury.verdicts[1]...)}
	all.list[3] = verdict{}
	_, err := w.control.Receive(w.number(1), envelope(w.session.Context, phaseUpload, all.encode()))
	require.ErrorIs(t, err, secagg.ErrRepeated)
	more := verdicts{first: 7, list: make([]verdict, 2)}
	_, err = w.control.Receive(w.number(1), envelope(w.session.Context, phaseUpload, more.encode()))
	require.ErrorIs(t, err, secagg.ErrEncoding, "there are eight uploads")
	w.opens()
}

func TestVerdictsMayNotSkipALetter(t *testing.T) {
	w, p := letterScene(t)
	_, err := p.Letters(lettersOf(t, w.letters[0][:3]))
	require.NoError(t, err)
	reply, err := p.Letters(lettersOf(t, w.letters[0][3:5]))
	require.NoError(t, err)
	_, err = w.control.Receive(w.number(0), reply.Message)
	require.ErrorIs(t, err, ErrMessage)
	// What was lost on the way in phase upload is said again in phase records.
	_, o := w.opens()
	require.Empty(t, o.Liars())
	require.Len(t, w.control.(*control).jury.members(), 4)
}

func TestWhoIsWaitedFor(t *testing.T) {
	w := newScene(t, shape{})
	require.Equal(t, secagg.Phase{Name: "context", Kind: secagg.PhaseExchange}, w.control.Phase())
	require.Equal(t, []int{8, 9, 10, 11}, w.control.Waiting())
	w.turn(9)
	require.Equal(t, []int{8, 10, 11}, w.control.Waiting())
	require.Equal(t, -1, w.control.Bucket(0))
	require.NoError(t, w.to("upload"))
	require.Equal(t, without(8), w.control.Waiting(), "members may judge later")
	for i := range 8 {
		w.turn(i)
	}
	require.Empty(t, w.control.Waiting())
	w.turn(9)
	require.NoError(t, w.control.Advance())
	require.Equal(t, []int{8, 10, 11}, w.control.Waiting())
	require.Nil(t, w.control.Survivors())
	w.exchange()
	require.Empty(t, w.control.Waiting())
	_, o := w.opens()
	require.Empty(t, o.Liars())
}

func TestAFrameOfAnotherUploadIsRefused(t *testing.T) {
	w := newScene(t, shape{})
	w.upload = func(i int, sealed, frame []byte) ([]byte, []byte) {
		c, err := secagg.PeekCommit(frame)
		require.NoError(t, err)
		for _, change := range []func(*secagg.Commit){
			func(c *secagg.Commit) { c.Size++ },
			func(c *secagg.Commit) { c.Detail = c.Detail[32:] },
			func(c *secagg.Commit) { c.Detail, c.Bound = nil, secagg.Digest{} },
		} {
			other := c
			change(&other)
			_, err = w.control.Receive(i, secagg.SignCommit(w.clientKeys[i], w.session.Context, other))
			require.ErrorIs(t, err, secagg.ErrUpload)
		}
		_, err = w.control.Receive(i, secagg.SignCommit(w.clientKeys[(i+1)%8], w.session.Context, c))
		require.ErrorIs(t, err, secagg.ErrSignature)
		return sealed, frame
	}
	w.opens()
}

func TestFewAnswersOpenNothing(t *testing.T) {
	// Of 7 members 2 may lie, so 5 must answer.
	for answers := 3; answers <= 7; answers++ {
		w := newScene(t, shape{m: 7})
		w.gone = func(phase string, party int) bool { return phase == "unmask" && party >= w.number(answers) }
		_, _, err := w.open()
		if answers < 5 {
			require.ErrorIs(t, err, ErrAbsent)
		} else {
			require.NoError(t, err)
		}
	}
}

// A message is kept by the coordinator, so one that tells little new and repeats much
// must not come without end; a member that restarts may repeat itself a few times.
func TestVerdictsAreNotTakenWithoutEnd(t *testing.T) {
	const clients = 10
	y := jury{clients: clients, verdicts: make([][]verdict, 1), said: make([]int, 1)}
	list := make([]verdict, clients*repeats)
	took := 0
	for n := 1; n <= len(list); n++ {
		_, err := y.take(0, verdicts{list: list[:n]})
		if err != nil {
			require.ErrorIs(t, err, ErrMessage)
			break
		}
		took += n
	}
	require.LessOrEqual(t, took, clients*repeats)
	require.Greater(t, took, clients*(repeats-2))
	fresh, err := y.take(0, verdicts{list: y.verdicts[0]})
	require.NoError(t, err)
	require.False(t, fresh, "what was taken may always be said again")
}
