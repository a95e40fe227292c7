package auth

import (
	"slices"

	"github.com/choir-fl/choir/fault"
)

// Role is what a caller is. The zero value is somebody without a certificate.
// Values travel on the wire and are journalled: never reorder or reuse one.
type Role uint8

const (
	// RoleAnonymous has shown no certificate.
	RoleAnonymous Role = 0
	// RoleClient takes part in rounds.
	RoleClient Role = 1
	// RoleOperator runs the coordinator.
	RoleOperator Role = 2
	// RoleDecryptor helps to open sums, as a member of a committee.
	RoleDecryptor Role = 3
)

var roleNames = [...]string{"anonymous", "client", "operator", "decryptor"}

// String names the role; an unknown value reads as "anonymous".
func (r Role) String() string {
	if int(r) < len(roleNames) {
		return roleNames[r]
	}
	return roleNames[RoleAnonymous]
}

// named reports whether parties of this role can be enrolled.
func (r Role) named() bool { return r == RoleClient || r == RoleOperator || r == RoleDecryptor }

// Caller is who makes a call.
type Caller struct {
	Role Role
	// Name is unique among the parties of a role; empty if nobody said it.
	Name string
}

// ErrDenied is a call that the caller's role may not make.
var ErrDenied = fault.New(fault.Denied, "auth/denied", "this role may not make this call", "use a certificate of the right role")

// table lists the roles that may call each method. A method that is not in it may
// be called by nobody.
var table = map[string][]Role{
	"/choir.v1.Round/CheckIn":      {RoleClient, RoleDecryptor},
	"/choir.v1.Round/Send":         {RoleClient, RoleDecryptor},
	"/choir.v1.Round/Receive":      {RoleClient, RoleDecryptor},
	"/choir.v1.Round/Fetch":        {RoleClient},
	"/choir.v1.Round/UploadBegin":  {RoleClient},
	"/choir.v1.Round/Upload":       {RoleClient},
	"/choir.v1.Round/UploadCommit": {RoleClient},
	"/choir.v1.Round/Letters":      {RoleDecryptor},

	"/choir.v1.Enrolment/Enrol": {RoleAnonymous},
	"/choir.v1.Enrolment/Renew": {RoleClient, RoleOperator, RoleDecryptor},

	"/choir.v1.Operator/StartRun":    {RoleOperator},
	"/choir.v1.Operator/ListRuns":    {RoleOperator},
	"/choir.v1.Operator/WatchRun":    {RoleOperator},
	"/choir.v1.Operator/Pause":       {RoleOperator},
	"/choir.v1.Operator/Resume":      {RoleOperator},
	"/choir.v1.Operator/Abort":       {RoleOperator},
	"/choir.v1.Operator/Quarantine":  {RoleOperator},
	"/choir.v1.Operator/Release":     {RoleOperator},
	"/choir.v1.Operator/Export":      {RoleOperator},
	"/choir.v1.Operator/CreateToken": {RoleOperator},
	"/choir.v1.Operator/Revoke":      {RoleOperator},

	"/grpc.health.v1.Health/Check": {RoleAnonymous, RoleClient, RoleOperator, RoleDecryptor},
}

// Allow returns nil if a role may call a method, given by its full gRPC name.
func Allow(method string, r Role) error {
	if !slices.Contains(table[method], r) {
		return ErrDenied.At("%s calling %s", r, method)
	}
	return nil
}

// Methods returns the methods that anybody may call at all, sorted.
func Methods() []string {
	var out []string
	for m := range table {
		out = append(out, m)
	}
	slices.Sort(out)
	return out
}
