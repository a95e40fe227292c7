package client

import (
	"io"

	"github.com/choir-fl/choir/fault"
	"github.com/choir-fl/choir/secagg"
	"github.com/choir-fl/choir/secagg/field"
	"github.com/choir-fl/choir/tensor"
)

// ErrCentre refuses what updates are to be weighed by.
var ErrCentre = fault.New(fault.Refused, "client/centre", "the centre is not one that the task's updates can be weighed by", "the coordinator is faulty or dishonest: leave the round")

// longest is how much longer than the clip norm a centre may be, which is rounded to single
// precision.
const longest = 1 + 1e-6

// Centre checks the fetched file of the task's centre; it is due before Trained where the task
// names one. A centre is a mean of clipped updates, and no longer than these: so a client far
// off weighs at least half of nu times what one of as many examples does that is near. Centre
// may run while other methods do, but for Trained and Seal.
func (p *Participant) Centre(r io.Reader) error {
	m, err := tensor.ReadSafetensors(r, p.centreSize())
	switch {
	case err != nil:
		return ErrCentre.Because(err)
	case !m.Schema().Equal(p.task.Terms.Tensors) || m.Digest() != p.task.Centre:
		return ErrCentre.At("round %s: it is another than the task names", p.task.Round)
	case !(field.Norm(m.Values()) <= p.task.Terms.Encoding.ClipNorm*longest): // NaN fails
		return ErrCentre.At("round %s: its norm is above the clip norm %g", p.task.Round, p.task.Terms.Encoding.ClipNorm)
	}
	p.centre = m.Values()
	return nil
}

// centreSize is the length of the centre's file; zero if there is none to fetch.
func (p *Participant) centreSize() int64 {
	if p.task.Centre == (secagg.Digest{}) {
		return 0
	}
	return tensor.Size(p.task.Terms.Tensors)
}

// clip shortens an update to a norm, as encoding it with weight 1 would.
func clip(update []float32, limit float64) {
	norm := field.Norm(update)
	if !(norm > limit) {
		return
	}
	for i, x := range update {
		update[i] = float32(float64(x) * (limit / norm))
	}
}
