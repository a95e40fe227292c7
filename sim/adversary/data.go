package adversary

import (
	"math"
	"math/rand/v2"

	"github.com/choir-fl/choir/sim/dataset"
)

// poison is what an attack on data does: change labels, or stamp a trigger.
type poison struct {
	flip           bool
	source, target int // of a flip: -1 for any class, and for class C-1-y; target is the trigger's too
	stamp          bool
	rate           float64
	size, parts    int
}

// Data is what an attacker trains on: a poisoned copy of its data under label-flip,
// backdoor, dba and model-replacement (but goal=reverse), d itself under all other attacks. attacker is its
// place among the attackers of the run, at least 0, and decides which part of dba's
// trigger it stamps. Order and number of examples stay.
//
// With a trigger, the share rate of the examples, rounded to the nearest count, is drawn
// by seed and attacker among those that are not of the target's class, at most all of
// these; each gets the patch and the target's label. The patch sets all channels of the
// size x size pixels in the lower right corner to 1.
//
// [ErrData] is a class that the data do not have, or a patch larger than an example.
func (a Attack) Data(attacker int, d dataset.Dataset, seed uint64) (dataset.Dataset, error) {
	if a.kind == nil || a.kind.data == nil {
		return d, nil
	}
	p := a.kind.data(a)
	if !p.flip && !p.stamp {
		return d, nil
	}
	if err := p.fits(a, attacker, d); err != nil {
		return dataset.Dataset{}, err
	}
	features, labels := unpack(d)
	if p.flip {
		for i, y := range labels {
			if p.source >= 0 && y != p.source {
				continue
			}
			if labels[i] = p.target; p.target < 0 {
				labels[i] = d.Classes() - 1 - y
			}
		}
	} else {
		others := p.others(d)
		coins := rand.New(rand.NewPCG(seed, uint64(attacker)))
		coins.Shuffle(len(others), func(i, j int) { others[i], others[j] = others[j], others[i] })
		count := min(len(others), int(math.Round(p.rate*float64(d.Len()))))
		for _, i := range others[:count] {
			p.mark(features[i*d.Dim():(i+1)*d.Dim()], d.Shape(), attacker%p.parts)
			labels[i] = p.target
		}
	}
	return dataset.New(features, labels, d.Shape(), d.Classes())
}

// Probe makes of test examples the set by which a backdoor's success is measured: those
// of classes other than the target's, in order, each with the whole trigger and the
// target's label. The model's accuracy on it is the attack's success. False for attacks
// without a trigger, and where the trigger does not fit the examples or all are of the
// target's class.
func (a Attack) Probe(test dataset.Dataset) (dataset.Dataset, bool) {
	if a.kind == nil || a.kind.data == nil {
		return dataset.Dataset{}, false
	}
	p := a.kind.data(a)
	if !p.stamp || p.fits(a, 0, test) != nil {
		return dataset.Dataset{}, false
	}
	chosen := test.Subset(p.others(test))
	features, labels := unpack(chosen)
	for i := range labels {
		for part := range p.parts {
			p.mark(features[i*test.Dim():(i+1)*test.Dim()], test.Shape(), part)
		}
		labels[i] = p.target
	}
	probe, err := dataset.New(features, labels, test.Shape(), test.Classes())
	return probe, err == nil && probe.Len() > 0
}

// fits refuses data that the poison does not go with.
func (p poison) fits(a Attack, attacker int, d dataset.Dataset) error {
	shape := d.Shape()
	switch {
	case attacker < 0:
		return ErrData.At("attack %s: attacker %d", a.Name(), attacker)
	case max(p.source, p.target) >= d.Classes():
		return ErrData.At("attack %s: class %d of %d", a.Name(), max(p.source, p.target), d.Classes())
	case p.stamp && p.size > min(shape[0], shape[1]):
		return ErrData.At("attack %s: a patch of %d x %d on examples of %d x %d", a.Name(), p.size, p.size, shape[0], shape[1])
	}
	return nil
}

// others are the examples that are not of the target's class.
func (p poison) others(d dataset.Dataset) []int {
	list := []int{}
	for i := range d.Len() {
		if d.Label(i) != p.target {
			list = append(list, i)
		}
	}
	return list
}

// mark stamps one part of the patch on one example. Its pixels are numbered row by row
// and cut into parts of equal length, but for rounding.
func (p poison) mark(features []float32, shape [3]int, part int) {
	height, width, channels := shape[0], shape[1], shape[2]
	pixels := p.size * p.size
	for n := part * pixels / p.parts; n < (part+1)*pixels/p.parts; n++ {
		y, x := height-p.size+n/p.size, width-p.size+n%p.size
		at := (y*width + x) * channels
		for c := range channels {
			features[at+c] = 1
		}
	}
}

// unpack copies features and labels.
func unpack(d dataset.Dataset) ([]float32, []int) {
	features := make([]float32, 0, d.Len()*d.Dim())
	for i := range d.Len() {
		features = append(features, d.Features(i)...)
	}
	return features, d.Labels()
}

func labelFlip(a Attack) poison {
	p := poison{flip: true, source: -1, target: -1}
	if a.word("source") == "" {
		p.source = int(a.Number("source"))
	}
	if a.word("target") == "" {
		p.target = int(a.Number("target"))
	}
	return p
}

// backdoor is the poison of backdoor and dba; only the latter has parts.
func backdoor(a Attack) poison {
	return poison{stamp: true, source: -1, target: int(a.Number("target")), rate: a.Number("rate"), size: int(a.Number("size")), parts: max(1, int(a.Number("parts")))}
}

func replacementData(a Attack) poison {
	switch a.word("goal") {
	case "backdoor":
		return backdoor(a)
	case "labels":
		return poison{flip: true, source: -1, target: -1}
	}
	return poison{source: -1, target: -1}
}

func checkLabels(a Attack) error {
	source, target := a.word("source"), a.word("target")
	if source == "" && (target != "" || a.Number("source") == a.Number("target")) {
		return ErrSpec.At("attack %s: source needs a target that is another class", a.Name())
	}
	return nil
}

func checkParts(a Attack) error {
	if a.Number("parts") > a.Number("size")*a.Number("size") {
		return ErrSpec.At("attack %s: a patch of %v x %v has no %v parts", a.Name(), a.Number("size"), a.Number("size"), a.Number("parts"))
	}
	return nil
}

// checkReplacement refuses a trigger's parameters where there is no trigger.
func checkReplacement(a Attack) error {
	if a.word("goal") == "backdoor" {
		return nil
	}
	for _, name := range []string{"target", "rate", "size"} {
		if a.changed(a.index(name)) {
			return ErrSpec.At("attack %s: parameter %s goes with goal=backdoor", a.Name(), name)
		}
	}
	return nil
}
