package processes

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/choir-fl/choir/client"
	"github.com/choir-fl/choir/secagg"
	"github.com/choir-fl/choir/sim/dataset"
	"github.com/choir-fl/choir/sim/model"
	"github.com/choir-fl/choir/tensor"
)

// dataDir writes a sixth of the built-in images as the IDX files of a data set, with a
// part of the labels wrong: the next class's in each block of ten images, as many as told.
func dataDir(t testing.TB, wrong int) string {
	t.Helper()
	train, test, err := dataset.FashionSubset()
	require.NoError(t, err)
	dir := t.TempDir()
	for name, set := range map[string]dataset.Dataset{"train": train, "t10k": test} {
		images, labels := []byte{0, 0, 8, 3}, []byte{0, 0, 8, 1}
		n := set.Len() / 6
		images = binary.BigEndian.AppendUint32(images, uint32(n))
		labels = binary.BigEndian.AppendUint32(labels, uint32(n))
		shape := set.Shape()
		for _, side := range shape[:2] {
			images = binary.BigEndian.AppendUint32(images, uint32(side))
		}
		for i := range n {
			label := set.Label(6 * i)
			if i%10 < wrong {
				label = (label + 1) % set.Classes()
			}
			labels = append(labels, byte(label))
			for _, x := range set.Features(6 * i) {
				images = append(images, byte(math.Round(float64(x)*255)))
			}
		}
		require.NoError(t, os.WriteFile(filepath.Join(dir, name+"-images-idx3-ubyte"), images, 0o600))
		require.NoError(t, os.WriteFile(filepath.Join(dir, name+"-labels-idx1-ubyte"), labels, 0o600))
	}
	return dir
}

// learn trains the built-in softmax on the device's part of the attempt's data.
func (d device) learn(m tensor.Model, task secagg.Task) (client.Update, error) {
	set, _, err := dataset.LoadIDX(cmp.Or(d.Data[fmt.Sprintf("%d/%d", task.Round.Round, task.Round.Attempt)], d.Data[""]))
	if err != nil {
		return client.Update{}, err
	}
	parts, err := dataset.IID(set.Labels(), d.Clients, 1)
	if err != nil {
		return client.Update{}, err
	}
	tr := task.Terms.Training
	return softmax(set.Subset(parts[d.Index]), &m, model.Training{Epochs: tr.Epochs, Batch: tr.BatchSize, LearningRate: tr.LearningRate})
}

// softmax trains the built-in softmax from a model, or from its own first one.
func softmax(data dataset.Dataset, from *tensor.Model, tr model.Training) (client.Update, error) {
	arch, err := model.ParseArchitecture("softmax")
	if err != nil {
		return client.Update{}, err
	}
	net, err := model.New(arch, data.Shape(), data.Classes())
	if err != nil {
		return client.Update{}, err
	}
	if from == nil {
		first := net.Init(1)
		from = &first
	}
	local, stats, err := model.Train(net, *from, data, tr, 1)
	if err != nil {
		return client.Update{}, err
	}
	trained, err := tensor.NewModel(net.Schema(), local)
	return client.Update{Model: trained, Examples: stats.Examples}, err
}
