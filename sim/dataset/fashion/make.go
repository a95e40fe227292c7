//go:build ignore

// Make writes subset.idx.gz, the part of Fashion-MNIST that is built into the
// simulator, from the files of Debian's package dataset-fashion-mnist:
//
//	apt-get install dataset-fashion-mnist
//	go run ./sim/dataset/fashion/make.go -o sim/dataset/fashion/subset.idx.gz
//
// It takes the first 600 images of each class of the training set and the first
// 100 of each class of the test set, in the order of the files. Input that
// differs from what PROVENANCE.md records is refused. It prints the digests to
// record there.
package main

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/binary"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"path/filepath"
)

// inputs are the SHA-256 digests of the compressed files.
var inputs = map[string]string{
	"train-images-idx3-ubyte.gz": "b0564c3eedabfbf835052cff8503ea422014ce006caf5b757f851416ee8300c7",
	"train-labels-idx1-ubyte.gz": "0ae29f65d86684f32d1b9c85147786c547b9c6aebcaf235f0400a0cce308b056",
	"t10k-images-idx3-ubyte.gz":  "cc1d090a38ace84dfa1aa66e3ada7c336ef481a96936906477e6dd344da56eaa",
	"t10k-labels-idx1-ubyte.gz":  "8d3605d196f4be44669e46906da9733c8131fef761fdbfec72c424d5222f1a05",
}

const (
	classes = 10
	pixels  = 28 * 28
)

func main() {
	log.SetFlags(0)
	dir := flag.String("i", "/usr/share/datasets/fashion-mnist", "folder with the four files")
	out := flag.String("o", "subset.idx.gz", "file to write")
	flag.Parse()

	packed := append(subset(*dir, "train", 600), subset(*dir, "t10k", 100)...)
	var file bytes.Buffer
	w, err := gzip.NewWriterLevel(&file, gzip.BestCompression) // no name, no time
	check(err)
	_, err = w.Write(packed)
	check(err)
	check(w.Close())
	check(os.WriteFile(*out, file.Bytes(), 0o644))
	fmt.Printf("%x  %s\n%x  unpacked, %d bytes\n", sha256.Sum256(file.Bytes()), filepath.Base(*out), sha256.Sum256(packed), len(packed))
}

// subset gives an IDX stream of images and one of labels with the first
// perClass images of each class.
func subset(dir, set string, perClass int) []byte {
	images := load(dir, set+"-images-idx3-ubyte.gz")[16:]
	labels := load(dir, set+"-labels-idx1-ubyte.gz")[8:]
	var taken [classes]int
	var someImages, someLabels []byte
	for i, label := range labels {
		if taken[label] < perClass {
			taken[label]++
			someImages = append(someImages, images[i*pixels:(i+1)*pixels]...)
			someLabels = append(someLabels, label)
		}
	}
	count := uint32(len(someLabels))
	var stream []byte
	for _, n := range []uint32{0x0803, count, 28, 28} {
		stream = binary.BigEndian.AppendUint32(stream, n)
	}
	stream = append(stream, someImages...)
	stream = binary.BigEndian.AppendUint32(stream, 0x0801)
	stream = binary.BigEndian.AppendUint32(stream, count)
	return append(stream, someLabels...)
}

func load(dir, name string) []byte {
	raw, err := os.ReadFile(filepath.Join(dir, name))
	check(err)
	if got := fmt.Sprintf("%x", sha256.Sum256(raw)); got != inputs[name] {
		log.Fatalf("%s: SHA-256 is %s, recorded is %s", name, got, inputs[name])
	}
	r, err := gzip.NewReader(bytes.NewReader(raw))
	check(err)
	data, err := io.ReadAll(r)
	check(err)
	return data
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
