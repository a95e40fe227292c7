package fault

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"io/fs"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
)

var errSample = New(Conflict, "fault/sample", "what is wrong", "what to do")

func TestErrorIsOneLineWherewhatDo(t *testing.T) {
	for want, err := range map[string]*Error{
		"what is wrong; what to do":                            errSample,
		"file 3: what is wrong; what to do":                    errSample.At("file %d", 3),
		"file: what is wrong (EOF); what to do":                errSample.At("file").Because(io.EOF),
		"file: what is wrong (the cause EOF); what to do":      errSample.Because(fmt.Errorf("the\ncause %w", io.EOF)).At("file"),
		"what is wrong":                                        New(Internal, "fault/short", "what is wrong", ""),
		"name \uFFFD of somebody: what is wrong; what to do":   errSample.At("name %s of somebody", "\xff"),
		"one two: what is wrong; what to do":                   errSample.At("one\ntwo"),
		"outer: what is wrong (inner: what is wrong; do); now": New(Usage, "fault/o", "what is wrong", "now").At("outer").Because(New(Usage, "fault/i", "what is wrong", "do").At("inner")),
	} {
		require.Equal(t, want, err.Error())
		require.True(t, utf8.ValidString(err.Error()))
	}
}

func TestBindingCopiesAndTheSentinelStaysAsItIs(t *testing.T) {
	bound := errSample.At("here").Because(io.EOF)
	require.Empty(t, errSample.Where)
	require.NoError(t, errors.Unwrap(errSample))
	require.Equal(t, "here", bound.Where)
	require.Equal(t, io.EOF, errors.Unwrap(bound))
	require.Equal(t, Conflict, bound.Class)
}

func TestRefusalIsRecognisedByItsCodeAlone(t *testing.T) {
	bound := errSample.At("here").Because(io.ErrUnexpectedEOF)
	require.ErrorIs(t, bound, errSample)
	require.ErrorIs(t, bound, io.ErrUnexpectedEOF, "its cause is found too")
	require.ErrorIs(t, fmt.Errorf("around: %w", bound), errSample)
	require.ErrorIs(t, errors.Join(io.EOF, bound), errSample)
	require.ErrorIs(t, &Error{Class: Internal, Code: "fault/sample"}, errSample, "as it comes off the wire: the code alone")
	require.NotErrorIs(t, bound, New(Conflict, "fault/other", "what is wrong", "what to do"))
	require.NotErrorIs(t, &Error{}, &Error{}, "no code is nobody's code")
	require.NotErrorIs(t, bound, io.EOF)
}

func TestClassIsThatOfTheOutermostFault(t *testing.T) {
	inner := New(NotFound, "fault/inner", "inner", "")
	require.Equal(t, Conflict, ClassOf(errSample))
	require.Equal(t, Conflict, ClassOf(errSample.Because(inner)))
	require.Equal(t, NotFound, ClassOf(fmt.Errorf("around: %w", inner)))
	require.Equal(t, Internal, ClassOf(io.EOF))
	require.Equal(t, Internal, ClassOf(nil))
}

// TestClassesKeepTheirNumbers holds what travels on the wire.
func TestClassesKeepTheirNumbers(t *testing.T) {
	for i, name := range []string{"internal", "usage", "invalid", "refused", "conflict", "not-found", "unauthenticated", "denied",
		"exhausted", "unavailable", "aborted"} {
		require.Equal(t, name, Class(i).String())
	}
	require.Equal(t, Class(10), Aborted)
	require.Equal(t, "internal", Class(11).String(), "a class of a later version")
	require.Equal(t, "internal", Class(255).String())
}

// TestCodesAreUniqueInTheModule reads every declaration: errors.Is compares codes,
// so two refusals of one code would be taken for each other.
func TestCodesAreUniqueInTheModule(t *testing.T) {
	found := map[string]string{}
	err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (d.Name() == "testdata" || strings.HasPrefix(d.Name(), ".") && d.Name() != "..") {
			return filepath.SkipDir
		}
		if d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return nil
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		ast.Inspect(file, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok || len(call.Args) != 4 {
				return true
			}
			if s, ok := call.Fun.(*ast.SelectorExpr); !ok || s.Sel.Name != "New" || fmt.Sprint(s.X) != "fault" {
				return true
			}
			literal, ok := call.Args[1].(*ast.BasicLit)
			require.True(t, ok, "%s: the code is written out, so that it can be searched for", path)
			code, err := strconv.Unquote(literal.Value)
			require.NoError(t, err)
			require.Regexp(t, `^[a-z0-9-]+/[a-z0-9-]+$`, code, path)
			require.NotContains(t, found, code, "%s and %s", path, found[code])
			found[code] = path
			return true
		})
		return nil
	})
	require.NoError(t, err)
	require.Greater(t, len(found), 60)
}
