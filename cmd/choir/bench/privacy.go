package bench

import (
	"crypto/sha256"
	"io"
	"math"

	"github.com/choir-fl/choir/dp"
	"github.com/choir-fl/choir/dp/account"
	"github.com/choir-fl/choir/dp/ddp"
	"github.com/choir-fl/choir/dp/mf"
	"github.com/choir-fl/choir/dp/noise"
	"github.com/choir-fl/choir/secagg/field"
)

// samples is how many draws are timed together: what stays in the second-level cache.
const samples = 1 << 14

// coins are an endless stream, as a client draws from.
func coins(label string) io.Reader { return field.NewStream(sha256.Sum256([]byte(label))) }

// sampling measures exact integer noise. N is the standard deviation.
func sampling(s *suite) error {
	dst := make([]int64, samples)
	stream := coins("bench noise")
	for _, law := range []struct {
		name   string
		new    func(sigma uint64) (sampler, error)
		sigmas []uint64
	}{
		{"noise/dgauss", func(sigma uint64) (sampler, error) { return noise.NewGaussian(sigma*sigma, 1) }, []uint64{50, 1000, 10_000}},
		{"noise/skellam", func(sigma uint64) (sampler, error) { return noise.NewSkellam(sigma*sigma, 1) }, []uint64{50, 1000}},
	} {
		for _, sigma := range law.sigmas {
			drawn, err := law.new(sigma)
			if err != nil {
				return err
			}
			times, err := race(always, contestant{run: func() error { return drawn.Sample(dst, stream) }})
			if err != nil {
				return err
			}
			s.add(law.name, PerSample, per(times[0], samples), int(sigma), 0, 0)
		}
	}
	return nil
}

// sampler fills a vector with draws.
type sampler interface {
	Sample(dst []int64, coins io.Reader) error
}

// shares measures what distributed noise costs a client, and its decoding.
func shares(s *suite) error {
	dimension := s.d / 64 * 63 // padded to less than s.d or exactly that
	m, err := ddp.Parameters{Dimension: dimension, Clients: 256, Survivors: 200, ClipNorm: 1, Sigma: 1, Noise: dp.DiscreteGaussian}.Check()
	if err != nil {
		return err
	}
	rotation, err := ddp.NewRotation(dimension, sha256.Sum256([]byte("bench")))
	if err != nil {
		return err
	}
	update, prepared := make([]float32, dimension), make([]float32, rotation.Padded())
	for i := range update {
		update[i] = float32(math.Sin(float64(i))) / float32(dimension)
	}
	vector, back := make([]uint32, m.Quantizer().Layout().Len()), make([]float64, dimension)
	stream := coins("bench shares")
	var draw *ddp.Draw
	drawn := func() (err error) {
		draw, err = m.Draw(stream)
		return err
	}
	times, err := race(always,
		contestant{run: func() error { return rotation.Forward(prepared) }},
		contestant{run: drawn},
		contestant{prepare: drawn, run: func() error {
			if _, err := m.Prepare(prepared, update, 1, rotation); err != nil {
				return err
			}
			_, err := m.Encode(vector, prepared, nil, stream, draw)
			return err
		}},
		contestant{run: func() error {
			_, err := m.Decode(back, vector, 1, rotation, nil)
			return err
		}})
	if err != nil {
		return err
	}
	for i, name := range []string{"ddp/rotate", "ddp/draw", "ddp/encode", "ddp/decode"} {
		s.add(name, PerCoordinate, per(times[i], rotation.Padded()), 0, rotation.Padded(), 0)
	}
	blocks := make([]float32, 64*ddp.BlockSize)
	all, err := ddp.NewRotation(len(blocks), sha256.Sum256([]byte("blocks")))
	if err != nil {
		return err
	}
	times, err = race(always, contestant{run: func() error { return all.Forward(blocks) }})
	if err != nil {
		return err
	}
	s.add("ddp/64blocks", Milliseconds, per(times[0])/1e6, 0, len(blocks), 0)
	return nil
}

// accounting measures the accountants on the golden row q = 0.01, z = 1, 1000 rounds. N
// is the reciprocal of the grid.
func accounting(s *suite) error {
	row, err := dp.NewEvent(dp.Spec{Mechanism: dp.Gaussian, Relation: dp.ZeroOut, Sampling: dp.Sampling{Mode: dp.SamplingPoisson, Rate: 0.01},
		StdDev: 1, Clip: 1, Dimension: 1, Count: 1000})
	if err != nil {
		return err
	}
	events := []dp.Event{row}
	for _, grid := range []float64{1e-4, 1e-5} {
		times, err := race(once, contestant{run: func() error {
			p, err := account.NewPLD(events)
			if err == nil {
				_, err = p.EpsilonAt(grid, 1e-5)
			}
			return err
		}})
		if err != nil {
			return err
		}
		s.add("account/pld", Milliseconds, per(times[0])/1e6, int(math.Round(1/grid)), 0, 0)
	}
	times, err := race(once, contestant{run: func() error {
		_, err := account.NewCurve(events)
		return err
	}}, contestant{run: func() error {
		_, err := account.Noise(2, 1e-5, account.ByPLD(1e-4), func(z float64) ([]dp.Event, error) {
			spec := row.Spec()
			spec.StdDev = z
			e, err := dp.NewEvent(spec)
			return []dp.Event{e}, err
		})
		return err
	}}, contestant{run: func() error {
		_, err := mf.Parameters{Family: mf.Tree, Participation: mf.Participation{Steps: 2000, Participations: 6, Separation: 314}}.Check()
		return err
	}})
	if err != nil {
		return err
	}
	for i, name := range []string{"account/rdp", "account/calibrate", "mf/sensitivity"} {
		s.add(name, Milliseconds, per(times[i])/1e6, 0, 0, 0)
	}
	return nil
}
