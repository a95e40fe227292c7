//go:build ignore

// Check tries a trainer program: it gives it a softmax regression to train and to
// measure, twice over, as a client does, and fails unless the model gets better.
//
//	go run examples/trainer/check.go python3 examples/trainer/train.py
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"

	"github.com/choir-fl/choir/client/process"
	"github.com/choir-fl/choir/secagg"
	"github.com/choir-fl/choir/tensor"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := check(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "check:", err)
		os.Exit(1)
	}
}

func check(ctx context.Context, command []string) error {
	trainer, err := process.New(process.Config{Command: command, Stderr: os.Stderr})
	if err != nil {
		return err
	}
	schema, err := tensor.NewSchema([]tensor.Spec{{Name: "dense1.weight", Shape: []int{20, 5}}, {Name: "dense1.bias", Shape: []int{5}}})
	if err != nil {
		return err
	}
	model := tensor.Zero(schema)
	task := secagg.Task{Round: secagg.RoundID{Job: "check", Round: 1, Attempt: 1}, Terms: secagg.Terms{Job: "check",
		Training: secagg.Training{Architecture: "softmax", Epochs: 2, BatchSize: 20, LearningRate: 0.05, Momentum: 0.5, Prox: 0.01}}}
	before, err := trainer.Evaluate(ctx, model, task)
	if err != nil {
		return err
	}
	after := before
	for task.Round.Round = range uint32(2) {
		update, err := trainer.Train(ctx, model, task)
		if err != nil {
			return err
		}
		model = update.Model
		if after, err = trainer.Evaluate(ctx, model, task); err != nil {
			return err
		}
		fmt.Printf("round %d: %d examples, loss %.3f, accuracy %.3f\n", task.Round.Round+1, update.Examples, after.Loss, after.Accuracy)
	}
	if !(after.Loss < before.Loss && after.Accuracy > 0.9) {
		return fmt.Errorf("it learned nothing: loss %.3f, then %.3f; accuracy %.3f", before.Loss, after.Loss, after.Accuracy)
	}
	return trainer.Close(ctx)
}
