package client

import (
	"crypto/ed25519"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/choir-fl/choir/dp"
	"github.com/choir-fl/choir/dp/ddp"
	"github.com/choir-fl/choir/secagg/field"
)

func TestErasingClearsTheNoise(t *testing.T) {
	m, err := ddp.Parameters{Dimension: 64, Clients: 4, Survivors: 1, ClipNorm: 1, Sigma: 1, Noise: dp.DiscreteGaussian}.Check()
	require.NoError(t, err)
	n := noise{mechanism: m, clipNorm: 1, key: [32]byte{1}}
	require.NoError(t, n.draw())
	require.Zero(t, n.key, "what would draw it again is gone")
	vector := make([]uint32, m.Quantizer().Layout().Len())
	prepared := make([]float32, m.Quantizer().Spec().Dimension)
	held := n.drew
	p := &Participant{key: ed25519.PrivateKey{}, coins: [32]byte{1}}
	p.noise.drew, p.noise.key = held, [32]byte{1}
	p.Erase()
	require.Zero(t, p.noise.key)
	require.Zero(t, p.coins)
	_, err = m.Encode(vector, prepared, nil, field.NewStream([32]byte{}), held)
	require.ErrorIs(t, err, ddp.ErrNoise)

	late := noise{mechanism: m, clipNorm: 1, key: [32]byte{1}}
	late.erase()
	require.NoError(t, late.draw())
	require.Nil(t, late.drew, "a model that comes after the end draws nothing")
}
