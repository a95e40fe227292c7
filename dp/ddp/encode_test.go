package ddp

import (
	"errors"
	"io"
	"math"
	"math/big"
	"testing"

	"github.com/choir-fl/choir/dp"
	"github.com/choir-fl/choir/dp/noise"
	"github.com/choir-fl/choir/secagg/field"
	"github.com/stretchr/testify/require"
)

func goodParameters() Parameters {
	return Parameters{Dimension: 100, Clients: 20, Survivors: 16, Corrupt: 2, ClipNorm: 2, Scale: 64, Sigma: 1, Noise: dp.DiscreteGaussian,
		Extras: []Extra{{Name: "bit", Largest: 16, Bound: 8, Sigma: 40}}}
}

func mustCheck(t testing.TB, p Parameters) Mechanism {
	m, err := p.Check()
	require.NoError(t, err)
	return m
}

func coins(n byte) io.Reader { return field.NewStream([32]byte{n}) }

// constant is a sampler of itself.
type constant int32

func (c constant) Sample(dst []int64, _ io.Reader) error {
	for i := range dst {
		dst[i] = int64(c)
	}
	return nil
}

type broken struct{}

var errBroken = errors.New("broken")

func (broken) Read([]byte) (int, error) { return 0, errBroken }

// drawOf is a Draw that holds main at each coordinate, and extra at each extra.
func drawOf(t testing.TB, m Mechanism, main, extra noise.Sampler) *Draw {
	d := &Draw{of: m.params, pools: make([]noise.Pool, 1+len(m.extras))}
	require.NoError(t, d.pools[0].Fill(main, coins(250), m.Sensitivity().Dimension))
	for k := range m.extras {
		require.NoError(t, d.pools[1+k].Fill(extra, coins(251), 1))
	}
	d.fresh.Store(true)
	return d
}

func mustDraw(t testing.TB, m Mechanism, c io.Reader) *Draw {
	d, err := m.Draw(c)
	require.NoError(t, err)
	return d
}

// integers encodes without noise and takes the offset off.
func integers(t testing.TB, m Mechanism, prepared []float32, c io.Reader) (out []int64, rounded bool) {
	dst := make([]uint32, m.Quantizer().Layout().Len())
	rounded, err := m.Encode(dst, prepared, make([]uint64, len(m.extras)), c, drawOf(t, m, constant(0), constant(0)))
	require.NoError(t, err)
	for _, w := range dst[:len(prepared)] {
		out = append(out, int64(w)-1<<(m.Quantizer().Spec().Bits-1))
	}
	return out, rounded
}

// TestRoundedVectorsNeverExceedTheNorm takes vectors that rounding would push over the
// bound at almost every attempt.
func TestRoundedVectorsNeverExceedTheNorm(t *testing.T) {
	m := mustCheck(t, goodParameters())
	limit := m.limit.big()
	tight, exact := 0, new(big.Int)
	for seed := range 200 {
		x := randomVector(uint64(seed), 128)
		norm := field.Norm(x)
		for i := range x {
			x[i] *= float32((2 + 0.05*float64(seed)/200) / norm) // from the clip norm to where every attempt fails
		}
		out, rounded := integers(t, m, x, coins(byte(seed)))
		exact.SetInt64(0)
		for i, v := range out {
			exact.Add(exact, big.NewInt(v*v))
			if rounded {
				require.Less(t, math.Abs(float64(v)-float64(x[i])*64), 1+1e-3)
			}
		}
		require.LessOrEqual(t, exact.Cmp(limit), 0)
		if rounded {
			tight++
		}
	}
	require.Greater(t, tight, 20)
	require.Less(t, tight, 200)
}

// counter counts the bytes read.
type counter struct {
	io.Reader
	read int
}

func (c *counter) Read(p []byte) (int, error) { c.read += len(p); return c.Reader.Read(p) }

func TestAVectorThatNeverFitsBecomesZeroAfterAllAttempts(t *testing.T) {
	m := mustCheck(t, goodParameters())
	x := make([]float32, 128)
	for i := range x {
		x[i] = 1 // norm 11.3, clip norm 2
	}
	c := &counter{Reader: coins(1)}
	out, rounded := integers(t, m, x, c)
	require.False(t, rounded)
	require.Equal(t, make([]int64, 128), out)
	require.Equal(t, RoundingAttempts*128*4, c.read)

	c = &counter{Reader: coins(1)}
	_, rounded = integers(t, m, make([]float32, 128), c)
	require.True(t, rounded)
	require.Equal(t, 128*4, c.read, "one attempt")
}

