package optimizer_test

import (
	"bytes"
	"errors"
	"io"
	"math"
	"math/big"
	"math/rand/v2"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"

	"github.com/choir-fl/choir/coordinator/optimizer"
)

var names = []string{"fedavg", "fedavgm", "fedadam", "fedyogi", "fedadagrad"}

func checked(t *testing.T, spec optimizer.Spec) optimizer.Spec {
	t.Helper()
	spec, err := spec.Check()
	require.NoError(t, err)
	return spec
}

// moments are the float64 values that Write stores: m, then v.
func moments(t *testing.T, s *optimizer.State) []byte {
	t.Helper()
	var b bytes.Buffer
	require.NoError(t, s.Write(&b))
	require.EqualValues(t, s.Size(), b.Len())
	return append([]byte{}, b.Bytes()...)
}

// ieee is float64 arithmetic done by math/big: one rounding to 53 bits, to nearest
// even, for each operation, so that nothing can be fused.
type ieee struct{ *big.Float }

func num(x float64) ieee { return ieee{big.NewFloat(x).SetPrec(53)} }

func zero() *big.Float { return new(big.Float).SetPrec(53) }

func (a ieee) add(b ieee) ieee { return ieee{zero().Add(a.Float, b.Float)} }
func (a ieee) sub(b ieee) ieee { return ieee{zero().Sub(a.Float, b.Float)} }
func (a ieee) mul(b ieee) ieee { return ieee{zero().Mul(a.Float, b.Float)} }
func (a ieee) div(b ieee) ieee { return ieee{zero().Quo(a.Float, b.Float)} }
func (a ieee) sqrt() ieee      { return ieee{zero().Sqrt(a.Float)} }
func (a ieee) float() float64  { x, _ := a.Float64(); return x }

// slow is one coordinate of a model, moved as Algorithm 2 of Reddi et al. 2021
// and Hsu et al. 2019 write it.
type slow struct{ x, m, v ieee }

func (c *slow) step(s optimizer.Spec, delta float64) {
	d, lr, one := num(delta), num(s.LearningRate), num(1)
	d2 := d.mul(d)
	var move ieee
	switch s.Name {
	case "fedavg":
		move = lr.mul(d)
	case "fedavgm":
		c.m = num(s.Momentum).mul(c.m).add(d)
		move = lr.mul(c.m)
	default:
		b1, b2 := num(s.Beta1), num(s.Beta2)
		c.m = b1.mul(c.m).add(one.sub(b1).mul(d))
		switch s.Name {
		case "fedadagrad":
			c.v = c.v.add(d2)
		case "fedadam":
			c.v = b2.mul(c.v).add(one.sub(b2).mul(d2))
		case "fedyogi":
			sign := num(float64(c.v.Cmp(d2.Float)))
			c.v = c.v.sub(one.sub(b2).mul(d2).mul(sign))
		}
		move = lr.mul(c.m).div(c.v.sqrt().add(num(s.Tau)))
	}
	x, _ := c.x.add(move).Float32()
	c.x = num(float64(x))
}

func TestStepsAreThoseOfTheSlowReferenceToTheBit(t *testing.T) {
	for _, name := range names {
		adaptive := name != "fedavg" && name != "fedavgm"
		specs := []optimizer.Spec{{Name: name}, {Name: name, LearningRate: 0.37}}
		if name == "fedavgm" {
			specs = append(specs, optimizer.Spec{Name: name, Momentum: 0.3})
		}
		if adaptive {
			specs = append(specs, optimizer.Spec{Name: name, Beta1: 0.7, Tau: 0.11})
		}
		if name == "fedadam" || name == "fedyogi" {
			specs = append(specs, optimizer.Spec{Name: name, Beta2: 0.6})
		}
		for _, spec := range specs {
			spec = checked(t, spec)
			rng := rand.New(rand.NewPCG(1, 2))
			const n, steps = 50, 12
			model := make([]float32, n)
			reference := make([]slow, n)
			for i := range model {
				model[i] = float32(rng.NormFloat64())
				reference[i] = slow{num(float64(model[i])), num(0), num(spec.Tau).mul(num(spec.Tau))}
			}
			s := optimizer.New(spec, n)
			for range steps {
				mean := make([]float64, n)
				for i := range mean {
					if rng.IntN(8) > 0 { // some coordinates stay where they are
						mean[i] = rng.NormFloat64() * math.Exp2(float64(rng.IntN(20)-15))
					}
					reference[i].step(spec, mean[i])
				}
				s.Apply(model, mean)
				for i := range model {
					require.Equal(t, math.Float32bits(float32(reference[i].x.float())), math.Float32bits(model[i]), "%+v", spec)
				}
			}
			require.Equal(t, stored(spec, reference), moments(t, s), "%+v", spec)
		}
	}
}

