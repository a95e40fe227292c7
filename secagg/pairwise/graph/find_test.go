package graph

import (
	"fmt"
	"math"
	"math/big"
	"testing"

	"github.com/stretchr/testify/require"
)

// standard is the design's target for n clients.
func standard(n int, corrupt, dropout float64) Spec {
	return Spec{Clients: n, Corrupt: corrupt, Dropout: dropout, PrivacyBits: 40, FailureBits: 20, Attempts: 8}
}

// Source: this package; the degrees lie within a few of the Harary graph's, which
// is checked against published values in this package's tests. Any change
// of these numbers changes every client's threshold: it needs a reason.
func TestGoldenParameters(t *testing.T) {
	type row [6]int // n, k, t, q, honest floor, most isolated
	for shares, rows := range map[[2]float64][]row{
		{.05, .05}: {{150, 25, 17, 80, 81, 9}, {200, 29, 20, 106, 114, 9}, {500, 45, 32, 263, 312, 12}, {1000, 52, 37, 526, 630, 20}, {2000, 56, 40, 1051, 1272, 37}, {10000, 62, 44, 5251, 6333, 169}},
		{.10, .10}: {{150, 44, 30, 83, 79, 4}, {200, 55, 38, 111, 110, 4}, {500, 83, 58, 276, 286, 6}, {1000, 97, 68, 551, 578, 11}, {2000, 109, 76, 1101, 1152, 19}, {10000, 122, 85, 5501, 5772, 88}},
		{.10, .30}: {{150, 104, 60, 83, 68, 1}, {200, 133, 77, 111, 92, 1}, {500, 275, 163, 276, 239, 1}, {1000, 417, 249, 551, 485, 2}, {2000, 560, 335, 1101, 974, 4}, {10000, 792, 474, 5501, 4881, 15}},
		{.20, .20}: {{150, 91, 61, 91, 66, 1}, {200, 117, 79, 121, 91, 1}, {500, 221, 151, 301, 234, 2}, {1000, 306, 209, 601, 470, 3}, {2000, 378, 258, 1201, 941, 5}, {10000, 487, 332, 6001, 4707, 23}},
	} {
		for _, want := range rows {
			p, err := Find(standard(want[0], shares[0], shares[1]))
			require.NoError(t, err)
			require.Equal(t, want, row{p.Clients, p.Degree, p.Threshold, p.Quorum, p.HonestFloor, p.MaxIsolated}, "%v", shares)
			require.Equal(t, int(math.Round(shares[0]*float64(want[0]))), p.MaxCorrupt)
			require.Equal(t, int(math.Round(shares[1]*float64(want[0]))), p.MaxDropouts)
			require.False(t, p.Complete)
		}
	}
}

func TestBelow150ClientsTheGraphIsCompleteAndCertain(t *testing.T) {
	for n := MinClients; n < CompleteBelow; n++ {
		p, err := Find(standard(n, .1, .1))
		require.NoError(t, err)
		f := (n + 9) / 10
		require.Equal(t, Parameters{
			Clients: n, Degree: n - 1, Threshold: (n-1+f)/2 + 1, Quorum: (n+f)/2 + 1,
			MaxCorrupt: f, MaxDropouts: f, Complete: true,
			HonestFloor: (n-1+f)/2 + 2 - f, MaxIsolated: 0,
		}, p)
		require.Greater(t, 2*p.Threshold, p.Degree+p.MaxCorrupt, "(S)")
		require.GreaterOrEqual(t, p.Threshold+1, p.Quorum, "(C)")
		require.GreaterOrEqual(t, n-p.MaxDropouts-1, p.Threshold, "(R)")
	}
	p, err := Find(standard(CompleteBelow, .1, .1))
	require.NoError(t, err)
	require.False(t, p.Complete)
}

// Search skips degrees; trying every one must give the same answer.
func TestSearchFindsTheSmallestDegreeAndThreshold(t *testing.T) {
	checked := 0
	for _, n := range []int{12, 20, 33, 60, 90} {
		for f := 0; f <= n/3; f += 1 + n/12 {
			for dropouts := 0; 2*dropouts+f < n; dropouts += 1 + n/10 {
				for _, bits := range []int{6, 20} {
					c := newConditions(n, f, dropouts, powerOfTwo(-bits), powerOfTwo(-bits/2))
					k, threshold, found := c.search(1)
					wantK, wantT, wantFound := c.tryEveryDegree()
					require.Equal(t, [3]any{wantK, wantT, wantFound}, [3]any{k, threshold, found}, "n=%d f=%d D=%d bits=%d", n, f, dropouts, bits)
					checked++
				}
			}
		}
	}
	require.Greater(t, checked, 100)
}

