package rlwe

import (
	"math/big"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/tuneinsight/lattigo/v5/ring"
)

func eachLimb(f func(s *set, p prime, l *limb)) {
	for _, s := range []*set{&setM, &setS} {
		for i, p := range s.primes {
			f(s, p, &s.limbs()[i])
		}
	}
}

func randomRow(rng *rand.Rand, n int, below uint64) []uint64 {
	row := make([]uint64, n)
	for i := range row {
		row[i] = rng.Uint64N(below)
	}
	return row
}

func TestPrimesAreTheLargestBelow53Bits(t *testing.T) {
	for _, s := range []*set{&setM, &setS} {
		var found []uint64
		step := uint64(2 * s.n)
		for q := uint64(1<<53-1) / step * step; len(found) < len(s.primes); q -= step {
			if new(big.Int).SetUint64(q + 1).ProbablyPrime(20) {
				found = append(found, q+1)
			}
		}
		product := big.NewInt(1)
		for i, p := range s.primes {
			require.Equal(t, found[i], p.q)
			require.Less(t, uint64(1)<<53-p.q, uint64(1)<<19)
			product.Mul(product, new(big.Int).SetUint64(p.q))
		}
		require.Equal(t, s.logQ, product.BitLen())
	}
}

func TestRootsArePrimitive(t *testing.T) {
	eachLimb(func(s *set, p prime, _ *limb) {
		require.Equal(t, p.q-1, powMod(p.psi, uint64(s.n), p.q), "psi^N = -1")
	})
}

// Lattigo finds the same roots itself, and its transforms are the reference of ours.
func TestTransformsAreThoseOfLattigo(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	for _, s := range []*set{&setM, &setS} {
		var moduli []uint64
		for _, p := range s.primes {
			moduli = append(moduli, p.q)
		}
		r, err := ring.NewRing(s.n, moduli)
		require.NoError(t, err)
		for i := range s.primes {
			l, sub := &s.limbs()[i], r.SubRings[i]
			require.Equal(t, s.primes[i].psi, ring.ModExp(sub.PrimitiveRoot, (l.q-1)/uint64(2*s.n), l.q))
			for range 5 {
				row := randomRow(rng, s.n, l.q)
				want, got := make([]uint64, s.n), append([]uint64(nil), row...)
				sub.NTT(row, want)
				l.transform(got)
				l.reduceAll(got)
				require.Equal(t, want, got)

				l.invert(got)
				for j := range got {
					got[j] = l.reduce(got[j])
				}
				require.Equal(t, row, got)
				sub.INTT(want, want)
				require.Equal(t, row, want)
			}
		}
	}
}

// The largest inputs allowed stay within 64 bits: the results are still right.
func TestTransformsOfTheLargestInputs(t *testing.T) {
	rng := rand.New(rand.NewPCG(2, 1))
	eachLimb(func(s *set, _ prime, l *limb) {
		for _, choose := range []func() bool{func() bool { return true }, func() bool { return rng.IntN(2) == 1 }} {
			row := make([]uint64, s.n)
			for i := range row {
				if choose() {
					row[i] = 4*l.q - 1
				}
			}
			small := append([]uint64(nil), row...)
			l.reduceAll(small)
			for _, f := range []func([]uint64){l.transform, l.invert} {
				a, b := append([]uint64(nil), row...), append([]uint64(nil), small...)
				f(a)
				f(b)
				for _, x := range a {
					require.Less(t, x, 28*l.q)
				}
				l.reduceAll(a)
				l.reduceAll(b)
				require.Equal(t, b, a)
			}
		}
	})
}

func TestReduceIsTheRemainder(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 1))
	eachLimb(func(_ *set, _ prime, l *limb) {
		for _, x := range []uint64{0, 1, l.q - 1, l.q, l.q + 1, 2*l.q - 1, 2 * l.q, 1<<53 - 1, 1 << 53, 1<<64 - 1, 1<<64 - 1<<53, 2047*l.q - 1, 2047 * l.q} {
			require.Equal(t, x%l.q, l.reduce(x), "%#x", x)
		}
		for range 10000 {
			x := rng.Uint64()
			require.Equal(t, x%l.q, l.reduce(x))
			w := rng.Uint64N(l.q)
			got := l.root(w).times(x, l.q)
			require.Less(t, got, 2*l.q)
			require.Equal(t, mulMod(x%l.q, w, l.q), got%l.q)
		}
	})
}

