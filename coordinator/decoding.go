package coordinator

import (
	"errors"
	"fmt"
	"io"
	"math"

	"github.com/choir-fl/choir/dp/ddp"
	"github.com/choir-fl/choir/dp/mf"
	"github.com/choir-fl/choir/secagg"
	"github.com/choir-fl/choir/secagg/field"
)

// decoder reads the opened sums of one attempt. The coordinator's own noise is drawn when
// it is made, so before there are sums; only shares that are filled up to are drawn
// after, always as many.
type decoder struct {
	quantizer field.Quantizer
	buckets   int // that the cohort was divided into
	noisy     bool
	mechanism ddp.Mechanism
	rotation  ddp.Rotation
	stretch   float64 // of updates, by the clip norm of the round over that of the terms
	draws     []*ddp.Draw
	// correlated noise, in steps of a lattice that is finer than the grid.
	run   mf.Run
	noise []int64
	// shares that a sum of clients' noise is filled up to, from coins of the attempt.
	shares int
	coins  io.Reader
}

// newDecoder prepares for the sums of a session.
func (e *Engine) newDecoder(s secagg.Session, h head) (*decoder, error) {
	p := e.cfg.Plan
	d := &decoder{quantizer: p.Quantizer(), buckets: s.Buckets}
	g := p.Guarantee()
	if !g.Stated() {
		return d, nil
	}
	d.noisy, d.mechanism, d.stretch = true, g.Mechanism(), h.clipNorm/p.Terms().Encoding.ClipNorm
	var err error
	if d.rotation, err = p.Terms().Rotation(s.Binding.Round.Round); err != nil {
		return nil, err
	}
	if d.shares = g.Shares(); d.shares > 0 {
		key := field.Derive(h.noise, fmt.Sprintf("shares %s", s.Binding.Round))
		d.coins = field.NewStream(key)
		clear(key[:])
	}
	if p.Terms().Privacy != secagg.PrivacyCentral {
		return d, nil
	}
	if run, ok := g.Correlated(); ok {
		d.run = run
		d.noise, err = e.correlated.step(run, h.seed, int(s.Binding.Round.Round)-1)
		return d, err
	}
	for b := range s.Buckets {
		// The same noise again after a crash, for the same attempt: its sums are fixed, so
		// that nothing is released twice.
		key := field.Derive(h.noise, fmt.Sprintf("noise %s %d", s.Binding.Round, b))
		draw, err := d.mechanism.Draw(field.NewStream(key))
		clear(key[:])
		if err != nil {
			d.erase()
			return nil, err
		}
		d.draws = append(d.draws, draw)
	}
	return d, nil
}

// erase destroys noise that was not used.
func (d *decoder) erase() {
	for _, draw := range d.draws {
		draw.Erase()
	}
	clear(d.noise)
}

// decode reads an opened sum: the sum of updates into values, and the extras, in units
// of one client's.
func (d *decoder) decode(values []float64, sum *secagg.Sum) ([]float64, error) {
	if errors.Is(sum.Spoiled, secagg.ErrSpoiled) {
		return nil, sum.Spoiled
	}
	if sum.Spoiled != nil {
		return nil, secagg.ErrSpoiled.At("bucket %d", sum.Bucket).Because(sum.Spoiled)
	}
	extras, err := d.read(values, sum)
	if errors.Is(err, field.ErrRange) {
		err = secagg.ErrSpoiled.At("bucket %d", sum.Bucket).Because(err)
	}
	return extras, err
}

func (d *decoder) read(values []float64, sum *secagg.Sum) ([]float64, error) {
	if !d.noisy {
		sums, err := d.quantizer.Decode(values, sum.Words, len(sum.Members))
		extras := make([]float64, len(sums))
		for i, x := range sums {
			extras[i] = float64(x) / secagg.ExtraScale
		}
		return extras, err
	}
	sums, err := d.sums(values, sum)
	if err != nil {
		return nil, err
	}
	for i := range values {
		values[i] *= d.stretch
	}
	extras := make([]float64, len(sums))
	for i, x := range sums {
		// About the centre of a client's interval: a client that is not in the sum counts as
		// the centre, which is what sensitivity and sampling are reckoned from.
		most := float64(d.mechanism.Parameters().Extras[i].Largest)
		extras[i] = float64(x)/most - float64(len(sum.Members))/2
	}
	return extras, nil
}

// belowClipNorm is the share of clients that were not clipped: half, and how many more
// than half of them there are, noised, over the number that was expected.
func (e *Engine) belowClipNorm(centred float64) float64 {
	return 0.5 + centred/float64(e.cfg.Plan.CohortSize())
}

// nextClipNorm adapts the clip norm to that share.
func (e *Engine) nextClipNorm(clipNorm, below float64) (float64, error) {
	rule, ok := e.cfg.Plan.ClipRule()
	if !ok {
		return clipNorm, nil
	}
	return rule.Next(clipNorm, below)
}

// sums decodes an opened sum with all the noise that is due.
func (d *decoder) sums(values []float64, sum *secagg.Sum) ([]int64, error) {
	clients := len(sum.Members)
	switch {
	case d.noise != nil:
		return d.mechanism.DecodeWith(values, sum.Words, clients, d.rotation, func(sums, _ []int64) (float64, error) {
			return math.Ldexp(1, int(d.run.Shift())), d.run.Add(sums, d.noise)
		})
	case d.shares > 0:
		return d.mechanism.DecodeWith(values, sum.Words, clients, d.rotation, func(sums, extras []int64) (float64, error) {
			return 1, d.mechanism.AddShares(sums, extras, d.shares-clients, d.shares, d.coins)
		})
	case d.draws != nil:
		return d.mechanism.Decode(values, sum.Words, clients, d.rotation, d.draws[sum.Bucket])
	}
	return d.mechanism.Decode(values, sum.Words, clients, d.rotation, nil)
}
