package secaggtest

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/choir-fl/choir/secagg"
	"github.com/stretchr/testify/require"
)

// letterTricks are what a coordinator can do to the letters that it passes on.
var letterTricks = map[string]func(l []secagg.Letter) []secagg.Letter{
	"one repeated at the end": func(l []secagg.Letter) []secagg.Letter { return append(l, l[0]) },
	"one repeated at once":    func(l []secagg.Letter) []secagg.Letter { return slices.Insert(l, 1, l[0]) },
	"one repeated for another": func(l []secagg.Letter) []secagg.Letter {
		l[1] = l[0]
		return l
	},
	"one under another's frame": func(l []secagg.Letter) []secagg.Letter {
		l[1].Body = l[0].Body
		return l
	},
	"one under another's name": func(l []secagg.Letter) []secagg.Letter {
		l[1].Member = l[0].Member
		return l
	},
	"none":             func([]secagg.Letter) []secagg.Letter { return nil },
	"last one missing": func(l []secagg.Letter) []secagg.Letter { return l[:max(0, len(l)-1)] },
	"one cut short": func(l []secagg.Letter) []secagg.Letter {
		l[0].Body = l[0].Body[:len(l[0].Body)-1]
		return l
	},
	"one empty": func(l []secagg.Letter) []secagg.Letter {
		l[0].Body = nil
		return l
	},
	"one with a changed bit": func(l []secagg.Letter) []secagg.Letter {
		l[0].Body = flipped(l[0].Body, 3)
		return l
	},
	"one without a frame": func(l []secagg.Letter) []secagg.Letter {
		l[0].Frame = nil
		return l
	},
	"one of nobody": func(l []secagg.Letter) []secagg.Letter {
		l[0].Member = secagg.MaxRoster - 1
		return l
	},
}

// changedLetters: what a member says of sums follows from its own letters of the
// survivors, each once; or it says nothing.
func changedLetters(t *testing.T, scheme Scheme, c Config, _ CommitteeForger) {
	s, cohort := c.small(t, scheme)
	run := func(post func(secagg.Phase, int, []secagg.Letter) []secagg.Letter) (map[int][]byte, *Attempt, []secagg.Sum, error) {
		a := c.attempt(t, scheme, s, cohort, 80)
		a.Post = post
		answers := map[int][]byte{}
		a.Message = func(phase secagg.Phase, party int, body []byte) []byte {
			if phase.Kind == secagg.PhaseUnmask {
				answers[party] = body
			}
			return body
		}
		sums, err := a.Run()
		return answers, a, sums, err
	}
	honest, a, sums, err := run(nil)
	require.NoError(t, err)
	require.Len(t, honest, len(a.Decryptors))
	a.RequireSum(t, sums, everybodyBut(s))
	for name, trick := range letterTricks {
		t.Run(name, func(t *testing.T) {
			answers, a, sums, err := run(func(phase secagg.Phase, _ int, letters []secagg.Letter) []secagg.Letter {
				if phase.Kind != secagg.PhaseUnmask {
					return letters
				}
				return trick(letters)
			})
			for party, body := range answers {
				require.Equal(t, honest[party], body, "party %d", party)
			}
			if err == nil {
				a.RequireSum(t, sums, everybodyBut(s))
			}
		})
	}
}

// misjudged plays the same tricks before the verdicts, on one member and on all: some
// clients may be left out for it; no sum is wrong.
func misjudged(t *testing.T, scheme Scheme, c Config, _ CommitteeForger) {
	s, cohort := c.small(t, scheme)
	for name, trick := range letterTricks {
		for _, everybody := range []bool{false, true} {
			a := c.attempt(t, scheme, s, cohort, 81)
			a.Post = func(phase secagg.Phase, j int, letters []secagg.Letter) []secagg.Letter {
				if phase.Kind == secagg.PhaseUnmask || j > 0 && !everybody || len(letters) < 2 {
					return letters
				}
				return trick(letters)
			}
			sums, err := a.Run()
			if err != nil {
				require.True(t, everybody, "%s: one member cannot end the attempt: %v", name, err)
				continue
			}
			a.RequireSums(t, sums)
			for _, sum := range sums {
				require.NoError(t, sum.Spoiled)
			}
		}
	}
}

