package plan

import "time"

// Demonstration is the plan that `choir sim` runs when it is given none:
// Fashion-MNIST, a multilayer perceptron, clients that speak once, and a committee
// that opens the sums. It names no committee: whoever runs it fills one in before
// Check, the simulator a virtual one.
func Demonstration() Literal {
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
