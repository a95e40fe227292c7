package ddp

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"math"
	"testing"

	"github.com/choir-fl/choir/dp"
	"github.com/choir-fl/choir/secagg/field"
	"github.com/stretchr/testify/require"
)

// sumOf encodes updates that are all longer than the clip norm. want is the sum of the
// clipped updates, bits that of the extras.
func sumOf(t testing.TB, m Mechanism, rotation Rotation, clients int, draw func(client int) *Draw) (sum []uint32, want []float64, bits int64) {
	p := m.Parameters()
	sum, want = make([]uint32, m.Quantizer().Layout().Len()), make([]float64, p.Dimension)
	prepared, words := make([]float32, m.Sensitivity().Dimension), make([]uint32, len(sum))
	for i := range clients {
		update := randomVector(uint64(i), p.Dimension)
		norm := field.Norm(update)
		for k, x := range update {
			want[k] += float64(x) * p.ClipNorm / norm
		}
		counted, err := m.Prepare(prepared, update, 1, rotation)
		require.NoError(t, err)
		require.True(t, counted)
		bit := uint64(16 * (i % 2))
		bits += int64(bit)
		rounded, err := m.Encode(words, prepared, []uint64{bit}, coins(byte(i)), draw(i))
		require.NoError(t, err)
		require.True(t, rounded)
		field.Add(sum, words)
	}
	return sum, want, bits
}

// rootMeanSquare of the difference.
func rootMeanSquare(got, want []float64) float64 {
	square := 0.0
	for i := range want {
		square += (got[i] - want[i]) * (got[i] - want[i])
	}
	return math.Sqrt(square / float64(len(want)))
}

func TestASumOfContributionsDecodesToTheSumOfClippedUpdates(t *testing.T) {
	const clients = 18
	for name, p := range map[string]Parameters{"distributed": goodParameters(), "central": centralParameters()} {
		t.Run(name, func(t *testing.T) {
			p.Dimension, p.Scale = 16384+1000, 1<<12
			m, rotation := mustCheck(t, p), testRotation(t, p.Dimension)
			share := func(client int) *Draw { return mustDraw(t, m, coins(byte(100+client))) }
			silent := func(int) *Draw { return drawOf(t, m, constant(0), constant(0)) }
			whole, none, rate := (*Draw)(nil), (*Draw)(nil), math.Sqrt(18.0/14) // the noise of 14 shares is sigma; here are 18
			if p.Central {
				whole, none, rate = mustDraw(t, m, coins(90)), silent(0), 1
				share, silent = func(int) *Draw { return nil }, func(int) *Draw { return nil }
			}
			got := make([]float64, p.Dimension)

			sum, want, bits := sumOf(t, m, rotation, clients, share)
			extras, err := m.Decode(got, sum, clients, rotation, whole)
			require.NoError(t, err)
			require.InEpsilon(t, rate*p.Sigma, rootMeanSquare(got, want), 0.03, "the noise of the sum and nothing else")
			require.InDelta(t, bits, extras[0], 6*40*rate)
			require.NotEqual(t, bits, extras[0])

			sum, _, _ = sumOf(t, m, rotation, clients, silent)
			extras, err = m.Decode(got, sum, clients, rotation, none)
			require.NoError(t, err)
			require.Equal(t, []int64{bits}, extras, "exactly")
			rounding := math.Sqrt(clients) / 2 / p.Scale // at most 1/4 of variance for each client and coordinate
			require.Less(t, rootMeanSquare(got, want), 1.02*rounding)
			for i := range want {
				require.InDelta(t, want[i], got[i], 7*rounding)
			}
		})
	}
}