// stored is what Write must give for the reference's moments.
func stored(spec optimizer.Spec, cs []slow) []byte {
	b := []byte{}
	put := func(x ieee) {
		bits := math.Float64bits(x.float())
		for shift := 0; shift < 64; shift += 8 {
			b = append(b, byte(bits>>shift))
		}
	}
	if spec.Name != "fedavg" {
		for _, c := range cs {
			put(c.m)
		}
	}
	if spec.Tau > 0 {
		for _, c := range cs {
			put(c.v)
		}
	}
	return b
}

// The product is 1 - 2^-60, which rounds to 1. A fused multiply and add would keep
// the difference, on some machines and not on others.
func TestProductIsRoundedBeforeItIsAdded(t *testing.T) {
	for _, name := range []string{"fedavg", "fedavgm"} {
		s := optimizer.New(checked(t, optimizer.Spec{Name: name, LearningRate: 1 + 0x1p-30}), 1)
		model := []float32{-1}
		s.Apply(model, []float64{1 - 0x1p-30})
		require.Equal(t, []float32{0}, model, name)
	}
}

// Yogi's second moment neither grows nor shrinks when it equals the square.
func TestFedYogiStandsStillAtEquality(t *testing.T) {
	s := optimizer.New(checked(t, optimizer.Spec{Name: "fedyogi", Tau: 0.5}), 2)
	s.Apply(make([]float32, 2), []float64{0.5, -0.5})
	require.Equal(t, float64bytes(0.25, 0.25), moments(t, s)[16:])
}

func float64bytes(xs ...float64) []byte {
	cs := make([]slow, len(xs))
	for i, x := range xs {
		cs[i].m = num(x)
	}
	return stored(optimizer.Spec{Name: "fedavgm"}, cs)
}

// The golden steps were computed by this script, whose floats are IEEE doubles:
//
//	from math import sqrt
//	from struct import pack, unpack
//	f32 = lambda x: unpack("<f", pack("<f", x))[0]
//	D = [[0.5, -0.25, 0.1], [-0.3, 0.0, 0.2], [0.001, -2.0, 0.3]]
//	def run(name, lr=0.01, mu=0.9, b1=0.9, b2=0.99, tau=1e-3):
//	    x, m, v = [1.0, -2.0, 0.0], [0.0] * 3, [tau * tau] * 3
//	    for d in D:
//	        for i, g in enumerate(d):
//	            if name == "fedavg": step = lr * g
//	            elif name == "fedavgm":
//	                m[i] = mu * m[i] + g; step = lr * m[i]
//	            else:
//	                m[i] = b1 * m[i] + (1 - b1) * g; g2 = g * g
//	                if name == "fedadagrad": v[i] = v[i] + g2
//	                elif name == "fedadam": v[i] = b2 * v[i] + (1 - b2) * g2
//	                else: v[i] = v[i] - (1 - b2) * g2 * ((v[i] > g2) - (v[i] < g2))
//	                step = lr * m[i] / (sqrt(v[i]) + tau)
//	            x[i] = f32(x[i] + step)
//	    print(name, [x.hex() for x in x], [x.hex() for x in m], [x.hex() for x in v])
//	run("fedavg", lr=1.0); run("fedavgm", lr=1.0); run("fedadam"); run("fedyogi")
//	run("fedadagrad", b1=0.0)
func TestGoldenStepsOfTheDefaults(t *testing.T) {
	for _, c := range []struct {
		name    string
		model   []float32
		moments []float64
	}{
		{"fedavg", []float32{0x1.3374bep+0, -0x1.1p+2, 0x1.333334p-1}, nil},
		{"fedavgm", []float32{0x1.c9374cp+0, -0x1.2b5c28p+2, 0x1.e6e97ap-1},
			[]float64{0x1.16872b020c49dp-3, -0x1.19eb851eb851fp+1, 0x1.1f3b645a1cac1p-1}},
		{"fedadam", []float32{0x1.03c042p+0, -0x1.03bbeap+1, 0x1.27ace2p-5},
			[]float64{0x1.bda5119ce075fp-7, -0x1.c3126e978d4fcp-3, 0x1.cb923a29c7799p-5,
				0x1.b612a3a8e9596p-9, 0x1.4cb4c064b1fffp-5, 0x1.6daf8b0d1365bp-10}},
		{"fedyogi", []float32{0x1.03be5ep+0, -0x1.03ba7cp+1, 0x1.275262p-5},
			[]float64{0x1.bda5119ce075fp-7, -0x1.c3126e978d4fcp-3, 0x1.cb923a29c7799p-5,
				0x1.bdc649a5e6598p-9, 0x1.4ccee5abc0e3ep-5, 0x1.6f4384ba0e848p-10}},
		{"fedadagrad", []float32{0x1.013e92p+0, -0x1.028b5ep+1, 0x1.b71cccp-6},
			[]float64{0x1.0624dd2f1a9fcp-10, -0x1p+1, 0x1.3333333333333p-2,
				0x1.5c297bfa4c61dp-2, 0x1.04000431bde83p+2, 0x1.1eb8d82342247p-3}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := optimizer.New(checked(t, optimizer.Spec{Name: c.name}), 3)
			model := []float32{1, -2, 0}
			for _, mean := range [][]float64{{0.5, -0.25, 0.1}, {-0.3, 0, 0.2}, {0.001, -2, 0.3}} {
				s.Apply(model, mean)
			}
			require.Equal(t, c.model, model)
			require.Equal(t, float64bytes(c.moments...), moments(t, s))
		})
	}
}

