package layers

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// alone are the folders without goroutines: their tests run without the race
// detector, which would find nothing and make the simulation take ten times as long.
var alone = []string{"flows", "flows/engine"}

func TestAlone(t *testing.T) {
	for _, folder := range alone {
		files, err := filepath.Glob(filepath.Join("..", "..", folder, "*.go"))
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: %d files, %v", folder, len(files), err)
		}
		for _, name := range files {
			if strings.HasSuffix(name, "_test.go") {
				continue
			}
			set := token.NewFileSet()
			f, err := parser.ParseFile(set, name, nil, parser.SkipObjectResolution)
			if err != nil {
				t.Fatal(err)
			}
			for _, at := range concurrent(f) {
				t.Errorf("%s: %s has no goroutine and shares nothing", set.Position(at), folder)
			}
		}
	}
}

// TestConcurrent shows that each of its rules can fail.
func TestConcurrent(t *testing.T) {
	const source = `package p
import _ "sync/atomic"
import _ "time"
func f(c chan int) { go f(c); select {} }`
	f, err := parser.ParseFile(token.NewFileSet(), "", source, 0)
	if err != nil {
		t.Fatal(err)
	}
	var lines []int
	for _, at := range concurrent(f) {
		lines = append(lines, strings.Count(source[:at], "\n"))
	}
	if want := []int{1, 3, 3, 3}; !slices.Equal(lines, want) {
		t.Errorf("complaints of lines %v, want %v", lines, want)
	}
}

// concurrent returns the places where a file starts goroutines, or shares with them.
func concurrent(f *ast.File) []token.Pos {
	var found []token.Pos
	ast.Inspect(f, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.GoStmt, *ast.ChanType, *ast.SelectStmt:
			found = append(found, n.Pos())
		case *ast.ImportSpec:
			if p := strings.Trim(n.Path.Value, `"`); p == "sync" || p == "sync/atomic" {
				found = append(found, n.Pos())
			}
		}
		return true
	})
	return found
}