// tryEveryDegree evaluates the conditions as the package comment states them.
func (c conditions) tryEveryDegree() (int, int, bool) {
	n, f := c.clients, c.corrupt
	for k := 1; k < n; k++ {
		for t := 1; t <= k; t++ {
			secrecy := hypergeometricTail(n-1, f, k, 2*t-k).scale(float64(n-f), 1)
			survival := hypergeometricTail(n-1, c.dropouts, k, k-t+1).scale(float64(n), 1)
			if c.secrecy.less(secrecy) || c.survival.less(survival) {
				continue
			}
			var sum wide
			for pool, bound := range openPools(n, f, k, t) {
				if pool < c.quorum {
					sum = sum.add(bound)
				}
			}
			if !c.connectivity.less(sum) {
				return k, t, true
			}
		}
	}
	return 0, 0, false
}

func TestMoreIsNeverCheaper(t *testing.T) {
	base, err := Find(standard(1000, .1, .1))
	require.NoError(t, err)
	for name, change := range map[string]func(*Spec){
		"corrupt":  func(s *Spec) { s.Corrupt = .15 },
		"dropout":  func(s *Spec) { s.Dropout = .15 },
		"privacy":  func(s *Spec) { s.PrivacyBits = 60 },
		"failure":  func(s *Spec) { s.FailureBits = 30 },
		"clients":  func(s *Spec) { s.Clients = 4000 },
		"attempts": func(s *Spec) { s.PrivacyBits = 44 },
	} {
		spec := standard(1000, .1, .1)
		change(&spec)
		more, err := Find(spec)
		require.NoError(t, err)
		require.Greater(t, more.Degree, base.Degree, name)
	}
	// Attempts cost log2(Attempts) bits of privacy, no more and no less.
	eight, one := standard(1000, .1, .1), standard(1000, .1, .1)
	one.Attempts, one.PrivacyBits = 1, 43
	fromEight, err := Find(eight)
	require.NoError(t, err)
	fromOne, err := Find(one)
	require.NoError(t, err)
	require.Equal(t, fromEight, fromOne)
}

func TestSharesAreReadToNineDecimalsAndRoundedUp(t *testing.T) {
	for _, c := range []struct {
		share float64
		n     int
		want  int
	}{{0, 100, 0}, {.07, 100, 7}, {.1, 200, 20}, {.1, 201, 21}, {.3, 10, 3}, {.29, 100_000, 29_000}, {1e-9, 16, 1}, {1e-10, 16, 0}, {.999999999, 100_000, 100_000}} {
		got, err := countOf(c.share, c.n)
		require.NoError(t, err)
		require.Equal(t, c.want, got, "%v of %d", c.share, c.n)
	}
}

func TestFindRefuses(t *testing.T) {
	with := func(change func(*Spec)) Spec {
		spec := standard(1000, .1, .1)
		change(&spec)
		return spec
	}
	for name, test := range map[string]struct {
		spec Spec
		want error
	}{
		"no clients":               {with(func(s *Spec) { s.Clients = 0 }), ErrClients},
		"15 clients":               {with(func(s *Spec) { s.Clients = 15 }), ErrClients},
		"2 named clients":          {with(func(s *Spec) { s.Clients, s.CrossSilo = 2, true }), ErrClients},
		"too many clients":         {with(func(s *Spec) { s.Clients = MaxClients + 1 }), ErrClients},
		"negative corrupt":         {with(func(s *Spec) { s.Corrupt = -.1 }), ErrShares},
		"all corrupt":              {with(func(s *Spec) { s.Corrupt = 1 }), ErrShares},
		"corrupt not a number":     {with(func(s *Spec) { s.Corrupt = math.NaN() }), ErrShares},
		"infinite dropout":         {with(func(s *Spec) { s.Dropout = math.Inf(1) }), ErrShares},
		"weak privacy":             {with(func(s *Spec) { s.PrivacyBits = 39 }), ErrTargets},
		"absurd privacy":           {with(func(s *Spec) { s.PrivacyBits = 129 }), ErrTargets},
		"no failure target":        {with(func(s *Spec) { s.FailureBits = 0 }), ErrTargets},
		"absurd failure target":    {with(func(s *Spec) { s.FailureBits = 65 }), ErrTargets},
		"no attempts":              {with(func(s *Spec) { s.Attempts = 0 }), ErrTargets},
		"nine attempts":            {with(func(s *Spec) { s.Attempts = 9 }), ErrTargets},
		"two honest":               {with(func(s *Spec) { s.Clients, s.Corrupt, s.Dropout = 16, .85, 0 }), ErrHonest},
		"two honest, named":        {with(func(s *Spec) { s.Clients, s.CrossSilo, s.Corrupt, s.Dropout = 3, true, .1, 0 }), ErrHonest},
		"survivors below quorum":   {with(func(s *Spec) { s.Corrupt, s.Dropout = .2, .4 }), ErrQuorum},
		"corrupt + 2 dropout = .9": {with(func(s *Spec) { s.Clients, s.Corrupt, s.Dropout = 30, .1, .45 }), ErrQuorum},
		"one client short of t":    {with(func(s *Spec) { s.Clients, s.Corrupt, s.Dropout = 21, 0, .47 }), ErrThreshold},
	} {
		_, err := Find(test.spec)
		require.ErrorIs(t, err, test.want, name)
		require.NotContains(t, err.Error(), "\n", name)
	}
}

