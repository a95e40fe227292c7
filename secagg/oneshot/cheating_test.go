package oneshot

import (
	"bytes"
	"errors"
	"fmt"
	"testing"

	"github.com/choir-fl/choir/secagg"
	"github.com/choir-fl/choir/secagg/oneshot/rlwe"
	"github.com/choir-fl/choir/secagg/oneshot/share"
	"github.com/stretchr/testify/require"
)

// spoils makes clients change their letters to some members, under their signature.
func (w *scene) spoils(of map[int][]int, change func(client, member int, sealed, letter []byte) []byte) {
	w.upload = func(i int, sealed, frame []byte) ([]byte, []byte) {
		if of[i] == nil {
			return sealed, frame
		}
		return w.signed(i, sealed, func(_, j int, l []byte) []byte {
			for _, k := range of[i] {
				if k == j {
					return change(i, j, sealed, l)
				}
			}
			return l
		})
	}
}

func without(n int, gone ...int) []int {
	out := []int{}
	for i := range n {
		keep := true
		for _, g := range gone {
			keep = keep && g != i
		}
		if keep {
			out = append(out, i)
		}
	}
	return out
}

// spoilt are the ways in which a client can spoil a letter.
func spoilt(w *scene) map[string]func(client, member int, sealed, letter []byte) []byte {
	rewrite := func(change func([]byte) []byte) func(int, int, []byte, []byte) []byte {
		return func(i, j int, sealed, letter []byte) []byte { return w.rewritten(i, j, sealed, letter, change) }
	}
	return map[string]func(client, member int, sealed, letter []byte) []byte{
		"an encapsulation that is none": func(_, _ int, _, l []byte) []byte { l[0] ^= 1; return l },
		"a ciphertext that is none":     func(_, _ int, _, l []byte) []byte { l[len(l)-1] ^= 1; return l },
		"a share that is wrong":         rewrite(func(p []byte) []byte { p[400] ^= 1; return p }),
		"a blind that is wrong":         rewrite(func(p []byte) []byte { p[len(p)-4] ^= 1; return p }),
		"an element out of range":       rewrite(func(p []byte) []byte { copy(p, []byte{255, 255, 255, 255}); return p }),
	}
}

func TestAClientThatSpoilsALetterIsLeftOutAndNobodyElse(t *testing.T) {
	for name := range spoilt(nil) {
		for _, m := range []int{4, 7} {
			t.Run(fmt.Sprint(name, "/", m), func(t *testing.T) {
				w := newScene(t, shape{m: m})
				w.spoils(map[int][]int{2: {1}}, spoilt(w)[name])
				sums, o := w.opens()
				require.Equal(t, without(8, 2), sums[0].Members)
				require.Empty(t, o.Liars())
				require.Equal(t, []int{0, 1, 2, 3}[:4], w.control.(*control).jury.members()[:4], "no member is left out")
			})
		}
	}
}

func TestEveryCorruptClientMaySpoilAnotherMembersLetter(t *testing.T) {
	w := newScene(t, shape{n: 12, corrupt: 250_000, minimum: 6}) // f = 3
	w.spoils(map[int][]int{1: {0, 1}, 5: {2}, 11: {3}}, spoilt(w)["a share that is wrong"])
	sums, o := w.opens()
	require.Equal(t, without(12, 1, 5, 11), sums[0].Members)
	require.Empty(t, o.Liars())
	require.Len(t, w.control.(*control).jury.members(), 4)
}

func TestALetterOfAnotherLengthIsRefusedWithItsUpload(t *testing.T) {
	w := newScene(t, shape{})
	w.upload = func(i int, sealed, frame []byte) ([]byte, []byte) {
		if i != 2 {
			return sealed, frame
		}
		return w.signed(i, sealed, func(place, _ int, l []byte) []byte { return l[:len(l)-4*(place%2)] })
	}
	sums, _ := w.opens()
	require.ErrorIs(t, w.rejected[2], secagg.ErrUpload)
	require.Equal(t, without(8, 2), sums[0].Members)
}

