package cli

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"strconv"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/flowshunt/flowshunt/flows"
)

func TestReferencePageIsCurrent(t *testing.T) {
	have, err := os.ReadFile("../../../../docs/cli.md")
	if err != nil {
		t.Fatal(err)
	}
	var want bytes.Buffer
	if err := Reference(&want, New(Env{})); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want.String(), string(have)); diff != "" {
		t.Errorf("docs/cli.md is not what the commands say (go generate ./cmd/flowshuntctl/...):\n%s", diff)
	}
}

// TestEveryReasonHasMeaning reads the constants from their source, so that a new
// reason cannot be forgotten here.
func TestEveryReasonHasMeaning(t *testing.T) {
	reasons := declaredReasons(t)
	if len(reasons) < 50 {
		t.Fatalf("only %d reasons found in the source", len(reasons))
	}
	for r := range reasons {
		if meaning(r) == "" {
			t.Errorf("reason %q has no meaning", r)
		}
	}
	for r := range meanings {
		if !reasons[r] {
			t.Errorf("meaning of %q, which is no reason", r)
		}
	}
}

func declaredReasons(t *testing.T) map[flows.Reason]bool {
	file, err := parser.ParseFile(token.NewFileSet(), "../../../../flows/reason.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	out := map[flows.Reason]bool{}
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok {
			return true
		}
		for _, v := range spec.Values {
			if s, err := strconv.Unquote(v.(*ast.BasicLit).Value); err == nil {
				out[flows.Reason(s)] = true
			}
		}
		return false
	})
	return out
}
