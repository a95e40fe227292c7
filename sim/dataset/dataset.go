package dataset

import (
	"errors"
	"fmt"
)

// ErrFormat: the data are not what they should be (sizes that disagree, a label
// out of range, a file that is not IDX). Errors wrap it and say where.
var ErrFormat = errors.New("dataset: malformed data")

// Dataset is a table of labelled examples, or a view of some rows of one. The
// zero Dataset has no examples.
type Dataset struct {
	features []float32 // row-major, dim values a row
	labels   []int
	rows     []int // the rows in view, in order; nil means all
	shape    [3]int
	classes  int
}

// New makes a data set from rows of features and one label per row. shape is
// height, width and channels of an example, whose product is the length of a
// row; within a row the channel runs fastest, then the width. Tabular data have
// shape {1, n, 1}. Features should lie in [0, 1]. Labels run from 0 to
// classes-1. The slices are kept, not copied, and must not be written to
// afterwards. What does not fit together is refused with [ErrFormat].
func New(features []float32, labels []int, shape [3]int, classes int) (Dataset, error) {
	dim := 1
	for _, side := range shape {
		if side < 1 || side > maxValues/dim {
			return Dataset{}, fmt.Errorf("%w: an example cannot have shape %v", ErrFormat, shape)
		}
		dim *= side
	}
	if len(features)%dim != 0 || len(features)/dim != len(labels) {
		return Dataset{}, fmt.Errorf("%w: %d features of shape %v do not go with %d labels", ErrFormat, len(features), shape, len(labels))
	}
	for i, label := range labels {
		if label < 0 || label >= classes {
			return Dataset{}, fmt.Errorf("%w: label %d is %d, there are %d classes", ErrFormat, i, label, classes)
		}
	}
	return Dataset{features: features, labels: labels, shape: shape, classes: classes}, nil
}

// Len is the number of examples.
func (d Dataset) Len() int {
	if d.rows != nil {
		return len(d.rows)
	}
	return len(d.labels)
}

// Dim is the number of features of an example.
func (d Dataset) Dim() int { return d.shape[0] * d.shape[1] * d.shape[2] }

// Shape is height, width and channels of an example.
func (d Dataset) Shape() [3]int { return d.shape }

// Classes is the number of classes; labels are below it.
func (d Dataset) Classes() int { return d.classes }

// Features are the Dim features of example i. The slice is a view: it must not
// be written to.
func (d Dataset) Features(i int) []float32 {
	i = d.row(i)
	dim := d.Dim()
	return d.features[i*dim : (i+1)*dim : (i+1)*dim]
}

// Label is the class of example i.
func (d Dataset) Label(i int) int { return d.labels[d.row(i)] }

// Labels is a new slice with the labels of all examples, which is what the
// partitions ask for.
func (d Dataset) Labels() []int {
	labels := make([]int, d.Len())
	for i := range labels {
		labels[i] = d.Label(i)
	}
	return labels
}

// Subset is a view of the examples with the given indices, in that order; it
// copies the list and shares the features. An index may occur more than once.
// Like indices into a slice, they must be at least 0 and below Len.
func (d Dataset) Subset(indices []int) Dataset {
	rows := make([]int, len(indices))
	for k, i := range indices {
		rows[k] = d.row(i)
	}
	d.rows = rows
	return d
}

func (d Dataset) row(i int) int {
	if d.rows != nil {
		return d.rows[i]
	}
	_ = d.labels[i]
	return i
}
