package field

import (
	"math"
	"math/big"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// goodSpec is a small spec that passes; tests change one thing at a time.
func goodSpec() Spec {
	return Spec{
		Dimension: 10, Clients: 100, ClipNorm: 1, Bits: 16,
		Extras: []Extra{{Name: "weight", Bound: 1000}, {Name: "count", Bound: 60000}},
	}
}

func mustCheck(t testing.TB, s Spec) Quantizer {
	t.Helper()
	q, err := s.Check()
	require.NoError(t, err)
	return q
}

func TestCheckResolvesDefaults(t *testing.T) {
	s := mustCheck(t, goodSpec()).Spec()
	require.Equal(t, int64(32766), s.Range, "2^15 > R + 0 + 1")
	require.Equal(t, 32766.0, s.Scale)
	require.Equal(t, 23, s.WordBits, "100 * 2^16 <= 2^23")

	noisy := goodSpec()
	noisy.NoiseTail = 700
	require.Equal(t, int64(32066), mustCheck(t, noisy).Spec().Range)

	wide := goodSpec()
	wide.Extras[0].Bound = 100_000
	require.Equal(t, 24, mustCheck(t, wide).Spec().WordBits, "100 * 100000 < 2^24")

	power := goodSpec()
	power.Clients, power.Extras[0].Bound = 64, 1<<20
	require.Equal(t, 27, mustCheck(t, power).Spec().WordBits, "64 * 2^20 is not < 2^26")

	tiny := Spec{Dimension: 1, Clients: 1, ClipNorm: 1, Bits: 3}
	require.Equal(t, 8, mustCheck(t, tiny).WordBits(), "no word is narrower than 8 bits")
}

func TestCheckingAResolvedSpecChangesNothing(t *testing.T) {
	q := mustCheck(t, goodSpec())
	require.Equal(t, q, mustCheck(t, q.Spec()))
}

func TestQuantizerCannotBeChangedFromOutside(t *testing.T) {
	s := goodSpec()
	q := mustCheck(t, s)
	s.Extras[0].Bound = 1
	q.Spec().Extras[0].Bound = 2
	q.Layout().Extras()[0].Bound = 3
	require.Equal(t, uint64(1000), q.Spec().Extras[0].Bound)
}

func TestCheckRefusesContradictions(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*Spec)
		field  string
	}{
		{"no dimension", func(s *Spec) { s.Dimension = 0 }, "Dimension"},
		{"negative dimension", func(s *Spec) { s.Dimension = -1 }, "Dimension"},
		{"absurd dimension", func(s *Spec) { s.Dimension = math.MaxInt }, "Dimension"},
		{"no room for the extras", func(s *Spec) { s.Dimension = MaxWords - 1 }, "Dimension"},
		{"no clients", func(s *Spec) { s.Clients = 0 }, "Clients"},
		{"negative clients", func(s *Spec) { s.Clients = -5 }, "Clients"},
		{"absurd clients", func(s *Spec) { s.Clients = math.MaxInt }, "Clients"},
		{"no clip norm", func(s *Spec) { s.ClipNorm = 0 }, "ClipNorm"},
		{"negative clip norm", func(s *Spec) { s.ClipNorm = -1 }, "ClipNorm"},
		{"clip norm NaN", func(s *Spec) { s.ClipNorm = math.NaN() }, "ClipNorm"},
		{"clip norm infinite", func(s *Spec) { s.ClipNorm = math.Inf(1) }, "ClipNorm"},
		{"clip norm subnormal", func(s *Spec) { s.ClipNorm = 1e-300 }, "ClipNorm"},
		{"no bits", func(s *Spec) { s.Bits = 0 }, "Bits"},
		{"bits without room", func(s *Spec) { s.Bits = 2 }, "Bits"},
		{"too many bits", func(s *Spec) { s.Bits = 32 }, "Bits"},
		{"negative range", func(s *Spec) { s.Range = -1 }, "Range"},
		{"range one beyond the rule", func(s *Spec) { s.Range = 32767 }, "Range"},
		{"absurd range", func(s *Spec) { s.Range = math.MaxInt64 }, "Range"},
		{"range and tail one beyond the rule", func(s *Spec) { s.Range, s.NoiseTail = 32000, 767 }, "Range"},
		{"negative tail", func(s *Spec) { s.NoiseTail = -1 }, "NoiseTail"},
		{"tail leaves no range", func(s *Spec) { s.NoiseTail = 32766 }, "NoiseTail"},
		{"absurd tail", func(s *Spec) { s.NoiseTail = math.MaxInt64 }, "NoiseTail"},
		{"negative scale", func(s *Spec) { s.Scale = -1 }, "Scale"},
		{"scale NaN", func(s *Spec) { s.Scale = math.NaN() }, "Scale"},
		{"scale infinite", func(s *Spec) { s.Scale = math.Inf(1) }, "Scale"},
		{"scale below half an integer", func(s *Spec) { s.Scale = 0.499 }, "Scale"},
		{"scale that clamps everything", func(s *Spec) { s.Scale = 32766*math.Sqrt(10) + 1 }, "Scale"},
		{"scale that overflows", func(s *Spec) { s.Scale, s.ClipNorm = math.MaxFloat64, 1e30 }, "Scale"},
		{"narrow word", func(s *Spec) { s.WordBits = 7 }, "WordBits"},
		{"wide word", func(s *Spec) { s.WordBits = 33 }, "WordBits"},
		{"negative word", func(s *Spec) { s.WordBits = -1 }, "WordBits"},
		{"clients overflow a given word", func(s *Spec) { s.WordBits, s.Extras = 22, nil }, "Clients"},
		{"clients overflow every word", func(s *Spec) { s.Clients = 1<<16 + 1 }, "Clients"},
		{"extra overflows a given word", func(s *Spec) { s.WordBits, s.Extras[1].Bound = 23, 83887 }, `"count"`},
		{"extra overflows every word", func(s *Spec) { s.Extras[1].Bound = 42949673 }, `"count"`},
		{"extra equal to the ring", func(s *Spec) { s.Clients, s.Extras[1].Bound = 64, 1<<26 }, `"count"`},
		{"extra overflows 64 bits", func(s *Spec) { s.Extras[1].Bound = 1 << 63 }, `"count"`},
		{"extra without a bound", func(s *Spec) { s.Extras[1].Bound = 0 }, `"count"`},
		{"extra without a name", func(s *Spec) { s.Extras[1].Name = "" }, "Extras[1]"},
		{"two extras of one name", func(s *Spec) { s.Extras[1].Name = "weight" }, "Extras[1]"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := goodSpec()
			c.change(&s)
			q, err := s.Check()
			require.ErrorIs(t, err, ErrSpec)
			require.Equal(t, Quantizer{}, q)
			require.Equal(t, 1, strings.Count(err.Error(), "\n")+1, "one line for one contradiction: %v", err)
			require.Contains(t, err.Error(), c.field)
		})
	}
}

