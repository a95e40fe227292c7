package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestAFloorOfNoiseThatIsNoneIsRefused(t *testing.T) {
	requireRefusal := func(before, text, says string, c interface{ check(string) error }) {
		path := filepath.Join(t.TempDir(), "c.yaml")
		require.NoError(t, os.WriteFile(path, []byte(before+text+"}}"), 0o600))
		err := readConfig(path, c)
		if err == nil {
			err = c.check("c.yaml")
		}
		if says == "" {
			require.NoError(t, err, text)
			return
		}
		require.ErrorIs(t, err, errConfig, text)
		require.Contains(t, err.Error(), says, text)
	}
	for text, says := range map[string]string{
		"noise_multiplier: 0.7, min_shares: 10":         "",
		"lifetime_epsilon: 8, lifetime_delta: 1.0e-6":   "",
		"noise_multiplier: -1":                          "consent.noise_multiplier",
		"noise_multiplier: .nan":                        "consent.noise_multiplier",
		"noise_multiplier: .inf":                        "consent.noise_multiplier",
		"min_shares: -1":                                "consent.min_shares",
		"lifetime_epsilon: 8":                           "consent.lifetime_epsilon",
		"lifetime_delta: 1.0e-6":                        "consent.lifetime_epsilon",
		"lifetime_epsilon: -8, lifetime_delta: 1.0e-6":  "consent.lifetime_epsilon",
		"lifetime_epsilon: .nan, lifetime_delta: 0.1":   "consent.lifetime_epsilon",
		"lifetime_epsilon: .inf, lifetime_delta: 0.1":   "consent.lifetime_epsilon",
		"lifetime_epsilon: 8, lifetime_delta: 1":        "consent.lifetime_delta",
		"lifetime_epsilon: 8, lifetime_delta: -0.1":     "consent.lifetime_delta",
		"lifetime_epsilon: 8, lifetime_delta: .nan":     "consent.lifetime_delta",
		"lifetime_epsilons: 8":                          "[1:",
		"noise_multiplier: much":                        "[1:",
		"lifetime_epsilon: [8], lifetime_delta: 1.0e-6": "[1:",
	} {
		requireRefusal("{address: 'a:1', state: s, trainer: t, consent: {", text, says, &clientConfig{})
	}
	for text, says := range map[string]string{
		"noise_multiplier: 0.7":  "",
		"noise_multiplier: -1":   "consent.noise_multiplier",
		"noise_multiplier: .nan": "consent.noise_multiplier",
		"noise_multiplier: .inf": "consent.noise_multiplier",
		"noise: 1":               "[1:",
	} {
		requireRefusal("{address: 'a:1', consent: {jobs: [job], ", text, says, &decryptorConfig{})
	}
}
