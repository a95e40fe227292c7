package dataset

import (
	"bytes"
	"compress/gzip"
	_ "embed"
	"fmt"
)

// fashionSubset is four IDX streams one after another, compressed: training
// images and labels, test images and labels.
//
//go:embed fashion/subset.idx.gz
var fashionSubset []byte

// FashionSubset is the part of Fashion-MNIST (Xiao, Rasul, Vollgraf 2017, MIT
// licence) that is built into the binary: the first 600 images of each class of
// the training set and the first 100 of each class of the test set, 28 x 28
// grey pixels, in the order of the full set. Each call unpacks them anew, about
// 22 MiB. An error means that the binary was built from a damaged file.
func FashionSubset() (train, test Dataset, err error) {
	r, err := gzip.NewReader(bytes.NewReader(fashionSubset))
	if err != nil {
		return Dataset{}, Dataset{}, fmt.Errorf("dataset: embedded subset: %w", err)
	}
	for _, set := range []*Dataset{&train, &test} {
		pixels, err := readImages(r)
		if err != nil {
			return Dataset{}, Dataset{}, fmt.Errorf("dataset: embedded subset: %w", err)
		}
		labels, err := readLabels(r)
		if err != nil {
			return Dataset{}, Dataset{}, fmt.Errorf("dataset: embedded subset: %w", err)
		}
		if *set, err = pixels.labelled(labels); err != nil {
			return Dataset{}, Dataset{}, fmt.Errorf("dataset: embedded subset: %w", err)
		}
	}
	return train, test, nil
}
