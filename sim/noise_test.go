package sim

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/choir-fl/choir/client"
	"github.com/choir-fl/choir/coordinator"
	"github.com/choir-fl/choir/coordinator/ledger"
	"github.com/choir-fl/choir/coordinator/store/mem"
	"github.com/choir-fl/choir/dp/ddp"
	"github.com/choir-fl/choir/secagg"
	"github.com/choir-fl/choir/secagg/plain"
	"github.com/choir-fl/choir/sim/audit"
	"github.com/choir-fl/choir/tensor"
)

// behind runs a simulation whose clients draw a fraction of the noise that the plan says,
// behind the back of coordinator and accountant, and returns the noise of a sum by the plan.
func behind(t *testing.T, cfg Config, fraction float64) (sigma float64, res Result, err error) {
	t.Helper()
	s := newSimulation(cfg)
	require.NoError(t, s.prepare())
	told := s.plan.Guarantee().Mechanism()
	p := told.Parameters()
	sigma = p.Sigma
	p.Sigma *= fraction
	less, err := p.Check()
	require.NoError(t, err)
	p.Range += told.Quantizer().Spec().NoiseTail - less.Quantizer().Spec().NoiseTail // the same modulus
	less, err = p.Check()
	require.NoError(t, err)
	require.Equal(t, told.Quantizer().Spec().Bits, less.Quantizer().Spec().Bits)
	for _, d := range s.parties {
		d.policy.Mechanism = func(secagg.Terms) (ddp.Mechanism, error) { return less, nil }
	}
	res, err = s.run(0)
	return sigma, res, err
}

// everybody is a plan with noise in which all clients survive and are honest, so that
// sums hold just the noise that the plan says.
func everybody(t *testing.T, scheme string, clients int, multiplier float64) Config {
	t.Helper()
	cfg := private(t, scheme, "distributed", 50, 9)
	other := small(t, scheme, clients, clients, 4, 9)
	cfg.Train, cfg.Partition = other.Train, other.Partition
	cfg.Plan.Scheme.Corrupt, cfg.Plan.Scheme.Dropout = 0, 0
	cfg.Plan.Cohort.Size, cfg.Plan.Cohort.Minimum = clients, clients
	cfg.Plan.Privacy.NoiseMultiplier = multiplier
	return cfg
}

// The sums are opened and decoded by the system itself: what is left of the step from one
// model to the next, once what the clients sent is taken off, is noise.
func TestHalvedNoiseOfOpenedSumsIsSeenByItsChiSquare(t *testing.T) {
	for _, scheme := range []string{"plain", "pairwise", "oneshot"} {
		for _, c := range []struct{ fraction, low, top float64 }{{1, 1e-3, 1 - 1e-3}, {0.5, 0, 1e-12}} {
			const clients = 24
			cfg := everybody(t, scheme, clients, 2)
			update := func(index, coordinate int) float64 { // of norm 0.5, below the clip norm
				if coordinate == index {
					return 0.5
				}
				return 0
			}
			cfg.Trainer = func(index int, global tensor.Model, _ secagg.Task) (client.Update, error) {
				local := global.Clone()
				for j := range local.Values() {
					local.Values()[j] += float32(update(index, j))
				}
				return client.Update{Model: local, Examples: 1}, nil
			}
			var residuals []float64
			var before []float32
			cfg.Released = func(_ coordinator.Report, m tensor.Model) {
				for j, v := range m.Values() {
					if before != nil {
						residual := (float64(v) - float64(before[j])) * clients
						for i := range clients {
							residual -= update(i, j)
						}
						residuals = append(residuals, residual)
					}
				}
				before = append([]float32(nil), m.Values()...)
			}
			sigma, _, err := behind(t, cfg, c.fraction)
			require.NoError(t, err)
			require.Len(t, residuals, 3*len(before))
			p, err := audit.NoiseChiSquare(residuals, sigma)
			require.NoError(t, err)
			require.GreaterOrEqual(t, p, c.low, "%s with %g of its noise", scheme, c.fraction)
			require.LessOrEqual(t, p, c.top, "%s with %g of its noise", scheme, c.fraction)
		}
	}
}

func TestAuditOfARunCatchesAQuarterOfItsNoise(t *testing.T) {
	const clients = 120
	cfg := everybody(t, "oneshot", clients, 4)
	cfg.Train, cfg.Test = blobs(t, clients*10, 40, 4), blobs(t, 40, 40, 4) // 164 parameters
	cfg.Fidelity, cfg.Audit = Fast, Audit{Canaries: clients}
	for fraction, caught := range map[float64]bool{1: false, 0.25: true} {
		_, res, err := behind(t, cfg, fraction)
		require.True(t, res.Audit.Gaussian)
		for _, r := range []audit.Report{res.Audit.Released, res.Audit.Coordinator} {
			require.Equal(t, caught, r.Refuted(true), "%g of the noise: %+v", fraction, r)
		}
		if caught {
			require.ErrorIs(t, err, ErrAudit)
			require.Greater(t, res.Audit.Released.EpsilonFDP, 1.3**res.Audit.Released.Claimed)
			continue
		}
		require.NoError(t, err)
	}
}

func TestSumBelowItsNoiseEndsTheRun(t *testing.T) {
	cfg := private(t, "plain", "distributed", 50, 3)
	cfg.Schemes = []Scheme{dishonest{change: func(s secagg.Session, sums []secagg.Sum) []secagg.Sum {
		sums[0].Members = sums[0].Members[:s.Minimum-1]
		return sums
	}}}
	_, err := Run(cfg)
	require.ErrorIs(t, err, ErrInvariant)
	require.ErrorContains(t, err, "noise of 11 clients was opened; the plan's is that of 12")
}

func TestLedgerBelowWhatWasOpenedEndsTheRun(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*testing.T, *simulation)
		says   string
	}{
		"sound":              {func(*testing.T, *simulation) {}, ""},
		"gone":               {func(t *testing.T, s *simulation) { s.ledger = emptyLedger(t) }, "cannot be read"},
		"without an attempt": {func(_ *testing.T, s *simulation) { s.exposed[1].Attempt++ }, "does not charge it"},
		"a lower epsilon": {func(_ *testing.T, s *simulation) {
			last := &s.rounds[len(s.rounds)-1].EpsilonCoordinator
			*last = ptr(**last * 0.999)
		}, "after 4 attempts, which cost"},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := private(t, "oneshot", "distributed", 50, 3)
			cfg.Schemes, cfg.Fidelity = []Scheme{plain.Scheme{}, allSchemes[2]}, Fast
			s := newSimulation(cfg)
			require.NoError(t, s.prepare())
			_, err := s.run(0)
			require.NoError(t, err)
			require.Len(t, s.exposed, 4)
			c.change(t, s)
			s.checkLedger()
			if c.says == "" {
				require.Nil(t, s.violation.Load())
				return
			}
			require.Contains(t, *s.violation.Load(), c.says)
		})
	}
}

func emptyLedger(t *testing.T) ledger.Reader {
	t.Helper()
	d, err := mem.New(0).Open()
	require.NoError(t, err)
	return d.Journal
}
