package matrix

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// reader reads strict YAML: no key that is unknown or stands twice, no value of another
// type than the key's, no anchor, tag or second document.
type reader struct{ name, source string }

func (r reader) refuse(line int, format string, args ...any) error {
	return ErrSyntax.At("%s:%d", r.name, line).Because(fmt.Errorf(format, args...))
}

func lineOf(n ast.Node) int {
	if t := n.GetToken(); t != nil && t.Position != nil {
		return t.Position.Line
	}
	return 1
}

// body returns the file's one mapping.
func (r reader) body() (*ast.MappingNode, error) {
	parsed, err := parser.ParseBytes([]byte(r.source), 0)
	var described yaml.Error
	if errors.As(err, &described) && described.GetToken() != nil && described.GetToken().Position != nil {
		return nil, r.refuse(described.GetToken().Position.Line, "%s", described.GetMessage())
	}
	if err != nil {
		return nil, ErrSyntax.At("%s", r.name).Because(err)
	}
	if len(parsed.Docs) != 1 || parsed.Docs[0].Body == nil {
		return nil, r.refuse(1, "there is nothing in it, or more than one document")
	}
	m, ok := parsed.Docs[0].Body.(*ast.MappingNode)
	if !ok {
		return nil, r.refuse(1, "it is not a list of keys and values")
	}
	return m, nil
}

// keys reads each entry of a mapping with the function of its key.
func (r reader) keys(n ast.Node, where string, known map[string]func(string, ast.Node) error) error {
	m, ok := n.(*ast.MappingNode)
	if !ok {
		return r.refuse(lineOf(n), "%s is not a list of keys and values", where)
	}
	seen := map[string]bool{}
	for _, entry := range m.Values {
		key := entry.Key.GetToken().Value
		path := strings.TrimPrefix(where+"."+key, ".")
		read := known[key]
		switch {
		case read == nil:
			return r.refuse(lineOf(entry.Key), "key %.80q is unknown", path)
		case seen[key]:
			return r.refuse(lineOf(entry.Key), "key %.80q stands twice", path)
		case entry.Value.Type() == ast.NullType:
			return r.refuse(lineOf(entry.Key), "%s has no value", path)
		}
		seen[key] = true
		if err := read(path, entry.Value); err != nil {
			return err
		}
	}
	return nil
}

// list reads each item of a list.
func (r reader) list(n ast.Node, where string, item func(where string, n ast.Node) error) error {
	l, ok := n.(*ast.SequenceNode)
	if !ok {
		return r.refuse(lineOf(n), "%s is not a list", where)
	}
	if len(l.Values) > maxList {
		return r.refuse(lineOf(n), "%s has %d items; at most %d", where, len(l.Values), maxList)
	}
	for i, v := range l.Values {
		if err := item(fmt.Sprintf("%s[%d]", where, i), v); err != nil {
			return err
		}
	}
	return nil
}

// text reads a text into at.
func (r reader) text(at *string) func(string, ast.Node) error {
	return func(where string, n ast.Node) error {
		s, ok := n.(*ast.StringNode)
		if !ok {
			return r.refuse(lineOf(n), "%s: %.40q is not text: put it in quotes", where, n.GetToken().Value)
		}
		*at = s.Value
		return nil
	}
}

// texts reads a list of texts into at.
func (r reader) texts(at *[]string) func(string, ast.Node) error {
	return func(where string, n ast.Node) error {
		return r.list(n, where, func(where string, n ast.Node) error {
			*at = append(*at, "")
			return r.text(&(*at)[len(*at)-1])(where, n)
		})
	}
}

var (
	whole   = regexp.MustCompile(`^(0|[1-9][0-9]*)$`)
	decimal = regexp.MustCompile(`^-?[0-9]*\.?[0-9]+([eE][-+]?[0-9]+)?$`)
)

// bare returns the characters of a value that is not in quotes.
func bare(n ast.Node) string {
	switch n := n.(type) {
	case *ast.IntegerNode, *ast.FloatNode:
	case *ast.StringNode:
		if n.Token.Type != token.StringType {
			return ""
		}
	default:
		return ""
	}
	return n.GetToken().Value
}

// seed reads a whole number into at.
func (r reader) seed(at *uint64) func(string, ast.Node) error {
	return func(where string, n ast.Node) (err error) {
		if text := bare(n); whole.MatchString(text) {
			if *at, err = strconv.ParseUint(text, 10, 64); err == nil {
				return nil
			}
		}
		return r.refuse(lineOf(n), "%s: %.40q is not a whole number in decimal, or too large", where, n.GetToken().Value)
	}
}

// count reads a number of something into at.
func (r reader) count(at *int) func(string, ast.Node) error {
	return func(where string, n ast.Node) error {
		var v uint64
		if err := r.seed(&v)(where, n); err != nil {
			return err
		}
		if v > maxCount {
			return r.refuse(lineOf(n), "%s: %d is above %d", where, v, maxCount)
		}
		*at = int(v)
		return nil
	}
}

// number reads a number into at.
func (r reader) number(at *float64) func(string, ast.Node) error {
	return func(where string, n ast.Node) (err error) {
		if text := bare(n); decimal.MatchString(text) {
			if *at, err = strconv.ParseFloat(text, 64); err == nil {
				return nil
			}
		}
		return r.refuse(lineOf(n), "%s: %.40q is not a number in decimal, or too large", where, n.GetToken().Value)
	}
}
