package ddp

import (
	"io"
	"reflect"
	"sync/atomic"

	"github.com/choir-fl/choir/dp"
	"github.com/choir-fl/choir/dp/noise"
)

// Draw is all the noise of one contribution, or of one sum under central noise, drawn
// before the data it protects are there, so that the time it takes tells nothing about
// them. It is used once: what it went into, [Mechanism.Encode] or [Mechanism.Decode],
// erases it, and a second use is an [ErrNoise]. The zero Draw counts as used.
//
// It holds 4 bytes for each padded coordinate, as confidential as the update: whoever
// knows it can take it off. It serves one goroutine at a time, and is not to be copied.
type Draw struct {
	of    Parameters
	fresh atomic.Bool
	pools []noise.Pool // the update's, then one for each extra
}

// Draw draws, from coins that serve nothing else: for every coordinate a fresh share of
// Shares, then one of ExtraShares(k) for each extra k, all of exact laws. The tables
// for that are made at the first Draw of a Mechanism and its copies, which takes some 50
// milliseconds (Skellam: 300). Any number of goroutines may draw at once, from coins of
// their own. A failure of coins is an [ErrCoins].
func (m Mechanism) Draw(coins io.Reader) (*Draw, error) {
	if m.sensitivity.Dimension == 0 {
		return nil, ErrArgument.At("Draw of the zero Mechanism")
	}
	samplers, err := m.samplers()
	if err != nil {
		return nil, err
	}
	d := &Draw{of: m.params, pools: make([]noise.Pool, len(samplers))}
	for k, s := range samplers {
		n := 1
		if k == 0 {
			n = m.sensitivity.Dimension
		}
		if err := d.pools[k].Fill(s, coins, n); err != nil {
			d.Erase()
			return nil, ErrCoins.At("Draw").Because(err)
		}
	}
	d.fresh.Store(true)
	return d, nil
}

// Erase overwrites the noise; the Draw can not be used any more. It may be called
// again, and on nil.
func (d *Draw) Erase() {
	if d == nil {
		return
	}
	d.fresh.Store(false)
	for k := range d.pools {
		d.pools[k].Erase()
	}
}

// newSamplers makes the samplers of the shares of the update and of each extra.
func (m Mechanism) newSamplers() ([]noise.Sampler, error) {
	var out []noise.Sampler
	for _, s := range append([]Shares{m.shares}, m.extras...) {
		var sampler noise.Sampler
		var err error
		num, den := s.variance.Num().Uint64(), s.variance.Denom().Uint64()
		if m.params.Noise == dp.Skellam {
			sampler, err = noise.NewSkellam(num, den)
		} else {
			sampler, err = noise.NewGaussian(num, den)
		}
		if err != nil { // Check refuses what they would refuse
			return nil, ErrParameters.At("noise").Because(err)
		}
		out = append(out, sampler)
	}
	return out, nil
}

// checkDraw refuses a draw that is missing where one is wanted, given where none is, or
// of another mechanism. It does not use it.
func (m Mechanism) checkDraw(draw *Draw, wanted bool) error {
	switch {
	case !wanted && draw != nil:
		return ErrNoise.At("a draw where none is added")
	case wanted && draw == nil:
		return ErrNoise.At("no draw")
	case wanted && !reflect.DeepEqual(draw.of, m.params):
		return ErrNoise.At("a draw of another mechanism")
	}
	return nil
}

// take marks a draw as used; nil needs none.
func (d *Draw) take() error {
	if d != nil && !d.fresh.CompareAndSwap(true, false) {
		return ErrNoise.At("a draw that was used or erased")
	}
	return nil
}
