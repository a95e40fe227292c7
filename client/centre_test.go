package client_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"io"
	"math"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/choir-fl/choir/client"
	"github.com/choir-fl/choir/coordinator/plan"
	"github.com/choir-fl/choir/fault"
	"github.com/choir-fl/choir/secagg"
	"github.com/choir-fl/choir/secagg/field"
	"github.com/choir-fl/choir/secagg/plain"
	"github.com/choir-fl/choir/tensor"
)

// weighedTerms are those of a plan whose clients weigh their updates, clipped to 100.
func weighedTerms(t testing.TB) secagg.Terms {
	l := testLiteral(3, 2, 3)
	l.Aggregation = plan.Aggregation{Rule: "rfa"}
	l.Training.WeightCap = 20
	p, err := l.Check(plain.Scheme{})
	require.NoError(t, err)
	return p.Terms()
}

// centred is the script's task with a centre of one value everywhere.
func centred(t testing.TB, value float32) (*script, secagg.Task, tensor.Model) {
	s := scriptOf(t, weighedTerms(t), whole...)
	task := *s.offers[0].Task
	v := tensor.Zero(task.Terms.Tensors)
	for i := range v.Values() {
		v.Values()[i] = value
	}
	task.Centre = v.Digest()
	return s, task, v
}

func fileOf(t testing.TB, m tensor.Model) []byte {
	var b bytes.Buffer
	require.NoError(t, tensor.WriteSafetensors(&b, m))
	return b.Bytes()
}

// keeping keeps the vector that a party was given.
type keeping struct {
	phased
	vector *[]uint32
}

func (k keeping) NewParty(s secagg.Session, self int, key ed25519.PrivateKey, coins io.Reader) (secagg.Party, error) {
	p, err := k.phased.NewParty(s, self, key, coins)
	return keptParty{p, k.vector}, err
}

type keptParty struct {
	secagg.Party
	vector *[]uint32
}

func (p keptParty) Seal(vector []uint32, out io.Writer) (secagg.Reply, error) {
	*p.vector = append([]uint32{}, vector...)
	return p.Party.Seal(vector, out)
}

// What a client sends is its update, clipped, times its weight, and the weight beside it.
func TestUpdateIsClippedThenWeighedByItsDistanceFromTheCentre(t *testing.T) {
	for name, c := range map[string]struct {
		value, centre float32 // of all eight coordinates
		examples      int
		x, weight     float64
	}{
		"near":         {4, 2, 20, 4, 1},                            // within nu C = 10
		"far":          {20, -10, 20, 20, 10 / (30 * math.Sqrt(8))}, // |x| = 56.6
		"too long":     {1000, 0, 20, 100 / math.Sqrt(8), 0.1},      // clipped to 100
		"few examples": {1000, 0, 5, 100 / math.Sqrt(8), 0.1 / 4},   // and weighed after
		"light":        {1000, -35, 0, 100 / math.Sqrt(8), 0},       // none at all
	} {
		t.Run(name, func(t *testing.T) {
			s, task, v := centred(t, c.centre)
			var vector []uint32
			policy := policyOf("c0")
			policy.Schemes = []secagg.ClientScheme{keeping{vector: &vector}}
			p, err := client.Accept(policy, task, bytes.NewReader(make([]byte, 32)))
			require.NoError(t, err)
			for step := 1; step <= 3; step++ {
				_, err := p.Envelope(s.envelope(s.id(), step))
				require.NoError(t, err)
			}
			m, err := p.Model(bytes.NewReader(s.model))
			require.NoError(t, err)
			local := m.Clone()
			for i := range local.Values() {
				local.Values()[i] += c.value
			}
			require.NoError(t, p.Centre(bytes.NewReader(fileOf(t, v))))
			_, err = p.Trained(m, client.Update{Model: local, Examples: c.examples})
			require.NoError(t, err)
			_, err = p.Seal(&bytes.Buffer{})
			require.NoError(t, err)
			q, err := task.Terms.Encoding.Check()
			require.NoError(t, err)
			i, _ := q.Layout().Extra(secagg.ExtraWeight)
			weight := float64(vector[q.Layout().Main()+i]) / secagg.ExtraScale
			require.InDelta(t, c.weight, weight, 0.51/secagg.ExtraScale)
			for _, word := range vector[:q.Layout().Main()] {
				sent := (float64(word) - float64(int(1)<<(q.Spec().Bits-1))) / q.Spec().Scale
				require.InDelta(t, weight*c.x, sent, 1.01/q.Spec().Scale+1e-6)
			}
		})
	}
}

