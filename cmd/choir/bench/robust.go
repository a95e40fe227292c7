package bench

import (
	"runtime"
	"time"

	"github.com/choir-fl/choir/coordinator/robust"
	"github.com/choir-fl/choir/internal/parallel"
)

// robustThreads is how many threads rules are measured on.
const robustThreads = 2

// robustRules are the rules that are measured, for a fifth of Byzantine vectors.
var robustRules = []struct {
	name string
	rule string
	pre  []string
}{
	{"robust/krum", "krum", nil},
	{"robust/nnm-krum", "krum", []string{"nnm"}},
	{"robust/nnm-trimmed-mean", "trimmed-mean", []string{"nnm"}},
	{"robust/median", "median", nil},
	{"robust/trimmed-mean", "trimmed-mean", nil},
	{"robust/geometric-median", "geometric-median", nil},
}

func robustNames() (out []string) {
	for _, r := range robustRules {
		out = append(out, r.name)
	}
	return out
}

// robustSizes are the vectors and their length: those of every run, and the large ones
// that are measured only where somebody names what to measure. No vector is longer than
// those of the suite.
func (s *suite) robustSizes(name string) (out [][2]int) {
	const small, long, many = 100_000, 1_000_000, 1000
	out = [][2]int{{100, min(s.d, small)}}
	if s.selective && s.d > small {
		out = append(out, [2]int{100, min(s.d, long)})
	}
	if s.selective && name == "robust/krum" {
		out = append(out, [2]int{many, min(s.d, small)})
	}
	return out
}

// combining measures rules on single-precision vectors. Their time is what passes while
// two threads are at work, not processor time.
func combining(s *suite) error {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(robustThreads))
	for _, r := range robustRules {
		if !s.wanted(r.name) {
			continue
		}
		for _, size := range s.robustSizes(r.name) {
			n, d := size[0], size[1]
			vectors, err := robust.Float32(noisy(n, d))
			if err != nil {
				return err
			}
			rule, err := robust.Spec{Rule: r.rule, F: n / 5, Pre: r.pre}.Check()
			if err != nil {
				return err
			}
			dst := make([]float64, d)
			times, err := race(once, contestant{clock: elapsed, run: func() error {
				_, err := rule.Combine(dst, robust.Input{Vectors: vectors, Each: parallel.Workers(robustThreads)})
				return err
			}})
			if err != nil {
				return err
			}
			s.add(r.name, Milliseconds, per(times[0])/1e6, n, d, 0)
		}
	}
	return nil
}

// noisy returns n vectors of d values between -1 and 1, all different.
func noisy(n, d int) [][]float32 {
	rows := make([][]float32, n)
	for i := range rows {
		state := uint64(i)*0x9e3779b97f4a7c15 + 1
		rows[i] = make([]float32, d)
		for j := range rows[i] { // Marsaglia's xorshift64
			state ^= state << 13
			state ^= state >> 7
			state ^= state << 17
			rows[i][j] = float32(int32(state>>32)) / (1 << 31)
		}
	}
	return rows
}

// started is when the process began, about.
var started = time.Now()

// elapsed is a clock of the time that passes.
func elapsed() time.Duration { return time.Since(started) }