func TestALetterThatDiffersFromItsDigestIsBad(t *testing.T) {
	w := newScene(t, shape{})
	w.upload = func(i int, sealed, frame []byte) ([]byte, []byte) {
		if i != 2 {
			return sealed, frame
		}
		c, err := secagg.PeekCommit(frame)
		require.NoError(t, err)
		c.Detail = bytes.Clone(c.Detail)
		c.Detail[32] ^= 1 // of the first letter, which itself is as it should be
		return sealed, secagg.SignCommit(w.clientKeys[i], w.session.Context, c)
	}
	sums, _ := w.opens()
	require.Equal(t, without(8, 2), sums[0].Members)
}

func TestALetterIsBoundToItsCiphertext(t *testing.T) {
	w := newScene(t, shape{})
	w.upload = func(i int, sealed, frame []byte) ([]byte, []byte) {
		if i != 2 {
			return sealed, frame
		}
		c, err := secagg.PeekCommit(frame)
		require.NoError(t, err)
		c.Detail = bytes.Clone(c.Detail)
		c.Detail[0] ^= 1
		return sealed, secagg.SignCommit(w.clientKeys[i], w.session.Context, c)
	}
	sums, _ := w.opens()
	require.Equal(t, without(8, 2), sums[0].Members)
}

// TestAClientCannotUploadWhatAnotherSent is the copied ciphertext: its sum with the
// original would tell twice the victim's vector.
func TestAClientCannotUploadWhatAnotherSent(t *testing.T) {
	w := newScene(t, shape{})
	var victim []byte
	w.upload = func(i int, sealed, frame []byte) ([]byte, []byte) {
		switch i {
		case 0:
			victim = sealed
		case 2:
			return w.signed(i, victim, func(_, _ int, l []byte) []byte { return l })
		}
		return sealed, frame
	}
	sums, _ := w.opens()
	require.Equal(t, without(8, 2), sums[0].Members)
}

// TestSharesOfAnotherSecretSpoilTheBucketAndNobodyIsNamed is a client whose shares
// are consistent, of a secret that does not belong to its ciphertext.
func TestSharesOfAnotherSecretSpoilTheBucketAndNobodyIsNamed(t *testing.T) {
	for name, c := range map[string]struct {
		value int32
		want  error
	}{
		"within the bound": {1, secagg.ErrSpoiled},
		"beyond the bound": {1_000_000, rlwe.ErrKey},
	} {
		t.Run(name, func(t *testing.T) {
			w := newScene(t, shape{n: 20, corrupt: 1, minimum: 10, buckets: secagg.Buckets{Size: 5, Minimum: 4}})
			const cheat = 7
			w.upload = func(i int, sealed, frame []byte) ([]byte, []byte) {
				if i != cheat {
					return sealed, frame
				}
				a := w.control.(*control).attempt
				secret, shares := make([]int32, a.ring.N()), make([][]uint32, 4)
				for k := range secret {
					secret[k] = c.value
				}
				for j := range shares {
					shares[j] = make([]uint32, letterElements(a.ring))
				}
				require.NoError(t, share.Split(shares, []int{1, 2, 3, 4}, secret, a.degree(), coins("other secret")))
				return w.signed(i, sealed, func(_, j int, l []byte) []byte {
					return w.rewritten(i, j, sealed, l, func(plain []byte) []byte {
						require.NoError(t, share.Encode(plain, shares[j]))
						return plain
					})
				})
			}
			sums, o, err := w.open()
			require.NoError(t, err)
			require.Empty(t, o.Liars())
			require.Len(t, sums, 4)
			good := sums[:0]
			for _, s := range sums {
				if s.Bucket != w.control.Bucket(cheat) {
					good = append(good, s)
					continue
				}
				require.ErrorIs(t, s.Spoiled, secagg.ErrSpoiled)
				require.ErrorIs(t, s.Spoiled, c.want)
				require.Nil(t, s.Words)
			}
			require.Len(t, good, 3)
			w.right(good)
		})
	}
}

