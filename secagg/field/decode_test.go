package field

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

// At n * 2^b = 2^w, as close to the ring as a spec can come, n clients that
// all put their largest or smallest values, noise included, decode exactly.
func TestMaximalClientsNeverWrap(t *testing.T) {
	source := rand.New(rand.NewPCG(13, 14))
	for w := MinWordBits; w <= MaxWordBits; w++ {
		for b := 4; b <= min(w, 31); b++ {
			n := 1 << (w - b)
			tail := source.Int64N(1<<(b-1) - 3 + 1)
			if b%2 == 0 {
				tail = 0
			}
			s := Spec{Dimension: 2, Clients: n, ClipNorm: 1, Bits: b, NoiseTail: tail, WordBits: w,
				Extras: []Extra{{"x", (1<<w - 1) / uint64(n)}}}
			q := mustCheck(t, s)
			s = q.Spec()
			s.Clients++
			_, err := s.Check()
			require.ErrorIs(t, err, ErrSpec, "one more client is refused: w = %d, b = %d", w, b)

			var noise Noise
			if tail > 0 {
				noise = &noiseFunc{f: func(i int) int32 { return int32(tail) * int32(1-2*i) }}
			}
			// Two clients, each with all its energy in one coordinate, make
			// one vector that is the maximum and the minimum.
			one := make([]uint32, 3)
			scaled := q
			scaled.spec.ClipNorm *= 2 // room for both coordinates at once
			_, err = scaled.Encode(one, []float32{1, -1}, 1, []uint64{s.Extras[0].Bound}, constantCoins(1<<31, 2), noise)
			require.NoError(t, err)

			sum := make([]uint32, 3)
			if n <= 1024 {
				for range n {
					Add(sum, one)
				}
			} else {
				for i, v := range one { // the same, mod 2^32
					sum[i] = v * uint32(n)
				}
			}
			values := make([]float64, 2)
			extras, err := q.Decode(values, sum, n)
			require.NoError(t, err)
			top := float64(int64(n)*(s.Range+tail)) / s.Scale
			require.Equal(t, []float64{top, -top}, values, "w = %d, b = %d", w, b)
			require.Equal(t, []uint64{uint64(n) * s.Extras[0].Bound}, extras)
		}
	}
}

func TestDecodeIgnoresBitsAboveTheRing(t *testing.T) {
	q := mustCheck(t, goodSpec())
	require.Less(t, q.WordBits(), 32)
	sum := make([]uint32, 12)
	for i := range 10 {
		sum[i] = 3<<15 + uint32(i)
	}
	sum[10], sum[11] = 5, 6
	want, got := make([]float64, 10), make([]float64, 10)
	wantExtras, err := q.Decode(want, sum, 3)
	require.NoError(t, err)
	require.Equal(t, 9/q.Spec().Scale, want[9])
	require.Equal(t, []uint64{5, 6}, wantExtras)
	for i := range sum {
		sum[i] += uint32(i+1) << q.WordBits()
	}
	extras, err := q.Decode(got, sum, 3)
	require.NoError(t, err)
	require.Equal(t, want, got)
	require.Equal(t, wantExtras, extras)
}

func TestDecodeRefusesSumsOutOfReach(t *testing.T) {
	s := goodSpec()
	s.Range, s.NoiseTail = 1000, 50
	q := mustCheck(t, s)
	const n = 7
	zero := func() []uint32 {
		sum := make([]uint32, 12)
		for i := range 10 {
			sum[i] = n<<15 + 5
		}
		return sum
	}
	for _, c := range []struct {
		name string
		word int
		add  int
		ok   bool
	}{
		{"largest sum", 9, n*1050 - 5, true},
		{"smallest sum", 9, -n*1050 - 5, true},
		{"one above", 9, n*1050 - 4, false},
		{"one below", 9, -n*1050 - 6, false},
		{"half the ring away", 0, 1 << 22, false},
		{"largest extra", 10, n * 1000, true},
		{"extra one above", 10, n*1000 + 1, false},
		{"last extra one above", 11, n*60000 + 1, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			sum, values := zero(), []float64{1, 2, 3, 4, 5, 6, 7, 8, 9, 10}
			sum[c.word] += uint32(c.add)
			extras, err := q.Decode(values, sum, n)
			if c.ok {
				require.NoError(t, err)
				return
			}
			require.ErrorIs(t, err, ErrRange)
			require.Nil(t, extras)
			require.Equal(t, make([]float64, 10), values, "nothing half decoded is left")
		})
	}
	_, err := q.Decode(make([]float64, 10), zero(), n-1)
	require.ErrorIs(t, err, ErrRange, "a wrong number of clients shows")
}

