package plan

import (
	"math"

	"github.com/choir-fl/choir/dp"
	"github.com/choir-fl/choir/dp/account"
	"github.com/choir-fl/choir/dp/mf"
)

// matrix makes the matrix mechanism that a plan names; the zero one if its noise is
// drawn afresh in each round. There is a step for each round, whether or not it
// releases anything, so that rounds are as far apart as steps.
func (l Literal) matrix() (mf.Mechanism, error) {
	name := Mechanism(l.Privacy.Mechanism)
	if !name.Correlated() {
		return mf.Mechanism{}, nil
	}
	family, err := mf.ParseFamily(string(name))
	if err != nil {
		return mf.Mechanism{}, err
	}
	p := mf.Parameters{Family: family, Bands: l.Privacy.Bands, Buffers: l.Privacy.Buffers,
		Participation: mf.Participation{Steps: l.Rounds.Count, Participations: l.Cohort.Participations, Separation: max(l.Cohort.Separation, 1)}}
	if family != mf.Tree {
		p.Criterion = mf.MeanError
	}
	return p.Check()
}

// correlated makes the promise of a matrix mechanism: its event is that of the whole run,
// and every attempt states it, of which one counts.
func (l Literal) correlated(g Guarantee, matrix mf.Mechanism) (Guarantee, error) {
	scale := g.mechanism.Parameters().Scale
	run, err := matrix.Run(mf.Noise{Dimension: g.mechanism.Sensitivity().Dimension, Clip: g.mechanism.Sensitivity().L2, Sigma: g.noise.Sigma * scale})
	if err != nil {
		return Guarantee{}, err
	}
	g.correlated, g.most = run, 1
	if g.plain, err = run.Event(g.noise.Relation); err != nil {
		return Guarantee{}, err
	}
	g.sampled = g.plain
	g.slack.Tails = g.noise.Delta * tailsPart
	g.tails = tails{redrawn: run.TailDelta(), cut: math.Inf(1), spread: math.Inf(1)}
	g.plainCurve, err = account.NewCurve([]dp.Event{g.plain})
	g.sampledCurve = g.plainCurve
	return g, err
}
