// Command example improves a model on its own data: a line through its examples.
package main

import (
	"context"
	"log/slog"
	"os"

	"github.com/choir-fl/choir/client"
	"github.com/choir-fl/choir/client/filestate"
	"github.com/choir-fl/choir/client/grpctransport"
	"github.com/choir-fl/choir/secagg"
	"github.com/choir-fl/choir/secagg/pairwise"
	"github.com/choir-fl/choir/tensor"
)

// line is fitted to the examples of this device, which never leave it.
type line struct{ x, y []float32 }

func (l line) Train(ctx context.Context, m tensor.Model, task secagg.Task) (client.Update, error) {
	w, rate := m.Values(), float32(task.Terms.Training.LearningRate)
	for i, x := range l.x {
		miss := w[0]*x + w[1] - l.y[i]
		w[0], w[1] = w[0]-rate*miss*x, w[1]-rate*miss
	}
	return client.Update{Model: m, Examples: len(l.x)}, ctx.Err()
}

func run(ctx context.Context, address, credentials, directory string) error {
	who, err := grpctransport.Load(credentials) // choir enroll has made them
	if err != nil {
		return err
	}
	transport, err := grpctransport.New(grpctransport.Config{Address: address, Credentials: who, File: credentials})
	if err != nil {
		return err
	}
	defer transport.Close()
	go func() { _ = transport.KeepRenewed(ctx) }()
	state, err := filestate.Open(directory, nil)
	if err != nil {
		return err
	}
	defer state.Close()
	c, err := client.New(transport, line{x: []float32{0, 1, 2, 3}, y: []float32{1, 3, 5, 7}},
		client.WithIdentity(who.Identity, who.Key, who.AuthorityKey()), client.WithSchemes(pairwise.Scheme{}), client.WithState(state),
		client.WithConsent(client.Limits{Minimum: 3, TrustCoordinator: true}), client.WithLogger(slog.Default()))
	if err != nil {
		return err
	}
	return c.Run(ctx)
}

func main() {
	err := run(context.Background(), "localhost:8443", "choir.pem", "state")
	slog.Error("the client ended for good", "error", err)
	os.Exit(1)
}