func TestJoinIsTheSumModuloThePrime(t *testing.T) {
	rng := rand.New(rand.NewPCG(4, 1))
	eachLimb(func(_ *set, _ prime, l *limb) {
		for range 10000 {
			low, high := rng.Int64N(1<<53+int64(l.q))-int64(l.q), rng.Uint64()>>rng.IntN(64)
			want := new(big.Int).Lsh(new(big.Int).SetUint64(high), 53)
			want.Add(want, big.NewInt(low)).Mod(want, new(big.Int).SetUint64(l.q))
			got := l.join(uint64(low), high)
			require.Less(t, got, 4*l.q)
			require.Equal(t, want.Uint64(), got%l.q)
		}
	})
}

// packings are the widest and the narrowest words of three to a coefficient, for few
// and for many clients, and others.
func packings(t *testing.T) []Parameters {
	var out []Parameters
	for _, l := range []Literal{
		{"M", 1000, 3 * 4096, 28}, {"M", 1000, 3 * 4096, 22}, {"M", MaxClients, 3 * 4096, 27}, {"M", MaxClients, 3 * 4096, 21},
		{"M", 1000, 10 * 4096, 8}, {"S", 1000, 2 * 2048, 16}, {"S", 1000, 3 * 2048, 11},
	} {
		out = append(out, mustCheck(t, l))
		require.Equal(t, 1, out[len(out)-1].Chunks())
	}
	return out
}

func TestEncodeIsThePackedWordsAndTheError(t *testing.T) {
	rng := rand.New(rand.NewPCG(6, 1))
	for _, p := range packings(t) {
		s, err := NewSealer(p, aContext, make([]int32, p.N()), coinsOf(1))
		require.NoError(t, err)
		words := make([]uint32, p.Words()-1) // the last coefficient lacks a word
		for i := range words {
			words[i] = uint32(1<<p.Width() - 1 - rng.Uint64N(1<<p.Width())>>rng.IntN(40))
		}
		for j := range s.errors {
			s.errors[j] = rng.Int32N(2*errorBound+1) - errorBound
		}
		s.encode(words)
		for j, e := range s.errors {
			v := big.NewInt(int64(e))
			for k := range p.Slots() {
				if i := j*p.Slots() + k; i < len(words) {
					x := new(big.Int).SetUint64(uint64(words[i]))
					v.Add(v, x.Lsh(x, uint(p.Kappa()+k*p.Width())))
				}
			}
			for i, prime := range p.set.primes {
				require.Less(t, s.rows[i][j], 4*prime.q)
				require.Equal(t, slowResidues([]*big.Int{v}, prime.q)[0], s.rows[i][j]%prime.q)
			}
		}
	}
}

// What the last pass of the inverse takes leaves it room, whatever comes.
func TestInverseBlocksStayWithinTheirRoom(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 1))
	eachLimb(func(s *set, _ prime, l *limb) {
		row := make([]uint64, 1024)
		for i := range row {
			row[i] = 4*l.q - 1 - rng.Uint64N(2)
		}
		l.invertBlock((*[1024]uint64)(row), s.n/1024)
		for _, x := range row {
			require.Less(t, x, room/2*l.q)
		}
	})
}

// Garner against big integers, over the whole of Z_Q and at its edges.
func TestDecodeIsTheChineseRemainder(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 1))
	for _, p := range packings(t) {
		o, err := NewOpener(p, aContext, make([]int32, p.N()), 1000)
		require.NoError(t, err)
		for _, high := range []int{0, 0, 0, 1, 2} { // honest, then beyond the slots
			want, out := make([]uint32, p.Words()), make([]uint32, p.Words())
			for j := range p.N() {
				v := big.NewInt(rng.Int64N(2*51000+1) - 51000)
				for k := range p.Slots() {
					i := j*p.Slots() + k
					want[i] = uint32(rng.Uint64N(1 << p.Width()))
					x := new(big.Int).SetUint64(uint64(want[i]))
					v.Add(v, x.Lsh(x, uint(p.Kappa()+k*p.Width())))
				}
				if j == p.N()/2 && high > 0 { // a bit between the slots and the modulus
					bit := []int{p.Kappa() + p.Slots()*p.Width(), p.set.logQ - 2}[high-1]
					v.Add(v, new(big.Int).Lsh(big.NewInt(1), uint(bit)))
				}
				for i, prime := range p.set.primes {
					o.rows[i][j] = slowResidues([]*big.Int{v}, prime.q)[0] + uint64(rng.IntN(3))*prime.q
				}
			}
			ok := o.decode(out)
			require.Equal(t, high == 0, ok)
			if ok {
				require.Equal(t, want, out)
			}
		}
	}
}
