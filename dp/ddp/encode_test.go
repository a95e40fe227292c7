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

// constant adds itself to each value.
type constant int32

func (c constant) Add(values []int32) error {
	for i := range values {
		values[i] += int32(c)
	}
	return nil
}

type broken struct{}

var errBroken = errors.New("broken")

func (broken) Add([]int32) error        { return errBroken }
func (broken) Read([]byte) (int, error) { return 0, errBroken }

// integers encodes without noise and takes the offset off.
func integers(t testing.TB, m Mechanism, prepared []float32, c io.Reader) (out []int64, rounded bool) {
	dst := make([]uint32, m.Quantizer().Layout().Len())
	silent := make([]field.Noise, 1+len(m.extras))
	for i := range silent {
		silent[i] = constant(0)
	}
	rounded, err := m.Encode(dst, prepared, make([]uint64, len(m.extras)), c, silent)
	require.NoError(t, err)
	for _, w := range dst[:len(prepared)] {
		out = append(out, int64(w)-1<<(m.Quantizer().Spec().Bits-1))
	}
	return out, rounded
}

func TestASumOfContributionsDecodesToTheSumOfClippedUpdates(t *testing.T) {
	p := goodParameters()
	p.Dimension, p.Scale = 16384+1000, 1<<12
	m, rotation := mustCheck(t, p), testRotation(t, p.Dimension)
	sum := make([]uint32, m.Quantizer().Layout().Len())
	want, bits := make([]float64, p.Dimension), 0
	v, e := m.Shares().Variance(), m.ExtraShares(0).Variance()
	main, err := noise.NewGaussian(v.Num().Uint64(), v.Denom().Uint64())
	require.NoError(t, err)
	extra, err := noise.NewGaussian(e.Num().Uint64(), e.Denom().Uint64())
	require.NoError(t, err)
	const clients = 18
	for i := range clients {
		update := randomVector(uint64(i), p.Dimension)
		norm := field.Norm(update)
		for k, x := range update {
			want[k] += float64(x) * 2 / norm // all are longer than the clip norm
		}
		prepared, words := make([]float32, m.Sensitivity().Dimension), make([]uint32, len(sum))
		counted, err := m.Prepare(prepared, update, 1, rotation)
		require.NoError(t, err)
		require.True(t, counted)
		var a, b noise.Pool
		require.NoError(t, a.Fill(main, coins(byte(100+i)), len(prepared)))
		require.NoError(t, b.Fill(extra, coins(byte(150+i)), 1))
		bit := uint64(16 * (i % 2))
		bits += int(bit)
		rounded, err := m.Encode(words, prepared, []uint64{bit}, coins(byte(i)), []field.Noise{&a, &b})
		require.NoError(t, err)
		require.True(t, rounded)
		require.Zero(t, a.Left()+b.Left(), "each share is used once")
		field.Add(sum, words)
	}
	values := make([]float64, m.Sensitivity().Dimension)
	extras, err := m.Quantizer().Decode(values, sum, clients)
	require.NoError(t, err)
	back := make([]float32, len(values))
	for i, v := range values {
		back[i] = float32(v)
	}
	require.NoError(t, rotation.Inverse(back))
	// The noise of the sum is sigma of 14 shares, in 18.
	var square float64
	for i := range want {
		square += math.Pow(float64(back[i])-want[i], 2)
	}
	require.InEpsilon(t, math.Sqrt(18.0/14), math.Sqrt(square/float64(p.Dimension)), 0.03)
	sums, err := m.ExtraSums(extras, clients)
	require.NoError(t, err)
	require.InDelta(t, bits, sums[0], 6*40*math.Sqrt(18.0/14))
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

func TestEncodeLeavesNothingBehindOnAnError(t *testing.T) {
	m := mustCheck(t, goodParameters())
	tail, other := constant(m.Shares().Tail()), constant(m.ExtraShares(0).Tail())
	x := make([]float32, 128)
	good := []field.Noise{constant(1), constant(1)}
	for name, c := range map[string]struct {
		words, values int
		extra         uint64
		coins         io.Reader
		noise         []field.Noise
		want          error
	}{
		"words":                 {130, 128, 3, coins(1), good, ErrArgument},
		"values":                {129, 127, 3, coins(1), good, ErrArgument},
		"extra":                 {129, 128, 17, coins(1), good, ErrArgument},
		"no coins":              {129, 128, 3, broken{}, good, ErrCoins},
		"no noise":              {129, 128, 3, coins(1), nil, ErrNoise},
		"no noise of the extra": {129, 128, 3, coins(1), good[:1], ErrNoise},
		"nil noise":             {129, 128, 3, coins(1), []field.Noise{constant(1), nil}, ErrNoise},
		"broken noise":          {129, 128, 3, coins(1), []field.Noise{broken{}, constant(1)}, errBroken},
		"broken extra":          {129, 128, 3, coins(1), []field.Noise{constant(1), broken{}}, errBroken},
		"beyond the tail":       {129, 128, 3, coins(1), []field.Noise{tail + 1, constant(1)}, ErrNoise},
		"below the tail":        {129, 128, 3, coins(1), []field.Noise{-tail - 1, constant(1)}, ErrNoise},
		"extra beyond":          {129, 128, 3, coins(1), []field.Noise{constant(1), other + 1}, ErrNoise},
		"extra below":           {129, 128, 3, coins(1), []field.Noise{constant(1), -other - 1}, ErrNoise},
	} {
		dst := make([]uint32, c.words)
		dst[0], dst[c.words-1] = 7, 7
		_, err := m.Encode(dst, x[:c.values], []uint64{c.extra}, c.coins, c.noise)
		require.ErrorIs(t, err, c.want, name)
		require.Equal(t, make([]uint32, c.words), dst, name)
	}
	_, err := m.Encode(make([]uint32, 129), x, nil, coins(1), good)
	require.ErrorIs(t, err, ErrArgument, "no extras")
	_, err = Mechanism{}.Encode(nil, nil, nil, coins(1), []field.Noise{constant(0)})
	require.ErrorIs(t, err, ErrArgument, "the zero mechanism")
	dst := make([]uint32, 129)
	_, err = m.Encode(dst, x, []uint64{3}, coins(1), []field.Noise{-tail, other})
	require.NoError(t, err, "the tail itself is allowed")
	require.Equal(t, uint32(1<<(m.Quantizer().Spec().Bits-1)-int(tail)), dst[0])
	require.Equal(t, uint32(3+2*other), dst[128])
}

func TestTheSameCoinsGiveTheSameWords(t *testing.T) {
	m, r := mustCheck(t, goodParameters()), testRotation(t, 100)
	encode := func() []uint32 {
		dst, words := make([]float32, 128), make([]uint32, 129)
		_, err := m.Prepare(dst, randomVector(1, 100), 1, r)
		require.NoError(t, err)
		_, err = m.Encode(words, dst, []uint64{16}, coins(4), []field.Noise{constant(2), constant(3)})
		require.NoError(t, err)
		return words
	}
	require.Equal(t, encode(), encode())
}
