// Package model has small classifiers that train on the processor, for the
// simulator and the reference client: softmax regression, a multilayer
// perceptron and a small convolutional network.
//
// A [Net] is an architecture without weights. Weights are a flat vector laid
// out by [Net.Schema], so they go in and out of federated rounds as they are:
//
//	arch, err := model.ParseArchitecture("mlp:200")
//	net, err := model.New(arch, train.Shape(), train.Classes())
//	global := net.Init(seed)
//	local, stats, err := model.Train(net, global, clientData, training, seed)
//	result, err := net.Evaluate(local, test)
//
// # Numbers
//
// Weights, activations and gradients are float32, losses float64. Sums run in
// one fixed order on one goroutine: the same arguments give the same bits on
// one processor architecture, whatever GOMAXPROCS is and wherever the slices
// lie in memory. Between architectures the last bits differ, because the
// portable form of the vector kernel lets some compilers fuse multiply and add.
//
// All heavy work is one kernel, gonum's Saxpy (y += a*x), and rows are skipped
// where a is zero, as half of the pixels and activations are. Gonum's matrix
// product is not used: it starts goroutines of its own from 64 x 193 upwards,
// its dot product adds in an order that depends on how the slice is aligned in
// memory, and at these sizes it is slower.
package model
