package pairwise

import (
	"testing"

	"github.com/choir-fl/choir/secagg"
	"github.com/choir-fl/choir/secagg/secaggtest"
)

var testPolicy = secagg.Policy{Corrupt: 100_000, Dropout: 300_000, Attempts: 3}

var testConfig = secaggtest.Config{
	Policy: testPolicy, Cohorts: []int{16, 17, 21}, Seeds: 12,
	Divided: &secaggtest.Divided{
		Policy:  secagg.Policy{Corrupt: 25_000, Dropout: 200_000, Attempts: 3, Buckets: secagg.Buckets{Size: 16, Minimum: 12}},
		Cohorts: []int{32, 35, 48},
	},
}

func TestConformance(t *testing.T) { secaggtest.Conformance(t, Scheme{}, testConfig) }