func TestCrossSiloServesThreeNamedParties(t *testing.T) {
	p, err := Find(Spec{Clients: 3, CrossSilo: true, PrivacyBits: 40, FailureBits: 20, Attempts: 8})
	require.NoError(t, err)
	require.Equal(t, Parameters{Clients: 3, Degree: 2, Threshold: 2, Quorum: 2, Complete: true, HonestFloor: 3}, p)
	p, err = Find(Spec{Clients: 7, CrossSilo: true, Corrupt: .1, Dropout: .2, PrivacyBits: 40, FailureBits: 20, Attempts: 8})
	require.NoError(t, err)
	require.Equal(t, Parameters{Clients: 7, Degree: 6, Threshold: 4, Quorum: 5, MaxCorrupt: 1, MaxDropouts: 2, Complete: true, HonestFloor: 4}, p)
}

func TestHonestInSum(t *testing.T) {
	p, err := Find(standard(1000, .1, .1))
	require.NoError(t, err)
	require.Zero(t, p.HonestInSum(p.Quorum-1))
	require.Zero(t, p.HonestInSum(p.HonestFloor-1))
	require.Equal(t, p.HonestFloor, p.HonestInSum(p.HonestFloor))
	require.Equal(t, 900-100-p.MaxIsolated, p.HonestInSum(900))
	require.GreaterOrEqual(t, p.HonestFloor+p.MaxCorrupt, p.Quorum)
}

// For the complete graph every set of drop-outs is tried.
func TestFailureProbabilityIsExactForTheCompleteGraph(t *testing.T) {
	for _, n := range []int{5, 8, 11} {
		for f := 0; n-f >= MinHonest; f++ {
			p, err := Find(Spec{Clients: n, Corrupt: float64(f) / float64(n), CrossSilo: true, PrivacyBits: 40, FailureBits: 20, Attempts: 1})
			if err != nil {
				require.ErrorIs(t, err, ErrThreshold)
				continue
			}
			const dropout = 0.3
			want := 0.0
			for gone := range 1 << n {
				left, failed := 0, false
				for v := range n {
					left += 1 - gone>>v&1
				}
				for v := range n {
					holders := left - (1 - gone>>v&1) // everybody else who is left
					failed = failed || holders < p.Threshold
				}
				if failed || left < p.Quorum {
					want += math.Pow(dropout, float64(n-left)) * math.Pow(1-dropout, float64(left))
				}
			}
			require.InEpsilon(t, want, p.FailureProbability(dropout), 1e-12)
		}
	}
}

func TestFailureProbabilityBoundsTheSparseGraph(t *testing.T) {
	p, err := Find(standard(200, .1, .1))
	require.NoError(t, err)
	dropout := big.NewRat(1, 8)
	want := exactBinomialTail(p.Degree, dropout, p.Degree-p.Threshold+1)
	want.Mul(want, big.NewRat(int64(p.Clients), 1))
	want.Add(want, exactBinomialTail(p.Clients, dropout, p.Clients-p.Quorum+1))
	wantFloat, _ := want.Float64()
	require.InEpsilon(t, wantFloat, p.FailureProbability(0.125), 1e-12)

	require.Equal(t, 1.0, p.FailureProbability(.6))
	require.Equal(t, 1.0, p.FailureProbability(1))
	require.Equal(t, 1.0, p.FailureProbability(2))
	require.Equal(t, 1.0, p.FailureProbability(math.NaN()))
	require.Zero(t, p.FailureProbability(0))
	require.Zero(t, p.FailureProbability(-1))
	last := 0.0
	for d := .01; d < .5; d += .01 {
		next := p.FailureProbability(d)
		require.GreaterOrEqual(t, next, last)
		last = next
	}
}

func BenchmarkFind(b *testing.B) {
	for _, n := range []int{1000, 10_000, 100_000} {
		for _, shares := range [][2]float64{{.1, .1}, {.3, .3}, {0, .4}} {
			b.Run(fmt.Sprintf("n=%d/%v", n, shares), func(b *testing.B) {
				for b.Loop() {
					if _, err := Find(standard(n, shares[0], shares[1])); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}