func TestRoundingIsUnbiased(t *testing.T) {
	m := mustCheck(t, goodParameters())
	x := randomVector(9, 128)
	norm := field.Norm(x)
	for i := range x {
		x[i] *= float32(1.9 / norm)
	}
	const times = 4000
	sum, source := make([]float64, 128), coins(3)
	for range times {
		out, rounded := integers(t, m, x, source)
		require.True(t, rounded)
		for i, v := range out {
			sum[i] += float64(v)
		}
	}
	for i := range x {
		y := float64(x[i]) * 64
		f := y - math.Floor(y)
		require.InDelta(t, y, sum[i]/times, 5*math.Sqrt(f*(1-f)/times)+1e-3, "coordinate %d", i)
	}
}

func TestIntegersAreClampedToTheRange(t *testing.T) {
	p := goodParameters()
	p.Range = 50
	m := mustCheck(t, p)
	x := make([]float32, 128)
	x[3], x[4], x[5], x[6] = 1.5, -1.5, float32(math.NaN()), 0.5
	out, rounded := integers(t, m, x, coins(1))
	require.True(t, rounded)
	require.Equal(t, []int64{50, -50, 0, 32}, out[3:7])
	x[3], x[4] = float32(math.Inf(1)), float32(math.Inf(-1))
	out, _ = integers(t, m, x, coins(1))
	require.Equal(t, []int64{50, -50, 0, 32}, out[3:7])
}

func TestPrepareClipsWeighsAndRotates(t *testing.T) {
	m, r := mustCheck(t, goodParameters()), testRotation(t, 100)
	update, dst := randomVector(1, 100), make([]float32, 128)
	for _, c := range []struct{ weight, norm float64 }{{1, 2}, {0.5, 2}, {0.1, 0.1 * field.Norm(update)}, {0, 0}} {
		counted, err := m.Prepare(dst, update, c.weight, r)
		require.NoError(t, err)
		require.True(t, counted)
		require.InDelta(t, c.norm, field.Norm(dst), 1e-6)
		require.NoError(t, r.Inverse(dst))
		for i, x := range update {
			require.InDelta(t, float64(x)*c.norm/field.Norm(update), float64(dst[i]), 1e-6)
		}
	}
}

func TestUpdatesThatAreNotFiniteCountForNothing(t *testing.T) {
	m, r := mustCheck(t, goodParameters()), testRotation(t, 100)
	for _, bad := range []float64{math.NaN(), math.Inf(1), math.Inf(-1)} {
		update, dst := randomVector(1, 100), randomVector(2, 128)
		update[50] = float32(bad)
		counted, err := m.Prepare(dst, update, 1, r)
		require.NoError(t, err)
		require.False(t, counted)
		require.Equal(t, make([]float32, 128), dst)
	}
}

func TestPrepareRefusesWhatIsNotOfTheMechanism(t *testing.T) {
	m, r := mustCheck(t, goodParameters()), testRotation(t, 100)
	other := testRotation(t, 200)
	update, dst := make([]float32, 100), make([]float32, 128)
	for name, call := range map[string]func() (bool, error){
		"update":       func() (bool, error) { return m.Prepare(dst, update[1:], 1, r) },
		"dst":          func() (bool, error) { return m.Prepare(dst[1:], update, 1, r) },
		"rotation":     func() (bool, error) { return m.Prepare(dst, update, 1, other) },
		"heavy":        func() (bool, error) { return m.Prepare(dst, update, 1.01, r) },
		"negative":     func() (bool, error) { return m.Prepare(dst, update, -0.1, r) },
		"not a number": func() (bool, error) { return m.Prepare(dst, update, math.NaN(), r) },
		"zero":         func() (bool, error) { return Mechanism{}.Prepare(nil, nil, 1, Rotation{}) },
	} {
		counted, err := call()
		require.ErrorIs(t, err, ErrArgument, name)
		require.False(t, counted)
	}
}

