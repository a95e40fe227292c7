package tensor

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"io"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"
)

const roomy = 1 << 20

// file puts a header and data together as a safetensors file.
func file(header string, values ...float32) []byte {
	b := binary.LittleEndian.AppendUint64(nil, uint64(len(header)))
	b = append(b, header...)
	for _, v := range values {
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(v))
	}
	return b
}

func read(b []byte) (Model, error) { return ReadSafetensors(bytes.NewReader(b), roomy) }

func write(t testing.TB, m Model) []byte {
	t.Helper()
	var out bytes.Buffer
	require.NoError(t, WriteSafetensors(&out, m))
	require.Equal(t, Size(m.Schema()), int64(out.Len()))
	return out.Bytes()
}

func TestCanonicalFileIsAsDocumented(t *testing.T) {
	m, err := NewModel(mustSchema(t, Spec{"w\"\\\x01\t/é", []int{1, 2}}, Spec{"a", nil}), []float32{1, -2, 0.5})
	require.NoError(t, err)
	want := file(`{"w\"\\\u0001\t/é":{"dtype":"F32","shape":[1,2],"data_offsets":[0,8]},`+
		`"a":{"dtype":"F32","shape":[],"data_offsets":[8,12]}}    `, 1, -2, 0.5)
	require.Zero(t, (len(want)-12)%8, "header padded")
	require.Equal(t, string(want), string(write(t, m)))
}

func TestWrittenModelsAreReadBackAndRewrittenToTheSameBytes(t *testing.T) {
	for _, n := range []int{1, 2, 16383, 16384, 16385, 100_000} { // around the 64 KiB buffer
		m := Zero(mustSchema(t, Spec{"b", []int{n}}, Spec{"a", []int{3, 1}}))
		for i := range m.Values() {
			m.Values()[i] = float32(math.Sin(float64(i)))
		}
		b := write(t, m)
		for _, r := range []io.Reader{bytes.NewReader(b), iotest.OneByteReader(bytes.NewReader(b)), iotest.DataErrReader(bytes.NewReader(b))} {
			got, err := ReadSafetensors(r, int64(len(b)))
			require.NoError(t, err)
			require.True(t, got.Schema().Equal(m.Schema()))
			require.Equal(t, m.Values(), got.Values())
			require.Equal(t, len(got.Values()), cap(got.Values()), "no spare memory is held")
			require.Equal(t, b, write(t, got))
		}
	}
}

// The files and the program that wrote them are in testdata; see its README.
func TestFilesOfThePythonPackageAreReadAndMatched(t *testing.T) {
	written, err := os.ReadFile(filepath.Join("testdata", "python.safetensors"))
	require.NoError(t, err)
	m, err := read(written)
	require.NoError(t, err)
	require.Equal(t, []Spec{{"a \"quoted\"\\name\n", nil}, {"dense1.weight", []int{2, 3}}, {"größe/é", []int{3}}}, m.Schema().Specs())
	require.Equal(t, []float32{float32(math.Copysign(0, -1)), -0.5, -0.25, 0, 0.25, 0.5, 0.75, 1e-45, math.MaxFloat32, -1.5}, m.Values())
	require.True(t, math.Signbit(float64(m.Values()[0])))
	require.Equal(t, written, write(t, m), "names in byte order: the same bytes as the Python package")

	withMetadata, err := os.ReadFile(filepath.Join("testdata", "python-metadata.safetensors"))
	require.NoError(t, err)
	same, err := read(withMetadata)
	require.NoError(t, err)
	require.Equal(t, m.Digest(), same.Digest())

	half, err := os.ReadFile(filepath.Join("testdata", "python-float16.safetensors"))
	require.NoError(t, err)
	_, err = read(half)
	require.ErrorIs(t, err, ErrDType)
	require.ErrorContains(t, err, `"half"`)
}

