package secagg

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/choir-fl/choir/dp"
	"github.com/choir-fl/choir/secagg/field"
	"github.com/choir-fl/choir/tensor"
)

// The digests below are what running deployments compute. Changing one breaks
// them: clients and coordinators of different versions no longer share a context,
// resumed runs no longer recognise their plan, enrolled identities no longer verify.
// A change needs a new label ("choir context/2") and a way to carry old runs over;
// it is never made to please this test.
//
// Source: testdata/golden.py, which computes them without this package.

func goldenRoster(t *testing.T) Roster {
	member := func(id PartyID, b byte) Identity {
		return Identity{ID: id, Key: [32]byte(bytes.Repeat([]byte{b}, 32)), Credential: [64]byte(bytes.Repeat([]byte{b + 1}, 64))}
	}
	r, err := NewRoster([]Identity{member("carol-2.x_y", 0x30), member("alice", 0x10), member("bob", 0x20)})
	require.NoError(t, err)
	return r
}

// goldenTask has every field set that exists in version 1 of the plan, but for
// the noise tail, which is zero without noise.
func goldenTask(t *testing.T) Task {
	schema, err := tensor.NewSchema([]tensor.Spec{{Name: "w", Shape: []int{12, 4}}, {Name: "b", Shape: []int{4}}})
	require.NoError(t, err)
	return Task{Round: RoundID{"job", 3, 2}, Rest: Digest(bytes.Repeat([]byte{2}, 32)), Model: Digest(bytes.Repeat([]byte{1}, 32)), ModelSize: 300,
		Terms: Terms{Job: "job", Scheme: "pairwise", SchemeParameters: unhex(t, "0102c3500203"+"0493e0"+"040103"), Minimum: 10, View: ViewSum,
			Privacy: PrivacyNone, TrustCoordinator: true,
			Encoding: field.Spec{Dimension: 52, Clients: 20, ClipNorm: 10, Bits: 18, Range: 131070, Scale: 13107, WordBits: 23,
				Extras: []field.Extra{{Name: ExtraWeight, Bound: ExtraScale}, {Name: ExtraEvalWeight, Bound: ExtraScale}}},
			Tensors: schema, Training: Training{Architecture: "softmax", Epochs: 1, BatchSize: 10, LearningRate: 0.1, Momentum: 0.9, Prox: 0.01, WeightCap: 50},
			Denominator: DenominatorWeights, Evaluate: true}}
}

func unhex(t *testing.T, s string) []byte {
	b, err := hex.DecodeString(s)
	require.NoError(t, err)
	return b
}