func TestCentreThatIsNotTheTasksIsRefused(t *testing.T) {
	s, task, v := centred(t, 3)
	other := v.Clone()
	other.Values()[0] = 4
	schema, err := tensor.NewSchema([]tensor.Spec{{Name: "w", Shape: []int{8}}})
	require.NoError(t, err)
	shaped, err := tensor.NewModel(schema, v.Values())
	require.NoError(t, err)
	long := v.Clone()
	for i := range long.Values() {
		long.Values()[i] = float32(100/math.Sqrt(8)) * (1 + 1e-5)
	}
	longest := v.Clone()
	for i := range longest.Values() {
		longest.Values()[i] = float32(100 / math.Sqrt(8))
	}
	require.NotZero(t, field.Norm(longest.Values()))
	for name, c := range map[string]struct {
		names, given tensor.Model
		refused      bool
	}{
		"the task's":               {v, v, false},
		"another":                  {v, other, true},
		"of another shape":         {shaped, shaped, true},
		"beyond the clip norm":     {long, long, true},
		"as long as the clip norm": {longest, longest, false},
	} {
		task.Centre = c.names.Digest()
		p, err := client.Accept(policyOf("c0"), task, bytes.NewReader(make([]byte, 32)))
		require.NoError(t, err)
		err = p.Centre(bytes.NewReader(fileOf(t, c.given)))
		if c.refused {
			require.ErrorIs(t, err, client.ErrCentre, name)
			require.Equal(t, fault.Refused, fault.ClassOf(err))
		} else {
			require.NoError(t, err, name)
		}
	}
	p, err := client.Accept(policyOf("c0"), task, bytes.NewReader(make([]byte, 32)))
	require.NoError(t, err)
	require.ErrorIs(t, p.Centre(strings.NewReader("garbage")), client.ErrCentre)
	_, err = p.Envelope(s.envelope(s.id(), 1))
	require.NoError(t, err)
	m, err := p.Model(bytes.NewReader(s.model))
	require.NoError(t, err)
	_, err = p.Trained(m, client.Update{Model: m.Clone(), Examples: 1})
	require.ErrorIs(t, err, client.ErrOrder, "nothing is weighed by a centre that is not there")
}

func TestCentreIsTakenUnderTermsThatWeighAlone(t *testing.T) {
	s := newScript(t, whole...)
	task := *s.offers[0].Task
	task.Centre = secagg.Hash("centre")
	_, err := client.Accept(policyOf("c0"), task, bytes.NewReader(make([]byte, 32)))
	require.ErrorIs(t, err, secagg.ErrTerms)
	require.ErrorContains(t, err, "by which nothing is weighed")
}

// A client that fetches another centre than its task names leaves the attempt.
func TestClientLeavesAnAttemptWithAnotherCentre(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, task, _ := centred(t, 3) // the script gives the model for it, which is zero
		s.offers[0].Task = &task
		trained := false
		trainer := trainerFunc(func(ctx context.Context, m tensor.Model, task secagg.Task) (client.Update, error) {
			trained = true
			return adder(1).Train(ctx, m, task)
		})
		_, err := s.against(t, client.NewMemory(), trainer).RunOnce(t.Context())
		require.ErrorIs(t, err, client.ErrCentre)
		require.False(t, trained)
		require.NotContains(t, s.told(), "upload 3")
	})
}

