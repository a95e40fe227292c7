package client

import (
	"math"

	"github.com/choir-fl/choir/secagg"
	"github.com/choir-fl/choir/secagg/field"
)

// encode turns the update into the client's vector.
func (p *Participant) encode(vector []uint32, delta []float32) error {
	key := field.Derive(p.coins, "rounding")
	defer clear(key[:])
	coins := field.NewStream(key)
	if p.task.Terms.Noise != (secagg.Noise{}) {
		return p.noise.encode(vector, delta, weightOf(p.update.Examples, p.task.Terms.Training.WeightCap), coins)
	}
	weight, extras := p.measures(delta)
	_, err := p.quant.Encode(vector, delta, weight, extras, coins, nil)
	return err
}

// measures returns the client's weight and its extra coordinates. An update that it weighs by a
// centre is clipped first.
func (p *Participant) measures(delta []float32) (weight float64, extras []uint64) {
	t := p.task.Terms
	u := p.update
	weight = weightOf(u.Examples, t.Training.WeightCap)
	if w := t.Weiszfeld; w != (secagg.Weiszfeld{}) {
		clip(delta, t.Encoding.ClipNorm)
		weight = w.Weigh(weight, delta, p.centre, t.Encoding.ClipNorm)
	}
	scaled := map[string]float64{secagg.ExtraWeight: weight}
	if e := u.Evaluation; e != nil && t.Evaluate && e.Examples > 0 && e.Accuracy >= 0 && e.Accuracy <= 1 && e.Loss >= 0 {
		w := weightOf(e.Examples, t.Training.WeightCap)
		scaled[secagg.ExtraEvalWeight] = w
		scaled[secagg.ExtraEvalCorrect] = w * e.Accuracy
		scaled[secagg.ExtraEvalLoss] = w * math.Min(e.Loss, secagg.MaxEvalLoss) / secagg.MaxEvalLoss
	}
	for _, x := range p.quant.Layout().Extras() {
		extras = append(extras, uint64(math.Round(scaled[x.Name]*secagg.ExtraScale)))
	}
	// The weight that multiplies the update is the one that is summed, exactly.
	return math.Round(weight*secagg.ExtraScale) / secagg.ExtraScale, extras
}

func weightOf(examples, limit int) float64 {
	if limit == 0 {
		return 1
	}
	return math.Min(float64(examples), float64(limit)) / float64(limit)
}
