package share

import (
	"encoding/binary"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestElementsAreFourBytesLittleEndian(t *testing.T) {
	v := []uint32{0, 1, 0x01020304, Prime - 1}
	b := make([]byte, 16)
	require.NoError(t, Encode(b, v))
	require.Equal(t, []byte{0, 0, 0, 0, 1, 0, 0, 0, 4, 3, 2, 1, 0xfe, 0xff, 0xff, 0x7f}, b)
	got := make([]uint32, 4)
	require.NoError(t, Decode(got, b))
	require.Equal(t, v, got)
}

func TestCodecRefusesElementsFromPOnAndLeavesNothingBehind(t *testing.T) {
	for _, wrong := range []uint32{Prime, Prime + 1, 1 << 31, 1<<32 - 2, 1<<32 - 1} {
		for at := range 3 {
			v := []uint32{5, 6, 7}
			v[at] = wrong
			b := []byte{1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1}
			require.ErrorIs(t, Encode(b, v), ErrRange)
			require.Equal(t, []byte{1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1}, b)
			for k, x := range v {
				binary.LittleEndian.PutUint32(b[4*k:], x)
			}
			require.ErrorIs(t, Decode(v, b), ErrRange)
			require.Equal(t, []uint32{0, 0, 0}, v)
		}
	}
}

func TestCodecRefusesOtherLengths(t *testing.T) {
	for _, length := range []int{0, 7, 9, 12} {
		v := []uint32{1, 2}
		require.ErrorIs(t, Encode(make([]byte, length), v), ErrLength)
		require.ErrorIs(t, Decode(v, make([]byte, length)), ErrLength)
		require.Equal(t, []uint32{0, 0}, v)
	}
}

func FuzzDecode(f *testing.F) {
	f.Add(uint8(0), []byte{})
	f.Add(uint8(1), []byte{0xfe, 0xff, 0xff, 0x7f})
	f.Add(uint8(1), []byte{0xff, 0xff, 0xff, 0x7f})
	f.Add(uint8(2), []byte{1, 2, 3, 4, 0xff, 0xff, 0xff, 0xff})
	f.Add(uint8(2), []byte{1, 2, 3, 4, 5})
	f.Fuzz(func(t *testing.T, n uint8, data []byte) {
		v := make([]uint32, n)
		valid := len(data) == 4*int(n)
		for k := 0; valid && k < len(data); k += 4 {
			valid = binary.LittleEndian.Uint32(data[k:]) < 1<<31-1
		}
		err := Decode(v, data)
		require.Equal(t, valid, err == nil)
		if err == nil {
			again := make([]byte, len(data))
			require.NoError(t, Encode(again, v))
			require.Equal(t, data, again)
		}
	})
}
