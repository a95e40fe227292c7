package plain

import (
	"testing"

	"github.com/choir-fl/choir/secagg"
	"github.com/choir-fl/choir/secagg/secaggtest"
)

func TestConformance(t *testing.T) {
	secaggtest.Conformance(t, Scheme{}, secaggtest.Config{
		Policy: secagg.Policy{Dropout: 300_000}, Cohorts: []int{3, 8, 16}, Seeds: 12,
		Divided: &secaggtest.Divided{Policy: secagg.Policy{Dropout: 300_000, Buckets: secagg.Buckets{Size: 4, Minimum: 3}}, Cohorts: []int{8, 13, 18}},
	})
}