func TestStateContinuesWhereItWasWritten(t *testing.T) {
	const n = 2*4096 + 3 // two whole blocks and a part
	for _, name := range names {
		t.Run(name, func(t *testing.T) {
			spec := checked(t, optimizer.Spec{Name: name})
			rng := rand.New(rand.NewPCG(3, 4))
			first, second := make([]float64, n), make([]float64, n)
			for i := range n {
				first[i], second[i] = rng.NormFloat64(), rng.NormFloat64()
			}
			whole, model := optimizer.New(spec, n), make([]float32, n)
			whole.Apply(model, first)
			kept := moments(t, whole)

			resumed, again := optimizer.New(spec, n), append([]float32(nil), model...)
			r := bytes.NewReader(append(bytes.Clone(kept), 0xee))
			require.NoError(t, resumed.Read(iotest.HalfReader(r)))
			require.Equal(t, 1, r.Len(), "Read takes what Write gave and no more")
			require.Equal(t, kept, moments(t, resumed))

			whole.Apply(model, second)
			resumed.Apply(again, second)
			require.Equal(t, model, again)
			require.Equal(t, moments(t, whole), moments(t, resumed))
		})
	}
}

func TestSizeIsThatOfTheMoments(t *testing.T) {
	for name, each := range map[string]int64{"fedavg": 0, "fedavgm": 8, "fedadam": 16, "fedyogi": 16, "fedadagrad": 16} {
		for _, n := range []int{0, 1, 4096, 5000} {
			s := optimizer.New(checked(t, optimizer.Spec{Name: name}), n)
			require.Equal(t, each*int64(n), s.Size(), name)
			require.Len(t, moments(t, s), int(s.Size()))
		}
	}
}

func TestCutStateIsRefused(t *testing.T) {
	const n = 4096 + 1
	s := optimizer.New(checked(t, optimizer.Spec{Name: "fedadam"}), n)
	kept := moments(t, s)
	for _, cut := range []int{0, 1, 8 * 4096, 8 * n, len(kept) - 1} {
		err := s.Read(bytes.NewReader(kept[:cut]))
		require.Truef(t, errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF), "cut at %d: %v", cut, err)
	}
}

func TestFaultOfTheStoreIsHandedOn(t *testing.T) {
	s := optimizer.New(checked(t, optimizer.Spec{Name: "fedadam"}), 3)
	broken := errors.New("disk gone")
	require.ErrorIs(t, s.Read(iotest.ErrReader(broken)), broken)
	_, w := io.Pipe()
	require.NoError(t, w.CloseWithError(nil))
	require.ErrorIs(t, s.Write(w), io.ErrClosedPipe)
}
