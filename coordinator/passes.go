package coordinator

import "github.com/choir-fl/choir/secagg"

// pass says which of the passes at one step of the model a head is at, from 1, and how many
// there are: 1 of 1 but under rule rfa. They are counted in completed rounds, so that a failed
// attempt repeats its pass.
func (e *Engine) pass(h head) (pass, of int) {
	of = e.cfg.Plan.Passes()
	return int(h.rounds)%of + 1, of
}

// moves reports whether a head is at the last pass, which alone moves the model.
func (e *Engine) moves(h head) bool {
	pass, of := e.pass(h)
	return pass == of
}

// centre is what the clients of an attempt weigh their updates by: the aggregate of the
// last accepted round. In the first pass of a step it is that of the step before, and zero
// where there was none, or it was begun afresh.
func (e *Engine) centre(h head) secagg.Digest {
	if e.cfg.Plan.Terms().Weiszfeld == (secagg.Weiszfeld{}) {
		return secagg.Digest{}
	}
	return h.step
}

// afresh begins the step of a head anew, from a centre of zero: its passes are done again, and
// count once. They were at another plan's step, or at another model; and a centre of another
// plan may be longer than devices take.
func (e *Engine) afresh(h *head) {
	if e.cfg.Plan.Terms().Weiszfeld == (secagg.Weiszfeld{}) {
		return
	}
	pass, _ := e.pass(*h)
	h.rounds -= uint32(pass - 1)
	h.step = secagg.Digest{}
}

// stay takes an aggregate that is no more than the centre of the next pass: the model and
// its optimiser stay as they are.
func (e *Engine) stay(res *result, h head) (err error) {
	res.values, err = e.loadModel(h)
	res.model, res.modelSize, res.optimizer, res.moments = h.model, h.modelSize, h.optimizer, h.moments
	return err
}
