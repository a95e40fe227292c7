package file

import (
	"bytes"
	"encoding/hex"
	"strings"
	"testing"

	"github.com/choir-fl/choir/coordinator/store"
	"github.com/stretchr/testify/require"
)

// Golden bytes, written out by a separate program from the layout in doc.go alone. Its CRC-32C gives 0xe3069283 for "123456789", the check
// value of RFC 3720, appendix B.4 (Castagnoli).
const (
	goldenSalt    = 0x0123456789abcdef
	goldenJournal = "63686f69726a6e6c01efcdab896745230177d4c27d" + // header
		"07000000a60ecb4918da42e7030000006f6e65" + // "one"
		"0b0000002338a5e458c757de0300000074776f00000000" // "two" and an empty record
	goldenHead  = "63686f6972686564010700000000000000caf37a5a76616c75656303e0e1" // revision 7, "value"
	goldenSpool = "63686f697273706c01e803000000000000f15fe167"                   // declared size 1000
)

func TestBytesOnDiskDoNotChange(t *testing.T) {
	journal := encodeHeader(magicJournal, goldenSalt)
	journal = appendFrame(journal, goldenSalt, int64(len(journal)), [][]byte{[]byte("one")})
	journal = appendFrame(journal, goldenSalt, int64(len(journal)), [][]byte{[]byte("two"), {}})
	require.Equal(t, goldenJournal, hex.EncodeToString(journal))
	require.Equal(t, goldenHead, hex.EncodeToString(encodeHead(7, []byte("value"))))
	require.Equal(t, goldenSpool, hex.EncodeToString(encodeHeader(magicSpool, 1000)))
	require.Equal(t, "job-7+=alpha+1", encodeName("job-7/Alpha/1"))
}

func TestNamesBecomeDistinctSingleComponents(t *testing.T) {
	seen := map[string]string{}
	for _, name := range []string{"a", "A", "a/b", "A/b", "a.b", "a-b", "a_b", "Ab", "aB", "a/B", strings.Repeat("Z", store.MaxName)} {
		encoded := encodeName(name)
		require.NotContains(t, encoded, "/")
		require.Less(t, len(encoded+".part.tmp"), 256)
		require.NotContains(t, seen, strings.ToLower(encoded))
		seen[strings.ToLower(encoded)] = name
		back, ok := decodeName(encoded)
		require.True(t, ok)
		require.Equal(t, name, back)
	}
}

func FuzzScanFrames(f *testing.F) {
	golden, err := hex.DecodeString(goldenJournal)
	require.NoError(f, err)
	f.Add(golden)
	f.Add(golden[:len(golden)-1])
	f.Add(golden[:headerSize])
	f.Add(append(bytes.Clone(golden), make([]byte, 20)...))
	for _, at := range []int{0, 8, 9, 20, headerSize, headerSize + 5, headerSize + frameHeaderSize, len(golden) - 1} {
		bad := bytes.Clone(golden)
		bad[at] ^= 1
		f.Add(bad)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var frames [][][]byte
		salt, end, err := scanFrames(bytes.NewReader(data), int64(len(data)), func(_ int64, frame []byte) error {
			var records [][]byte
			err := eachRecord(frame[frameHeaderSize:], func(r []byte) error { records = append(records, bytes.Clone(r)); return nil })
			frames = append(frames, records)
			return err
		})
		if err != nil {
			return
		}
		again := encodeHeader(magicJournal, salt)
		for _, records := range frames {
			require.NoError(t, store.CheckAppend("a", records))
			again = appendFrame(again, salt, int64(len(again)), records)
		}
		require.Equal(t, data[:end], again)
	})
}

func FuzzDecodeHead(f *testing.F) {
	golden, err := hex.DecodeString(goldenHead)
	require.NoError(f, err)
	f.Add(golden)
	f.Add(golden[:headerSize+3])
	f.Fuzz(func(t *testing.T, data []byte) {
		if revision, value, err := decodeHead(data); err == nil {
			require.LessOrEqual(t, len(value), store.MaxHead)
			require.Equal(t, data, encodeHead(revision, value))
		}
	})
}

func FuzzDecodeName(f *testing.F) {
	for _, s := range []string{"a", "=a", "A", "a+b", "=", "==a", "+", "a+.b", ".."} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if name, ok := decodeName(s); ok {
			require.NoError(t, store.CheckName(name))
			require.Equal(t, s, encodeName(name))
		}
	})
}