// An update that serves several passes is trained once, for one model and one way of training,
// and is what a trainer made of it then.
func TestUpdateIsTrainedOnceForAModel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := scriptOf(t, weighedTerms(t), "advertise", "share", "upload", "agree on all", "completed")
		first := *s.offers[0].Task
		offer := func(change func(*secagg.Task)) {
			task := first
			task.Round.Round = s.offers[len(s.offers)-2].Task.Round.Round + 1
			if change != nil {
				change(&task)
			}
			s.offers = append(s.offers[:len(s.offers)-1], client.Offer{Task: &task}, client.Offer{})
		}
		offer(nil)
		offer(func(x *secagg.Task) { x.Round.Attempt = 2 })
		offer(func(x *secagg.Task) { x.Terms.Training.Epochs++ })
		offer(nil)
		offer(func(x *secagg.Task) { x.Terms.Weiszfeld = secagg.Weiszfeld{} })
		offer(nil)
		trained := 0
		buffer := tensor.Zero(first.Terms.Tensors)
		trainer := trainerFunc(func(_ context.Context, m tensor.Model, _ secagg.Task) (client.Update, error) {
			trained++
			for i := range buffer.Values() {
				buffer.Values()[i] = m.Values()[i] + 7
			}
			return client.Update{Model: buffer, Examples: 10}, nil
		})
		c := s.against(t, client.NewMemory(), trainer)
		var sent []float64
		for round, want := range []int{1, 1, 1, 2, 3, 4, 5} {
			s.mu.Lock()
			s.open = 1
			s.mu.Unlock()
			r, err := c.RunOnce(t.Context())
			require.NoError(t, err)
			require.True(t, r.Completed, "round %d", round+1)
			require.Equal(t, want, trained, "round %d", round+1)
			if round == 0 {
				sent = words(s.bodies["upload 3"])
				for i := range buffer.Values() { // the trainer has other use for it
					buffer.Values()[i] = -50
				}
			} else if want == 1 {
				require.InDeltaSlice(t, sent, words(s.bodies["upload 3"]), 1, "but for rounding it is the same vector")
			}
		}
	})
}

// What serves no other pass is not kept, and neither is what is refused: the trainer is asked again.
func TestUpdateThatServesNoOtherPassIsNotKept(t *testing.T) {
	for name, c := range map[string]struct {
		passes  int
		refused bool
		want    int
	}{
		"several passes": {3, false, 1}, "one pass": {1, false, 2}, "refused": {3, true, 2},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				terms := weighedTerms(t)
				terms.Weiszfeld.Passes = c.passes
				s := scriptOf(t, terms, whole...)
				again := *s.offers[0].Task
				again.Round.Attempt++
				s.offers = []client.Offer{s.offers[0], {Task: &again}, {}}
				trained := 0
				trainer := trainerFunc(func(_ context.Context, m tensor.Model, _ secagg.Task) (client.Update, error) {
					trained++
					u := client.Update{Model: m, Examples: 10}
					if c.refused && trained == 1 {
						u.Examples = -1
					}
					return u, nil
				})
				cl := s.against(t, client.NewMemory(), trainer)
				for attempt := range 2 {
					s.mu.Lock()
					s.open = 1
					s.mu.Unlock()
					_, err := cl.RunOnce(t.Context())
					if c.refused && attempt == 0 {
						require.ErrorIs(t, err, client.ErrUpdate)
					} else {
						require.NoError(t, err)
					}
				}
				require.Equal(t, c.want, trained)
			})
		})
	}
}

// words are what an upload of the script's scheme holds.
func words(b []byte) (out []float64) {
	for i := 0; i+4 <= len(b); i += 4 {
		out = append(out, float64(uint32(b[i])|uint32(b[i+1])<<8|uint32(b[i+2])<<16|uint32(b[i+3])<<24))
	}
	return out
}
