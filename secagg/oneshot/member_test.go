package oneshot

import (
	"bytes"
	"errors"
	"io"
	"testing"
	"testing/iotest"

	"github.com/choir-fl/choir/fault"
	"github.com/choir-fl/choir/secagg"
	"github.com/stretchr/testify/require"
)

// quorumOf signs a statement as the members listed would.
func (w *scene) quorumOf(members []int, context secagg.Digest, label string, parts ...[]byte) *quorum {
	q := new(quorum)
	for _, j := range members {
		q.add(j, secagg.Sign(w.keys[j].Sign, label, context, parts...))
	}
	return q
}

func bodyOf(t testing.TB, instruction []byte) []byte {
	t.Helper()
	_, _, body, err := openEnvelope(instruction)
	require.NoError(t, err)
	return body
}

// TestMembersRefuse gives a member a forged instruction before each right one. It
// must refuse the former, sign nothing, and go on with the latter.
func TestMembersRefuse(t *testing.T) {
	buckets := shape{n: 20, corrupt: 1, minimum: 10, buckets: secagg.Buckets{Size: 5, Minimum: 4}}
	for name, c := range map[string]struct {
		shape shape
		phase int
		forge func(w *scene, body []byte) []byte
		want  error
	}{
		"a quorum of contexts that is short": {phase: phaseReveal, want: ErrQuorum, forge: func(w *scene, _ []byte) []byte {
			return w.quorumOf([]int{1, 2}, w.session.Context, labelContext).encode()
		}},
		"a quorum on another context": {phase: phaseReveal, want: ErrQuorum, forge: func(w *scene, _ []byte) []byte {
			return w.quorumOf([]int{1, 2, 3}, secagg.Hash("other"), labelContext).encode()
		}},
		"a member that signs twice": {phase: phaseReveal, want: secagg.ErrEncoding, forge: func(w *scene, _ []byte) []byte {
			q := w.quorumOf([]int{1, 2, 2}, w.session.Context, labelContext)
			return q.encode()
		}},
		"a nonce that was not committed to": {phase: phaseSeed, want: ErrNonce, forge: func(_ *scene, body []byte) []byte {
			body[nonceSize] ^= 1
			return body
		}},
		"a nonce that is missing": {phase: phaseSeed, want: ErrNonce, forge: func(_ *scene, body []byte) []byte {
			return body[:len(body)-nonceSize]
		}},
		"a quorum of seeds that is short": {phase: phaseUpload, want: ErrQuorum, forge: func(w *scene, body []byte) []byte {
			m, _ := decodeStart(body, w.shape.m)
			seed, _ := w.control.(*control).attempt.seed(m.nonces)
			m.quorum = *w.quorumOf([]int{1, 2}, w.session.Context, labelSeed, seed[:])
			return m.encode()
		}},
		"a bucket that is too small": {shape: buckets, phase: phaseAgree, want: ErrBucket, forge: func(w *scene, body []byte) []byte {
			for i := range 20 {
				if w.control.Bucket(i) == 1 && set(body).count() > 18 {
					body[i/8] &^= 1 << (i % 8)
				}
			}
			return body
		}},
		"too few survivors": {phase: phaseAgree, want: secagg.ErrTooFew, forge: func(*scene, []byte) []byte { return []byte{7} }},
		"a survivor that is not on the roster": {shape: shape{n: 9}, phase: phaseAgree, want: secagg.ErrEncoding, forge: func(_ *scene, body []byte) []byte {
			body[1] |= 0x80
			return body
		}},
		"a quorum on other survivors": {phase: phaseUnmask, want: ErrQuorum, forge: func(w *scene, _ []byte) []byte {
			c := w.control.(*control)
			return w.quorumOf([]int{1, 2, 3}, w.session.Context, labelAgree, survivors(c.seed, set{0x1f}, c.uploads)...).encode()
		}},
		"a quorum of agreements that is short": {phase: phaseUnmask, want: ErrQuorum, forge: func(w *scene, _ []byte) []byte {
			c := w.control.(*control)
			return w.quorumOf([]int{2, 3}, w.session.Context, labelAgree, survivors(c.seed, c.u, c.uploads)...).encode()
		}},
		"words in phase context": {phase: phaseContext, want: secagg.ErrEncoding, forge: func(*scene, []byte) []byte { return []byte("x") }},
		"no letters to judge":    {phase: phaseRecords, want: secagg.ErrEncoding, forge: func(*scene, []byte) []byte { return nil }},
	} {
		t.Run(name, func(t *testing.T) {
			w := newScene(t, c.shape)
			forged := 0
			w.instruction = func(phase string, party int, good []byte) []byte {
				if phase != phases[c.phase].Name || party != w.number(0) {
					return good
				}
				forged++
				bad := envelope(w.session.Context, c.phase, c.forge(w, bytes.Clone(bodyOf(t, good))))
				reply, err := w.members[0].Step(bad)
				require.ErrorIs(t, err, c.want)
				require.Zero(t, reply)
				return good
			}
			w.opens()
			require.Equal(t, 1, forged)
			require.Empty(t, w.refused)
		})
	}
}

