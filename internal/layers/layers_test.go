package layers

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestImportsPointDownwards(t *testing.T) {
	root, err := filepath.Abs(filepath.Join("..", ".."))
	require.NoError(t, err)
	watch(t, root)
	g := load(t, root)
	require.Contains(t, g.imports, g.module+"/internal/layers", "the graph must hold the packages of the module")
	require.Empty(t, strings.Join(g.violations(), "\n"), "see internal/layers/rules_test.go for the rules")
}

// load asks the go command for the graph of the module at root.
func load(t *testing.T, root string) graph {
	t.Helper()
	command := exec.Command("go", "list", "-deps", "-json=ImportPath,Name,Imports,ImportMap,Standard,Module", "./...")
	command.Dir = root
	var stderr bytes.Buffer
	command.Stderr = &stderr
	stdout, err := command.Output()
	require.NoError(t, err, stderr.String())

	g := graph{imports: map[string][]string{}, names: map[string]string{}, std: map[string]bool{}}
	for list := json.NewDecoder(bytes.NewReader(stdout)); ; {
		var p struct {
			ImportPath, Name string
			Imports          []string
			ImportMap        map[string]string
			Standard         bool
			Module           *struct {
				Path string
				Main bool
			}
		}
		err := list.Decode(&p)
		if errors.Is(err, io.EOF) {
			break
		}
		require.NoError(t, err)
		for i, imported := range p.Imports {
			if actual, vendored := p.ImportMap[imported]; vendored {
				p.Imports[i] = actual
			}
		}
		g.imports[p.ImportPath] = p.Imports
		g.names[p.ImportPath] = p.Name
		g.std[p.ImportPath] = p.Standard
		if p.Module != nil && p.Module.Main {
			g.module = p.Module.Path
		}
	}
	require.NotEmpty(t, g.module)
	return g
}

// watch looks at each Go file of the module, so that the go command does not
// serve an old result of this test from its cache after an import changed: it
// sees what a test reads, not what a child process of it reads.
func watch(t *testing.T, root string) {
	t.Helper()
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := d.Name()
		if d.IsDir() && path != root && (name == "testdata" || strings.HasPrefix(name, ".")) {
			return filepath.SkipDir
		}
		if strings.HasSuffix(name, ".go") || name == "go.mod" {
			_, err = os.Stat(path)
		}
		return err
	})
	require.NoError(t, err)
}
