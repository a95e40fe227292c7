package rpc_test

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/choir-fl/choir/client"
	"github.com/choir-fl/choir/coordinator/plan"
	"github.com/choir-fl/choir/coordinator/rpc"
	"github.com/choir-fl/choir/secagg"
	"github.com/choir-fl/choir/secagg/plain"
	"github.com/choir-fl/choir/tensor"
)

// bulky is scheme plain with an instruction of 3 MB.
type bulky struct{ plain.Scheme }

func (bulky) Name() string { return "bulky" }

func (b bulky) NewControl(s secagg.Session) (secagg.Control, error) {
	c, err := b.Scheme.NewControl(s)
	return bulkyControl{c}, err
}

type bulkyControl struct{ secagg.Control }

func instruction() []byte { return bytes.Repeat([]byte("instruction "), 250_000) }

func (bulkyControl) Instruction(int) ([]byte, bool) { return instruction(), true }

// Canonical messages above what one gRPC message may hold travel in parts, both
// ways: a task of 600 kB, an envelope of 3 MB, an answer of 3 MB.
func TestLargeCanonicalMessagesTravelInParts(t *testing.T) {
	w := newWorldWith(t, rpc.Limits{}, func(c *rpc.Config) { c.Schemes = []secagg.ServerScheme{bulky{}} })
	o, people := w.operator(), w.people(1)
	l := testPlan("bulky", 1, 1, 1, 1)
	l.Model.Tensors = nil
	for i := range 8_000 {
		l.Model.Tensors = append(l.Model.Tensors, plan.Tensor{Name: fmt.Sprintf("layer.%060d.weight", i), Shape: []int{1}})
	}
	checked, err := l.Check(bulky{})
	require.NoError(t, err)
	l.Model.Tensors = nil // the plan's file would be above 1 MiB: the model says them
	w.begin(o, l, tensor.Zero(checked.Terms().Tensors))

	tr := w.transport(people[0])
	offer, err := tr.CheckIn(t.Context(), "job", client.Conditions{})
	require.NoError(t, err)
	require.NotNil(t, offer.Task)
	require.Greater(t, len(offer.Task.Encode()), 512<<10)
	require.Equal(t, checked.Terms().Encode(), offer.Task.Terms.Encode())

	require.NoError(t, tr.Send(t.Context(), client.Message{Round: offer.Task.Round, Body: people[0].Identity.Encode()}))
	env, err := tr.Receive(t.Context(), offer.Task.Round, 0)
	require.NoError(t, err)
	require.Equal(t, instruction(), env.Body)
	require.Greater(t, len(env.Encode()), 3_000_000-1)

	// The join was taken; anything else is refused for what it is, not for its size.
	err = tr.Send(t.Context(), client.Message{Round: offer.Task.Round, Body: bytes.Repeat([]byte{7}, 3_000_000)})
	require.ErrorIs(t, err, secagg.ErrEncoding)
	require.Error(t, tr.Send(t.Context(), client.Message{Round: offer.Task.Round, Body: make([]byte, secagg.MaxMessage+1)}))
}