func TestReaderOrdersTensorsByTheirDataAndAcceptsLooseJSON(t *testing.T) {
	m, err := read(file(`{ "b" : {"shape":[2], "data_offsets":[4,12],"dtype":"F32"},`+"\n\t"+
		`"__metadata__":{"x":"y","z":"{}"},"\u0061":{"dtype":"F32","data_offsets":[0,4],"shape":[1,1]}}`, 1, 2, 3))
	require.NoError(t, err)
	require.Equal(t, []Spec{{"a", []int{1, 1}}, {"b", []int{2}}}, m.Schema().Specs())
	require.Equal(t, []float32{1, 2, 3}, m.Values())
}

func TestReaderNamesEveryFault(t *testing.T) {
	const a = `"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}`
	long := strings.Repeat("x", 1000)
	for name, c := range map[string]struct {
		file []byte
		want error
	}{
		"empty":                     {nil, ErrTruncated},
		"cut in the length":         {[]byte{1, 2, 3}, ErrTruncated},
		"cut in the header":         {file(`{` + a)[:20], ErrTruncated},
		"cut in the data":           {file(`{`+a+`}`, 1), ErrTruncated},
		"no data":                   {file(`{` + a + `}`), ErrTruncated},
		"trailing byte":             {append(file(`{`+a+`}`, 1, 2), 0), ErrTrailing},
		"trailing value":            {file(`{`+a+`}`, 1, 2, 3), ErrTrailing},
		"header over the bound":     {binary.LittleEndian.AppendUint64(nil, MaxHeader+1), ErrHeaderTooLarge},
		"header length is huge":     {bytes.Repeat([]byte{255}, 8), ErrHeaderTooLarge},
		"header over the limit":     {binary.LittleEndian.AppendUint64(nil, roomy-7), ErrTooLarge},
		"data over the limit":       {file(`{"a":{"dtype":"F32","shape":[1000,1000],"data_offsets":[0,4000000]}}`), ErrTooLarge},
		"data over any limit":       {file(`{"a":{"dtype":"F32","shape":[2147483647],"data_offsets":[0,8589934588]},"b":{"dtype":"F32","shape":[2147483647],"data_offsets":[8589934588,17179869176]}}`), ErrHeader},
		"empty header":              {file(``), ErrHeader},
		"padding first":             {file(` {` + a + `}`), ErrHeader},
		"not an object":             {file(`[]`), ErrHeader},
		"not JSON":                  {file(`{` + a), ErrHeader},
		"two objects":               {file(`{`+a+`}{}`, 1, 2), ErrHeader},
		"padded with line feed":     {file(`{`+a+"}\n", 1, 2), nil},
		"padded with zero":          {file(`{`+a+"}\x00", 1, 2), ErrHeader},
		"not UTF-8":                 {file("{\"\xff\":{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[0,4]}}", 1), ErrHeader},
		"half of a surrogate pair":  {file(`{"\ud800":{"dtype":"F32","shape":[],"data_offsets":[0,4]}}`, 1), ErrSchema},
		"no tensors":                {file(`{}`), ErrSchema},
		"only metadata":             {file(`{"__metadata__":{}}`), ErrSchema},
		"metadata not strings":      {file(`{"__metadata__":{"a":1},` + a + `}`), ErrHeader},
		"metadata not an object":    {file(`{"__metadata__":"x",` + a + `}`), ErrHeader},
		"tensor not an object":      {file(`{"a":[1]}`), ErrHeader},
		"float16":                   {file(`{"h":{"dtype":"F16","shape":[2],"data_offsets":[0,4]}}`, 1), ErrDType},
		"dtype of other case":       {file(`{"h":{"dtype":"f32","shape":[1],"data_offsets":[0,4]}}`, 1), ErrDType},
		"dtype not a string":        {file(`{"h":{"dtype":32,"shape":[1],"data_offsets":[0,4]}}`, 1), ErrHeader},
		"dtype missing":             {file(`{"a":{"shape":[1],"data_offsets":[0,4]}}`, 1), ErrHeader},
		"shape missing":             {file(`{"a":{"dtype":"F32","data_offsets":[0,4]}}`, 1), ErrHeader},
		"offsets missing":           {file(`{"a":{"dtype":"F32","shape":[1]}}`, 1), ErrHeader},
		"unknown key":               {file(`{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4],"` + long + `":1}}`), ErrHeader},
		"one offset":                {file(`{"a":{"dtype":"F32","shape":[1],"data_offsets":[4]}}`, 1), ErrHeader},
		"three offsets":             {file(`{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4,8]}}`, 1), ErrHeader},
		"offsets backwards":         {file(`{"a":{"dtype":"F32","shape":[1],"data_offsets":[4,0]}}`, 1), ErrHeader},
		"negative offset":           {file(`{"a":{"dtype":"F32","shape":[1],"data_offsets":[-4,0]}}`, 1), ErrHeader},
		"fractional dimension":      {file(`{"a":{"dtype":"F32","shape":[1.0],"data_offsets":[0,4]}}`, 1), ErrHeader},
		"dimension in exponents":    {file(`{"a":{"dtype":"F32","shape":[1e0],"data_offsets":[0,4]}}`, 1), ErrHeader},
		"negative zero":             {file(`{"a":{"dtype":"F32","shape":[1],"data_offsets":[-0,4]}}`, 1), ErrHeader},
		"dimension beyond 64 bits":  {file(`{"a":{"dtype":"F32","shape":[18446744073709551617],"data_offsets":[0,4]}}`, 1), ErrHeader},
		"dimension of many digits":  {file(`{"a":{"dtype":"F32","shape":[1` + strings.Repeat("0", 10000) + `],"data_offsets":[0,4]}}`), ErrHeader},
		"dimension not a number":    {file(`{"a":{"dtype":"F32","shape":["1"],"data_offsets":[0,4]}}`, 1), ErrHeader},
		"shape nested":              {file(`{"a":{"dtype":"F32","shape":[[1]],"data_offsets":[0,4]}}`, 1), ErrHeader},
		"65 dimensions":             {file(`{"a":{"dtype":"F32","shape":[1`+strings.Repeat(",1", 64)+`],"data_offsets":[0,4]}}`, 1), ErrHeader},
		"zero dimension":            {file(`{"a":{"dtype":"F32","shape":[0],"data_offsets":[0,0]}}`), ErrSchema},
		"product wraps to one":      {file(`{"a":{"dtype":"F32","shape":[65537,65537,65537,65537],"data_offsets":[0,4]}}`, 1), ErrSchema},
		"shape larger than offsets": {file(`{"a":{"dtype":"F32","shape":[3],"data_offsets":[0,8]}}`, 1, 2), ErrSpan},
		"offsets larger than shape": {file(`{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,8]}}`, 1, 2), ErrSpan},
		"offsets not whole values":  {file(`{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,5]}}`, 1, 2), ErrSpan},
		"hole at the start":         {file(`{"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}`, 1, 2), ErrHole},
		"hole between":              {file(`{`+a+`,"b":{"dtype":"F32","shape":[1],"data_offsets":[12,16]}}`, 1, 2, 3, 4), ErrHole},
		"overlap":                   {file(`{`+a+`,"b":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}`, 1, 2), ErrOverlap},
		"same place":                {file(`{`+a+`,"b":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}`, 1, 2), ErrOverlap},
		"same name twice":           {file(`{`+a+`,"a":{"dtype":"F32","shape":[1],"data_offsets":[8,12]}}`, 1, 2, 3), ErrDuplicate},
		"same name, escaped":        {file(`{`+a+`,"\u0061":{"dtype":"F32","shape":[1],"data_offsets":[8,12]}}`, 1, 2, 3), ErrDuplicate},
		"same field twice":          {file(`{"a":{"dtype":"F32","shape":[9],"shape":[1],"data_offsets":[0,4]}}`, 1), ErrDuplicate},
		"metadata twice":            {file(`{"__metadata__":{},"__metadata__":{},`+a+`}`, 1, 2), ErrDuplicate},
		"metadata key twice":        {file(`{"__metadata__":{"k":"1","k":"2"},`+a+`}`, 1, 2), ErrDuplicate},
		"not a number":              {file(`{`+a+`}`, 1, float32(math.NaN())), ErrNonFinite},
		"infinite":                  {file(`{`+a+`}`, float32(math.Inf(-1)), 1), ErrNonFinite},
	} {
		t.Run(name, func(t *testing.T) {
			m, err := read(c.file)
			if c.want == nil {
				require.NoError(t, err)
				return
			}
			require.ErrorIs(t, err, c.want)
			require.Less(t, len(err.Error()), 400)
			require.NotContains(t, err.Error(), "\n")
			require.Zero(t, m.Schema().Len())
		})
	}
}

