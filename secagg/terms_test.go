package secagg

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/choir-fl/choir/secagg/field"
	"github.com/choir-fl/choir/tensor"
)

func sampleTask(t testing.TB) Task {
	t.Helper()
	schema, err := tensor.NewSchema([]tensor.Spec{{Name: "w", Shape: []int{12, 4}}, {Name: "b", Shape: []int{4}}})
	require.NoError(t, err)
	q, err := field.Spec{Dimension: 52, Clients: 20, ClipNorm: 10, Bits: 18, Extras: []field.Extra{{Name: ExtraWeight, Bound: ExtraScale}}}.Check()
	require.NoError(t, err)
	return Task{Round: RoundID{Job: "job", Round: 3, Attempt: 2}, Model: Digest{1}, ModelSize: 300, Rest: Digest{2},
		Terms: Terms{Job: "job", Scheme: "plain", Minimum: 10, Privacy: PrivacyNone, TrustCoordinator: true, Encoding: q.Spec(), Tensors: schema,
			Training: Training{Architecture: "softmax", Epochs: 1, BatchSize: 10, LearningRate: 0.1, WeightCap: 50}, Denominator: DenominatorWeights, Evaluate: true}}
}

func TestTaskSurvivesItsEncoding(t *testing.T) {
	task := sampleTask(t)
	back, err := DecodeTask(task.Encode())
	require.NoError(t, err)
	require.Equal(t, task, back)
	require.Equal(t, task.Encode(), back.Encode())
}
