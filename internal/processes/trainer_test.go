package processes

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strconv"

	"github.com/choir-fl/choir/secagg"
	"github.com/choir-fl/choir/tensor"
)

// runTrainer is the role of a trainer program, as docs/TRAINER.md specifies it: it
// adds the pattern of the client that its arguments name.
func runTrainer() error {
	index, err := strconv.Atoi(os.Args[1])
	if err != nil {
		return err
	}
	clients, err := strconv.Atoi(os.Args[2])
	if err != nil {
		return err
	}
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		var request struct {
			ID                     uint64
			Command, Model, Output string
			Task                   struct{ Round uint32 }
		}
		if err := json.Unmarshal(in.Bytes(), &request); err != nil {
			return err
		}
		switch request.Command {
		case "train":
			if err := (pattern{index, clients}).train(request.Model, request.Output, request.Task.Round); err != nil {
				return err
			}
			fmt.Printf(`{"version":1,"id":%d,"examples":1}`+"\n", request.ID)
		default:
			fmt.Printf(`{"version":1,"id":%d}`+"\n", request.ID)
		}
	}
	return nil
}

// train does what Train does, from file to file.
func (p pattern) train(from, to string, round uint32) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	info, err := in.Stat()
	if err != nil {
		return err
	}
	m, err := tensor.ReadSafetensors(in, info.Size())
	if err != nil {
		return err
	}
	u, err := p.Train(context.Background(), m, secagg.Task{Round: secagg.RoundID{Round: round}})
	if err != nil {
		return err
	}
	out, err := os.Create(to)
	if err != nil {
		return err
	}
	if err := tensor.WriteSafetensors(out, u.Model); err != nil {
		return err
	}
	return out.Close()
}
