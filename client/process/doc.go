// Package process lets a program in any language be the trainer of a client. The
// program is started once, is told what to do in lines of JSON on its standard
// input, and answers in lines of JSON on its standard output; models travel in
// safetensors files. docs/TRAINER.md specifies it, examples/trainer/train.py is a
// whole trainer in Python.
//
// The program sees the global model and its own data and nothing else: no key, no
// ciphertext, no other client. It runs with the rights of the client, so run only
// what you trust with the data. Everything that it answers is checked before it is
// used: form, sizes, the shape of the model, that all values are finite.
package process
