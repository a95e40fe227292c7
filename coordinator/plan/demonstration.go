package plan

import "time"

// Demonstration is the plan that `choir sim` runs when it is given none: Fashion-MNIST
// over a thousand clients, of which coins draw a quarter in each round, with noise that
// the clients share, so that whoever sees the released models learns little about any
// of them, and the coordinator no more than what both epsilons say. It names no
// committee: whoever runs it fills one in before Check, the simulator a virtual one.
func Demonstration() Literal {
	l := DemonstrationWithoutNoise()
	l.Model = Model{Architecture: "softmax"}
	l.Scheme.Corrupt, l.Scheme.Dropout = 0.01, 0.05
	l.Cohort = Cohort{Size: 250, Minimum: 150, Selection: string(SelectPoisson), Population: 1000}
	l.Rounds.Count = 25
	l.Encoding = Encoding{ClipNorm: 0.5}
	l.Training = Training{Epochs: 5, BatchSize: 10, LearningRate: 0.1}
	l.Aggregation = Aggregation{Rule: "mean", Denominator: "fixed"}
	l.Optimizer = Optimizer{Name: "fedavg", LearningRate: 2}
	l.Privacy = Privacy{Mode: "distributed", Relation: "zero-out", Delta: 1e-5, Epsilon: 2}
	l.Evaluation = Evaluation{}
	return l
}

// DemonstrationWithoutNoise is the demonstration for those who trust their coordinator
// with exact sums: a multilayer perceptron over a hundred clients.
func DemonstrationWithoutNoise() Literal {
	return Literal{
		Schema: "choir.plan/1", Job: "demonstration",
		Model:     Model{Architecture: "mlp"},
		Scheme:    Scheme{Name: "oneshot", Corrupt: 0.05, Dropout: 0.30},
		Cohort:    Cohort{Size: 20, Minimum: 12},
		Rounds:    Rounds{Count: 20, Attempts: 3},
		Deadlines: Deadlines{Admission: time.Minute, Exchange: time.Minute, Upload: 30 * time.Minute},
		Encoding:  Encoding{ClipNorm: 16, Bits: 18},
		Training:  Training{Epochs: 5, BatchSize: 10, LearningRate: 0.02, Momentum: 0.9, WeightCap: 60},
		Aggregation: Aggregation{Rule: "mean", Denominator: "weights",
			Fallback: "bucket_means", Buckets: Buckets{Size: 10, Minimum: 6}},
		Optimizer:  Optimizer{Name: "fedavg"},
		Privacy:    Privacy{Mode: "none", TrustCoordinator: true},
		Evaluation: Evaluation{Clients: true},
	}
}
