package robust

import (
	"math"
)

// settings are a rule's f, its parameters as numbers (a word is 0, a choice its place
// among the options), and whose conventions hold.
type settings struct {
	name          string
	f             int
	of            map[string]float64
	byzfl, flower bool
}

// whole is a parameter that is a whole number.
func (p settings) whole(name string) int { return int(p.of[name]) }

// need admits at least so many vectors.
func (p settings) need(least int, says string) func(n int) error {
	return func(n int) error {
		if n < least {
			return ErrPrecondition.At("%s of %d vectors with f = %d needs %s", p.name, n, p.f, says)
		}
		return nil
	}
}

// majority admits vectors of which fewer than half are Byzantine.
func (p settings) majority() func(n int) error { return p.need(2*p.f+1, "n > 2f") }

// neighbours is the convention of Krum scores, and what they admit.
func (p settings) neighbours() (neighbours, func(n int) error) {
	k := neighbours{f: p.f, byzfl: p.of["neighbours"] == 1}
	switch {
	case p.flower:
		k.least = 1
		return k, p.need(2*p.f+1, "n > 2f")
	case k.byzfl:
		return k, p.need(max(2, 2*p.f+1), "n > 2f and n > 1")
	}
	return k, p.need(2*p.f+3, "n > 2f+2")
}

// alike weighs all vectors alike.
func alike(s *scene) ([]float64, float64, error) {
	w := ones(s.len())
	for i := range w {
		w[i] /= float64(len(w))
	}
	return w, 0, nil
}

// by makes a method of a rule that needs nothing but inner products.
func by(admits func(int) error, weigh func(g gram) ([]float64, error)) method {
	return method{admits: admits, weigh: func(s *scene) ([]float64, float64, error) {
		w, err := weigh(s.gram())
		return w, 0, err
	}}
}

// choosing makes a method of a rule that takes the mean of some vectors.
func choosing(admits func(int) error, choose func(g gram) []int) method {
	return by(admits, func(g gram) ([]float64, error) { return meanOf(g.n, choose(g)), nil })
}

func newMean(p settings) method { return method{admits: p.need(1, "n >= 1"), weigh: alike} }

func newCoordinates(p settings) method {
	return method{admits: p.majority(), pick: func(n int) func() func([]float64) float64 {
		switch p.name {
		case "trimmed-mean":
			return newTrimmed(p.f)
		case "meamed":
			return newAround(n - p.f)
		}
		return newMedian
	}}
}

func newKrum(p settings) method {
	k, admits := p.neighbours()
	return choosing(admits, func(g gram) []int { return krum(g, k, 1) })
}

func newMultiKrum(p settings) method {
	k, admits := p.neighbours()
	keep := p.whole("keep")
	return choosing(func(n int) error {
		if keep > n-p.f {
			return ErrPrecondition.At("multi-krum of %d vectors with f = %d cannot keep %d", n, p.f, keep)
		}
		return admits(n)
	}, func(g gram) []int {
		if keep == 0 {
			return krum(g, k, g.n-p.f)
		}
		return krum(g, k, keep)
	})
}

func newBulyan(p settings) method {
	k, _ := p.neighbours()
	k.least = 1
	admits := p.need(4*p.f+3, "n >= 4f+3")
	if p.flower {
		admits = p.majority()
	}
	return method{
		admits: admits,
		choose: func(g gram) []int { return successive(g, k, g.n-2*p.f) },
		pick:   func(theta int) func() func([]float64) float64 { return newAround(max(1, theta-2*p.f)) },
	}
}

func newGeometricMedian(p settings) method {
	r := weiszfeld{nu: p.of["nu"], iterations: p.whole("iterations"), tolerance: p.of["tolerance"], byzfl: p.byzfl}
	return by(p.majority(), func(g gram) ([]float64, error) { return r.weights(g), nil })
}

// subsets admits n whose subsets of n-f, times the given power of n-f for what is done to
// each, are no more than most.
func (p settings) subsets(power, most float64) func(n int) error {
	majority := p.majority()
	return func(n int) error {
		if err := majority(n); err != nil {
			return err
		}
		if work := choices(n, p.f) * math.Pow(float64(n-p.f), power); work > most {
			return ErrTooMany.At("%s of %d vectors with f = %d would look at %.3g subsets of %d in %.2g steps, more than %.2g", p.name, n, p.f, choices(n, p.f), n-p.f, work, most)
		}
		return nil
	}
}