func TestDecodeRefusesWhatBreaksItsContract(t *testing.T) {
	q := mustCheck(t, goodSpec())
	for _, c := range []struct {
		name                 string
		values, sum, clients int
	}{
		{"no clients", 10, 12, 0},
		{"negative clients", 10, 12, math.MinInt},
		{"more clients than the spec", 10, 12, 101},
		{"absurd clients", 10, 12, math.MaxInt},
		{"short values", 9, 12, 1},
		{"long values", 11, 12, 1},
		{"short sum", 10, 11, 1},
		{"long sum", 10, 13, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := q.Decode(make([]float64, c.values), make([]uint32, c.sum), c.clients)
			require.ErrorIs(t, err, ErrArgument)
		})
	}
	_, err := Quantizer{}.Decode(nil, nil, 1)
	require.ErrorIs(t, err, ErrSpec)
}

// Golden: 5 clients of scale 3 give integers over 3, each rounded once.
func TestDecodeDividesOnce(t *testing.T) {
	q := mustCheck(t, Spec{Dimension: 3, Clients: 5, ClipNorm: 1, Bits: 10, Scale: 3})
	values := make([]float64, 3)
	_, err := q.Decode(values, []uint32{5<<9 + 1, 5<<9 - 10, 5 << 9}, 5)
	require.NoError(t, err)
	require.Equal(t, []float64{1.0 / 3, -10.0 / 3, 0}, values)
}

func TestIntegersAreThoseOfTheSum(t *testing.T) {
	s := goodSpec()
	s.Range, s.NoiseTail, s.Dimension = 1000, 50, block+3
	q := mustCheck(t, s)
	const n = 7
	sum, want := make([]uint32, block+5), make([]int64, block+3)
	for i := range want {
		want[i] = int64(i*i%(2*n*1050+1)) - n*1050
		sum[i] = uint32(want[i]+n<<15) + 1<<q.WordBits() // a bit above the ring
	}
	sum[block+3], sum[block+4] = 5, n*60000
	got, values := make([]int64, block+3), make([]float64, block+3)
	extras, err := q.Integers(got, sum, n)
	require.NoError(t, err)
	require.Equal(t, want, got)
	require.Equal(t, []uint64{5, n * 60000}, extras)
	_, err = q.Decode(values, sum, n)
	require.NoError(t, err)
	for i, v := range values {
		require.Equal(t, float64(want[i])/q.Spec().Scale, v, "Decode is Integers over Scale")
	}

	for name, c := range map[string]struct {
		word int
		add  uint32
	}{"last coordinate": {block + 2, 1 << 20}, "last extra": {block + 4, 1}} {
		sum[c.word] += c.add
		got[0] = 9
		extras, err = q.Integers(got, sum, n)
		require.ErrorIs(t, err, ErrRange, name)
		require.Nil(t, extras)
		require.Equal(t, make([]int64, block+3), got, "nothing half decoded is left")
		sum[c.word] -= c.add
	}
	for _, c := range []struct{ values, sum, clients int }{{block + 3, block + 5, 0}, {block + 3, block + 5, 101}, {block + 2, block + 5, 1}, {block + 3, block + 4, 1}} {
		_, err = q.Integers(make([]int64, c.values), make([]uint32, c.sum), c.clients)
		require.ErrorIs(t, err, ErrArgument)
	}
	_, err = Quantizer{}.Integers(nil, nil, 1)
	require.ErrorIs(t, err, ErrSpec)
}
