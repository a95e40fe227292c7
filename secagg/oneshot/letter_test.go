package oneshot

import (
	"crypto/hpke"
	"testing"

	"github.com/choir-fl/choir/secagg"
	"github.com/stretchr/testify/require"
)

// TestLettersAreHPKE opens a letter with the standard library and the reverse: the
// suite is that of RFC 9180 with the KEM that its registry calls MLKEM768-X25519,
// and keys are those of the same seed.
func TestLettersAreHPKE(t *testing.T) {
	seed := secagg.Hash("epoch")
	context, ciphertext := secagg.Hash("context"), secagg.Hash("ciphertext")
	aad := associated(context, 5, 2, ciphertext)
	sk, packed := epochKey(seed)
	theirs, err := hpke.MLKEM768X25519().NewPrivateKey(seed[:])
	require.NoError(t, err)
	require.Equal(t, packed, theirs.PublicKey().Bytes())

	pk, err := parseKey(packed)
	require.NoError(t, err)
	letter, err := sealLetter(pk, coins("letter"), context, 5, 2, ciphertext, []byte("shares"))
	require.NoError(t, err)
	require.Len(t, letter, kemSize+len("shares")+tagSize)
	r, err := hpke.NewRecipient(letter[:kemSize], theirs, hpke.HKDFSHA256(), hpke.AES256GCM(), context[:])
	require.NoError(t, err)
	plain, err := r.Open(aad, letter[kemSize:])
	require.NoError(t, err)
	require.Equal(t, "shares", string(plain))

	enc, sender, err := hpke.NewSender(theirs.PublicKey(), hpke.HKDFSHA256(), hpke.AES256GCM(), context[:])
	require.NoError(t, err)
	box, err := sender.Seal(aad, []byte("more shares"))
	require.NoError(t, err)
	plain, err = openLetter(sk, context, 5, 2, ciphertext, append(enc, box...))
	require.NoError(t, err)
	require.Equal(t, "more shares", string(plain))
}

// TestLettersAreBoundToWhatTheyAreFor changes one thing at a time.
func TestLettersAreBoundToWhatTheyAreFor(t *testing.T) {
	context, ciphertext, other := secagg.Hash("context"), secagg.Hash("ciphertext"), secagg.Hash("other")
	sk, packed := epochKey(secagg.Hash("epoch"))
	pk, err := parseKey(packed)
	require.NoError(t, err)
	letter, err := sealLetter(pk, coins("letter"), context, 5, 2, ciphertext, []byte("shares"))
	require.NoError(t, err)
	_, err = openLetter(sk, context, 5, 2, ciphertext, letter)
	require.NoError(t, err)
	for name, open := range map[string]func() ([]byte, error){
		"attempt":    func() ([]byte, error) { return openLetter(sk, other, 5, 2, ciphertext, letter) },
		"client":     func() ([]byte, error) { return openLetter(sk, context, 4, 2, ciphertext, letter) },
		"member":     func() ([]byte, error) { return openLetter(sk, context, 5, 3, ciphertext, letter) },
		"ciphertext": func() ([]byte, error) { return openLetter(sk, context, 5, 2, other, letter) },
		"key": func() ([]byte, error) {
			sk, _ := epochKey(other)
			return openLetter(sk, context, 5, 2, ciphertext, letter)
		},
		"cut in the ciphertext":    func() ([]byte, error) { return openLetter(sk, context, 5, 2, ciphertext, letter[:kemSize+8]) },
		"cut in the encapsulation": func() ([]byte, error) { return openLetter(sk, context, 5, 2, ciphertext, letter[:kemSize-1]) },
	} {
		_, err := open()
		require.ErrorIs(t, err, ErrLetter, name)
	}
	_, err = parseKey(packed[1:])
	require.ErrorIs(t, err, secagg.ErrEncoding)
}