// TestCentralNoiseIsAddedToTheIntegers: Decode of a sum with a draw is Decode without
// noise of the integers that have it, bit for bit.
func TestCentralNoiseIsAddedToTheIntegers(t *testing.T) {
	p := centralParameters()
	p.Dimension = 3000
	m, rotation := mustCheck(t, p), testRotation(t, 3000)
	padded := m.Sensitivity().Dimension
	sum, _, _ := sumOf(t, m, rotation, 5, func(int) *Draw { return nil })
	integers := make([]int64, padded)
	extras, err := m.Quantizer().Integers(integers, sum, 5)
	require.NoError(t, err)
	drawn, bit := make([]int64, padded), make([]int64, 1)
	require.NoError(t, mustDraw(t, m, coins(7)).addTo(drawn, bit))
	require.NotZero(t, bit[0])
	for i := range integers {
		integers[i] += drawn[i]
	}
	want, got := make([]float64, 3000), make([]float64, 3000)
	m.invert(want, integers, rotation, m.params.Scale)
	noised, err := m.Decode(got, sum, 5, rotation, mustDraw(t, m, coins(7)))
	require.NoError(t, err)
	require.Equal(t, want, got)
	require.Equal(t, []int64{int64(extras[0]) + bit[0]}, noised)
}

// TestWideNoiseOnALargeSumDoesNotWrap: noise of more than a word beside sums that fill one.
func TestWideNoiseOnALargeSumDoesNotWrap(t *testing.T) {
	p := Parameters{Dimension: 64, Clients: 1 << 10, Survivors: 1, Central: true, ClipNorm: 1, Scale: 1 << 20, Sigma: 100, Noise: dp.DiscreteGaussian}
	m := mustCheck(t, p)
	require.Equal(t, field.MaxWordBits, m.Quantizer().WordBits())
	integers := make([]int64, 64)
	for i := range integers {
		integers[i] = 1 << 31
	}
	require.NoError(t, drawOf(t, m, constant(math.MaxInt32), nil).addTo(integers, nil))
	for _, v := range integers {
		require.EqualValues(t, 1<<32-1, v)
	}
}

// TestDecodeInvertsAsDoublesWould: against the transform by its definition.
func TestDecodeInvertsAsDoublesWould(t *testing.T) {
	p := goodParameters()
	p.Dimension = 16384 + 100
	m, rotation := mustCheck(t, p), testRotation(t, p.Dimension)
	padded := m.Sensitivity().Dimension
	x := make([]float32, padded)
	copy(x, randomVector(3, p.Dimension))
	want := append([]float32(nil), x...)
	require.NoError(t, rotation.Forward(x))
	integers, energy := make([]int64, padded), 0.0
	for i, v := range x {
		integers[i] = int64(math.RoundToEven(float64(v) * 1e6))
		energy += float64(v) * float64(v)
	}
	got := make([]float64, p.Dimension)
	m.invert(got, integers, rotation, m.params.Scale)
	for i := range got {
		require.InDelta(t, want[i], got[i]*64/1e6, math.Sqrt(energy)*0x1p-22+5e-6)
	}
}

func TestDecodeIsTheSameBitForBit(t *testing.T) {
	p := goodParameters()
	p.Dimension, p.Scale = 16384+1000, 1000.1
	m, rotation := mustCheck(t, p), testRotation(t, p.Dimension)
	words := make([]uint32, m.Quantizer().Layout().Len())
	for i := range words {
		words[i] = 9<<(m.Quantizer().Spec().Bits-1) + uint32(i*i%5000) - 2500
	}
	words[len(words)-1] = 77
	got := make([]float64, p.Dimension)
	_, err := m.Decode(got, words, 9, rotation, nil)
	require.NoError(t, err)
	h := sha256.New()
	require.NoError(t, binary.Write(h, binary.LittleEndian, got))
	require.Equal(t, "b99b8adf798b07f0fdfc43471d92e44bec54cef7ad0dcdf2280efdc014ec94fd", hex.EncodeToString(h.Sum(nil)))
}

