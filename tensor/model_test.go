package tensor

import (
	"bytes"
	"crypto/sha256"
	"math"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestModelNeedsExactlyTheDeclaredNumberOfValues(t *testing.T) {
	s := mustSchema(t, Spec{"a", []int{2, 2}})
	for _, n := range []int{0, 3, 5} {
		_, err := NewModel(s, make([]float32, n))
		require.ErrorIs(t, err, ErrLength)
	}
	_, err := NewModel(s, make([]float32, 4))
	require.NoError(t, err)
}

func TestTensorIsAViewThatCannotGrowIntoTheNext(t *testing.T) {
	m, err := NewModel(mustSchema(t, Spec{"a", []int{2}}, Spec{"b", []int{3}}), []float32{1, 2, 3, 4, 5})
	require.NoError(t, err)
	a, ok := m.Tensor("a")
	require.True(t, ok)
	require.Equal(t, []float32{1, 2}, a)
	a[1] = 7
	_ = append(a, 99)
	require.Equal(t, []float32{1, 7, 3, 4, 5}, m.Values())
	_, ok = m.Tensor("c")
	require.False(t, ok)
}

func TestCloneSharesNothing(t *testing.T) {
	m := Zero(mustSchema(t, Spec{"a", []int{2}}))
	c := m.Clone()
	c.Values()[0] = 1
	require.Equal(t, []float32{0, 0}, m.Values())
	require.True(t, c.Schema().Equal(m.Schema()))
}

func TestDigestIsTheHashOfTheCanonicalFile(t *testing.T) {
	s := mustSchema(t, Spec{"a", []int{5, 7, 1001}}, Spec{"b", nil})
	m := Zero(s)
	for i := range m.Values() {
		m.Values()[i] = float32(i) / 3
	}
	var file bytes.Buffer
	require.NoError(t, WriteSafetensors(&file, m))
	require.Equal(t, sha256.Sum256(file.Bytes()), m.Digest())

	changed := m.Clone()
	changed.Values()[17] = math.Nextafter32(changed.Values()[17], 1e9)
	require.NotEqual(t, m.Digest(), changed.Digest())
	reshaped, err := NewModel(mustSchema(t, Spec{"a", []int{7, 5, 1001}}, Spec{"b", nil}), m.Values())
	require.NoError(t, err)
	require.NotEqual(t, m.Digest(), reshaped.Digest())
}

func TestZeroModelHasADigestAndNoValues(t *testing.T) {
	var m Model
	require.Equal(t, 0, m.Schema().Total())
	require.Equal(t, sha256.Sum256([]byte("\x08\x00\x00\x00\x00\x00\x00\x00{}      ")), m.Digest())
	require.Equal(t, int64(16), Size(m.Schema()))
}

func TestCheckFiniteNamesTheTensor(t *testing.T) {
	s := mustSchema(t, Spec{"a", []int{2}}, Spec{"b", []int{3}})
	for _, bad := range []float64{math.NaN(), math.Inf(1), math.Inf(-1)} {
		m := Zero(s)
		require.NoError(t, m.CheckFinite())
		m.Values()[3] = float32(bad)
		err := m.CheckFinite()
		require.ErrorIs(t, err, ErrNonFinite)
		require.ErrorContains(t, err, `tensor "b", value 1`)
	}
	m := Zero(s)
	m.Values()[0], m.Values()[1] = math.MaxFloat32, -math.SmallestNonzeroFloat32
	require.NoError(t, m.CheckFinite())
}
