package decryptor

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/choir-fl/choir/secagg"
)

func FuzzRecord(f *testing.F) {
	id := secagg.RoundID{Job: "job", Round: 3, Attempt: 1}
	f.Add(record{round: id}.encode())
	f.Add(record{round: id, task: []byte("task"), announcement: []byte("a"), roster: []byte("r"), announcements: []byte("b"), scheme: []byte("s")}.encode())
	f.Add(record{round: id, scheme: []byte("s")}.encode())
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := decodeRecord(b)
		if err != nil {
			require.ErrorIs(t, err, ErrRecord)
			return
		}
		require.Equal(t, b, r.encode())
	})
}

func FuzzEpochs(f *testing.F) {
	one := []secagg.EpochSeed{{Number: 7, Seed: [32]byte{1}}}
	f.Add(encodeEpochs(one, time.Unix(1_800_000_000, 0)))
	f.Add(encodeEpochs(append(one, secagg.EpochSeed{Number: 8}), time.Unix(0, 0)))
	f.Add(encodeEpochs(append(one, secagg.EpochSeed{Number: 9}), time.Unix(0, 0)))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		epochs, began, err := decodeEpochs(b)
		if err != nil {
			require.ErrorIs(t, err, ErrRecord)
			return
		}
		require.Equal(t, b, encodeEpochs(epochs, began))
	})
}