func TestCheckAcceptsTheEdgeOfEveryRule(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*Spec)
	}{
		{"range at the rule", func(s *Spec) { s.Range = 32766 }},
		{"range and tail at the rule", func(s *Spec) { s.Range, s.NoiseTail = 32000, 766 }},
		{"tail that leaves a range of one", func(s *Spec) { s.NoiseTail = 32765 }},
		{"scale of half an integer", func(s *Spec) { s.Scale = 0.5 }},
		{"scale at the flattest update", func(s *Spec) { s.Scale = 32766 * math.Sqrt(10) }},
		{"clients that fill the widest word", func(s *Spec) { s.Clients, s.Extras = 1<<16, nil }},
		{"extra one below its word", func(s *Spec) { s.WordBits, s.Extras[1].Bound = 23, 83886 }},
		{"extra that fills the widest word", func(s *Spec) { s.Extras[1].Bound = 42949672 }},
		{"smallest clip norm", func(s *Spec) { s.ClipNorm = 0x1p-126 }},
		{"largest clip norm", func(s *Spec) { s.ClipNorm = 0x1p127 }},
		{"largest vector", func(s *Spec) { s.Dimension = MaxWords - 2 }},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := goodSpec()
			c.change(&s)
			_, err := s.Check()
			require.NoError(t, err)
		})
	}
}

