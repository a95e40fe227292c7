package client

import (
	"io"
	"math"
	"sync"

	"github.com/choir-fl/choir/dp/ddp"
	"github.com/choir-fl/choir/fault"
	"github.com/choir-fl/choir/secagg"
	"github.com/choir-fl/choir/secagg/field"
)

// ErrShares is a session in which fewer honest clients share the noise than the plan
// promises.
var ErrShares = fault.New(fault.Refused, "client/shares", "too few honest clients may be in a sum for the noise that the plan promises", "raise the plan's minimum; wait for the next round")

// noise is what a participant adds to its update under privacy modes with noise. The
// zero value adds none.
type noise struct {
	mechanism ddp.Mechanism
	rotation  ddp.Rotation
	clipNorm  float64 // of this round
	central   bool    // the coordinator adds it

	mu   sync.Mutex // draw may run while the participant is erased
	key  [32]byte
	drew *ddp.Draw
	gone bool
}

// prepare reads what a task promises.
func (n *noise) prepare(p Policy, task secagg.Task) error {
	t := task.Terms
	if t.Noise == (secagg.Noise{}) {
		return nil
	}
	if !(task.ClipNorm > 0 && task.ClipNorm <= math.MaxFloat64) || t.Noise.BitSigma == 0 && task.ClipNorm != t.Encoding.ClipNorm { // NaN fails
		return secagg.ErrTerms.At("attempt %s: clip norm %v", task.Round, task.ClipNorm)
	}
	mechanism := p.Mechanism
	if mechanism == nil {
		mechanism = secagg.Terms.Mechanism
	}
	var err error
	if n.mechanism, err = mechanism(t); err != nil {
		return err
	}
	n.central, n.clipNorm = t.Privacy == secagg.PrivacyCentral, task.ClipNorm
	n.rotation, err = t.Rotation(task.Round.Round)
	return err
}

// draw draws all noise of the contribution, once.
func (n *noise) draw() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.clipNorm == 0 || n.central || n.drew != nil || n.gone {
		return nil
	}
	var err error
	n.drew, err = n.mechanism.Draw(field.NewStream(n.key))
	clear(n.key[:])
	return err
}

func (n *noise) erase() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.gone = true
	clear(n.key[:])
	n.drew.Erase()
}

// encode clips, rotates, rounds and noises. Integers are the same for every clip norm:
// the update is stretched to that of the terms first.
func (n *noise) encode(vector []uint32, delta []float32, weight float64, coins io.Reader) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	params := n.mechanism.Parameters()
	var extras []uint64
	for _, x := range params.Extras { // the clip bit
		value := uint64(0)
		switch norm := weight * field.Norm(delta); {
		case norm <= n.clipNorm:
			value = x.Largest
		case math.IsNaN(norm): // neither above nor below
			value = x.Largest / 2
		}
		extras = append(extras, value)
	}
	stretch := params.ClipNorm / n.clipNorm
	for i, x := range delta {
		delta[i] = float32(float64(x) * stretch)
	}
	prepared := make([]float32, n.mechanism.Quantizer().Spec().Dimension)
	defer clear(prepared)
	if _, err := n.mechanism.Prepare(prepared, delta, weight, n.rotation); err != nil {
		return err
	}
	_, err := n.mechanism.Encode(vector, prepared, extras, coins, n.drew)
	return err
}

// enoughShares holds the noise that is promised against the session: fewer honest
// clients than the terms reckon with may be in its sum.
func (p *Participant) enoughShares() error {
	t := p.task.Terms
	if t.Privacy != secagg.PrivacyDistributed || t.TrustCoordinator {
		return nil
	}
	s, ok := p.scheme.(secagg.HonestSession)
	if !ok {
		return ErrShares.At("scheme %s does not say how many", p.scheme.Name())
	}
	honest, err := s.HonestInSum(p.session, t.Noise.Releases, t.Noise.Delta)
	if err != nil {
		return err
	}
	if honest < t.Noise.Shares() {
		return ErrShares.At("round %s: %d of %d", p.task.Round, honest, t.Noise.Shares())
	}
	return nil
}