func TestAMemberDoesNotSignASetWithAClientThatFailedIt(t *testing.T) {
	w := newScene(t, shape{})
	w.upload = func(i int, sealed, frame []byte) ([]byte, []byte) {
		if i != 3 {
			return sealed, frame
		}
		return w.signed(i, sealed, func(_, member int, l []byte) []byte {
			if member == 0 {
				l[5] ^= 1
			}
			return l
		})
	}
	require.NoError(t, w.to("agree"))
	good, _ := w.control.Instruction(w.number(0))
	require.False(t, set(bodyOf(t, good)).has(3))
	all := envelope(w.session.Context, phaseAgree, []byte{0xff})
	_, err := w.members[0].Step(all)
	require.ErrorIs(t, err, ErrFailed)
	// After a restart it must read the letters first, and finds the same.
	w.restarted(0)
	reply, err := w.members[0].Step(all)
	require.NoError(t, err)
	require.True(t, reply.Letters)
	require.Nil(t, reply.Message)
	_, err = w.members[0].Letters(w.stream(0, 0))
	require.ErrorIs(t, err, ErrFailed)
	_, err = w.members[0].Step(all)
	require.ErrorIs(t, err, ErrFailed)
	w.opens()
}

func TestAMemberSignsOneSetOfSurvivors(t *testing.T) {
	w := newScene(t, shape{})
	require.NoError(t, w.to("agree"))
	w.exchange()
	other := envelope(w.session.Context, phaseAgree, []byte{0x7f})
	_, err := w.members[0].Step(other)
	require.ErrorIs(t, err, secagg.ErrRepeated)
	w.restarted(0)
	_, err = w.members[0].Step(other)
	require.ErrorIs(t, err, secagg.ErrRepeated)
	w.opens()
}

func TestAMemberSignsOneContextForAnAttempt(t *testing.T) {
	w := newScene(t, shape{})
	require.NoError(t, w.to("reveal"))
	other := w.session
	other.Binding.Model = secagg.Hash("another model")
	other.Context = other.Binding.Context()
	_, err := Scheme{}.NewCommitteeParty(other, 0, w.keys[0], w.records[0])
	require.ErrorIs(t, err, ErrTwoContexts)
	_, err = Scheme{}.NewCommitteeParty(w.session, 0, w.keys[0], w.records[0])
	require.NoError(t, err)
}

func TestMessagesOfAnotherAttemptAreConflicts(t *testing.T) {
	first, second := newScene(t, shape{}), newScene(t, shape{round: secagg.RoundID{Job: "job", Round: 1, Attempt: 2}})
	instructions := 0
	first.instruction = func(phase string, party int, body []byte) []byte {
		if party >= first.shape.n {
			_, err := second.members[party-first.shape.n].Step(body)
			require.ErrorIs(t, err, ErrContext)
			require.Equal(t, fault.Conflict, fault.ClassOf(err))
			instructions++
		}
		return body
	}
	first.message = func(phase string, party int, body []byte) []byte {
		if party >= first.shape.n {
			_, err := second.control.Receive(party, body)
			require.Error(t, err)
		}
		return body
	}
	first.opens()
	require.Equal(t, 4*7, instructions)
	second.opens()
}

func TestAMemberRepeatsItsAnswerAndNoOther(t *testing.T) {
	w := newScene(t, shape{})
	var last []byte
	w.instruction = func(phase string, party int, body []byte) []byte {
		if party != w.number(1) {
			return body
		}
		if last != nil {
			_, err := w.members[1].Step(last)
			require.NoError(t, err, phase)
		}
		late := envelope(w.session.Context, phaseUnmask, nil)
		if phase != "unmask" {
			_, err := w.members[1].Step(late)
			require.ErrorIs(t, err, secagg.ErrPhase, phase)
		}
		last = body
		return body
	}
	w.message = func(phase string, party int, body []byte) []byte {
		if party == w.number(1) {
			again, err := w.members[1].Step(last)
			require.NoError(t, err)
			require.Equal(t, body, again.Message, phase)
			if phase != "context" {
				_, err = w.members[1].Step(envelope(w.session.Context, phaseContext, nil))
				require.ErrorIs(t, err, secagg.ErrPhase, phase)
			}
		}
		return body
	}
	w.opens()
	w.members[1].Erase()
	_, err := w.members[1].Step(last)
	require.ErrorIs(t, err, secagg.ErrDead)
	_, err = w.members[1].Letters(bytes.NewReader(nil))
	require.ErrorIs(t, err, secagg.ErrDead)
}

