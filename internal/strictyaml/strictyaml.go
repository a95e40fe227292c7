// Package strictyaml reads the files that people write, plans and matrices, into structs,
// and takes nothing for what it was not meant as. Refused are a key that is unknown or
// stands twice, a value of another type than the key's (1.5 or "5" for an integer, 2024 for
// a name: put it in quotes), a number that is not decimal, a key without a value, anchors,
// tags, and a second document. A file that would occupy the parser for long is refused
// before it is parsed.
//
// A struct's keys are its fields' yaml tags, and those of a field's own fields if its tag
// is ",inline"; what the file does not name stays as it is.
// Fields are structs, lists, maps from names to texts, pointers, numbers, truths, texts,
// durations such as 30s, and types that are [Custom].
package strictyaml

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"reflect"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"

	"github.com/choir-fl/choir/fault"
)

// maxFile is the largest file in bytes: a plan of some ten thousand tensors.
const maxFile = 1 << 20

// Read reads a file into a struct, of which a part may be set if there is an error. An
// error is the fault syntax, at the name and line.
func Read(name string, syntax *fault.Error, in io.Reader, into any) error {
	b, err := io.ReadAll(io.LimitReader(in, maxFile+1))
	if err != nil {
		return syntax.At("%s", name).Because(err)
	}
	if len(b) > maxFile || !utf8.Valid(b) || bytes.Count(b, []byte{'\t'}) > maxTabs {
		return syntax.At("%s", name).Because(fmt.Errorf("longer than %d bytes, not UTF-8, or more than %d tabs", maxFile, maxTabs))
	}
	if blank(b) {
		return syntax.At("%s", name).Because(fmt.Errorf("more than %d line breaks in a row", maxBlank))
	}
	f := file{name, syntax}
	body, err := f.parse(string(b))
	if err != nil {
		return err
	}
	return f.fill(reflect.ValueOf(into).Elem(), "", body)
}

// Custom is a type that is written in more than one way. It is called once for a value that
// is there, and returns what Into and Refuse return.
type Custom interface {
	ReadYAML(Value) error
}

// Value is a value in a file, and where it stands.
type Value struct {
	file file
	key  string
	node ast.Node
}

// Word returns the characters of a value that is a word or a number without quotes; else
// it is empty.
func (v Value) Word() string {
	switch n := v.node.(type) {
	case *ast.IntegerNode, *ast.FloatNode:
	case *ast.StringNode:
		if n.Token.Type != token.StringType {
			return ""
		}
	default:
		return ""
	}
	return v.node.GetToken().Value
}

// Section reports whether the value is a list of keys and values.
func (v Value) Section() bool {
	_, ok := v.node.(*ast.MappingNode)
	return ok
}

// Into reads the value into what a pointer points to.
func (v Value) Into(p any) error { return v.file.fill(reflect.ValueOf(p).Elem(), v.key, v.node) }

// Refuse is an error about the value; the text follows the key.
func (v Value) Refuse(format string, args ...any) error {
	return v.file.refuse(v.node.GetToken().Position.Line, "%s: "+format, append([]any{v.key}, args...)...)
}

// file is one that is being read.
type file struct {
	name   string
	syntax *fault.Error
}

func (f file) refuse(line int, format string, args ...any) error {
	return f.syntax.At("%s:%d", f.name, line).Because(fmt.Errorf(format, args...))
}

// parse returns the file's one mapping.
func (f file) parse(text string) (ast.Node, error) {
	tokens := lexer.Tokenize(text)
	if err := f.checkForm(tokens); err != nil {
		return nil, err
	}
	parsed, err := parser.Parse(tokens, 0)
	var described yaml.Error
	if errors.As(err, &described) && described.GetToken() != nil && described.GetToken().Position != nil {
		return nil, f.refuse(described.GetToken().Position.Line, "%.*s", maxSaid, described.GetMessage())
	}
	if err != nil {
		return nil, f.syntax.At("%s", f.name).Because(fmt.Errorf("%.*s", maxSaid, err.Error()))
	}
	if len(parsed.Docs) != 1 || parsed.Docs[0].Body == nil || parsed.Docs[0].Body.Type() == ast.CommentType {
		return nil, f.refuse(1, "there is nothing in it")
	}
	return parsed.Docs[0].Body, nil
}
