package auth

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// A journal record has one encoding: what parses encodes to the same bytes.
func FuzzRecord(f *testing.F) {
	at := time.Unix(1_700_000_000, 0).UTC()
	for _, r := range []record{
		{kind: kindToken, token: [32]byte{1}, caller: Caller{RoleClient, ""}, life: validity{to: at}},
		{kind: kindEnrol, token: [32]byte{1}, caller: Caller{RoleClient, "alice"}, key: [32]byte{2}, serial: Serial{3}, life: validity{at, at}},
		{kind: kindRenew, caller: Caller{RoleOperator, "admin"}, key: [32]byte{2}, serial: Serial{3}, life: validity{at, at}},
		{kind: kindRevoke, caller: Caller{RoleClient, "alice"}, life: validity{from: at}, reason: "lost"},
	} {
		f.Add(r.encode())
	}
	f.Add([]byte{1, 1, 2})
	f.Add(append([]byte{1, 1, 1, 2, 1, 3, 3, 32}, make([]byte, 32)...)) // zeros, which are left out
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := decodeRecord(b)
		if err != nil {
			require.ErrorIs(t, err, ErrJournal)
			return
		}
		require.Equal(t, b, r.encode())
	})
}