func TestDecodeRefusesWhatIsNotOfTheMechanism(t *testing.T) {
	for _, central := range []bool{false, true} {
		p := goodParameters()
		if central {
			p = centralParameters()
		}
		m, r := mustCheck(t, p), testRotation(t, 100)
		words := make([]uint32, 129)
		for i := range 128 {
			words[i] = 3 << (m.Quantizer().Spec().Bits - 1)
		}
		fresh := func() *Draw {
			if !central {
				return nil
			}
			return mustDraw(t, m, coins(1))
		}
		used := mustDraw(t, mustCheck(t, centralParameters()), coins(1))
		require.NoError(t, used.take())
		other := mustDraw(t, mustCheck(t, goodParameters()), coins(1))
		unwanted := other
		if central {
			unwanted = nil
		}
		for name, c := range map[string]struct {
			values, words, clients int
			rotation               Rotation
			draw                   *Draw
			want                   error
		}{
			"values":             {128, 129, 3, r, fresh(), ErrArgument},
			"words":              {100, 128, 3, r, fresh(), ErrArgument},
			"no clients":         {100, 129, 0, r, fresh(), ErrArgument},
			"too many clients":   {100, 129, 21, r, fresh(), ErrArgument},
			"rotation":           {100, 129, 3, testRotation(t, 200), fresh(), ErrArgument},
			"zero rotation":      {100, 129, 3, Rotation{}, fresh(), ErrArgument},
			"other clients":      {100, 129, 19, r, fresh(), field.ErrRange},
			"a draw or none":     {100, 129, 3, r, unwanted, ErrNoise},
			"used":               {100, 129, 3, r, used, ErrNoise},
			"of other mechanism": {100, 129, 3, r, other, ErrNoise},
		} {
			dst := make([]float64, c.values)
			dst[5] = 5
			extras, err := m.Decode(dst, words[:c.words], c.clients, c.rotation, c.draw)
			require.ErrorIs(t, err, c.want, name)
			require.Nil(t, extras)
			require.Equal(t, make([]float64, c.values), dst, name)
			if central && c.want == field.ErrRange {
				require.Zero(t, c.draw.pools[0].Left(), "erased")
			}
		}
		d := fresh()
		_, err := m.Decode(make([]float64, 100), words, 3, r, d)
		require.NoError(t, err)
		if central {
			require.Zero(t, d.pools[0].Left(), "erased")
			_, err = m.Decode(make([]float64, 100), words, 3, r, d)
			require.ErrorIs(t, err, ErrNoise, "a draw serves one sum")
			_, err = m.Encode(make([]uint32, 129), make([]float32, 128), []uint64{1}, coins(1), fresh())
			require.ErrorIs(t, err, ErrNoise, "clients add nothing")
		}
	}
	_, err := Mechanism{}.Decode(nil, nil, 1, Rotation{}, nil)
	require.ErrorIs(t, err, ErrArgument)
}

// Noise from elsewhere, in eighths of a grid step, decodes as noise in whole steps does.
func TestNoiseFromElsewhereIsAddedToTheIntegersInItsOwnUnits(t *testing.T) {
	p := Parameters{Dimension: 100, Clients: 3, Survivors: 1, ClipNorm: 1, Scale: 256, Sigma: 1, Noise: dp.DiscreteGaussian, Central: true}
	m, err := p.Check()
	require.NoError(t, err)
	r, err := NewRotation(100, [32]byte{1})
	require.NoError(t, err)
	update, prepared := make([]float32, 100), make([]float32, r.Padded())
	for i := range update {
		update[i] = float32(i%7) / 100
	}
	_, err = m.Prepare(prepared, update, 1, r)
	require.NoError(t, err)
	words := make([]uint32, m.Quantizer().Layout().Len())
	_, err = m.Encode(words, prepared, nil, field.NewStream([32]byte{2}), nil)
	require.NoError(t, err)
	decode := func(units, scale int64, noise func(i int) int64) []float64 {
		out := make([]float64, 100)
		_, err := m.DecodeWith(out, words, 1, r, func(sums, _ []int64) (float64, error) {
			for i := range sums {
				sums[i] = scale*sums[i] + scale*noise(i)
			}
			return float64(units), nil
		})
		require.NoError(t, err)
		return out
	}
	some := func(i int) int64 { return int64(i%11) - 5 }
	bare := decode(1, 1, func(int) int64 { return 0 })
	require.Equal(t, decode(1, 1, some), decode(8, 8, some))
	require.NotEqual(t, bare, decode(1, 1, some))
	for i := range bare {
		require.InDelta(t, update[i], bare[i], 0.05)
	}
	_, err = m.DecodeWith(bare, words, 1, r, func(_, _ []int64) (float64, error) { return 0, ErrNoise })
	require.ErrorIs(t, err, ErrNoise)
}