// lateUpload: what comes after the cut is in no sum.
func lateUpload(t *testing.T, scheme Scheme, c Config, _ CommitteeForger) {
	s, cohort := c.small(t, scheme)
	const late = 3
	a := c.attempt(t, scheme, s, cohort, 82)
	var frame []byte
	a.Message = func(phase secagg.Phase, party int, body []byte) []byte {
		if phase.Kind == secagg.PhaseUpload && party == late {
			frame = body
			return nil
		}
		return body
	}
	phases := 0
	for {
		phase := a.Control.Phase().Kind
		if frame != nil && phase != secagg.PhaseUpload {
			phases++
			require.Error(t, a.Receive(late, frame, a.sealed[late]))
			require.Empty(t, a.Control.Ready())
		}
		if phase == secagg.PhaseOpen {
			break
		}
		require.NoError(t, a.Advance())
	}
	require.Greater(t, phases, 2)
	sums, err := a.Open()
	require.NoError(t, err)
	a.RequireSum(t, sums, everybodyBut(s, late))
}

// cheat makes a client send, under its own true signature, what change makes of its
// upload. detail says how the commit frame describes it.
func cheat(t *testing.T, a *Attempt, client int, change func(sealed []byte) []byte, detail func(honest []byte, sent []byte) []byte) {
	var sent []byte
	a.Upload = func(member int, sealed []byte) []byte {
		if member != client {
			return sealed
		}
		sent = change(bytes.Clone(sealed))
		return sent
	}
	a.Message = func(phase secagg.Phase, party int, body []byte) []byte {
		if phase.Kind != secagg.PhaseUpload || party != client {
			return body
		}
		honest, err := secagg.PeekCommit(body)
		require.NoError(t, err)
		w := secagg.NewCommitWriter(&bytes.Buffer{})
		_, err = w.Write(sent)
		require.NoError(t, err)
		forged := w.Commit()
		forged.Bound, forged.Detail = honest.Bound, detail(honest.Detail, sent)
		return secagg.SignCommit(a.Cohort.Keys[client], a.Session.Context, forged)
	}
}

func sameDetail(honest, _ []byte) []byte { return honest }

// mauledUpload: one changed bit anywhere in an upload, under the client's signature:
// the upload is refused or left out, or spoils its bucket, and that one only.
func mauledUpload(t *testing.T, scheme Scheme, c Config, f CommitteeForger) {
	s, cohort := c.small(t, scheme)
	coins := rand.New(rand.NewPCG(83, 83))
	const client = 2
	for trial := range 16 {
		a := c.attempt(t, scheme, s, cohort, 83)
		ps := a.Accumulator.Pieces()
		at := coins.Int64N(ps.Body)
		if trial%2 == 1 {
			at = ps.Body + coins.Int64N(int64(ps.Post()))
		}
		detail := sameDetail
		if trial%4 > 1 {
			detail = func(_, sent []byte) []byte { return f.Detail(s, ps, sent) }
		}
		cheat(t, a, client, func(b []byte) []byte { b[at] ^= 1 << coins.IntN(8); return b }, detail)
		sums, err := a.Run()
		if slices.Contains(a.survivors(), client) && at < ps.Body {
			spoiled := requireHarm(t, a, sums, err)
			for _, b := range spoiled {
				require.Equal(t, a.Control.Bucket(client), b)
			}
			continue
		}
		require.NoError(t, err, "byte %d of %d", at, ps.Total())
		a.RequireSum(t, sums, everybodyBut(s, client))
	}
}

// copiedUpload: a client that sends what another one sent is left out, however it
// describes it.
func copiedUpload(t *testing.T, scheme Scheme, c Config, f CommitteeForger) {
	s, cohort := c.small(t, scheme)
	const client, victim = 2, 4
	for _, others := range []bool{true, false} {
		a := c.attempt(t, scheme, s, cohort, 84)
		require.NoError(t, a.RunTo(secagg.PhaseUpload))
		a.Ask(victim)
		frame, err := secagg.PeekCommit(a.mail[0].frame)
		require.NoError(t, err)
		cheat(t, a, client, func([]byte) []byte { return bytes.Clone(a.sealed[victim]) }, func(_, sent []byte) []byte {
			if others {
				return frame.Detail
			}
			return f.Detail(s, a.Accumulator.Pieces(), sent)
		})
		sums, err := a.Run()
		require.NoError(t, err)
		a.RequireSum(t, sums, everybodyBut(s, client))
	}
}

