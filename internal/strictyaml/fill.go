package strictyaml

import (
	"cmp"
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/token"
)

// fill sets v to what a node says. key is where the node stands.
func (f file) fill(v reflect.Value, key string, n ast.Node) error {
	line := n.GetToken().Position.Line
	if n.Type() == ast.NullType {
		return f.refuse(line, "%s has no value", key)
	}
	if c, ok := v.Addr().Interface().(Custom); ok {
		return c.ReadYAML(Value{f, key, n})
	}
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		return f.fill(v.Elem(), key, n)
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
		field, ok := fieldOf(v, t.Value)
		if !ok {
			return f.refuse(t.Position.Line, "key %.80q is unknown", path)
		}
		if err := f.fill(field, path, entry.Value); err != nil {
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
			return f.refuse(t.Position.Line, "%.80q is neither a word nor a number", key+"."+t.Value)
		}
		if v.IsNil() {
			v.Set(reflect.MakeMap(v.Type()))
		}
		v.SetMapIndex(reflect.ValueOf(t.Value), reflect.ValueOf(text))
	}
	return nil
}

// fieldOf finds the field of a key, also in structs that are inlined.
func fieldOf(v reflect.Value, key string) (reflect.Value, bool) {
	for i := range v.NumField() {
		name, option, _ := strings.Cut(v.Type().Field(i).Tag.Get("yaml"), ",")
		if option == "inline" {
			if found, ok := fieldOf(v.Field(i), key); ok {
				return found, true
			}
		}
		if name == key && name != "" {
			return v.Field(i), true
		}
	}
	return reflect.Value{}, false
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
	case v.CanUint():
		var u uint64
		if ok = plain && integer.MatchString(text); ok {
			u, err = strconv.ParseUint(text, 10, v.Type().Bits())
			v.SetUint(u)
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
	case v.CanUint():
		return "a whole number in decimal, or too large"
	case v.CanFloat():
		return "a number in decimal, or too large"
	default:
		return "true or false"
	}
}