// lies changes what members say in a phase.
func (w *scene) lies(phase int, members []int, change func(body []byte) []byte) {
	w.message = func(name string, party int, message []byte) []byte {
		for _, j := range members {
			if name == phases[phase].Name && party == w.number(j) {
				return envelope(w.session.Context, phase, change(bytes.Clone(bodyOf(w.t, message))))
			}
		}
		return message
	}
}

// verdictsOn changes a member's verdicts on some letters.
func verdictsOn(t *testing.T, letters int, which []int, change func(*verdict)) func([]byte) []byte {
	return func(body []byte) []byte {
		m, err := decodeVerdicts(body, letters)
		require.NoError(t, err)
		for _, k := range which {
			change(&m.list[k])
		}
		return m.encode()
	}
}

func TestCorruptMembersNameClients(t *testing.T) {
	named := func(v *verdict) { *v = verdict{} }
	lied := func(v *verdict) { v.values[1] ^= 1 }
	for name, change := range map[string]func(*verdict){"by calling letters bad": named, "by values off the polynomial": lied} {
		for _, m := range []int{4, 7} {
			t.Run(fmt.Sprint(name, "/", m), func(t *testing.T) {
				// f = 2 clients may be corrupt among 12: up to that a name counts.
				s := shape{n: 12, m: m, corrupt: 150_000, minimum: 6}
				var corrupt []int
				for j := range (m - 1) / 3 {
					corrupt = append(corrupt, j)
				}
				w := newScene(t, s)
				w.lies(phaseUpload, corrupt, verdictsOn(t, 12, []int{3, 4}, change))
				sums, _ := w.opens()
				require.Equal(t, without(12, 3, 4), sums[0].Members)
				require.Len(t, w.control.(*control).jury.members(), m)

				w = newScene(t, s)
				w.lies(phaseUpload, corrupt, verdictsOn(t, 12, []int{3, 4, 5}, change))
				sums, _ = w.opens()
				require.Equal(t, without(12), sums[0].Members, "who names more than f is left out, and its names with it")
				require.Len(t, w.control.(*control).jury.members(), m-len(corrupt))
			})
		}
	}
}

// TestWrongSumsAreCorrectedAndNamed has as many liars as can be corrected, and one more.
func TestWrongSumsAreCorrectedAndNamed(t *testing.T) {
	wrong := func(body []byte) []byte { body[8] ^= 1; return body }
	for _, m := range []int{4, 5, 7} {
		w := newScene(t, shape{m: m})
		c := w.shape.c
		w.lies(phaseUnmask, without(c), wrong)
		_, o := w.opens()
		want := []int{}
		for j := range c {
			want = append(want, w.number(j))
		}
		require.Equal(t, want, o.Liars())

		w = newScene(t, shape{m: m})
		w.lies(phaseUnmask, without(m-c), wrong)
		sums, o, err := w.open()
		require.NoError(t, err)
		require.Empty(t, o.Liars())
		require.ErrorIs(t, sums[0].Spoiled, ErrSums)
		require.ErrorIs(t, sums[0].Spoiled, share.ErrUndecodable)
	}
}

// misses says when a member that misses a phase is not there: letters that were
// judged in phase upload need not be judged in phase records.
func misses(phase int, name string) bool {
	return name == phases[phase].Name || phase == phaseRecords && name == "upload"
}

