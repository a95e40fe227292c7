package sim

import (
	"github.com/choir-fl/choir/coordinator"
	"github.com/choir-fl/choir/coordinator/plan"
	"github.com/choir-fl/choir/sim/adversary"
	"github.com/choir-fl/choir/sim/dataset"
	"github.com/choir-fl/choir/sim/model"
	"github.com/choir-fl/choir/tensor"
)

// holdout measures models of one architecture on labelled data, class by class, and on
// probes of a backdoor.
type holdout struct {
	net     *model.Net
	size    int // examples
	classes []dataset.Dataset
	probe   *dataset.Dataset // nil without
}

// NewHoldout returns what measures models of net on data that a coordinator holds, and on
// probes, if there are any: examples with a trigger, labelled with its target.
func NewHoldout(net *model.Net, data dataset.Dataset, probe *dataset.Dataset) coordinator.Holdout {
	h := holdout{net: net.Clone(), size: data.Len(), probe: probe}
	members := make([][]int, data.Classes())
	for i, label := range data.Labels() {
		members[label] = append(members[label], i)
	}
	for _, m := range members {
		h.classes = append(h.classes, data.Subset(m))
	}
	return h
}

// KnownProbe stamps examples with the trigger that adversary.Parse("backdoor") stands
// for, which is all that a coordinator can look for that does not know who attacks. Nil if
// the examples are too small for it.
func KnownProbe(data dataset.Dataset) *dataset.Dataset {
	known, _ := adversary.Parse("backdoor") // a name that is known
	if probe, ok := known.Probe(data); ok {
		return &probe
	}
	return nil
}

// holdout returns that of the engine, the test set; nil where the plan asks for none.
func (s *simulation) holdout() coordinator.Holdout {
	if s.plan.Screening() == (plan.Screening{}) || s.cfg.Test.Len() == 0 {
		return nil
	}
	return NewHoldout(s.net, s.cfg.Test, KnownProbe(s.cfg.Test)) // it does not know the attackers' own
}

// Evaluate implements coordinator.Holdout.
func (h holdout) Evaluate(m tensor.Model) (coordinator.Measurement, error) {
	var out coordinator.Measurement
	net := h.net.Clone()
	correct, loss := 0, 0.0
	for _, class := range h.classes {
		if class.Len() == 0 {
			out.Recall = append(out.Recall, -1)
			continue
		}
		e, err := net.Evaluate(m.Values(), class)
		if err != nil {
			return out, err
		}
		correct, loss = correct+e.Correct, loss+e.LossSum
		out.Recall = append(out.Recall, e.Accuracy())
	}
	out.Accuracy, out.Loss = float64(correct)/float64(h.size), loss/float64(h.size)
	if h.probe != nil {
		e, err := net.Evaluate(m.Values(), *h.probe)
		if err != nil {
			return out, err
		}
		out.Probe = ptr(e.Accuracy())
	}
	return out, nil
}
