package main

import (
	"fmt"
	"math"
	"reflect"
	"regexp"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

var (
	wholeNumber   = regexp.MustCompile(`^-?(0|[1-9][0-9]*)$`)
	decimalNumber = regexp.MustCompile(`^[-+]?[0-9]*\.?[0-9]+([eE][-+]?[0-9]+)?$|^[-+]?[0-9]+\.$`)
)

// checkTypes refuses what the decoder would make fit without a word: 1.5, "5" or 0x10
// for a whole number, .nan for a number, a key without its value, which would keep its
// default. The text was decoded before.
func checkTypes(text []byte, into any) error {
	parsed, err := parser.ParseBytes(text, 0)
	if err != nil || len(parsed.Docs) == 0 {
		return err
	}
	if body, ok := parsed.Docs[0].Body.(*ast.MappingNode); ok { // else there is nothing in it
		return checkType(body, reflect.TypeOf(into).Elem(), "")
	}
	return nil
}

// checkType holds a node against the type of the key where it stands.
func checkType(n ast.Node, t reflect.Type, key string) error {
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if at := n.GetToken().Position; n.Type() == ast.NullType && t.Kind() != reflect.Struct { // there, all keys are left out
		return fmt.Errorf("[%d:%d] %s: a key without a value: take it out to keep its default", at.Line, at.Column, key)
	}
	if reflect.PointerTo(t).Implements(reflect.TypeFor[yaml.NodeUnmarshaler]()) {
		return nil // it is strict itself
	}
	switch t.Kind() {
	case reflect.Struct:
		return checkStruct(n, t, key)
	case reflect.Slice:
		return checkList(n, t, key)
	}
	return checkScalar(n, t, key)
}

func checkStruct(n ast.Node, t reflect.Type, key string) error {
	switch m := n.(type) {
	case *ast.NullNode:
		return nil
	case *ast.MappingNode:
		for _, entry := range m.Values {
			name := entry.Key.GetToken().Value
			i := fieldFor(t, name)
			if i < 0 {
				return mistyped(entry.Key, key, "a key of it")
			}
			if err := checkType(entry.Value, t.Field(i).Type, strings.TrimPrefix(key+"."+name, ".")); err != nil {
				return err
			}
		}
		return nil
	}
	return mistyped(n, key, "a list of keys and values")
}

func checkList(n ast.Node, t reflect.Type, key string) error {
	list, ok := n.(*ast.SequenceNode)
	if !ok {
		return mistyped(n, key, "a list")
	}
	for _, item := range list.Values {
		if err := checkType(item, t.Elem(), key); err != nil {
			return err
		}
	}
	return nil
}

// fieldFor finds the field of a key, -1 if there is none.
func fieldFor(t reflect.Type, key string) int {
	for i := range t.NumField() {
		if name, _, _ := strings.Cut(t.Field(i).Tag.Get("yaml"), ","); name == key {
			return i
		}
	}
	return -1
}

func checkScalar(n ast.Node, t reflect.Type, key string) error {
	text, plain := n.GetToken().Value, true
	switch s := n.(type) {
	case *ast.StringNode:
		text, plain = s.Value, s.Token.Type == token.StringType
	case *ast.LiteralNode:
		plain = false
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.InfinityNode, *ast.NanNode:
	default:
		return mistyped(n, key, "a single value")
	}
	switch t.Kind() {
	case reflect.Int:
		if _, err := strconv.ParseInt(text, 10, 64); err != nil || !plain || !wholeNumber.MatchString(text) {
			return mistyped(n, key, "a whole number in decimal")
		}
	case reflect.Float64:
		if x, err := strconv.ParseFloat(text, 64); err != nil || math.IsInf(x, 0) || !plain || !decimalNumber.MatchString(text) {
			return mistyped(n, key, "a number in decimal")
		}
	case reflect.Bool:
		if !plain || text != "true" && text != "false" {
			return mistyped(n, key, "true or false")
		}
	}
	return nil
}

// mistyped says where a value is not of its key's type.
func mistyped(n ast.Node, key, wanted string) error {
	t := n.GetToken()
	return fmt.Errorf("[%d:%d] %s: %.40q is not %s", t.Position.Line, t.Position.Column, key, t.Value, wanted)
}