// letterScene is at phase upload, with all clients' letters and a member that waits
// for them.
func letterScene(t *testing.T) (*scene, *member) {
	w := newScene(t, shape{})
	require.NoError(t, w.to("upload"))
	for i := range w.shape.n {
		w.turn(i)
	}
	start, _ := w.control.Instruction(w.number(0))
	reply, err := w.members[0].Step(start)
	require.NoError(t, err)
	require.Equal(t, secagg.Reply{Letters: true}, reply)
	return w, w.members[0].(*member)
}

func TestLettersThatOnlyTheCoordinatorCanHaveForgedAreRefused(t *testing.T) {
	for name, forge := range map[string]func(l []secagg.Letter) secagg.Letter{
		"a client that is not on the roster": func(l []secagg.Letter) secagg.Letter { l[1].Member = 8; return l[1] },
		"one client's letter as another's":   func(l []secagg.Letter) secagg.Letter { l[1].Member = 2; return l[1] },
		"another client's frame":             func(l []secagg.Letter) secagg.Letter { l[1].Frame = l[2].Frame; return l[1] },
		"no frame":                           func(l []secagg.Letter) secagg.Letter { l[1].Frame = nil; return l[1] },
		"a letter that is cut":               func(l []secagg.Letter) secagg.Letter { l[1].Body = l[1].Body[1:]; return l[1] },
	} {
		t.Run(name, func(t *testing.T) {
			w, p := letterScene(t)
			bad := forge(append([]secagg.Letter(nil), w.letters[0]...))
			_, err := p.Letters(lettersOf(t, []secagg.Letter{w.letters[0][0], bad}))
			require.ErrorIs(t, err, ErrLetter)
			require.Len(t, p.judge.list, 1)
			// What came before it counts, and may come again.
			reply, err := p.Letters(lettersOf(t, w.letters[0]))
			require.NoError(t, err)
			require.Equal(t, 8, reply.From)
			w.receive("upload", w.number(0), reply.Message)
			require.Empty(t, w.rejected)
			w.opens()
		})
	}
}

func TestAFrameIsVerifiedAgainstItsClient(t *testing.T) {
	w, p := letterScene(t)
	l := w.letters[0][1]
	c, err := secagg.PeekCommit(l.Frame)
	require.NoError(t, err)
	l.Frame = secagg.SignCommit(w.clientKeys[2], w.session.Context, c)
	_, err = p.Letters(lettersOf(t, []secagg.Letter{l}))
	require.ErrorIs(t, err, secagg.ErrSignature)
}

func TestASecondUploadOfAClientIsNotJudged(t *testing.T) {
	w, p := letterScene(t)
	sealed, frame := w.signed(1, w.uploaded[1], func(_, _ int, l []byte) []byte { l[7] ^= 1; return l })
	ps := w.sum.Pieces()
	second := secagg.Letter{Member: 1, Frame: frame, Body: sealed[ps.Body:][:ps.LetterSize]}
	_, err := p.Letters(lettersOf(t, []secagg.Letter{w.letters[0][0], w.letters[0][1], second}))
	require.ErrorIs(t, err, ErrLetter)
	require.True(t, p.judge.good.has(1))
	// Nor is it added in the second pass.
	require.NoError(t, w.to("unmask"))
	instruction, _ := w.control.Instruction(w.number(0))
	_, err = p.Step(instruction)
	require.NoError(t, err)
	_, err = p.Letters(lettersOf(t, []secagg.Letter{second}))
	require.ErrorIs(t, err, ErrLetter)
	w.opens()
}

