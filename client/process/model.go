package process

import (
	"fmt"
	"os"
	"slices"

	"github.com/choir-fl/choir/tensor"
)

// readModel reads the program's model, which must hold the tensors of a schema, in
// any order.
func readModel(name string, schema tensor.Schema) (tensor.Model, error) {
	info, err := os.Lstat(name)
	if err != nil {
		return tensor.Model{}, ErrModel.Because(err)
	}
	if !info.Mode().IsRegular() {
		return tensor.Model{}, ErrModel.Because(fmt.Errorf("%s is not a file", name))
	}
	f, err := os.Open(name)
	if err != nil {
		return tensor.Model{}, ErrModel.Because(err)
	}
	m, err := tensor.ReadSafetensors(f, tensor.Size(schema)+tensor.MaxHeader)
	_ = f.Close() // only read from
	if err == nil {
		m, err = arrange(m, schema)
	}
	if err != nil {
		return tensor.Model{}, ErrModel.Because(err)
	}
	return m, nil
}

// arrange brings a model's tensors into the order of a schema. Libraries that
// write safetensors sort them, each in its own way.
func arrange(m tensor.Model, schema tensor.Schema) (tensor.Model, error) {
	if m.Schema().Equal(schema) {
		return m, nil
	}
	given := map[string][]int{}
	for _, s := range m.Schema().Specs() {
		given[s.Name] = s.Shape
	}
	out := tensor.Zero(schema)
	for i, s := range schema.Specs() {
		shape, ok := given[s.Name]
		if !ok {
			return tensor.Model{}, fmt.Errorf("tensor %q is missing", s.Name)
		}
		if !slices.Equal(shape, s.Shape) {
			return tensor.Model{}, fmt.Errorf("tensor %q has shape %v instead of %v", s.Name, shape, s.Shape)
		}
		delete(given, s.Name)
		values, _ := m.Tensor(s.Name)
		lo, hi := schema.Range(i)
		copy(out.Values()[lo:hi], values)
	}
	for name := range given {
		return tensor.Model{}, fmt.Errorf("tensor %q is not in the model", name)
	}
	return out, nil
}
