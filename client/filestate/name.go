package filestate

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/choir-fl/choir/fault"
	"github.com/choir-fl/choir/secagg"
)

// ErrName is an attempt without the form that a file name needs.
var ErrName = fault.New(fault.Invalid, "filestate/name", "not the name of an attempt", "the coordinator is faulty: leave the round")

const tmp = ".tmp"

// nameOf gives an attempt's file name, JOB@ROUND@ATTEMPT. The character @ is in no
// job's name.
func nameOf(id secagg.RoundID) (string, error) {
	if !secagg.PartyID(id.Job).Valid() || id.Round == 0 || id.Attempt == 0 {
		return "", ErrName.At("round %.100q", id.String())
	}
	return fmt.Sprintf("%s@%d@%d", id.Job, id.Round, id.Attempt), nil
}

// parseName is the inverse of nameOf; ok is false for every other name.
func parseName(name string) (id secagg.RoundID, ok bool) {
	parts := strings.Split(name, "@")
	if len(parts) != 3 {
		return secagg.RoundID{}, false
	}
	round, err1 := strconv.ParseUint(parts[1], 10, 32)
	attempt, err2 := strconv.ParseUint(parts[2], 10, 32)
	id = secagg.RoundID{Job: parts[0], Round: uint32(round), Attempt: uint32(attempt)}
	again, err := nameOf(id)
	return id, err1 == nil && err2 == nil && err == nil && again == name
}