func TestLimitIsExact(t *testing.T) {
	b := file(`{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}`, 1, 2)
	_, err := ReadSafetensors(bytes.NewReader(b), int64(len(b)))
	require.NoError(t, err)
	for _, limit := range []int64{int64(len(b)) - 1, 8, 0, -1, math.MinInt64} {
		_, err := ReadSafetensors(bytes.NewReader(b), limit)
		require.ErrorIs(t, err, ErrTooLarge)
	}
}

func TestALyingHeaderAllocatesNothingToSpeakOf(t *testing.T) {
	lie := file(`{"a":{"dtype":"F32","shape":[2147483647],"data_offsets":[0,8589934588]}}`, make([]float32, 50_000)...)
	before := allocatedBytes()
	_, err := ReadSafetensors(bytes.NewReader(lie), math.MaxInt64)
	require.Less(t, allocatedBytes()-before, uint64(2<<20))
	require.ErrorIs(t, err, ErrTruncated)
}

// allocatedBytes is what the process has allocated so far.
func allocatedBytes() uint64 {
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return stats.TotalAlloc
}

func TestWriterRefusesWhatCouldNotBeReadBackBeforeWriting(t *testing.T) {
	m := Zero(mustSchema(t, Spec{"a", []int{2}}))
	m.Values()[1] = float32(math.NaN())
	var out bytes.Buffer
	require.ErrorIs(t, WriteSafetensors(&out, m), ErrNonFinite)
	require.Zero(t, out.Len())
}