// TestAMemberMayBeAbsentInAnyPhase: who owns a nonce that is needed then is named,
// otherwise the attempt goes on without.
func TestAMemberMayBeAbsentInAnyPhase(t *testing.T) {
	for phase := phaseContext; phase < phaseOpen; phase++ {
		for j := range 4 {
			w := newScene(t, shape{})
			w.gone = func(name string, party int) bool { return misses(phase, name) && party == w.number(j) }
			if phase > phaseReveal {
				_, o := w.opens()
				require.Empty(t, o.Liars())
				if phase != phaseUpload { // which phase records makes up for
					require.True(t, w.control.(*control).answers[j] == nil, "who missed a phase is asked no more")
				}
				continue
			}
			_, _, err := w.open()
			var blame *secagg.Blame
			require.True(t, errors.As(err, &blame))
			require.ErrorIs(t, err, ErrWithheld)
			require.Equal(t, []int{w.number(j)}, blame.Members)
		}
	}
}

func TestAMemberThatHeldItsNonceBackStaysAShareHolder(t *testing.T) {
	second := shape{leftOut: []int{2}, round: secagg.RoundID{Job: "job", Round: 1, Attempt: 2}}
	w := newScene(t, second)
	answers := 0
	w.message = func(phase string, party int, body []byte) []byte {
		if phase == "reveal" && party == w.number(2) {
			require.Empty(t, bodyOf(t, body))
			forged := envelope(w.session.Context, phaseReveal, make([]byte, nonceSize))
			_, err := w.control.Receive(party, forged)
			require.ErrorIs(t, err, ErrMessage)
		}
		if phase == "unmask" {
			answers++
		}
		return body
	}
	_, o := w.opens()
	require.Empty(t, o.Liars())
	require.Equal(t, 4, answers)
	// That it reveals nothing again costs the attempt nothing.
	w = newScene(t, second)
	w.gone = func(phase string, party int) bool { return phase == "reveal" && party == w.number(2) }
	w.opens()
}

func TestWithoutAQuorumTheAttemptEnds(t *testing.T) {
	for phase := phaseSeed; phase < phaseOpen; phase++ {
		if phase == phaseUpload { // it is made up for in phase records
			continue
		}
		w := newScene(t, shape{})
		w.gone = func(name string, party int) bool { return misses(phase, name) && party >= w.number(2) }
		_, _, err := w.open()
		require.ErrorIs(t, err, ErrAbsent, phases[phase].Name)
	}
	// One that did not announce may be absent all the time.
	w := newScene(t, shape{absent: []int{1}})
	w.opens()
}

func TestClientsThatVanishCostNothing(t *testing.T) {
	w := newScene(t, shape{})
	w.gone = func(phase string, party int) bool { return party == 1 || party == 6 }
	sums, _ := w.opens()
	require.Equal(t, without(8, 1, 6), sums[0].Members)
	w = newScene(t, shape{})
	w.gone = func(phase string, party int) bool { return party < 5 }
	_, _, err := w.open()
	require.ErrorIs(t, err, secagg.ErrTooFew)
}

func TestASmallBucketIsLeftOutAndNotOpened(t *testing.T) {
	w := newScene(t, shape{n: 20, corrupt: 1, minimum: 10, buckets: secagg.Buckets{Size: 5, Minimum: 4}})
	gone := 0
	w.gone = func(phase string, party int) bool {
		if party >= 20 || w.control.Bucket(party) != 2 || gone == 2 {
			return false
		}
		gone++
		return true
	}
	sums, _ := w.opens()
	require.Len(t, sums, 3)
	require.Nil(t, w.control.Survivors()[2])
	for _, s := range sums {
		require.NotEqual(t, 2, s.Bucket)
	}
}

// TestTheMinimumCountsWhatIsOpened leaves so many small buckets out that too few remain.
func TestTheMinimumCountsWhatIsOpened(t *testing.T) {
	w := newScene(t, shape{n: 20, corrupt: 1, minimum: 15, buckets: secagg.Buckets{Size: 5, Minimum: 5}})
	w.gone = func(_ string, party int) bool { return party < 20 && party%10 == 0 }
	require.NoError(t, w.to("records"))
	require.NotEqual(t, w.control.Bucket(0), w.control.Bucket(10))
	_, _, err := w.open()
	require.ErrorIs(t, err, secagg.ErrTooFew)
}
