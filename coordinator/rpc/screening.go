package rpc

import (
	"github.com/choir-fl/choir/coordinator"
	choirv1 "github.com/choir-fl/choir/proto/choir/v1"
	"github.com/choir-fl/choir/secagg"
)

// maxClients is how many quarantined clients, and how many reputations, a state lists.
const maxClients = 100

// screening adds what a coordinator sees of its clients, and what it does not.
func (r *run) screening(s coordinator.State, out *choirv1.RunState) {
	out.View, out.Unseen, out.Alerts = s.View, s.Unseen, wireAlerts(s.Alerts)
	for _, id := range s.Quarantined[:min(len(s.Quarantined), maxClients)] {
		out.Quarantined = append(out.Quarantined, string(id))
	}
	if s.View != secagg.ViewVectors.String() {
		return
	}
	known, err := r.engine.Reputations()
	if err != nil { // the state is wanted most of all when something is wrong
		r.log.Error("reputations cannot be read", "error", err)
	}
	for _, k := range known[:min(len(known), maxClients)] {
		out.Reputations = append(out.Reputations, &choirv1.Reputation{Client: string(k.Client), Inclusion: k.Inclusion, Rounds: k.Rounds})
	}
}

func wireAlerts(alerts []coordinator.Alert) (out []*choirv1.Alert) {
	for _, a := range alerts {
		w := &choirv1.Alert{Name: a.Name, What: a.What, Client: string(a.Client), Value: a.Value, Threshold: a.Threshold}
		if a.Bucket != nil {
			b := uint32(*a.Bucket)
			w.Bucket = &b
		}
		out = append(out, w)
	}
	return out
}

// wireFigures converts the lines that a history would keep.
func wireFigures(f *coordinator.Figures) *choirv1.Figures {
	if f == nil {
		return nil
	}
	f = f.Bounded()
	out := &choirv1.Figures{View: f.View, Rule: f.Rule, Vectors: uint32(f.Vectors), Excluded: f.Excluded, Carried: f.Carried, Cosine: f.Cosine,
		TopEigenvalue: f.TopEigenvalue, Duplicates: uint32(f.Duplicates), Omitted: uint32(f.Omitted), F: uint32(f.F), Norms: f.Norms}
	for _, v := range f.Each {
		out.Each = append(out.Each, &choirv1.Figure{Bucket: uint32(v.Bucket), Client: string(v.Client), Clients: uint32(v.Clients), Spoiled: v.Spoiled,
			Weightless: v.Weightless, Excluded: v.Excluded, Weight: v.Weight, NormRatio: v.NormRatio, Cosine: v.Cosine, Group: uint32(v.Group), Score: v.Score, Rank: uint32(v.Rank)})
	}
	return out
}

func wireMeasurement(m *coordinator.Measurement) *choirv1.Measurement {
	if m == nil {
		return nil
	}
	return &choirv1.Measurement{Recall: m.Recall, Accuracy: m.Accuracy, Loss: m.Loss, Probe: m.Probe}
}

func wireTrend(t *coordinator.Trend) *choirv1.Trend {
	if t == nil {
		return nil
	}
	return &choirv1.Trend{Models: t.Models, Accuracy: t.Accuracy, AccuracyDeviation: t.AccuracyDeviation, Loss: t.Loss, LossDeviation: t.LossDeviation, Cusum: t.Cusum}
}