func newMDA(p settings) method {
	return choosing(p.subsets(2, mostDiameters), func(g gram) []int { return leastDiameter(g, g.n-p.f) })
}

func newSMEA(p settings) method {
	return by(p.subsets(3, mostSpectra), func(g gram) ([]float64, error) {
		members, _, err := leastSpread(g, g.n-p.f)
		return meanOf(g.n, members), err
	})
}

// mostFiltered is how many vectors CAF takes: it computes all their eigenvectors up to
// some hundred times.
const mostFiltered = 256

func newCAF(p settings) method {
	majority := p.majority()
	return by(func(n int) error {
		if n > mostFiltered {
			return ErrTooMany.At("caf of %d vectors needs n <= %d", n, mostFiltered)
		}
		return majority(n)
	}, func(g gram) ([]float64, error) {
		w, _, _, err := covarianceFilter(g, p.f)
		return w, err
	})
}

func newMoNNA(p settings) method {
	pivot, majority := p.whole("pivot"), p.majority()
	return choosing(func(n int) error {
		if pivot >= n {
			return ErrPrecondition.At("monna of %d vectors has no pivot %d", n, pivot)
		}
		return majority(n)
	}, func(g gram) []int { return around(g, pivot, g.n-p.f) })
}

func newCenteredClipping(p settings) method {
	return method{
		admits:  p.majority(),
		carries: func(in Input) []float64 { return in.Reference },
		weigh: func(s *scene) ([]float64, float64, error) {
			cross, square, err := s.against(s.in.Reference, "reference")
			if err != nil {
				return nil, 0, err
			}
			w, carried := centeredClipping(s.gram(), cross, square, p.of["tau"], p.whole("iterations"))
			return w, carried, nil
		},
	}
}

func newFLTrust(p settings) method {
	return method{admits: p.need(p.f+1, "n > f"), weigh: func(s *scene) ([]float64, float64, error) {
		if s.in.Root == nil {
			return nil, 0, ErrMissing.At("root update of fltrust")
		}
		cross, square, err := s.against(s.in.Root, "root update")
		if err != nil {
			return nil, 0, err
		}
		w, err := trusted(s.gram(), cross, square)
		return w, 0, err
	}}
}

func newFLAME(p settings) method {
	return by(p.majority(), func(g gram) ([]float64, error) { return clustered(g), nil })
}

func newDnC(p settings) method {
	sample, rounds := p.whole("subsample"), p.whole("rounds")
	drop := int(math.Ceil(p.of["c"] * float64(p.f)))
	majority := p.majority()
	return method{
		admits: func(n int) error {
			if drop*rounds >= n {
				return ErrPrecondition.At("dnc of %d vectors leaves none once %d rounds drop %d each", n, rounds, drop)
			}
			return majority(n)
		},
		weigh: func(s *scene) ([]float64, float64, error) {
			kept := make([]int, s.len())
			for range rounds {
				g, err := s.sampled(sample)
				if err != nil {
					return nil, 0, err
				}
				members, err := inlying(g, drop)
				if err != nil {
					return nil, 0, err
				}
				for _, i := range members {
					kept[i]++
				}
			}
			var all []int
			for i, times := range kept {
				if times == rounds {
					all = append(all, i)
				}
			}
			return meanOf(len(kept), all), 0, nil
		},
	}
}

func newFoolsGold(p settings) method {
	return method{admits: p.need(max(2, p.f+1), "n > f and n > 1"), weigh: func(s *scene) ([]float64, float64, error) {
		past := s.in.Vectors
		if s.in.Past != nil {
			past = *s.in.Past
		}
		if past.Len() != s.in.Vectors.Len() {
			return nil, 0, ErrInput.At("the past of %d senders for %d vectors", past.Len(), s.in.Vectors.Len())
		}
		w, err := unlike(past.gram(s.in.Each))
		return w, 0, err
	}}
}
