package model

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// ErrModel: an architecture, or data or weights that do not go with it. Errors
// wrap it and say what.
var ErrModel = errors.New("model: does not fit")

// Names of the architectures.
const (
	Softmax = "softmax" // one dense layer: multinomial logistic regression
	MLP     = "mlp"     // dense layers with ReLU between them
	CNN     = "cnn"     // two blocks of 3x3 convolution, ReLU, 2x2 max pooling; then dense
)

// Architecture names a model. Hidden holds the widths of an MLP's hidden
// layers; nil means one of 200. The others take none.
type Architecture struct {
	Name   string
	Hidden []int
}

// ParseArchitecture reads "softmax", "mlp", "cnn", or "mlp:300,100" with the
// widths of the hidden layers.
func ParseArchitecture(text string) (Architecture, error) {
	name, widths, some := strings.Cut(text, ":")
	arch := Architecture{Name: name}
	if some {
		for width := range strings.SplitSeq(widths, ",") {
			n, err := strconv.Atoi(width)
			if err != nil {
				return Architecture{}, fmt.Errorf("%w: hidden width %q in %q is not a number", ErrModel, width, text)
			}
			arch.Hidden = append(arch.Hidden, n)
		}
	}
	return arch, arch.check()
}

// String is the form that ParseArchitecture reads.
func (a Architecture) String() string {
	widths := make([]string, len(a.Hidden))
	for i, n := range a.Hidden {
		widths[i] = strconv.Itoa(n)
	}
	if len(widths) == 0 {
		return a.Name
	}
	return a.Name + ":" + strings.Join(widths, ",")
}

func (a Architecture) check() error {
	const deepest, widest = 16, 1 << 16
	switch {
	case !slices.Contains([]string{Softmax, MLP, CNN}, a.Name):
		return fmt.Errorf("%w: no architecture %q; there are %s, %s and %s", ErrModel, a.Name, Softmax, MLP, CNN)
	case a.Name != MLP && len(a.Hidden) > 0:
		return fmt.Errorf("%w: %s has no hidden layers to give widths for", ErrModel, a.Name)
	case len(a.Hidden) > deepest:
		return fmt.Errorf("%w: %d hidden layers, at most %d are possible", ErrModel, len(a.Hidden), deepest)
	}
	for _, n := range a.Hidden {
		if n < 1 || n > widest {
			return fmt.Errorf("%w: hidden width %d is not between 1 and %d", ErrModel, n, widest)
		}
	}
	return nil
}