func TestCheckReportsEveryContradictionAtOnce(t *testing.T) {
	_, err := Spec{Clients: 1 << 20, ClipNorm: math.NaN(), Bits: 20, Range: -1, WordBits: 40,
		Extras: []Extra{{Name: "a"}}}.Check()
	lines := strings.Split(err.Error(), "\n")
	for _, field := range []string{"Dimension", "ClipNorm", "Range", "WordBits", `"a"`} {
		require.Contains(t, err.Error(), field)
	}
	require.Len(t, lines, 5)

	// Contradictions between fields are found although others are wrong too.
	_, err = Spec{ClipNorm: 1, Clients: 1 << 20, Bits: 20, Range: 1 << 30}.Check()
	require.Len(t, strings.Split(err.Error(), "\n"), 3, "%v", err)
}

func TestDefaultScaleIsTheLargestThatNeverClamps(t *testing.T) {
	coins := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		s := goodSpec()
		s.ClipNorm = math.Exp(coins.Float64()*100 - 50)
		s.Bits, s.Clients, s.Extras = 3+coins.IntN(29), 1, nil
		s.NoiseTail = coins.Int64N(2) * (1<<(s.Bits-1) - 3) // half of the time R = 1
		q := mustCheck(t, s)
		s = q.Spec()
		require.Equal(t, q, mustCheck(t, s), "the resolved scale is accepted")
		reach := func(scale float64) int { // exact sign of scale*C - R
			product := new(big.Float).SetPrec(200).Mul(big.NewFloat(scale), big.NewFloat(s.ClipNorm))
			return product.Cmp(new(big.Float).SetInt64(s.Range))
		}
		require.LessOrEqual(t, reach(s.Scale), 0)
		require.Positive(t, reach(math.Nextafter(s.Scale, math.Inf(1))))
	}
}

// Whatever Check accepts keeps every rule, recomputed without overflow.
func TestAcceptedSpecsKeepTheOverflowBudget(t *testing.T) {
	coins := rand.New(rand.NewPCG(3, 4))
	accepted, tight := 0, 0
	for range 40000 {
		s := Spec{
			Dimension: 1 + coins.IntN(100), Clients: 1 << coins.IntN(18), ClipNorm: 1,
			Bits: coins.IntN(33), Range: coins.Int64N(3) * coins.Int64N(1<<20), NoiseTail: coins.Int64N(2) * coins.Int64N(1<<20),
			WordBits: coins.IntN(2) * coins.IntN(34), Extras: []Extra{{Name: "x", Bound: 1 + coins.Uint64N(1<<30)}},
		}
		s.Clients += coins.IntN(3) - 1
		q, err := s.Check()
		if err != nil {
			continue
		}
		accepted++
		r := q.Spec()
		n := big.NewInt(int64(r.Clients))
		ring := new(big.Int).Lsh(big.NewInt(1), uint(r.WordBits))
		main := new(big.Int).Lsh(n, uint(r.Bits))
		extra := new(big.Int).Mul(n, new(big.Int).SetUint64(r.Extras[0].Bound))
		require.LessOrEqual(t, main.Cmp(ring), 0, "%+v", r)
		require.Negative(t, extra.Cmp(ring), "%+v", r)
		require.Greater(t, int64(1)<<(r.Bits-1), r.Range+r.NoiseTail+1, "%+v", r)
		require.GreaterOrEqual(t, r.Range, int64(1))
		if s.WordBits == 0 && r.WordBits > MinWordBits { // no narrower word would do
			half := new(big.Int).Rsh(ring, 1)
			require.True(t, main.Cmp(half) > 0 || extra.Cmp(half) >= 0, "%+v", r)
		}
		if main.Cmp(ring) == 0 {
			tight++
		}
	}
	require.Greater(t, accepted, 1000)
	require.Greater(t, tight, 10, "n * 2^b == 2^w is allowed")
}

func TestLayoutPutsExtrasAfterTheMainCoordinates(t *testing.T) {
	l := mustCheck(t, goodSpec()).Layout()
	require.Equal(t, 10, l.Main())
	require.Equal(t, 12, l.Len())
	require.Equal(t, goodSpec().Extras, l.Extras())
	i, ok := l.Extra("count")
	require.True(t, ok)
	require.Equal(t, 1, i)
	_, ok = l.Extra("loss")
	require.False(t, ok)
}