func TestOutliersGoOutAsZero(t *testing.T) {
	p := goodParameters()
	p.Outlier = 10
	m, r := mustCheck(t, p), testRotation(t, 100)
	for _, c := range []struct {
		norm, weight float64
		counted      bool
	}{{19.9, 1, true}, {20.1, 1, false}, {39, 0.5, true}, {41, 0.5, false}, {0, 1, true}} {
		update, dst := randomVector(1, 100), randomVector(2, 128)
		norm := field.Norm(update)
		for i := range update {
			update[i] *= float32(c.norm / norm)
		}
		counted, err := m.Prepare(dst, update, c.weight, r)
		require.NoError(t, err)
		require.Equal(t, c.counted, counted, "%v", c)
		if !counted {
			require.Equal(t, make([]float32, 128), dst)
		} else if c.norm > 0 {
			require.InDelta(t, 2, field.Norm(dst), 1e-6)
		}
	}
	update, dst := make([]float32, 100), make([]float32, 128)
	update[0] = 1e30
	counted, err := mustCheck(t, goodParameters()).Prepare(dst, update, 1, r)
	require.NoError(t, err)
	require.True(t, counted, "never, unless it is asked for")
}

func TestEncodeLeavesNothingBehindOnAnError(t *testing.T) {
	m := mustCheck(t, goodParameters())
	x := make([]float32, 128)
	good := func() *Draw { return drawOf(t, m, constant(1), constant(1)) }
	short := good()
	require.NoError(t, short.pools[0].Take(make([]int32, 1)))
	bare := good()
	bare.pools[1].Erase()
	for name, c := range map[string]struct {
		words, values int
		extra         uint64
		coins         io.Reader
		draw          *Draw
		want          error
	}{
		"words":                 {130, 128, 3, coins(1), good(), ErrArgument},
		"values":                {129, 127, 3, coins(1), good(), ErrArgument},
		"extra":                 {129, 128, 17, coins(1), good(), ErrArgument},
		"no coins":              {129, 128, 3, broken{}, good(), ErrCoins},
		"no noise":              {129, 128, 3, coins(1), nil, ErrNoise},
		"short noise":           {129, 128, 3, coins(1), short, ErrNoise},
		"no noise of the extra": {129, 128, 3, coins(1), bare, ErrNoise},
	} {
		dst := make([]uint32, c.words)
		dst[0], dst[c.words-1] = 7, 7
		_, err := m.Encode(dst, x[:c.values], []uint64{c.extra}, c.coins, c.draw)
		require.ErrorIs(t, err, c.want, name)
		require.Equal(t, make([]uint32, c.words), dst, name)
		if c.draw != nil && c.want != ErrArgument {
			require.Zero(t, c.draw.pools[0].Left(), "erased: %s", name)
		}
	}
	_, err := m.Encode(make([]uint32, 129), x, nil, coins(1), good())
	require.ErrorIs(t, err, ErrArgument, "no extras")
	_, err = Mechanism{}.Encode(nil, nil, nil, coins(1), good())
	require.ErrorIs(t, err, ErrArgument, "the zero mechanism")
}

func TestNoiseUpToTheTailNeverWraps(t *testing.T) {
	m := mustCheck(t, goodParameters())
	tail, other := constant(m.Shares().Tail()), constant(m.ExtraShares(0).Tail())
	x, reach := make([]float32, 128), m.Parameters().Range
	x[0], x[1] = 1e9, -1e9 // clamped to the range; zero goes out, as the norm is beyond
	for _, sign := range []constant{-1, 1} {
		dst := make([]uint32, 129)
		_, err := m.Encode(dst, x, []uint64{3}, coins(1), drawOf(t, m, sign*tail, sign*other))
		require.NoError(t, err)
		offset := int64(1) << (m.Quantizer().Spec().Bits - 1)
		require.Equal(t, uint32(offset+int64(sign*tail)), dst[0])
		require.Equal(t, uint32(3+other+sign*other), dst[128])
		require.Less(t, offset+reach+int64(tail), 2*offset)
		require.Positive(t, offset-reach-int64(tail))
	}
}

func TestTheSameCoinsGiveTheSameWords(t *testing.T) {
	m, r := mustCheck(t, goodParameters()), testRotation(t, 100)
	encode := func(noise byte) []uint32 {
		dst, words := make([]float32, 128), make([]uint32, 129)
		_, err := m.Prepare(dst, randomVector(1, 100), 1, r)
		require.NoError(t, err)
		_, err = m.Encode(words, dst, []uint64{16}, coins(4), mustDraw(t, m, coins(noise)))
		require.NoError(t, err)
		return words
	}
	require.Equal(t, encode(5), encode(5))
	require.NotEqual(t, encode(5), encode(6))
}
