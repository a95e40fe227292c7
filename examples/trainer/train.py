#!/usr/bin/env python3
"""A trainer program for Choir: softmax regression with numpy and nothing else.

The protocol is in docs/TRAINER.md: one line of JSON on standard input for each
request, one on standard output for each answer, models in safetensors files.
Anything meant for people goes to standard error.

    choir client -c client.yaml --trainer 'python3 train.py --data DIR --part 3 --parts 100'

DIR holds MNIST or Fashion-MNIST as IDX files (train-images-idx3-ubyte.gz and
train-labels-idx1-ubyte.gz, with .gz or without); this client is part 3 of 100 of
them. Without --data the examples are drawn at random: --examples of them.
The model is any with one matrix [features, classes] and one vector [classes].
"""

import argparse
import gzip
import json
import os
import struct
import sys

import numpy as np


def read_model(path):
    """Read a safetensors file of float32 tensors into a dict, in the file's order."""
    with open(path, "rb") as f:
        (size,) = struct.unpack("<Q", f.read(8))
        header = json.loads(f.read(size))
        data = f.read()
    header.pop("__metadata__", None)
    return {
        name: np.frombuffer(data[slice(*t["data_offsets"])], "<f4").reshape(t["shape"])
        for name, t in header.items()
    }


def write_model(path, model):
    """Write a dict of tensors as a safetensors file."""
    header, offset = {}, 0
    for name, t in model.items():
        header[name] = {"dtype": "F32", "shape": list(t.shape), "data_offsets": [offset, offset + 4 * t.size]}
        offset += 4 * t.size
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text)
        for t in model.values():
            f.write(np.ascontiguousarray(t, "<f4").tobytes())


def read_idx(directory, name):
    for suffix, opened in (("", open), (".gz", gzip.open)):
        path = os.path.join(directory, name + suffix)
        if os.path.exists(path):
            with opened(path, "rb") as f:
                dims = f.read(4)[3]
                shape = struct.unpack(">%dI" % dims, f.read(4 * dims))
                return np.frombuffer(f.read(), np.uint8).reshape(shape)
    raise SystemExit("%s: no %s; give --data the folder of the IDX files" % (directory, name))


class Data:
    """This client's own examples: the last tenth measures, the others train."""

    def __init__(self, args, shape):
        features, classes = shape
        rng = np.random.default_rng(args.part)
        if args.data:
            x = read_idx(args.data, "train-images-idx3-ubyte")[args.part :: args.parts]
            y = read_idx(args.data, "train-labels-idx1-ubyte")[args.part :: args.parts]
            x = x.reshape(len(x), -1).astype(np.float32) / 255
        else:
            centres = np.random.default_rng(0).normal(size=(classes, features))  # the same for all clients
            y = rng.integers(classes, size=args.examples)
            x = (centres[y] + rng.normal(size=(args.examples, features))).astype(np.float32)
        if x.shape[1] != features or y.max() >= classes:
            raise ValueError("the data do not fit a model of %d features and %d classes" % shape)
        cut = len(x) - len(x) // 10
        self.train, self.test, self.rng = (x[:cut], y[:cut]), (x[cut:], y[cut:]), rng


def split(model):
    """Find the matrix and the vector of a softmax regression."""
    by_rank = {t.ndim: name for name, t in model.items()}
    if len(model) != 2 or set(by_rank) != {1, 2}:
        raise ValueError("this trainer knows models of one matrix and one vector only")
    return by_rank[2], by_rank[1]


def probabilities(x, w, b):
    z = x @ w + b
    p = np.exp(z - z.max(axis=1, keepdims=True))
    return p / p.sum(axis=1, keepdims=True)


def train(model, data, task):
    """SGD with momentum and the FedProx term, from the model that was given."""
    names = split(model)
    start = [model[n].astype(np.float64) for n in names]
    now = [t.copy() for t in start]
    speed = [np.zeros_like(t) for t in start]
    x, y = data.train
    size = task["batch_size"] or len(x)
    for _ in range(task["epochs"]):
        order = data.rng.permutation(len(x))
        for i in range(0, len(x), size):
            batch = order[i : i + size]
            error = probabilities(x[batch], *now)
            error[np.arange(len(batch)), y[batch]] -= 1
            error /= len(batch)
            for k, gradient in enumerate((x[batch].T @ error, error.sum(axis=0))):
                gradient = gradient + task["prox"] * (now[k] - start[k])
                speed[k] = task["momentum"] * speed[k] + gradient
                now[k] -= task["learning_rate"] * speed[k]
    return dict(zip(names, now)), len(x)


def evaluate(model, data):
    w, b = (model[n] for n in split(model))
    x, y = data.test
    if len(x) == 0:
        return {"examples": 0, "accuracy": 0.0, "loss": 0.0}
    p = probabilities(x, w, b)
    loss = -np.log(np.maximum(p[np.arange(len(y)), y], 1e-12)).mean()
    return {"examples": len(y), "accuracy": float((p.argmax(axis=1) == y).mean()), "loss": float(loss)}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", help="folder of the IDX files; without it data are drawn at random")
    parser.add_argument("--part", type=int, default=0, help="this client's part of the data, from 0")
    parser.add_argument("--parts", type=int, default=1, help="number of parts")
    parser.add_argument("--examples", type=int, default=500, help="examples drawn at random")
    args = parser.parse_args()
    data = None

    for line in sys.stdin:
        request = json.loads(line)
        answer = {"version": 1, "id": request["id"]}
        try:
            if request["version"] != 1:
                raise ValueError("version %s of the protocol is not known" % request["version"])
            if request["command"] == "bye":
                return
            if request["command"] == "hello":
                answer["evaluates"] = True
            else:
                model = read_model(request["model"])
                data = data or Data(args, model[split(model)[0]].shape)
                if request["command"] == "train":
                    model, answer["examples"] = train(model, data, request["task"])
                    write_model(request["output"], model)
                elif request["command"] == "evaluate":
                    answer.update(evaluate(model, data))
                else:
                    raise ValueError("command %r is not known" % request["command"])
        except (ValueError, KeyError, OSError) as e:
            answer = {"version": 1, "id": request["id"], "error": str(e)}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