// TestOtherUploadsThanWereAgreedOnAreNotAdded gives a member that restarted, and so
// forgot what it judged, another upload that its client signed.
func TestOtherUploadsThanWereAgreedOnAreNotAdded(t *testing.T) {
	w := newScene(t, shape{})
	require.NoError(t, w.to("unmask"))
	sealed, frame := w.signed(1, w.uploaded[1], func(_, j int, l []byte) []byte {
		return w.rewritten(1, j, w.uploaded[1], l, func(plain []byte) []byte { plain[0] ^= 1; return plain })
	})
	ps := w.sum.Pieces()
	good := w.letters[0]
	w.letters[0] = append([]secagg.Letter(nil), good...)
	w.letters[0][1] = secagg.Letter{Member: 1, Frame: frame, Body: sealed[ps.Body:][:ps.LetterSize]}
	w.restarted(0)
	instruction, _ := w.control.Instruction(w.number(0))
	_, err := w.ask(0, instruction)
	require.ErrorIs(t, err, ErrLetter)
	w.letters[0] = good
	_, o := w.opens()
	require.Empty(t, o.Liars())
}

func TestLettersThatComeTwiceCountOnce(t *testing.T) {
	w := newScene(t, shape{})
	w.deliver = func(_ int, l []secagg.Letter) []secagg.Letter {
		var out []secagg.Letter
		for _, x := range l {
			out = append(out, x, x)
		}
		return out
	}
	_, o := w.opens()
	require.Empty(t, o.Liars())
	require.Empty(t, w.rejected)
}

// TestStreamsMayBreakOff cuts every stream of letters at every whole letter and in
// the middle of each; the driver repeats from the number that it knows.
func TestStreamsMayBreakOff(t *testing.T) {
	broken := errors.New("connection lost")
	w, _ := letterScene(t)
	one := lettersOf(t, w.letters[0][:1]).Len()
	for _, ahead := range []bool{false, true} { // does the driver go on, or repeat?
		w.restarted(0)
		p := w.members[0].(*member)
		start, _ := w.control.Instruction(w.number(0))
		_, err := p.Step(start)
		require.NoError(t, err)
		for k := range 8 {
			from := 0
			if ahead {
				from = k
			}
			all := lettersOf(t, w.letters[0][from:]).Bytes()
			_, err = p.Letters(io.MultiReader(bytes.NewReader(all[:one*(k-from)+one/2]), iotest.ErrReader(broken)))
			require.ErrorIs(t, err, broken)
			require.Len(t, p.judge.list, k)
			_, err = p.Letters(io.MultiReader(bytes.NewReader(all[:one*(k-from)+one/2])))
			require.ErrorIs(t, err, secagg.ErrLetters)
			_, err = p.Letters(io.MultiReader(bytes.NewReader(all[:one*(k+1-from)]), iotest.ErrReader(broken)))
			require.ErrorIs(t, err, broken)
			require.Len(t, p.judge.list, k+1)
		}
		reply, err := p.Letters(bytes.NewReader(nil))
		require.NoError(t, err)
		require.Equal(t, 8, reply.From)
		m, err := decodeVerdicts(bodyOf(t, reply.Message), 8)
		require.NoError(t, err)
		require.Len(t, m.list, 8)
	}
}

func TestVerdictsAreReportedAsLettersCome(t *testing.T) {
	w, p := letterScene(t)
	for k := range 8 {
		reply, err := p.Letters(lettersOf(t, w.letters[0][k:k+1]))
		require.NoError(t, err)
		require.Equal(t, k+1, reply.From)
		fresh, err := w.control.Receive(w.number(0), reply.Message)
		require.NoError(t, err)
		require.True(t, fresh)
		fresh, err = w.control.Receive(w.number(0), reply.Message)
		require.NoError(t, err)
		require.False(t, fresh)
	}
	require.Empty(t, w.control.Ready(), "the others have judged nothing")
	w.turn(w.number(1))
	w.turn(w.number(2))
	require.Empty(t, w.control.Ready())
	w.turn(w.number(3))
	w.opens()
}

func TestLettersAreReadOnlyWhenAskedFor(t *testing.T) {
	w := newScene(t, shape{})
	_, err := w.members[0].Letters(bytes.NewReader(nil))
	require.ErrorIs(t, err, secagg.ErrPhase)
}

// TestAMemberAnswersOneInstructionInEachPhase gives a member other instructions that
// it would have obeyed instead of the first.
func TestAMemberAnswersOneInstructionInEachPhase(t *testing.T) {
	w := newScene(t, shape{})
	require.NoError(t, w.to("reveal"))
	w.exchange()
	other := w.quorumOf([]int{1, 2, 3}, w.session.Context, labelContext)
	_, err := w.members[0].Step(envelope(w.session.Context, phaseReveal, other.encode()))
	require.ErrorIs(t, err, secagg.ErrRepeated)
	require.NoError(t, w.to("records"))
	w.exchange()
	_, err = w.members[0].Step(envelope(w.session.Context, phaseRecords, encodeCount(5)))
	require.ErrorIs(t, err, secagg.ErrRepeated)
	w.opens()
}
