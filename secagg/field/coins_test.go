package field

import (
	"encoding/hex"
	"testing"

	"github.com/stretchr/testify/require"
)

// AES-256 of the counters 0, 1, 2 under the zero key: the first is the GCM
// specification's hash key of test case 13, the second its tag, and the third
// the ciphertext of test case 14 (McGrew and Viega, appendix B). The same as
// `openssl enc -aes-256-ctr` of 48 zero bytes with a zero key and IV.
func TestStreamIsTheKeystreamOfAES256CTR(t *testing.T) {
	want := "dc95c078a2408989ad48a21492842087" +
		"530f8afbc74536b9a963b4f1c4cb738b" +
		"cea7403d4d606b6e074ec5d3baf39d18"
	got := make([]byte, 48)
	n, err := NewStream([32]byte{}).Read(got)
	require.NoError(t, err)
	require.Equal(t, 48, n)
	require.Equal(t, want, hex.EncodeToString(got))
}

func TestStreamDoesNotDependOnHowItIsRead(t *testing.T) {
	whole := make([]byte, 5000)
	_, _ = NewStream([32]byte{1}).Read(whole)
	s, at := NewStream([32]byte{1}), 0
	for size := 0; at < len(whole); size++ {
		piece := make([]byte, min(size, len(whole)-at))
		for i := range piece {
			piece[i] = 0xff // what p held must not matter
		}
		n, err := s.Read(piece)
		require.NoError(t, err)
		require.Equal(t, len(piece), n)
		require.Equal(t, whole[at:at+n], piece)
		at += n
	}
}

// Computed with Python's hmac and hashlib from the formulas of RFC 5869.
func TestDeriveIsHKDF(t *testing.T) {
	var root [32]byte
	for i := range root {
		root[i] = byte(i)
	}
	for label, want := range map[string]string{
		"rounding": "c4ea9075d96288e4ad41a47888c39b2030cec4b575eef1487c7feea47576ec2f",
		"noise":    "c554f5ada6fcb8ee7112c5232f0f9d022801c1e43b5b94b21cc3246198515cc7",
	} {
		got := Derive(root, label)
		require.Equal(t, want, hex.EncodeToString(got[:]), label)
	}
	empty := Derive([32]byte{}, "")
	require.Equal(t, "df7204546f1bee78b85324a7898ca119b387e01386d1aef037781d4a8a036aee", hex.EncodeToString(empty[:]))
}
