package plan

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"

	"github.com/choir-fl/choir/fault"
)

// ErrSyntax is a plan file that cannot be read as one.
var ErrSyntax = fault.New(fault.Usage, "plan/syntax", "plan cannot be read", "correct the file")

// maxPlan is the largest plan file in bytes: some ten thousand tensors.
const maxPlan = 1 << 20

// Parse reads a plan in strict YAML; an error names the line. Refused are a key that
// is unknown or stands twice, a value of another type than the key's (1.5 or "5" for
// an integer, 2024 for a name: put it in quotes), a number that is not decimal, a key
// without a value, anchors, tags, and a second document. name is used in errors.
func Parse(name string, r io.Reader) (Literal, error) {
	b, err := io.ReadAll(io.LimitReader(r, maxPlan+1))
	if err != nil {
		return Literal{}, ErrSyntax.At("%s", name).Because(err)
	}
	if len(b) > maxPlan || !utf8.Valid(b) || bytes.Count(b, []byte{'\t'}) > maxTabs {
		return Literal{}, ErrSyntax.At("%s", name).Because(fmt.Errorf("longer than %d bytes, not UTF-8, or more than %d tabs", maxPlan, maxTabs))
	}
	f := file{name}
	body, err := f.parse(string(b))
	if err != nil {
		return Literal{}, err
	}
	var l Literal
	if err := f.fill(reflect.ValueOf(&l).Elem(), "", body); err != nil {
		return Literal{}, err
	}
	return l, nil
}

// file is a plan file that is being read.
type file struct{ name string }

func (f file) refuse(line int, format string, args ...any) error {
	return ErrSyntax.At("%s:%d", f.name, line).Because(fmt.Errorf(format, args...))
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
		return nil, f.refuse(described.GetToken().Position.Line, "%s", described.GetMessage())
	}
	if err != nil {
		return nil, ErrSyntax.At("%s", f.name).Because(err)
	}
	if len(parsed.Docs) != 1 || parsed.Docs[0].Body == nil || parsed.Docs[0].Body.Type() == ast.CommentType {
		return nil, f.refuse(1, "there is nothing in it")
	}
	return parsed.Docs[0].Body, nil
}

// fill sets v to what a node says. key is where the node stands.
func (f file) fill(v reflect.Value, key string, n ast.Node) error {
	line := n.GetToken().Position.Line
	if n.Type() == ast.NullType {
		return f.refuse(line, "%s has no value", key)
	}
	switch v.Kind() {
	case reflect.Struct:
		return f.fillStruct(v, key, n)
	case reflect.Slice:
		list, ok := n.(*ast.SequenceNode)
		if !ok {
			return f.refuse(line, "%s is not a list", key)
		}
		v.Set(reflect.MakeSlice(v.Type(), len(list.Values), len(list.Values)))
		for i, item := range list.Values {
			if err := f.fill(v.Index(i), fmt.Sprintf("%s[%d]", key, i), item); err != nil {
				return err
			}
		}
		return nil
	case reflect.Map:
		return f.fillMap(v, key, n)
	}
	if err := scalar(v, n); err != nil {
		return f.refuse(line, "%s: %w", key, err)
	}
	return nil
}

func (f file) fillStruct(v reflect.Value, key string, n ast.Node) error {
	mapping, ok := n.(*ast.MappingNode)
	if !ok {
		return f.refuse(n.GetToken().Position.Line, "%s is not a list of keys and values", cmp.Or(key, "it"))
	}
	for _, entry := range mapping.Values {
		t := entry.Key.GetToken()
		path := strings.TrimPrefix(key+"."+t.Value, ".")
		i := fieldOf(v.Type(), t.Value)
		if i < 0 {
			return f.refuse(t.Position.Line, "key %.80q is unknown", path)
		}
		if err := f.fill(v.Field(i), path, entry.Value); err != nil {
			return err
		}
	}
	return nil
}

// fillMap reads keys that are names and their values, words or numbers, as texts.
func (f file) fillMap(v reflect.Value, key string, n ast.Node) error {
	mapping, ok := n.(*ast.MappingNode)
	if !ok {
		return f.refuse(n.GetToken().Position.Line, "%s is not a list of keys and values", key)
	}
	for _, entry := range mapping.Values {
		t := entry.Key.GetToken()
		text := entry.Value.GetToken().Value
		switch s := entry.Value.(type) {
		case *ast.StringNode:
			text = s.Value
		case *ast.IntegerNode, *ast.FloatNode:
		default:
			return f.refuse(t.Position.Line, "%s.%.40s is neither a word nor a number", key, t.Value)
		}
		if v.IsNil() {
			v.Set(reflect.MakeMap(v.Type()))
		}
		v.SetMapIndex(reflect.ValueOf(t.Value), reflect.ValueOf(text))
	}
	return nil
}

// fieldOf finds the field of a key, -1 if there is none.
func fieldOf(t reflect.Type, key string) int {
	for i := range t.NumField() {
		if name, _, _ := strings.Cut(t.Field(i).Tag.Get("yaml"), ","); name == key {
			return i
		}
	}
	return -1
}

var (
	integer = regexp.MustCompile(`^-?(0|[1-9][0-9]*)$`)
	decimal = regexp.MustCompile(`^[-+]?[0-9]*\.?[0-9]+([eE][-+]?[0-9]+)?$|^[-+]?[0-9]+\.$`)
)

// scalar sets v to a value that is not composed of others.
func scalar(v reflect.Value, n ast.Node) (err error) {
	text, plain := n.GetToken().Value, true
	switch s := n.(type) {
	case *ast.StringNode:
		text, plain = s.Value, s.Token.Type == token.StringType
	case *ast.LiteralNode:
		text, plain = s.Value.Value, false
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.InfinityNode, *ast.NanNode:
	default:
		return errors.New("a single value is expected")
	}
	var ok bool
	switch {
	case v.Type() == reflect.TypeFor[time.Duration]():
		var d time.Duration
		if d, err = time.ParseDuration(text); err != nil {
			return fmt.Errorf("%.40q is not a duration such as 30s", text)
		}
		v.SetInt(int64(d))
		return nil
	case v.CanInt():
		var i int64
		if ok = plain && integer.MatchString(text); ok {
			i, err = strconv.ParseInt(text, 10, v.Type().Bits())
			v.SetInt(i)
		}
	case v.CanFloat():
		var x float64
		if ok = plain && decimal.MatchString(text); ok {
			x, err = strconv.ParseFloat(text, 64)
			v.SetFloat(x)
		}
	case v.Kind() == reflect.Bool:
		ok = plain && (text == "true" || text == "false")
		v.SetBool(text == "true")
	default:
		_, isString := n.(*ast.StringNode)
		_, isLiteral := n.(*ast.LiteralNode)
		if !isString && !isLiteral {
			return fmt.Errorf("%.40q is not text: put it in quotes", text)
		}
		v.SetString(text)
		return nil
	}
	if !ok || err != nil {
		return fmt.Errorf("%.40q is not %s", text, expected(v))
	}
	return nil
}

func expected(v reflect.Value) string {
	switch {
	case v.CanInt():
		return "an integer in decimal, or too large"
	case v.CanFloat():
		return "a number in decimal, or too large"
	default:
		return "true or false"
	}
}
