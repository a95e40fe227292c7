// Package optimizer applies the mean of the clients' updates to the global model.
//
// The mean update plays the negative gradient's part, as in Reddi et al.,
// "Adaptive Federated Optimization", ICLR 2021, Algorithm 2 (FedAdagrad, FedAdam,
// FedYogi; no bias correction, v starts at tau^2) and Hsu et al. 2019 (FedAvgM).
// All arithmetic is float64 in coordinate order with explicit roundings, so that
// a step gives the same bits on every machine.
package optimizer

import (
	"encoding/binary"
	"fmt"
	"io"
	"math"

	"github.com/choir-fl/choir/fault"
)

// Spec is an optimiser by name and its settings. Zero settings take the defaults
// that Check fills in.
type Spec struct {
	Name         string  // fedavg, fedavgm, fedadam, fedyogi, fedadagrad
	LearningRate float64 // > 0; default 1 for fedavg and fedavgm, 0.01 for the others
	Momentum     float64 // [0,1); fedavgm only; default 0.9
	Beta1        float64 // [0,1); adaptive ones; default 0.9 (fedadagrad 0)
	Beta2        float64 // [0,1); fedadam and fedyogi; default 0.99
	Tau          float64 // > 0; adaptive ones; default 1e-3
}

// ErrSpec refuses settings.
var ErrSpec = fault.New(fault.Refused, "optimizer/spec", "optimiser settings are refused", "correct the plan")

// Check fills in defaults and refuses settings that are out of range or do not
// belong to the optimiser named.
func (s Spec) Check() (Spec, error) {
	adaptive := s.Name == "fedadam" || s.Name == "fedyogi" || s.Name == "fedadagrad"
	if !adaptive && s.Name != "fedavg" && s.Name != "fedavgm" {
		return Spec{}, ErrSpec.At("name %.40q is none of fedavg, fedavgm, fedadam, fedyogi, fedadagrad", s.Name)
	}
	type setting struct {
		name   string
		v      *float64
		used   bool
		preset float64
		upper  float64 // exclusive
	}
	rate := 1.0
	beta1 := 0.9
	if adaptive {
		rate = 0.01
	}
	if s.Name == "fedadagrad" {
		beta1 = 0
	}
	for _, x := range []setting{
		{"learning_rate", &s.LearningRate, true, rate, math.Inf(1)},
		{"momentum", &s.Momentum, s.Name == "fedavgm", 0.9, 1},
		{"beta1", &s.Beta1, adaptive, beta1, 1},
		{"beta2", &s.Beta2, s.Name == "fedadam" || s.Name == "fedyogi", 0.99, 1},
		{"tau", &s.Tau, adaptive, 1e-3, math.Inf(1)},
	} {
		if !(*x.v >= 0 && *x.v < x.upper) {
			return Spec{}, ErrSpec.At("%s %v is out of range", x.name, *x.v)
		}
		if *x.v != 0 && !x.used {
			return Spec{}, ErrSpec.At("%s does not belong to %s", x.name, s.Name)
		}
		if *x.v == 0 && x.used {
			*x.v = x.preset
		}
	}
	return s, nil
}

// State is an optimiser and its moments. Not safe for concurrent use.
type State struct {
	spec Spec
	m, v []float64 // first and second moments, nil where the optimiser has none
}

// New makes the state for a model of n values. spec must come from Check.
func New(spec Spec, n int) *State {
	s := &State{spec: spec}
	if spec.Name != "fedavg" {
		s.m = make([]float64, n)
	}
	if spec.Tau > 0 {
		s.v = make([]float64, n)
		for i := range s.v {
			s.v[i] = float64(spec.Tau * spec.Tau)
		}
	}
	return s
}

// Apply moves the model by one step along the mean update, in place. Both have
// the state's length.
func (s *State) Apply(model []float32, mean []float64) {
	lr := s.spec.LearningRate
	switch {
	case s.m == nil:
		for i, d := range mean {
			model[i] = float32(float64(model[i]) + float64(lr*d))
		}
	case s.v == nil:
		for i, d := range mean {
			s.m[i] = float64(s.spec.Momentum*s.m[i]) + d
			model[i] = float32(float64(model[i]) + float64(lr*s.m[i]))
		}
	default:
		b1 := s.spec.Beta1
		for i, d := range mean {
			s.m[i] = float64(b1*s.m[i]) + float64((1-b1)*d)
			s.v[i] = s.secondMoment(s.v[i], float64(d*d))
			model[i] = float32(float64(model[i]) + float64(lr*s.m[i])/(math.Sqrt(s.v[i])+s.spec.Tau))
		}
	}
}

func (s *State) secondMoment(v, dd float64) float64 {
	b2 := s.spec.Beta2
	switch s.spec.Name {
	case "fedadagrad":
		return v + dd
	case "fedyogi":
		if v > dd {
			return v - float64((1-b2)*dd)
		} else if v < dd {
			return v + float64((1-b2)*dd)
		}
		return v
	default: // fedadam
		return float64(b2*v) + float64((1-b2)*dd)
	}
}

// Size is the length in bytes of what Write writes.
func (s *State) Size() int64 { return int64(8 * (len(s.m) + len(s.v))) }

// Write stores the moments as little-endian float64.
func (s *State) Write(w io.Writer) error {
	for _, moments := range [][]float64{s.m, s.v} {
		if err := eachBlock(moments, func(part []float64, buf []byte) error {
			for i, x := range part {
				binary.LittleEndian.PutUint64(buf[8*i:], math.Float64bits(x))
			}
			_, err := w.Write(buf[:8*len(part)])
			return err
		}); err != nil {
			return fmt.Errorf("writing optimiser state: %w", err)
		}
	}
	return nil
}

// Read loads what Write stored for the same optimiser and model length.
func (s *State) Read(r io.Reader) error {
	for _, moments := range [][]float64{s.m, s.v} {
		if err := eachBlock(moments, func(part []float64, buf []byte) error {
			if _, err := io.ReadFull(r, buf[:8*len(part)]); err != nil {
				return err
			}
			for i := range part {
				part[i] = math.Float64frombits(binary.LittleEndian.Uint64(buf[8*i:]))
			}
			return nil
		}); err != nil {
			return fmt.Errorf("reading optimiser state: %w", err)
		}
	}
	return nil
}

// eachBlock walks a vector in blocks that share one bounded buffer.
func eachBlock(v []float64, do func(part []float64, buf []byte) error) error {
	const block = 1 << 12
	buf := make([]byte, 8*min(block, len(v)))
	for lo := 0; lo < len(v); lo += block {
		if err := do(v[lo:min(lo+block, len(v))], buf); err != nil {
			return err
		}
	}
	return nil
}
