package secagg

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestMessageOfAPhaseIsOpenedAsItWasWrapped(t *testing.T) {
	context := Hash("context")
	b := WrapPhase(context, 3, []byte("body"))
	got, phase, body, err := OpenPhase(b, 3)
	require.NoError(t, err)
	require.Equal(t, context, got)
	require.Equal(t, 3, phase)
	require.Equal(t, []byte("body"), body)
	_, _, body, err = OpenPhase(WrapPhase(context, 1, nil), 3)
	require.NoError(t, err)
	require.Empty(t, body)
}

func TestMessageOfNoPhaseOrContextIsRefused(t *testing.T) {
	context := Hash("context")
	for name, b := range map[string][]byte{
		"no phase": WrapPhase(context, 0, nil), "a later phase than the last": WrapPhase(context, 4, nil),
		"no context": WrapPhase(Digest{}, 1, nil), "cut": WrapPhase(context, 1, []byte("body"))[:40], "nothing": nil,
	} {
		_, _, _, err := OpenPhase(b, 3)
		require.ErrorIs(t, err, ErrEncoding, name)
	}
}