type failAfter struct{ left int }

var errDisk = errors.New("disk full")

func (w *failAfter) Write(p []byte) (int, error) {
	if w.left -= len(p); w.left < 0 {
		return 0, errDisk
	}
	return len(p), nil
}

func TestErrorsOfReaderAndWriterComeThrough(t *testing.T) {
	m := Zero(mustSchema(t, Spec{"a", []int{50_000}}))
	for left := range 4 {
		require.ErrorIs(t, WriteSafetensors(&failAfter{left: left * 30}, m), errDisk)
	}
	b := write(t, m)
	for _, n := range []int{0, 4, 20, 1000, len(b)} {
		r := io.MultiReader(bytes.NewReader(b[:n]), iotest.ErrReader(errDisk))
		_, err := ReadSafetensors(r, roomy)
		require.ErrorIs(t, err, errDisk)
	}
}

func FuzzReadSafetensors(f *testing.F) {
	f.Add(file(`{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}  `, 1, 2))
	f.Add(file(`{"__metadata__":{"k":"v"},"b":{"shape":[1,1],"dtype":"F32","data_offsets":[4,8]},"\u00e9":{"dtype":"F32","shape":[],"data_offsets":[0,4]}}`, 1, 2))
	f.Add(file(`{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"a":{}}`, 1, 2))
	f.Add(file(`{"a":{"dtype":"F16","shape":[4294967296],"data_offsets":[0,8]}}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := read(b)
		if err != nil {
			return
		}
		var first, second bytes.Buffer
		require.NoError(t, WriteSafetensors(&first, m))
		require.Equal(t, Size(m.Schema()), int64(first.Len()))
		again, err := ReadSafetensors(bytes.NewReader(first.Bytes()), MaxHeader+roomy)
		require.NoError(t, err)
		require.Equal(t, m.Schema().Specs(), again.Schema().Specs())
		require.NoError(t, WriteSafetensors(&second, again))
		require.Equal(t, first.Bytes(), second.Bytes())
		require.Equal(t, m.Digest(), again.Digest())
	})
}

func BenchmarkDigest(b *testing.B) {
	m := Zero(mustSchema(b, Spec{"a", []int{1 << 20}}))
	b.SetBytes(Size(m.Schema()))
	for b.Loop() {
		m.Digest()
	}
}

func BenchmarkReadSafetensors(b *testing.B) {
	data := write(b, Zero(mustSchema(b, Spec{"a", []int{1 << 20}})))
	b.SetBytes(int64(len(data)))
	for b.Loop() {
		if _, err := ReadSafetensors(bytes.NewReader(data), math.MaxInt64); err != nil {
			b.Fatal(err)
		}
	}
}

func TestMetadataIsAddedToTheCanonicalFileAndNothingElse(t *testing.T) {
	schema, err := NewSchema([]Spec{{"b\"1", []int{2}}, {"a", nil}})
	require.NoError(t, err)
	m, err := NewModel(schema, []float32{1, -2, 0.5})
	require.NoError(t, err)
	var canonical bytes.Buffer
	require.NoError(t, WriteSafetensors(&canonical, m))
	require.Equal(t, Size(schema)-12, HeaderSize(schema))
	values := canonical.Bytes()[HeaderSize(schema):]

	header, err := HeaderWithMetadata(schema, map[string]string{"z": "last", "choir.x": `{"a":"b\c"}`, "é": "\n\x01"})
	require.NoError(t, err)
	text := `{"__metadata__":{"choir.x":"{\"a\":\"b\\c\"}","z":"last","é":"\n\u0001"},` +
		`"b\"1":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"a":{"dtype":"F32","shape":[],"data_offsets":[8,12]}}`
	require.Zero(t, len(header)%8)
	require.Equal(t, uint64(len(header)-8), binary.LittleEndian.Uint64(header))
	require.Equal(t, text, strings.TrimRight(string(header[8:]), " "))
	var parsed struct {
		Metadata map[string]string `json:"__metadata__"`
	}
	require.NoError(t, json.Unmarshal(header[8:], &parsed))
	require.Equal(t, map[string]string{"z": "last", "choir.x": `{"a":"b\c"}`, "é": "\n\x01"}, parsed.Metadata)

	back, err := ReadSafetensors(bytes.NewReader(append(header, values...)), 1<<20)
	require.NoError(t, err)
	require.Equal(t, m.Digest(), back.Digest())
	require.True(t, back.Schema().Equal(schema))

	// A file of no tensors, and one that no reader would take.
	header, err = HeaderWithMetadata(Schema{}, map[string]string{"a": "b"})
	require.NoError(t, err)
	require.Equal(t, `{"__metadata__":{"a":"b"}}`, strings.TrimRight(string(header[8:]), " "))
	_, err = HeaderWithMetadata(schema, map[string]string{"a": "\xff"})
	require.ErrorIs(t, err, ErrHeader)
	_, err = HeaderWithMetadata(schema, map[string]string{"\xff": "a"})
	require.ErrorIs(t, err, ErrHeader)
	_, err = HeaderWithMetadata(schema, map[string]string{"a": strings.Repeat("b", MaxHeader)})
	require.ErrorIs(t, err, ErrHeaderTooLarge)
}