// wrongLetters: a client whose letters are for other members than it says is left out.
func wrongLetters(t *testing.T, scheme Scheme, c Config, f CommitteeForger) {
	s, cohort := c.small(t, scheme)
	const client = 2
	a := c.attempt(t, scheme, s, cohort, 85)
	ps := a.Accumulator.Pieces()
	cheat(t, a, client, func(b []byte) []byte {
		one, two := b[ps.Body:][:ps.LetterSize], b[ps.Body:][ps.LetterSize:2*ps.LetterSize]
		return slices.Concat(b[:ps.Body], two, one, b[int(ps.Body)+2*ps.LetterSize:])
	}, func(_, sent []byte) []byte { return f.Detail(s, ps, sent) })
	sums, err := a.Run()
	require.NoError(t, err)
	a.RequireSum(t, sums, everybodyBut(s, client))
}

// twoUploads: a client seals two uploads, and the coordinator shows one to even
// members and the other to odd ones, from the first letter on or only when the sums
// are asked for. No member adds up shares of another upload than it agreed on with
// the others.
func twoUploads(t *testing.T, scheme Scheme, c Config, f CommitteeForger) {
	s, cohort := c.small(t, scheme)
	const client = 2
	second := func(a *Attempt) mail {
		body, asked := a.Control.Instruction(client)
		require.True(t, asked)
		p, err := scheme.NewParty(s, client, cohort.Keys[client], Coins(87, "second"))
		require.NoError(t, err)
		_, err = p.Step(body)
		require.NoError(t, err)
		var out bytes.Buffer
		reply, err := p.Seal(slices.Clone(a.Vectors[client]), &out)
		require.NoError(t, err)
		return mail{client, reply.Message, out.Bytes()[a.Accumulator.Pieces().Body:]}
	}
	for _, late := range []bool{false, true} {
		a := c.attempt(t, scheme, s, cohort, 87)
		require.NoError(t, a.RunTo(secagg.PhaseUpload))
		other, size := second(a), a.Accumulator.Pieces().LetterSize
		answers := 0
		a.Served = func(phase secagg.Phase, j int, _ secagg.Reply) secagg.CommitteeParty {
			if phase.Name == f.Phases().Agree {
				return a.Restart(t, j) // what it saw of letters is forgotten
			}
			return a.Decryptors[j]
		}
		a.Post = func(phase secagg.Phase, j int, letters []secagg.Letter) []secagg.Letter {
			if j%2 == 0 || late && phase.Kind != secagg.PhaseUnmask {
				return letters
			}
			for i := range letters {
				if letters[i].Member == client {
					letters[i].Frame, letters[i].Body = other.frame, other.letters[j*size:(j+1)*size]
				}
			}
			return letters
		}
		a.Message = func(phase secagg.Phase, party int, body []byte) []byte {
			if phase.Kind == secagg.PhaseUnmask && (party-len(a.Parties))%2 == 1 {
				answers++
			}
			return body
		}
		sums, err := a.Run()
		if late {
			require.Zero(t, answers)
		}
		if err == nil {
			a.RequireSum(t, sums, everybodyBut(s, client))
		}
	}
}

// misdealt is a coordinator that adds a member's upload to another bucket than the
// partition says: the attempt ends, or both buckets are spoiled.
func misdealt(t *testing.T, scheme Scheme, c Config, _ CommitteeForger) {
	s, cohort := c.small(t, scheme)
	const moved = 1
	a := c.attempt(t, scheme, s, cohort, 86)
	a.Into = func(member int) secagg.Accumulator {
		if member == moved {
			return elsewhere{a.Accumulator, s.Buckets}
		}
		return a.Accumulator
	}
	sums, err := a.Run()
	for _, bucket := range requireHarm(t, a, sums, err) {
		right := a.Control.Bucket(moved)
		require.Contains(t, []int{right, (right + 1) % s.Buckets}, bucket, "the others are none the worse")
	}
}

// elsewhere adds to the next bucket.
type elsewhere struct {
	secagg.Accumulator
	buckets int
}

func (e elsewhere) Add(bucket, piece int, p []byte) error {
	return e.Accumulator.Add((bucket+1)%e.buckets, piece, p)
}