func TestDigestsAreThoseOfRunningDeployments(t *testing.T) {
	task, roster := goldenTask(t), goldenRoster(t)
	session, err := task.Session(roster, nil)
	require.NoError(t, err)
	withCommittee := session.Binding
	withCommittee.Committee = Digest(bytes.Repeat([]byte{5}, 32))
	alice := roster.At(0)
	noisy := goldenTask(t)
	noisy.Terms.Privacy, noisy.Terms.TrustCoordinator, noisy.Terms.Denominator, noisy.Terms.Evaluate = PrivacyDistributed, false, DenominatorFixed, false
	noisy.Terms.Noise = Noise{Law: dp.DiscreteGaussian, Relation: dp.ZeroOut, Sigma: 12, Survivors: 10, Corrupt: 2, Releases: 100, Delta: 1e-5,
		Rate: 0.01, Participations: 6, Separation: 3, BitSigma: 4}
	noisy.Terms.Encoding = field.Spec{Clients: 20, ClipNorm: 10, Scale: 100}
	encodeNoise(t, &noisy.Terms)
	noisy.ClipNorm, noisy.Ledger = 7.5, LedgerHead{Count: 12, Digest: Digest(bytes.Repeat([]byte{4}, 32))}
	noisySession, err := noisy.Session(roster, nil)
	require.NoError(t, err)
	weighed := goldenTask(t)
	weighed.Terms.Weiszfeld, weighed.Centre = Weiszfeld{Smoothing: 0.25, Passes: 3}, Digest(bytes.Repeat([]byte{6}, 32))
	weighedSession, err := weighed.Session(roster, nil)
	require.NoError(t, err)

	for name, c := range map[string]struct {
		got  Digest
		want string
	}{
		"roster":                 {roster.Root(), "e0b2e326f6ec65e097f3c73af794a87c79c18ffa4f1140c392ae21056f9c887d"},
		"task":                   {sha256.Sum256(task.Encode()), "2232e86302f52541edcecfbc6587612c269b94f559d22daf9608f2f1974f358d"},
		"plan":                   {task.Terms.PlanDigest(task.Rest), "0465045405816ef2548553a923c87da1c945267752c0631a28e80d2c6a39bdd8"},
		"public seed":            {task.Terms.PublicSeed("rotation"), "5a4f1afa6beb2c5e13d7927600702337bf8e1bbe7a661897803160477307c406"},
		"context":                {session.Context, "12db470e01dbf8fe198785ed856ec48d56569288c01a3fb196546f2181cf7ad8"},
		"context with committee": {withCommittee.Context(), "ea561ddd40b6301bef6ccc43be27e86efce0bb9da812f31d098afb633568a54c"},
		"statement":              {Digest(statement("upload", session.Context, [][]byte{[]byte("part")})), "66ab6e3d916ff1d585c0e781ea72751c5d070467ed0ae839f1e6bb6db591ccb2"},
		"noisy task":             {sha256.Sum256(noisy.Encode()), "9d16301e8a61f14be9ac2495e2acb0d343802ea45ca84fd41820a221c48c2731"},
		"noisy plan":             {noisy.Terms.PlanDigest(noisy.Rest), "fb875631db43b59a34d686bec1e6fd7308f9ae51050d24cb6ce4504a96d7afd4"},
		"noisy context":          {noisySession.Context, "1e0dc7694881ce11fa262b428255e2fcfb6b9c95fba5aa1dc4f835b020ae51d8"},
		"weighed task":           {sha256.Sum256(weighed.Encode()), "4bf3798c48cffab4562d254d19f2ae1cd573f2b0d5ff72e96c2c77f84ca0b63a"},
		"weighed plan":           {weighed.Terms.PlanDigest(weighed.Rest), "50bf0af28f73bb03f18a2a13e133ce4e5af9c45b0a464e88b9fd476e903aa823"},
		"weighed context":        {weighedSession.Context, "b55e8854911a4809d426137e708c26b5c492b8a71f95c48a6f58dbbb627e74e2"},
		"enrolment":              {Digest(enrolmentStatement(alice.ID, alice.Key[:])), "ca76ec5d391c007e3dbec7a9b6ff2df27973009ed6da110cb2e391ab927dcd84"},
	} {
		require.Equal(t, c.want, c.got.String(), name)
	}
}

// TestAFieldAddedLaterChangesNoDigest plays the next version: it knows a field that
// this one does not, and leaves it out where it has no value.
func TestAFieldAddedLaterChangesNoDigest(t *testing.T) {
	task := goldenTask(t)
	next := func(added uint64) []byte {
		var e Encoder
		e.Message(1, task.Round.encode)
		e.Message(2, func(e *Encoder) {
			task.Terms.encode(e, true)
			e.Uint(20, added) // the first free number of the terms
		})
		e.Digest(3, task.Rest)
		e.Digest(4, task.Model)
		e.Uint(5, uint64(task.ModelSize))
		e.Bytes(12, bytes.Repeat([]byte{1}, int(added))) // and of the task
		return e.Encoded()
	}
	require.Equal(t, task.Encode(), next(0))

	// With a value it is not the old thing, and the old version refuses it rather
	// than overlook what it cannot understand.
	require.NotEqual(t, task.Encode(), next(1))
	_, err := DecodeTask(next(1))
	require.ErrorIs(t, err, ErrEncoding)
}
