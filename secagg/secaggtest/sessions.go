package secaggtest

import (
	"math"
	"testing"

	"github.com/choir-fl/choir/secagg"
	"github.com/stretchr/testify/require"
)

func badSessions(t *testing.T, scheme Scheme, c Config) {
	good, cohort := c.small(t, scheme)
	for name, spoil := range map[string]func(*secagg.Session){
		"no words":                  func(s *secagg.Session) { s.Words = 0 },
		"too many words":            func(s *secagg.Session) { s.Words = math.MaxInt32 },
		"narrow words":              func(s *secagg.Session) { s.WordBits = 7 },
		"wide words":                func(s *secagg.Session) { s.WordBits = 33 },
		"no minimum":                func(s *secagg.Session) { s.Minimum = 0 },
		"more buckets than clients": func(s *secagg.Session) { s.Buckets = s.Roster.Len() + 1 },
		"unreached minimum":         func(s *secagg.Session) { s.Minimum = s.Roster.Len() + 1 },
		"bad parameters":            func(s *secagg.Session) { s.Binding.Parameters = []byte{0xff}; s.Context = s.Binding.Context() },
	} {
		t.Run(name, func(t *testing.T) {
			s := good
			spoil(&s)
			_, err := scheme.NewParty(s, 0, cohort.Keys[0], Coins(1, "party 0"))
			require.Error(t, err)
			_, err = scheme.NewControl(s)
			require.Error(t, err)
			_, err = scheme.NewAccumulator(s)
			require.Error(t, err)
			if s.Committee.Len() > 0 {
				record := Announce(t, scheme, s.Binding.Round, cohort, 0).Record
				_, err = committeeOf(t, scheme).NewCommitteeParty(s, 0, cohort.Decryptors[0], record)
				require.Error(t, err)
			}
		})
	}
}
