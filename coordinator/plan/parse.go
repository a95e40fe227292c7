package plan

import (
	"io"

	"github.com/choir-fl/choir/fault"
	"github.com/choir-fl/choir/internal/strictyaml"
)

// ErrSyntax is a plan file that cannot be read as one.
var ErrSyntax = fault.New(fault.Usage, "plan/syntax", "plan cannot be read", "correct the file")

// Parse reads a plan in strict YAML (package strictyaml); an error names the line. name is
// used in errors.
func Parse(name string, r io.Reader) (Literal, error) {
	var l Literal
	if err := strictyaml.Read(name, ErrSyntax, r, &l); err != nil {
		return Literal{}, err
	}
	return l, nil
}
